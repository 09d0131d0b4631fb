"""A live server with real console streams, for the IPC tests; the machine behind it is left out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from shyper_tui.engine.console_stream import ConsoleStream
from shyper_tui.ipc.connection import Connection
from shyper_tui.ipc.messages import PROTOCOL, Diagnostic, EngineError, MachineStatus
from shyper_tui.ipc.server import Server

STATUS = MachineStatus("running", "virtual", 123, 456, 7.5, [], True, "")


class ConsolesOnly:
    """Two consoles; typing on a console echoes on it. A few methods that end in each of the ways a request can end."""

    version = "test"

    def __init__(self) -> None:
        self.streams = {0: ConsoleStream(), 1: ConsoleStream()}
        self.release = asyncio.Event()
        self.started = 0

    async def call(self, method: str, arguments: dict[str, Any]) -> Any:
        match method:
            case "echo":
                return arguments
            case "status":
                return STATUS
            case "console.write":
                (await self.console(arguments["vm"])).write(arguments["data"])
                return None
            case "wait":
                self.started += 1
                await self.release.wait()
                return STATUS
            case "vm.config":
                found = Diagnostic("vm.json", 3, 5, 9, "error", "E1", "the kernel is missing", "give its path")
                raise EngineError("refused", "the configuration has 1 error", [found])
            case "large":
                return b"x" * arguments["size"]
            case "defect":
                return 1 // 0
        raise EngineError("no-such-method", f"there is no method {method}")

    async def console(self, vm: int) -> ConsoleStream:
        if vm not in self.streams:
            raise EngineError("no-such-vm", f"there is no VM {vm}")
        return self.streams[vm]


class Live:
    """The server, its service, and ways to connect."""

    def __init__(self, service: ConsolesOnly, server: Server) -> None:
        self.service, self.server = service, server
        self.owner_gone = asyncio.Event()

    async def connect(self, owner: bool = False) -> Connection:
        connection = await Connection.open(str(self.server.path))
        await connection.request("hello", protocol=PROTOCOL, client="test", owner=owner)
        return connection

    async def raw(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(str(self.server.path))


@contextlib.asynccontextmanager
async def live_server(folder: Path) -> AsyncIterator[Live]:
    service = ConsolesOnly()
    server = Server(service, folder / "private" / "engine.sock", on_last_owner_gone=lambda: live.owner_gone.set())
    live = Live(service, server)
    await server.start()
    try:
        yield live
    finally:
        await server.close()
