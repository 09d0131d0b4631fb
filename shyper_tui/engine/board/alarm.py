"""A tick at which devices want to be called that native code can set, too."""

from __future__ import annotations

from collections.abc import Callable

from shyper_tui.engine.hart.host_memory import Block

NEVER = (1 << 64) - 1


class Alarm:
    """The earliest tick at which one of the listeners wants to be called. All are called then, and say when next."""

    def __init__(self) -> None:
        self._block = Block(8)
        self._word = self._block.word(0)
        self._word.value = NEVER
        self._listeners: dict[Callable[[int], None], None] = {}

    @property
    def address(self) -> int:
        """Of the word in host memory that holds the tick. Whoever stores there makes it earlier, never later."""
        return self._block.address

    @property
    def tick(self) -> int:
        """NEVER: nobody wants to be called."""
        return self._word.value

    def set(self, tick: int) -> None:
        """Somebody wants to be called at `tick`."""
        if tick < self._word.value:
            self._word.value = tick

    def listen(self, listener: Callable[[int], None]) -> None:
        """From now on `listener` is called with the present tick, also when another one was meant."""
        self._listeners[listener] = None

    def ignore(self, listener: Callable[[int], None]) -> None:
        self._listeners.pop(listener, None)

    def ring(self, now: int) -> None:
        """The tick has come."""
        self._word.value = NEVER
        for listener in list(self._listeners):
            listener(now)
