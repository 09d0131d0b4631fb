"""What the outer network needs of the machine that it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from shyper_tui.engine.board.device import Timebase, Timer


class Host(Timebase, Protocol):
    """The machine."""

    def call_promptly(self, tick: int, callback: Callable[[], None]) -> Timer:
        """As `call_at`, and not later because of what runs now."""

    def watch(self, descriptor: int, look: Callable[[], None]) -> None:
        """Has `look` called between turns, and at once when the machine waits and `descriptor` is readable."""

    def ignore(self) -> None:
        """Undoes `watch`."""

    def payer(self) -> Any:
        """Whose software runs now."""

    def on_account(self, payer: Any, call: Callable[[], None]) -> None:
        """Performs `call`; what that takes the host is counted for `payer`."""
