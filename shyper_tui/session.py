"""One engine and what the front end knows of it: state of the machine, VMs, consoles, and how it ended."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any

from shyper_tui.consoles import Console, Feeder
from shyper_tui.ipc.messages import EngineError, MachineStatus, VmInfo, WorkerExit
from shyper_tui.ports import Engine, EngineFactory

LOG_LINES = 200
WARNINGS = 5
WARNING = "warning: "
"""How the engine marks such lines."""
MVM_ID = 0
"""The managing VM: its console is the board's serial port, which has no size."""


class Session:
    """Starts an engine, follows its consoles and state, notices its end, can start another one."""

    def __init__(self, factory: EngineFactory, keep: bool = False, paste_controls: bool = False) -> None:
        self._factory = factory
        self.keep = keep
        """Leaving lets the engine go on: it was there before, or was started to stay."""
        self.paste_controls = paste_controls
        """Control characters in pasted text reach the guests."""
        self.feeder = Feeder()
        self.engine: Engine | None = None
        self.status: MachineStatus | None = None
        self.vms: list[VmInfo] = []
        self.consoles: dict[int, Console] = {}
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self.warnings: deque[str] = deque(maxlen=WARNINGS)
        """What of the log the user should know at once and has not been told yet."""
        self.ended: WorkerExit | None = None
        """How the engine ended, when it did without being asked to."""
        self.stopping = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._followers: dict[int, list[asyncio.Task[None]]] = {}

    @property
    def progress(self) -> str:
        """One line about what is going on before the consoles are there."""
        if self.status is not None and self.status.message:
            return self.status.message
        return self.log[-1] if self.log else "starting the engine"

    async def start(self) -> None:
        """Start the engine. A failure is kept in `ended`, not raised."""
        self.ended, self.status, self.vms, self.stopping = None, None, [], False
        try:
            engine = await self._factory(self._logged)
        except EngineError as error:
            self.ended = WorkerExit(None, [*self.log, error.message])
            return
        self.engine = engine
        engine.closed.add_done_callback(self._closed)
        if not any(task.get_name() == "feeder" for task in self._tasks):
            self.spawn(self.feeder.run(), "feeder")

    def _logged(self, line: str) -> None:
        self.log.append(line)
        if line.startswith(WARNING):
            self.warnings.append(line.removeprefix(WARNING))

    def _closed(self, closed: asyncio.Future[WorkerExit]) -> None:
        self.engine = None
        if not self.stopping and not closed.cancelled():
            self.ended = closed.result()

    async def refresh(self) -> None:
        """Ask for the machine's state, and for the VMs once it is up; follow the consoles of new VMs."""
        engine = self.engine
        if engine is None:
            return
        try:
            self.status = await engine.status()
            if self.status.state in ("booting", "failed"):
                return
            before = {vm.id for vm in self.vms if vm.state == "active"}
            self.vms = await engine.vm.list()
        except EngineError:
            return  # refused now or gone: `ended` tells the latter
        for vm in self.vms:
            if vm.state == "active" and vm.id not in before and vm.id in self.consoles:
                self.consoles[vm.id].tell_again()
        known = {vm.id for vm in self.vms}
        for vm in self.vms:
            if vm.console and vm.id not in self._followers:
                self._follow(engine, vm.id)
        for gone in [vm for vm in self._followers if vm not in known]:
            self._unfollow(gone)

    def _follow(self, engine: Engine, vm: int) -> None:
        console = self.consoles.get(vm)
        if console is None:
            console = self.consoles[vm] = Console(vm, self.feeder, self.paste_controls)
        self._followers[vm] = [
            self.spawn(console.follow(engine), f"console-{vm}"),
            self.spawn(console.write_all(engine), f"console-{vm}-input"),
        ]
        if vm != MVM_ID:
            self._followers[vm].append(self.spawn(console.tell_size(engine), f"console-{vm}-size"))

    def _unfollow(self, vm: int) -> None:
        for task in self._followers.pop(vm):
            task.cancel()
        self.consoles.pop(vm, None)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run `work` beside the application until `stop`."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def restart(self) -> None:
        """Another engine after one has died. The consoles keep what they showed."""
        for tasks in self._followers.values():
            for task in tasks:
                task.cancel()
        self._followers.clear()
        for console in self.consoles.values():
            leave = b"\x1b[?1049l" if console.terminal.alternate else b""  # it moves the cursor, too
            console.terminal.feed(b"\x18\x1b[0m" + leave + b"\r\n[the engine was restarted]\r\n")
            console.position = 0
        await self.start()

    async def stop(self) -> None:
        """Stop the engine and everything that belongs to it."""
        self.stopping = True
        engine, self.engine = self.engine, None
        if engine is not None:
            try:
                await (engine.close() if self.keep else engine.shutdown())
            except EngineError as error:
                self.log.append(error.message)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
