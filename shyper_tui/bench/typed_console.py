"""A process with a system's serial console on its standard input and output, for measurements that type on it."""

from __future__ import annotations

import os
import re
import select
import subprocess
import tempfile
import time
from types import TracebackType
from typing import Self

from shyper_tui.bench.launch import CHUNK, LaunchError

_KEPT = 1 << 16
_DONE = b"ready-%d."


class TypedConsole:
    """Runs a command; `run` types a line of shell. Raises LaunchError when the process ends or takes too long."""

    def __init__(self, command: tuple[str, ...]) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # `close` closes it
        pipe = subprocess.PIPE
        try:
            self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self._log, bufsize=0)
        except OSError as error:
            raise LaunchError(f"{command[0]} cannot be started: {error.strerror or error}") from None
        self.output = bytearray()
        """What was seen, at least the last 64 KiB."""
        self._count = 0

    def wait_for(self, text: bytes, timeout: float) -> bytes:
        """The output up to `text`, which is taken away with it."""
        deadline = time.monotonic() + timeout
        while (place := self.output.find(text)) < 0:
            left = deadline - time.monotonic()
            assert self._process.stdout is not None
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                raise LaunchError(f"{text.decode()} was not seen within {timeout:g} s; last: {self._last()}")
            data = os.read(self._process.stdout.fileno(), CHUNK)
            if not data:
                raise LaunchError(f"the process ended: {self._last()}")
            self.output += data
            del self.output[: -_KEPT - len(text)]
        seen = bytes(self.output[:place])
        del self.output[: place + len(text)]
        return seen

    def begin(self, line: str) -> bytes:
        """Types a line; the text that the console shows when it is done."""
        self._count += 1
        done = _DONE % self._count
        # the shell shows the line as it is typed, so that must not be the text itself
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}; echo re''ady-{self._count}.\r".encode())
        return done

    def run(self, line: str, timeout: float = 120.0) -> str:
        """Types a line and waits until it is done; what it has printed, with the line itself."""
        return self.wait_for(self.begin(line), timeout).decode("utf-8", "replace")

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            if stream is not None:
                stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _last(self) -> str:
        self._log.seek(0)
        log = self._log.read().decode("utf-8", "replace")
        lines = [*self.output.decode("utf-8", "replace").splitlines(), *log.splitlines()]
        shown = [re.sub(r"\x1b\[[0-9;]*\w", "", line).strip() for line in lines if line.strip()]
        return shown[-1] if shown else "it said nothing"
