"""SiFive test finisher (`sifive,test1`): the register with which software ends or restarts the machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from shyper_tui.engine.board.device import AccessFault

PowerEvent = Literal["poweroff", "fail", "reset"]

PASS, FAIL, RESET = 0x5555, 0x3333, 0x7777
_COMMANDS: dict[int, PowerEvent] = {PASS: "poweroff", FAIL: "fail", RESET: "reset"}


class Finisher:
    """Bits 15:0 of a store are the command, bits 31:16 the exit code, handed to `on_power(event, code)`.

    Other commands and other offsets are ignored; loads give 0.
    """

    def __init__(self, on_power: Callable[[PowerEvent, int], None]) -> None:
        self._on_power = on_power

    def read(self, offset: int, width: int) -> int:
        if width not in (2, 4):
            raise AccessFault(offset, width, "the test finisher is 16 or 32 bits wide")
        return 0

    def write(self, offset: int, width: int, value: int) -> None:
        if width not in (2, 4):
            raise AccessFault(offset, width, "the test finisher is 16 or 32 bits wide")
        event = _COMMANDS.get(value & 0xFFFF)
        if offset == 0 and event is not None:
            self._on_power(event, value >> 16)
