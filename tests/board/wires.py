"""Small things that the board's tests share: a recorded interrupt line and RAM of a few pages."""

from __future__ import annotations

from shyper_tui.engine.board.memory import RamMemory

RAM_BASE = 0x8000_0000


class RecordedLine:
    """An interrupt line that remembers its level and how often it rose."""

    def __init__(self) -> None:
        self._level = False
        self.rises = 0

    def __call__(self, level: bool) -> None:
        if level and not self._level:
            self.rises += 1
        self._level = level

    def high(self) -> bool:
        return self._level


def ram(size: int = 1 << 20) -> RamMemory:
    return RamMemory(memoryview(bytearray(size)), RAM_BASE)
