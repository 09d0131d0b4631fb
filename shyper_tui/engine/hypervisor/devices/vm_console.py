"""The serial console of one VM towards the workstation: output goes out at once, typed input waits until it is
taken."""

from __future__ import annotations

from collections.abc import Callable

INPUT_LIMIT = 1 << 20
"""Bytes of input that may wait for the VM."""
DEFAULT_SIZE = (80, 25)
LARGEST = 0xFFFF


class VmConsole:
    """Output goes to `output`, which the VM's maker sets; input is typed with `type` and taken by whatever device
    feeds the VM.

    That device sets `on_input`, which is called when bytes to take are waiting, and `on_resize`, if it can tell the
    guest the size of its terminal.
    """

    def __init__(self) -> None:
        self.output: Callable[[bytes], None] = lambda data: None
        self.on_input: Callable[[], None] | None = None
        self.on_resize: Callable[[int, int], None] | None = None
        self.size = DEFAULT_SIZE  # columns and rows
        self._input = bytearray()

    def write(self, data: bytes) -> None:
        """Output of the VM, on its way to the workstation."""
        self.output(data)

    def resize(self, columns: int, rows: int) -> None:
        """The terminal that shows the console has a new size, in character cells (bounded to 1 .. 65535)."""
        self.size = (min(max(columns, 1), LARGEST), min(max(rows, 1), LARGEST))
        if self.on_resize is not None:
            self.on_resize(*self.size)

    def type(self, data: bytes) -> int:
        """Queue input for the VM; returns how many bytes there was room for."""
        taken = data[: max(0, INPUT_LIMIT - len(self._input))]
        self._input += taken
        if taken and self.on_input is not None:
            self.on_input()
        return len(taken)

    def take(self, size: int) -> bytes:
        """Up to `size` bytes of input; they are gone then."""
        taken = bytes(self._input[:size])
        del self._input[:size]
        return taken

    @property
    def waiting(self) -> int:
        """Bytes of input that nobody has taken."""
        return len(self._input)
