"""What the server serves, as it sees it: the engine behind it implements these two protocols."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class ConsoleSource(Protocol):
    """One console stream that can be read from any offset. Safe to use from the loop's thread while another one
    writes."""

    @property
    def end(self) -> int:
        """Offset behind the last byte."""

    @property
    def closed(self) -> bool:
        """No byte will come any more."""

    def read(self, offset: int, limit: int) -> tuple[int, bytes]:
        """At most `limit` bytes from `offset` on, and the offset where they really start (later when older were
        dropped)."""

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Calls `listener()` in the writer's thread after each write and at the end; returns what ends the
        listening."""


class Service(Protocol):
    """The engine behind the server."""

    version: str

    async def call(self, method: str, arguments: dict[str, Any]) -> Any:
        """Performs one request; the result is a message, a list of them, or None. Refusals are EngineError."""

    async def console(self, vm: int) -> ConsoleSource:
        """The console of a VM; EngineError when there is none."""
