"""Memory as devices see it: a flat range of bytes with physical (or guest-physical) addresses."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

PAGE = 4096

_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")


class BadAddress(Exception):  # noqa: N818 the name of the contract between the layers
    """Some byte of `address .. address + size` is not memory."""

    def __init__(self, address: int, size: int) -> None:
        super().__init__(f"{size} byte(s) at {address:#x} are not in memory")
        self.address = address
        self.size = size


class Mapping(NamedTuple):
    """A range of RAM in place.

    `code` has a word for each page that the range touches, which is not 0 while code decoded from that page is kept.
    Whoever stores into `bytes` looks at it before each store: `Memory.write` alone drops such code.
    """

    bytes: memoryview
    code: Sequence[int]


class Memory(Protocol):
    """Physical memory, or a VM's guest-physical view of it. All methods raise `BadAddress` outside of it.

    `direct` is the host address of the table by which native code finds what addresses mean (`memory_layout`), 0 where
    there is none.
    """

    @property
    def direct(self) -> int: ...

    def read(self, address: int, size: int) -> bytes: ...

    def write(self, address: int, data: bytes) -> None: ...

    def map(self, address: int, size: int, lost: Callable[[], None]) -> Mapping | None:
        """The `size` bytes (at least 1) at `address` in place; None where they are not in one piece, or each write has
        to be told.

        `lost` is called as soon as the address stands for other memory: nobody may use the mapping from then on. A VM's
        memory keeps its meaning until the VM is removed, which resets its devices: they forget their mappings then.
        """


class RamMemory:
    """One range of RAM at `base`, kept in `buffer`.

    `buffer` is a writable contiguous view (the machine's mapping, usually sparse); it is used in place, never copied.
    `on_write(address, size)` is called after every write so that the machine can drop code decoded from these bytes;
    where `code` is given, a 64-bit word for each page, small writes to pages whose words are 0 are not told.
    """

    direct = 0

    def __init__(
        self,
        buffer: memoryview,
        base: int,
        on_write: Callable[[int, int], None] | None = None,
        code: memoryview | None = None,
    ) -> None:
        self._bytes = buffer.cast("B") if buffer.format != "B" or buffer.ndim != 1 else buffer
        self._on_write = on_write
        self._code = code
        self.base = base
        self.size = len(self._bytes)

    def _offset(self, address: int, size: int) -> int:
        offset = address - self.base
        if offset < 0 or size < 0 or offset + size > self.size:
            raise BadAddress(address, size)
        return offset

    def read(self, address: int, size: int) -> bytes:
        """The `size` bytes at `address`, as a copy."""
        offset = address - self.base
        if offset < 0 or size < 0 or offset + size > self.size:
            raise BadAddress(address, size)
        return self._bytes[offset : offset + size].tobytes()

    def write(self, address: int, data: bytes) -> None:
        """Puts `data` at `address`."""
        size = len(data)
        offset = address - self.base
        if offset < 0 or offset + size > self.size:
            raise BadAddress(address, size)
        self._bytes[offset : offset + size] = data
        if self._on_write is not None and size:
            code = self._code
            if code is None or size > PAGE or code[offset // PAGE] or code[(offset + size - 1) // PAGE]:
                self._on_write(address, size)

    def map(self, address: int, size: int, lost: Callable[[], None]) -> Mapping | None:
        """See `Memory.map`. Physical addresses never change their meaning."""
        offset = self._offset(address, size)
        first, last = offset // PAGE, (offset + size - 1) // PAGE
        if self._code is not None:
            code: Sequence[int] = self._code[first : last + 1]
        elif self._on_write is None:
            code = bytes(last + 1 - first)
        else:
            return None
        return Mapping(self._bytes[offset : offset + size], code)

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
