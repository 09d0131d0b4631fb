"""Memory as devices see it: a flat range of bytes with physical (or guest-physical) addresses."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Protocol

_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")


class BadAddress(Exception):  # noqa: N818 the name of the contract between the layers
    """Some byte of `address .. address + size` is not memory."""

    def __init__(self, address: int, size: int) -> None:
        super().__init__(f"{size} byte(s) at {address:#x} are not in memory")
        self.address = address
        self.size = size


class Memory(Protocol):
    """Physical memory, or a VM's guest-physical view of it. Both methods raise `BadAddress` outside of it."""

    def read(self, address: int, size: int) -> bytes: ...

    def write(self, address: int, data: bytes) -> None: ...


class RamMemory:
    """One range of RAM at `base`, kept in `buffer`.

    `buffer` is a writable contiguous view (the machine's mapping, usually sparse); it is used in place, never copied.
    `on_write(address, size)` is called after every write so that the machine can drop code decoded from these bytes.
    """

    def __init__(self, buffer: memoryview, base: int, on_write: Callable[[int, int], None] | None = None) -> None:
        self._bytes = buffer.cast("B") if buffer.format != "B" or buffer.ndim != 1 else buffer
        self._on_write = on_write
        self.base = base
        self.size = len(self._bytes)

    def _offset(self, address: int, size: int) -> int:
        offset = address - self.base
        if offset < 0 or size < 0 or offset + size > self.size:
            raise BadAddress(address, size)
        return offset

    def read(self, address: int, size: int) -> bytes:
        """The `size` bytes at `address`, as a copy."""
        offset = self._offset(address, size)
        return bytes(self._bytes[offset : offset + size])

    def write(self, address: int, data: bytes) -> None:
        """Puts `data` at `address`."""
        size = len(data)
        offset = self._offset(address, size)
        self._bytes[offset : offset + size] = data
        if self._on_write is not None and size:
            self._on_write(address, size)

    def view(self, address: int, size: int) -> memoryview:
        """The bytes in place, for readers of large ranges; writing through it bypasses `on_write`."""
        offset = self._offset(address, size)
        return self._bytes[offset : offset + size]

    def read_u8(self, address: int) -> int:
        return self._bytes[self._offset(address, 1)]

    def read_u16(self, address: int) -> int:
        value: int = _U16.unpack_from(self._bytes, self._offset(address, 2))[0]
        return value

    def read_u32(self, address: int) -> int:
        value: int = _U32.unpack_from(self._bytes, self._offset(address, 4))[0]
        return value

    def read_u64(self, address: int) -> int:
        value: int = _U64.unpack_from(self._bytes, self._offset(address, 8))[0]
        return value

    def write_u8(self, address: int, value: int) -> None:
        self.write(address, bytes((value,)))

    def write_u16(self, address: int, value: int) -> None:
        self.write(address, _U16.pack(value))

    def write_u32(self, address: int, value: int) -> None:
        self.write(address, _U32.pack(value))

    def write_u64(self, address: int, value: int) -> None:
        self.write(address, _U64.pack(value))
