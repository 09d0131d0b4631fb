"""The engine as a child process: spawning it, collecting its log, noticing its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path

from shyper_tui.ipc.endpoint import in_use, new_socket_path, remove_socket
from shyper_tui.ipc.messages import EngineError, EngineOptions, WorkerExit, to_wire
from shyper_tui.plain_text import visible

LOG_LINES = 200
LONGEST_LOG_LINE = 1000
"""Characters of a line of the engine's log that are kept."""
STOP_SECONDS = 10.0
"""How long a stopping engine may take before it is killed."""

LogListener = Callable[[str], None]


class EngineProcess:
    """One spawned engine. `exit` is set when the process is gone."""

    def __init__(self, process: asyncio.subprocess.Process, socket_path: Path, on_log: LogListener | None) -> None:
        self.process = process
        self.socket_path = socket_path
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self._on_log = on_log
        loop = asyncio.get_running_loop()
        self.exit: asyncio.Future[WorkerExit] = loop.create_future()
        self._watcher = loop.create_task(self._watch(), name="engine-process")

    @classmethod
    async def spawn(cls, options: EngineOptions, on_log: LogListener | None = None) -> EngineProcess:
        """Starts `python -m shyper_tui.engine` and returns once it listens on its private socket.

        The engine gets a session of its own, so that Ctrl-C in the terminal reaches the front end alone, which then
        stops it in order. Its standard input is a pipe from here: its end tells the engine that this process died.
        """
        try:
            path = new_socket_path()
        except OSError as error:
            raise EngineError("engine-start", f"there is no folder for the engine's socket: {error}") from None
        with in_use(path):  # the engine says so itself once it listens
            return await cls._spawned(path, options, on_log)

    @classmethod
    async def _spawned(cls, path: Path, options: EngineOptions, on_log: LogListener | None) -> EngineProcess:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(_search_path())}
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "shyper_tui.engine",
                "--socket", str(path), "--options", json.dumps(to_wire(options)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
                env=environment,
            )  # fmt: skip
        except OSError as error:
            remove_socket(path)
            raise EngineError("engine-start", f"the engine cannot be started: {error.strerror or error}") from None
        except BaseException:  # interrupted; asyncio ends what has been started
            remove_socket(path)
            raise
        engine = cls(process, path, on_log)
        assert process.stdout is not None
        try:
            line = await process.stdout.readline()
        except asyncio.CancelledError:
            await engine.kill()
            raise
        if line.strip() != b"listening":
            exited = await engine.stop()  # it is ending by itself
            last = exited.log[-1] if exited.log else "it wrote no message"
            raise EngineError("engine-start", f"the engine ended while starting (status {exited.status}): {last}")
        return engine

    async def stop(self) -> WorkerExit:
        """Waits for the engine to end; kills it when it does not within STOP_SECONDS."""
        try:
            return await asyncio.wait_for(asyncio.shield(self.exit), STOP_SECONDS)
        except TimeoutError:
            await self.kill()
            return await self.exit

    async def kill(self) -> None:
        """Ends the process at once and waits until it is gone.

        Not by `Process.kill`, which polls first: that may take the exit status away from the event loop's child
        watcher.
        """
        if not self.exit.done():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)
        await asyncio.shield(self._watcher)

    async def _watch(self) -> None:
        stderr = self.process.stderr
        assert stderr is not None
        while True:
            try:
                line = await stderr.readline()
            except ValueError:  # a line longer than the reader's limit: its start was dropped
                continue
            if not line:
                break
            text = visible(line.decode("utf-8", "replace").rstrip())[:LONGEST_LOG_LINE]
            self.log.append(text)
            if self._on_log is not None:
                self._on_log(text)
        status = await self.process.wait()
        remove_socket(self.socket_path)
        if not self.exit.done():
            self.exit.set_result(WorkerExit(status, list(self.log)))


def _search_path() -> list[str]:
    """The engine must be the same code as this client; no module of the current folder may get in between (`-P`)."""
    package = Path(__file__).resolve().parents[2]
    inherited = os.environ.get("PYTHONPATH", "")
    return [str(package), *(entry for entry in inherited.split(os.pathsep) if entry)]
