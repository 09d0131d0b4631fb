"""`shyper-tui images build mvm|gvm --debian`: the first boot of a new system, in our own machine, with its progress."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

from shyper_tui.plain_text import visible

MEMORY = 1 << 30
QUIET_SECONDS = 600.0
"""No package takes as long to configure; a machine that says nothing for so long stands still."""
_LINES_OF_A_FAILURE = 6
Progress = Callable[[str, int, int], None]


class ConfigurationLog:
    """Follows what dpkg says on the console: `status: PACKAGE: installed` lines of its --status-fd, and the rest."""

    def __init__(self, packages: int, progress: Progress) -> None:
        self._packages, self._progress = packages, progress
        self._partial = b""
        self._installed: set[str] = set()
        self._lines: list[str] = []
        self._of_failures: list[str] = []
        self.failed: list[str] = []
        """Packages that could not be configured."""
        self.status: int | None = None
        """dpkg's exit status, once it has ended."""
        self.last = time.monotonic()

    def feed(self, data: bytes) -> None:
        self.last = time.monotonic()
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._line(line.decode(errors="replace").strip())

    def _line(self, line: str) -> None:
        if found := re.match(r"status: (\S+?)(?::\w+)?: (installed|half-configured)$", line):
            package, state = found.groups()
            if state == "installed":
                self._installed.add(package)
            self._progress(f"configuring {package}", len(self._installed), self._packages)
        elif found := re.match(r"dpkg: error processing package (\S+)", line):
            self.failed.append(found[1])
            self._of_failures += self._lines[-_LINES_OF_A_FAILURE:]
        elif found := re.match(r"SHYPER-CONFIGURED (\d+)", line):
            self.status = int(found[1])
        if line and not line.startswith(("status: ", "processing: ")):
            self._lines = [*self._lines, line][-12:]

    @property
    def tail(self) -> str:
        """The lines before each failure, or else the last ones."""
        return "\n".join(visible(line) for line in self._of_failures or self._lines)


def configure(image: Path, kernel: Path, initramfs: Path, program: str, packages: int, progress: Progress) -> None:
    """Boot the system of an image with `program` as its first one until it powers off.

    Raises ImageError with the packages that failed and the last lines of the console.
    """
    from shyper_tui.engine.bare_machine import BareMachine
    from shyper_tui.images import ImageError

    log = ConfigurationLog(packages, progress)
    progress("starting the machine", 0, packages)
    machine = BareMachine(
        str(kernel), str(initramfs), f"console=ttyS0 quiet root=/dev/vda rw init={program}", memory=MEMORY,
        drives=[str(image)], clock="wall", on_console=log.feed,
    )  # fmt: skip
    failures: list[BaseException] = []

    def run() -> None:
        try:
            machine.run()
        except BaseException as error:  # raised again below
            failures.append(error)

    thread = threading.Thread(target=run, name="machine", daemon=True)
    thread.start()
    try:
        while thread.is_alive() and time.monotonic() - log.last < QUIET_SECONDS:
            thread.join(0.2)
        stuck = thread.is_alive()
    finally:
        machine.stop()
        thread.join(10)
    if failures:
        raise failures[0]
    if log.status != 0:
        told = f"not configured: {', '.join(log.failed)}" if log.failed else "the configuration did not end"
        reason = "the machine said nothing any more" if stuck else told
        raise ImageError(f"The new system is not usable: {reason}. It said:\n{log.tail}\n", "No image was made.")
