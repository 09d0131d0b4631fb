"""The engine's Unix socket: several clients at a time, each in its own session."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from shyper_tui.ipc.service import Service
from shyper_tui.ipc.session import Session

CLIENTS_AT_ONCE = 32


class Server:
    """Serves `service` at the socket `path`. `on_last_owner_gone` is called when the last owning client has left."""

    def __init__(
        self, service: Service, path: str | Path, on_last_owner_gone: Callable[[], None] | None = None
    ) -> None:
        self.path = Path(path)
        self._service = service
        self._on_last_owner_gone = on_last_owner_gone
        self._sessions: dict[Session, asyncio.Task[None]] = {}
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
        if len(self._sessions) >= CLIENTS_AT_ONCE:
            writer.close()
            return
        session = Session(self._service, reader, writer)
        task = asyncio.get_running_loop().create_task(session.run(), name="ipc-session")
        self._sessions[session] = task
        task.add_done_callback(lambda _: self._left(session))

    def _left(self, session: Session) -> None:
        del self._sessions[session]
        if session.owner and self._on_last_owner_gone and not any(other.owner for other in self._sessions):
            self._on_last_owner_gone()
