"""An engine that runs while commands are given to it, for the tests of the command line.

The engine is a real one in its own process. Commands run in this process, as `main` would run them, which saves a
second of imports each; that the installed command does the same is shown by `test_commands.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import threading
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

from shyper_tui.cli import main
from shyper_tui.ipc.client import Client

T = TypeVar("T")
SECONDS = 60.0


class RunningEngine:
    """An engine and a client of it, which lives in a thread with a loop of its own."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        try:
            self.client = self._do(Client.start(options))
        except BaseException:
            self._end()
            raise
        assert self.client.socket_path is not None
        self.socket = str(self.client.socket_path)

    def close(self) -> None:
        self._do(self.client.shutdown())
        self._end()

    def shyper(self, *arguments: str) -> tuple[int, str, str]:
        """Exit status, standard output and standard error of a command for this engine."""
        group, *rest = arguments
        if group in ("vm", "system"):
            rest = ["--socket", self.socket, *rest]
        out, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            try:
                main([group, *rest])
            except SystemExit as end:
                status = end.code
        assert isinstance(status, int)
        return status, out.getvalue(), errors.getvalue()

    def json(self, *arguments: str) -> Any:
        """What a command that succeeds prints with `--json`."""
        status, out, errors = self.shyper(*arguments, "--json")
        assert (status, errors) == (0, ""), (out, errors)
        return json.loads(out)

    def state(self, vm: int) -> str:
        return next(info.state for info in self._do(self.client.vm.list()) if info.id == vm)

    def machine(self) -> str:
        return self._do(self.client.status()).state

    def pause(self) -> None:
        """The whole machine stands still."""
        self._do(self.client.pause())

    def resume(self) -> None:
        """The machine goes on."""
        self._do(self.client.resume())

    def wait(self, *states: str) -> None:
        """Until the machine is in one of the states."""
        self._do(self.client.wait_state(*states))

    def type(self, vm: int, text: str) -> None:
        self._do(self.client.console.write(vm, text.encode()))

    def expect(self, vm: int, text: str, typed: str = "", new: bool = False) -> str:
        """Until the console shows the text, from where the last search ended, or (`new`: the VM was just made) from its
        beginning; `typed` is typed before."""
        if typed:
            self.type(vm, typed)
        offset = 0 if new else None
        return self._do(self.client.console.expect(vm, text, timeout=SECONDS / 2, offset=offset))

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(SECONDS)

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextlib.contextmanager
def running_engine(options: dict[str, Any]) -> Iterator[RunningEngine]:
    engine = RunningEngine(options)
    try:
        yield engine
    finally:
        engine.close()
