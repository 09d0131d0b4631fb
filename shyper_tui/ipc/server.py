"""The engine's Unix socket: several clients at a time, each in its own session."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from shyper_tui.ipc.service import Service
from shyper_tui.ipc.session import Session

CLIENTS_AT_ONCE = 32
"""Clients that are served; they stay, and one more is refused."""
CLIENTS_OF_A_PROCESS = 16
"""The same of one process, so that a script that never closes its connections locks nobody out."""
STRANGERS_AT_ONCE = 32
"""Connections without a hello; of more than these the oldest ends."""


class Server:
    """Serves `service` at the socket `path`. `on_last_owner_gone` is called when the last owning client has left."""

    def __init__(
        self, service: Service, path: str | Path, on_last_owner_gone: Callable[[], None] | None = None
    ) -> None:
        self.path = Path(path)
        self._service = service
        self._on_last_owner_gone = on_last_owner_gone
        self._sessions: dict[Session, asyncio.Task[None]] = {}
        self._strangers: dict[Session, int] = {}
        """Sessions that have not said hello, oldest first, and the processes they belong to."""
        self._served: dict[Session, int] = {}
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listens; OSError when the socket cannot be made."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        former = os.umask(0o177)  # so that the socket never exists with wider permissions
        try:
            self._server = await asyncio.start_unix_server(self._connected, str(self.path))
        finally:
            os.umask(former)

    async def close(self) -> None:
        """Ends all sessions and removes the socket."""
        if self._server is not None:
            self._server.close()
        for task in list(self._sessions.values()):
            task.cancel()
        await asyncio.gather(*self._sessions.values(), return_exceptions=True)
        self.path.unlink(missing_ok=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(self._service, reader, writer, self._admit)
        self._strangers[session] = _process_of(writer)
        if len(self._strangers) > STRANGERS_AT_ONCE:
            self._dismiss(next(iter(self._strangers)))
        task = asyncio.get_running_loop().create_task(session.run(), name="ipc-session")
        self._sessions[session] = task
        task.add_done_callback(lambda _: self._left(session))

    def _dismiss(self, session: Session) -> None:
        del self._strangers[session]
        others = f"more than {STRANGERS_AT_ONCE} connections have not said hello"
        session.dismiss("hello", f"{others}; this one has waited longest")
        self._sessions[session].cancel()

    def _admit(self, session: Session) -> str:
        """A session has said hello; returns why it cannot be served, else ""."""
        process = self._strangers.pop(session, 0)
        if len(self._served) >= CLIENTS_AT_ONCE:
            return f"the engine serves {CLIENTS_AT_ONCE} clients already, which is its limit; close one of them"
        if list(self._served.values()).count(process) >= CLIENTS_OF_A_PROCESS:
            return f"process {process} has {CLIENTS_OF_A_PROCESS} connections to the engine already, which is the limit"
        self._served[session] = process
        return ""

    def _left(self, session: Session) -> None:
        del self._sessions[session]
        self._strangers.pop(session, None)
        self._served.pop(session, None)
        if session.owner and self._on_last_owner_gone and not any(other.owner for other in self._sessions):
            self._on_last_owner_gone()


def _process_of(writer: asyncio.StreamWriter) -> int:
    """The process that connected (Linux: SO_PEERCRED); 0 where the system does not tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return 0
    credentials = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[0])
