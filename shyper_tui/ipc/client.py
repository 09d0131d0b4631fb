"""The engine's Python API: the same for the TUI, the command line, tests, and your own scripts.

    async with await Client.start({"embedded": True}) as client:
        await client.console.expect(0, "mvm# ", timeout=10)
        await client.console.write(0, b"shyper vm list\\n")
        print(await client.console.expect(0, "mvm# ", timeout=10))

Every method may raise `EngineError(code, message, diagnostics)`: the engine refused, or is gone (`engine-gone`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from shyper_tui.input_file import MAX_CONFIGURATION, read_input
from shyper_tui.ipc.connection import Connection
from shyper_tui.ipc.messages import (
    PROTOCOL,
    ConsoleChunk,
    EngineError,
    EngineOptions,
    Hello,
    MachineStatus,
    MessageError,
    PlicSnapshot,
    ScenarioStatus,
    VcpusSnapshot,
    VmInfo,
    Welcome,
    WorkerExit,
    from_wire,
    to_wire,
)
from shyper_tui.ipc.process import EngineProcess, LogListener
from shyper_tui.ipc.vm_messages import EngineReport, OfferedDisk, RefusedCall, VmAnswer, VmFaults, VmStatistics

AllStatistics = list[VmStatistics]
RefusedCalls = list[RefusedCall]

WELCOME_SECONDS = 30.0
"""How long an engine may take to answer a hello."""
EXPECT_LIMIT = 4 * 1024 * 1024
"""Bytes that `expect` keeps of what came before its text."""


class VmCalls:
    """`client.vm`: the virtual machines. VM 0 is the managing VM, 1 to 7 are guests."""

    def __init__(self, connection: Connection, removed: Callable[[int], None]) -> None:
        self._request = connection.request
        self._removed = removed

    async def list(self) -> list[VmInfo]:
        """All configured VMs by id. Waits while the engine is booting."""
        return from_wire(list[VmInfo], await self._request("vm.list"))

    async def config(self, text: str, directory: str = "", file: str = "") -> VmInfo:
        """Adds a VM from a configuration's JSON text. Relative file names in it are looked up in `directory` (default:
        the current one); `file` names the text in diagnostics. A refusal carries all diagnostics."""
        folder = os.path.abspath(directory or os.curdir)  # noqa: ASYNC240 (no disk access)
        return from_wire(VmInfo, await self._request("vm.config", text=text, directory=folder, file=file))

    async def config_file(self, path: str | Path) -> VmInfo:
        """Adds a VM from a configuration file."""
        return await self.config(await _text_of(path), str(Path(path).parent), str(path))

    async def boot(self, vm: int) -> VmInfo:
        """Starts a pending VM."""
        return from_wire(VmInfo, await self._request("vm.boot", vm=vm))

    async def stop(self, vm: int) -> VmInfo:
        """Stops a VM at once, as pulling its plug; it is pending again."""
        return from_wire(VmInfo, await self._request("vm.stop", vm=vm))

    async def shutdown(self, vm: int, force: bool = False) -> VmAnswer:
        """Asks a VM to power off; by `force`, or when it does not listen, stops it at once."""
        return from_wire(VmAnswer, await self._request("vm.shutdown", vm=vm, force=force))

    async def reboot(self, vm: int, force: bool = True) -> VmAnswer:
        """Stops a VM and starts it from its images; not by `force`: asks it to reboot by itself if it listens."""
        return from_wire(VmAnswer, await self._request("vm.reboot", vm=vm, force=force))

    async def pause(self, vm: int) -> VmInfo:
        """Takes a VM's vCPUs off their cores; the others go on."""
        return from_wire(VmInfo, await self._request("vm.pause", vm=vm))

    async def resume(self, vm: int) -> VmInfo:
        """Lets a paused VM go on."""
        return from_wire(VmInfo, await self._request("vm.resume", vm=vm))

    async def remove(self, vm: int) -> None:
        """Stops and removes a guest VM; its id and memory are free again."""
        await self._request("vm.remove", vm=vm)
        self._removed(vm)

    async def delete(self, vm: int, force: bool = False) -> None:
        """Takes back the configuration of a guest VM that does not run; by `force` also of one that does."""
        await self._request("vm.delete", vm=vm, force=force)
        self._removed(vm)

    async def default_config(self, vm: int) -> str:
        """The VM's configuration as JSON text, which `config` accepts for a guest VM; for VM 0 as `--mvm` does."""
        return from_wire(str, await self._request("vm.default_config", vm=vm))

    async def statistics(self, vm: int) -> VmStatistics:
        """Exits by cause, interrupts by source, device counters and vCPU times of one VM."""
        return from_wire(VmStatistics, await self._request("vm.statistics", vm=vm))

    async def all_statistics(self) -> AllStatistics:
        """The same of every VM that has been created, by id."""
        return from_wire(AllStatistics, await self._request("vm.all_statistics"))

    async def faults(self, vm: int) -> VmFaults:
        """The newest faults of a VM, with everything that is known of them."""
        return from_wire(VmFaults, await self._request("vm.faults", vm=vm))

    async def audit(self) -> RefusedCalls:
        """Hypercalls of guests that were refused, oldest first."""
        return from_wire(RefusedCalls, await self._request("vm.audit"))


class SystemCalls:
    """`client.system`: the machine as a whole. `shutdown` here ends the guests; `client.shutdown()` ends the engine."""

    def __init__(self, connection: Connection) -> None:
        self._request = connection.request

    async def test(self) -> EngineReport:
        """That the engine answers, and what it runs."""
        return from_wire(EngineReport, await self._request("system.test"))

    async def shutdown(self, force: bool = False) -> VmAnswer:
        """Asks the managing VM to power off, and stops the guests when it has; by `force` all at once. The answer is
        about the managing VM."""
        return from_wire(VmAnswer, await self._request("system.shutdown", force=force))

    async def reboot(self, force: bool = False) -> VmAnswer:
        """Asks the managing VM to reboot, and starts the guests again when it has; by `force` all at once. The answer
        is about the managing VM."""
        return from_wire(VmAnswer, await self._request("system.reboot", force=force))

    async def daemon(self, text: str, directory: str = "", file: str = "") -> list[OfferedDisk]:
        """Serves the disks of a daemon's JSON text (`{"mediated": [...]}`) to VMs configured from now on. Relative
        names are looked up in `directory` (default: the current one)."""
        folder = os.path.abspath(directory or os.curdir)  # noqa: ASYNC240 (no disk access)
        answer = await self._request("system.daemon", text=text, directory=folder, file=file)
        return from_wire(list[OfferedDisk], answer)

    async def daemon_file(self, path: str | Path) -> list[OfferedDisk]:
        """The same with a daemon's file."""
        return await self.daemon(await _text_of(path), str(Path(path).parent), str(path))


class ConsoleCalls:
    """`client.console`: every VM's console as one stream of bytes since power-on."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._expected: dict[int, int] = {}

    async def write(self, vm: int, data: bytes) -> None:
        """Types `data` on the VM's console."""
        await self._connection.request("console.write", vm=vm, data=bytes(data))

    async def resize(self, vm: int, columns: int, rows: int) -> None:
        """Tells a guest how large the terminal behind its console is (character cells). Refused for VM 0, whose console
        is a serial line."""
        await self._connection.request("console.resize", vm=vm, columns=columns, rows=rows)

    async def read(self, vm: int, offset: int = 0) -> ConsoleChunk:
        """What is kept of the console from `offset` on (the engine keeps the last MiB)."""
        return from_wire(ConsoleChunk, await self._connection.request("console.read", vm=vm, offset=offset))

    def forget(self, vm: int) -> None:
        """The VM is gone: what `expect` has seen of it does not matter for the next one with this id."""
        self._expected.pop(vm, None)

    def stream(self, vm: int, offset: int = 0) -> AsyncGenerator[ConsoleChunk, None]:
        """The console from `offset` on, for ever; ends when the VM is removed or the engine is gone. A consumer that
        is too slow misses bytes: then a chunk's offset lies beyond the end of the one before."""
        return self._connection.stream(vm, offset)

    async def expect(self, vm: int, text: str, timeout: float | None = None, offset: int | None = None) -> str:  # noqa: ASYNC109
        """Waits until the console shows `text`; returns everything from the start of the search to its end.

        The search starts at `offset`, or after what the previous `expect` for this VM found. EngineError `timeout`
        after `timeout` seconds.
        """
        start = self._expected.get(vm, 0) if offset is None else offset
        wanted, seen, begin = text.encode(), bytearray(), start
        try:
            async with asyncio.timeout(timeout), contextlib.aclosing(self.stream(vm, start)) as chunks:
                async for chunk in chunks:
                    if chunk.offset != begin + len(seen):  # bytes were dropped: search on from here
                        begin, seen = chunk.offset, bytearray()
                    searched = max(0, len(seen) - len(wanted))
                    seen += chunk.data
                    position = seen.find(wanted, searched)
                    if position >= 0:
                        end = position + len(wanted)
                        self._expected[vm] = begin + end
                        return seen[:end].decode("utf-8", "replace")
                    if len(seen) > EXPECT_LIMIT:
                        dropped = len(seen) - EXPECT_LIMIT // 2
                        begin, seen = begin + dropped, seen[dropped:]
        except TimeoutError:
            tail = seen[-400:].decode("utf-8", "replace")
            raise EngineError("timeout", f"vm{vm} did not show {text!r} within {timeout:g} s; last: {tail!r}") from None
        lost = self._connection.lost
        if lost.done():
            raise EngineError("engine-gone", lost.result())
        raise EngineError("console-end", f"vm{vm} was removed before it showed {text!r}")


class Client:
    """A connection to an engine, its own (`start`) or a running one (`attach`)."""

    def __init__(self, connection: Connection, welcome: Welcome, process: EngineProcess | None) -> None:
        self._connection = connection
        self._process = process
        self.welcome = welcome
        self.console = ConsoleCalls(connection)
        self.vm = VmCalls(connection, self.console.forget)
        self.system = SystemCalls(connection)
        self.closed: asyncio.Future[WorkerExit]
        """Set when the engine is gone: exit status and last log lines (status None when only attached)."""
        if process is not None:
            self.closed = process.exit
        else:
            self.closed = asyncio.get_running_loop().create_future()
            connection.lost.add_done_callback(lambda lost: self.closed.set_result(WorkerExit(None, [lost.result()])))

    @classmethod
    async def start(
        cls, options: EngineOptions | Mapping[str, Any] | None = None, on_log: LogListener | None = None
    ) -> Client:
        """Spawns an engine and connects to it as its owner. `options`: see `EngineOptions` (or a dict of its fields);
        `on_log` is called with every line of the engine's log."""
        process = await EngineProcess.spawn(_checked(options), on_log)
        try:
            return await cls._connect(str(process.socket_path), process, owner=True)
        except BaseException:
            await process.kill()
            raise

    @classmethod
    async def attach(cls, path: str | Path, owner: bool = False) -> Client:
        """Connects to a running engine's socket (`endpoint.running_engines()` lists them)."""
        return await cls._connect(str(path), None, owner)

    @classmethod
    async def _connect(cls, path: str, process: EngineProcess | None, owner: bool) -> Client:
        connection = await Connection.open(path)
        try:
            hello = Hello(PROTOCOL, client="shyper-tui", owner=owner)
            async with asyncio.timeout(WELCOME_SECONDS):
                welcome = from_wire(Welcome, await connection.request("hello", **to_wire(hello)))
        except TimeoutError:
            await connection.close()
            sentence = f"the engine at {path} did not answer within {WELCOME_SECONDS:g} s; it is stopped or overloaded"
            raise EngineError("no-engine", sentence) from None
        except BaseException:
            await connection.close()
            raise
        return cls(connection, welcome, process)

    @property
    def socket_path(self) -> Path | None:
        """Socket of the spawned engine, for other clients to attach; None when this client is attached itself."""
        return self._process.socket_path if self._process is not None else None

    @property
    def engine_pid(self) -> int | None:
        """Process id of the spawned engine; None when this client is attached."""
        return self._process.process.pid if self._process is not None else None

    @property
    def log(self) -> list[str]:
        """The last lines of the spawned engine's log."""
        return list(self._process.log) if self._process is not None else []

    async def status(self) -> MachineStatus:
        """State, clock, speed and harts. Answers while booting, too."""
        return from_wire(MachineStatus, await self._connection.request("status"))

    async def vcpus(self) -> VcpusSnapshot:
        """Every vCPU's registers, key CSRs and next instructions, all at one moment."""
        return from_wire(VcpusSnapshot, await self._connection.request("vcpus"))

    async def plic(self) -> PlicSnapshot:
        """The physical PLIC and every VM's vPLIC, all at one moment."""
        return from_wire(PlicSnapshot, await self._connection.request("plic"))

    async def pause(self) -> None:
        """Stops the machine between two instructions."""
        await self._connection.request("pause")

    async def resume(self) -> None:
        """Lets a paused machine go on."""
        await self._connection.request("resume")

    async def scenario(self) -> ScenarioStatus:
        """How far the script given in the options is."""
        return from_wire(ScenarioStatus, await self._connection.request("scenario"))

    async def wait_scenario(self, timeout: float | None = None) -> ScenarioStatus:  # noqa: ASYNC109
        """Waits until the script is finished or cannot go on; after `timeout` seconds returns where it stands."""
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            async with asyncio.timeout(timeout):
                return from_wire(ScenarioStatus, await self._connection.request("scenario.wait"))
        except TimeoutError:
            if deadline is None:
                raise
            return await self.scenario()

    async def wait_state(self, *states: str) -> MachineStatus:
        """Waits until the machine is in one of the given states."""
        return from_wire(MachineStatus, await self._connection.request("wait", states=list(states)))

    async def shutdown(self) -> WorkerExit:
        """Stops the engine: consoles flushed, disks synced. Returns how it ended; harmless when it is gone already."""
        try:
            await self._connection.request("shutdown")
        except EngineError as error:
            if error.code != "engine-gone":
                raise
        if self._process is not None:
            exited = await self._process.stop()
        else:
            exited = await self.closed
        await self._connection.close()
        return exited

    async def close(self) -> None:
        """Leaves: an owned engine stops with it (unless detached), an attached one goes on."""
        await self._connection.close()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process is not None:
            await self.shutdown()
        else:
            await self.close()


async def _text_of(path: str | Path) -> str:
    """A file's text; EngineError when it cannot be read."""
    try:
        return (await asyncio.to_thread(read_input, path, MAX_CONFIGURATION)).decode()
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a NUL character in the name
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise EngineError("config-file", f"{path} cannot be read: {reason}") from None


def _checked(options: EngineOptions | Mapping[str, Any] | None) -> EngineOptions:
    """The options as their dataclass; EngineError for a field that does not exist or has another type."""
    if options is None:
        return EngineOptions()
    if isinstance(options, EngineOptions):
        return options
    unknown = sorted(set(options) - set(EngineOptions.__dataclass_fields__))
    if unknown:
        raise EngineError("options", f"there is no engine option {unknown[0]!r}")
    try:
        return from_wire(EngineOptions, dict(options))
    except MessageError as error:
        raise EngineError("options", str(error)) from None
