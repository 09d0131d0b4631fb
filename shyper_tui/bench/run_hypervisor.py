"""`python -m shyper_tui.bench.run_hypervisor FILE`: a program as managing VM, until it has printed BENCH-DONE.

Its output goes to standard output. Between its lines `mark NAME` the host's time is taken, and the longest time in
which no hart got a turn, because a guest's own clock glides over such pauses.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

from shyper_tui.engine.clock import WallClock
from shyper_tui.engine.hart.program import program
from shyper_tui.engine.hypervisor.mvm import MVM_ID, mvm_definition
from shyper_tui.engine.shyper_machine import Hooks, ShyperMachine

DONE = b"BENCH-DONE"
TIMEOUT = 300.0


class Watch:
    """Reads the program's lines and takes the time at its marks; all times in nanoseconds."""

    def __init__(self) -> None:
        self.done = False
        self.longest_turn = 0
        self.creations: list[int] = []
        self.pauses: list[int] = []
        self._line = bytearray()
        self._marked = 0

    def output(self, vm: int, data: bytes) -> None:
        """Console output of the program."""
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        self._line += data
        while (end := self._line.find(b"\n")) >= 0:
            self._read(bytes(self._line[:end]).strip())
            del self._line[: end + 1]

    def _read(self, line: bytes) -> None:
        now = time.perf_counter_ns()
        if line == b"mark created":
            self.creations.append(now - self._marked)
        elif line == b"mark end":
            self.pauses.append(self.longest_turn)
        elif line == DONE:
            self.done = True
        self._marked, self.longest_turn = now, 0


def main(file: str) -> int:
    """Runs it; the exit status is 0 when the program has come to its end."""
    watch = Watch()
    hooks = Hooks(watch.output, lambda: None, lambda line: print(line, file=sys.stderr))
    built = ShyperMachine(WallClock(), program(), hooks, None, None)
    manager, machine = built.hypervisor.manager, built.machine
    manager.add(mvm_definition(), Path(file).read_bytes())
    manager.boot(MVM_ID)
    built.power_on()
    deadline = time.monotonic() + TIMEOUT
    while not watch.done and machine.power is None and time.monotonic() < deadline:
        started = time.perf_counter_ns()
        machine.run_round()
        watch.longest_turn = max(watch.longest_turn, time.perf_counter_ns() - started)
    if watch.creations:
        print(f"result create_1gib 1 {min(watch.creations)}")
    if watch.pauses:
        print(f"result remove_pause 1 {round(statistics.median(watch.pauses))}")
    print(f"The program ended: {machine.instructions} instructions.", file=sys.stderr)
    built.close()
    return 0 if watch.done else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
