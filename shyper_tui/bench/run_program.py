"""`python -m shyper_tui.bench.run_program FILE`: a bare-metal program on the machine, until it ends through the test
finisher. Like `shyper-tui machine --headless --bios FILE`, and tells the number of instructions."""

from __future__ import annotations

import sys

from shyper_tui.engine.bare_machine import BareMachine
from shyper_tui.ipc.messages import EngineError

MEMORY = 128 << 20


def main(file: str) -> int:
    """Runs it; the exit status is the program's."""
    try:
        machine = BareMachine(kernel=None, bios=file, memory=MEMORY, clock="wall", on_console=_write)
    except EngineError as error:
        print(f"Error: {error.message}", file=sys.stderr)
        return 1
    machine.run()
    print(f"The program ended: {machine.machine.instructions} instructions.", file=sys.stderr)
    return machine.exit_code


def _write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
