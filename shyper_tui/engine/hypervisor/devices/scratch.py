"""The disk behind a block device that has none: scratch space, whose contents end with the VM."""

from __future__ import annotations

from shyper_tui.engine.board.virtio.disk import Overlay


class Zeros:
    """A read-only disk of `size` zero bytes: what lies under a scratch disk."""

    read_only = True

    def __init__(self, size: int) -> None:
        self.size = size

    def read(self, offset: int, size: int) -> bytes:
        return bytes(size)

    def write(self, offset: int, data: bytes) -> None:
        raise OSError("read-only")

    def flush(self) -> None:
        """Nothing to do."""

    def discard(self, offset: int, size: int) -> None:
        """Nothing to do."""

    def write_zeroes(self, offset: int, size: int) -> None:
        """They are zeros already."""

    def close(self) -> None:
        """Nothing to do."""


def scratch_disk(size: int) -> Overlay:
    """A disk of `size` zero bytes that takes host memory only for what is written."""
    return Overlay(Zeros(size))
