"""One process, timed from its start until it has shown a text or has ended."""

from __future__ import annotations

import os
import select
import subprocess
import tempfile
import time
from dataclasses import dataclass
from typing import IO

CHUNK = 65536


@dataclass(frozen=True)
class Launch:
    """A command to time. `until`: the text on standard output that ends the time; None: the end of the process."""

    command: tuple[str, ...]
    until: bytes | None = None


@dataclass(frozen=True)
class Timing:
    """What one process took.

    `wall`: seconds from its start to its text, or to its end. `cpu`: seconds of processor time of all its threads and
    children until its end. `output` is standard output, `log` standard error.
    """

    wall: float
    cpu: float
    output: bytes
    log: str


class LaunchError(Exception):
    """A process could not be started, failed, did not show its text, or took too long; one sentence."""


def timed(launch: Launch, timeout: float) -> Timing:
    """Runs a process to its end, which must be exit status 0 within `timeout` seconds. Raises LaunchError."""
    with tempfile.TemporaryFile() as log:
        started = time.perf_counter()
        try:
            process = subprocess.Popen(
                launch.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, bufsize=0
            )
        except OSError as error:
            raise LaunchError(f"{launch.command[0]} cannot be started: {error.strerror or error}") from None
        with process:
            try:
                output, shown = _read(process, launch.until, started + timeout)
                cpu = _wait(process, started + timeout)
                ended = time.perf_counter()
            except TimeoutError:
                raise LaunchError(f"the process did not end within {timeout:g} s") from None
            finally:
                process.kill()  # does nothing to a process that has ended
        text = _text(log)
        if process.returncode:
            raise LaunchError(f"the process ended with status {process.returncode}: {_last_line(text, output)}")
        if launch.until is not None and shown is None:
            raise LaunchError(f"the process ended without showing {launch.until.decode()}: {_last_line(text, output)}")
        return Timing((ended if shown is None else shown) - started, cpu, output, text)


def _wait(process: subprocess.Popen[bytes], deadline: float) -> float:
    """Waits for the end of the process; its seconds of processor time."""
    ended = os.pidfd_open(process.pid)
    try:
        if not select.select([ended], [], [], max(0.0, deadline - time.perf_counter()))[0]:
            raise TimeoutError
    finally:
        os.close(ended)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # Popen itself would not ask for the usage
    return usage.ru_utime + usage.ru_stime


def _read(process: subprocess.Popen[bytes], until: bytes | None, deadline: float) -> tuple[bytes, float | None]:
    """Standard output to its end, and the time at which `until` was complete."""
    assert process.stdout is not None
    descriptor, output, shown = process.stdout.fileno(), bytearray(), None
    while True:
        left = deadline - time.perf_counter()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            raise TimeoutError
        data = os.read(descriptor, CHUNK)
        if not data:
            return bytes(output), shown
        output += data
        # the text may lie across two pieces
        if until is not None and shown is None and until in output[-len(data) - len(until) :]:
            shown = time.perf_counter()


def _text(log: IO[bytes]) -> str:
    log.seek(0)
    return log.read().decode("utf-8", "replace")


def _last_line(log: str, output: bytes) -> str:
    """The last thing a failed process said."""
    lines = [line for line in (*output.decode("utf-8", "replace").splitlines(), *log.splitlines()) if line.strip()]
    return lines[-1].strip() if lines else "it said nothing"
