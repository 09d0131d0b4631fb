"""The engine worker: an event loop that serves clients, and the machine in a thread of its own."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shyper_tui.engine.console_stream import ConsoleStream
from shyper_tui.engine.log_pipe import LogPipe
from shyper_tui.engine.machine_thread import MachineThread
from shyper_tui.engine.requests import ACTIONS, FRUITLESS, NEEDING_POWER, SETTLING, Action, Arguments
from shyper_tui.ipc.endpoint import in_use, remove_socket
from shyper_tui.ipc.messages import EngineError, EngineOptions, MachineStatus, from_wire
from shyper_tui.ipc.server import Server
from shyper_tui.version import VERSION

if TYPE_CHECKING:
    from shyper_tui.engine.workstation import Workstation

STOP_SECONDS = 8.0
"""How long the machine may take to come to a stop before the worker ends without it."""
LOOK_AGAIN_SECONDS = 0.05
FLUSH_SECONDS = 0.25
"""Console logs on disk lag behind by at most this."""


class Worker:
    """The service behind the server: every method runs in the machine's thread between slices."""

    version = VERSION

    def __init__(self, options: EngineOptions) -> None:
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._workstation: Workstation | None = None
        self.finished = asyncio.Event()
        """Set when the worker shall end."""
        self.machine = MachineThread(self._build, on_change=self._notify)

    def _build(self) -> Workstation:
        """In the machine's thread: the imports take a moment, and clients can connect meanwhile."""
        from shyper_tui.engine.workstation import Workstation

        self._workstation = Workstation(self._options, self.machine.set_state, self._notify)
        return self._workstation

    def _notify(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._wake_waiters)

    def _wake_waiters(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def call(self, method: str, arguments: dict[str, Any]) -> Any:
        """Performs a request (`Service`)."""
        match method:
            case "status":
                return await self.status()
            case "wait":
                return await self._wait_state(arguments.get("states"))
            case "shutdown":
                self._loop.call_soon(self.finished.set)
                return None
            case "scenario.wait":
                scenario = (await self._ready()).scenario
                while not scenario.ended.is_set():
                    await self._changed.wait()
                return scenario.status()
        action = ACTIONS.get(method)
        if action is None:
            raise EngineError("no-such-method", f"this engine has no method {method[:60]!r}")
        workstation = await self._ready()
        values = Arguments(arguments)
        if method in NEEDING_POWER and workstation.off:
            raise EngineError("off", "the machine is off for good; start another engine")
        if method in FRUITLESS and self.machine.state == "failed":
            raise EngineError("failed", f"the machine has failed, so nothing runs any more: {self.machine.message}")
        try:
            if method in SETTLING:
                concerned = values.vm if method.startswith("vm.") else None
                return await self._settled(workstation, action, values, concerned)
            return await self.machine.call(lambda: action(workstation, values))
        finally:
            self._wake_waiters()

    async def _settled(self, workstation: Workstation, action: Action, values: Arguments, vm: int | None) -> Any:
        """Performs an action that stops a VM (None: all), and answers when every core has let go of it. A paused
        machine lets go when it goes on, so nothing is waited for then."""
        halting = await self.machine.call(lambda: workstation.vms.halting(vm))
        result = await self.machine.call(lambda: action(workstation, values))
        changed = self._changed
        while self.machine.state == "running" and await self.machine.call(halting):
            with contextlib.suppress(TimeoutError):  # not every end of a stop is told
                await asyncio.wait_for(changed.wait(), LOOK_AGAIN_SECONDS)
            changed = self._changed
        return await self.machine.call(lambda: workstation.vms.settled(result))

    async def console(self, vm: int) -> ConsoleStream:
        """The console of a VM (`Service`)."""
        if self._workstation is None or vm not in self._workstation.consoles:
            await self._ready()
        if self._workstation is None or vm not in self._workstation.consoles:
            raise EngineError("no-such-vm", f"there is no VM {vm}, so it has no console")
        return self._workstation.consoles[vm]

    async def status(self) -> MachineStatus:
        """The machine's state; while it boots or when it failed to, without its numbers."""
        workstation, machine = self._workstation, self.machine
        if workstation is None or machine.state == "booting" or not workstation.complete:
            options = self._options
            return MachineStatus(machine.state, options.clock, 0, 0, 0.0, [], options.embedded, machine.message)
        return await machine.call(lambda: workstation.status(machine.state, machine.message))

    async def _ready(self) -> Workstation:
        """Waits until the guests are booted; EngineError when the machine failed before that."""
        while self.machine.state == "booting":
            await self._changed.wait()
        if self._workstation is None or not self._workstation.complete:
            raise EngineError("failed", f"the machine did not start: {self.machine.message}")
        return self._workstation

    async def _wait_state(self, states: Any) -> MachineStatus:
        if not isinstance(states, list):
            raise EngineError("bad-arguments", "argument states must be a list of names")
        while self.machine.state not in states:
            await self._changed.wait()
        return await self.status()

    async def flush_logs(self) -> None:
        """Keeps the console logs on disk near the present, for ever."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            if self._workstation is not None:
                for stream in list(self._workstation.consoles.values()):
                    stream.flush()


async def serve(socket_path: Path, options: EngineOptions) -> int:
    """Runs the worker until a client shuts it down, its last owner is gone, or a signal comes; returns the exit
    status."""
    worker = Worker(options)
    loop = asyncio.get_running_loop()
    leave = (lambda: None) if options.detach else worker.finished.set
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, worker.finished.set)
    server = Server(worker, socket_path, on_last_owner_gone=leave)
    await server.start()
    _watch_parent(loop, leave)
    with contextlib.suppress(OSError):  # who started this is gone: the end of standard input says so, too
        print("listening", flush=True)
    flusher = loop.create_task(worker.flush_logs())
    worker.machine.start()
    await worker.finished.wait()
    flusher.cancel()
    ended = await asyncio.to_thread(worker.machine.stop, STOP_SECONDS)
    await server.close()
    if not ended:
        print("the machine did not stop in time; the worker ends without it", file=sys.stderr, flush=True)
    return 0 if ended else 1


def _watch_parent(loop: asyncio.AbstractEventLoop, leave: Callable[[], None]) -> None:
    """Standard input is a pipe from the process that started the worker: its end means that process is gone."""

    def readable() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            loop.remove_reader(sys.stdin.fileno())
            leave()

    with contextlib.suppress(OSError, PermissionError):  # a file or terminal: started by hand
        if not sys.stdin.isatty():
            loop.add_reader(sys.stdin.fileno(), readable)


def main(arguments: list[str]) -> int:
    """`python -m shyper_tui.engine --socket PATH [--options JSON]`."""
    parser = argparse.ArgumentParser(prog="python -m shyper_tui.engine", description="The engine behind shyper-tui.")
    parser.add_argument("--socket", required=True, type=Path, help="Unix socket to listen at, in a private folder")
    parser.add_argument("--options", default="{}", help="JSON object with the fields of EngineOptions")
    chosen = parser.parse_args(arguments)
    try:
        options = from_wire(EngineOptions, json.loads(chosen.options))
    except ValueError as error:  # JSON and shape alike
        print(f"the options cannot be read: {error}", file=sys.stderr)
        return 2
    if stat.S_ISFIFO(os.fstat(2).st_mode):
        sys.stderr = LogPipe(2)
    try:
        with in_use(chosen.socket):
            status = asyncio.run(serve(chosen.socket, options))
            if status:  # the machine's thread goes on, in native code perhaps, which needs what an orderly end frees
                remove_socket(chosen.socket)
                os._exit(status)
            return status
    except OSError as error:
        print(f"cannot listen at {chosen.socket}: {error.strerror or error}", file=sys.stderr)
        return 1
    finally:
        remove_socket(chosen.socket)
