"""Host memory behind the harts: RAM, decoded pages, TLB contexts."""

from __future__ import annotations

import ctypes
import mmap
import weakref
from collections.abc import Iterator
from typing import ClassVar, Protocol

from shyper_tui.engine.core import records
from shyper_tui.engine.core import tlb_layout as tlb

PAGE = 4096
HUGE_PAGE = 2 << 20
"""Of the hosts that have them: what the host clears and hands out at once, and where blocks of large pages begin."""
MAP_NORESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)
"""Linux's value; the module names it from Python 3.12 on."""
CODE_MEMORY = 256 << 20
"""Bytes of the arena of decoded pages: some 60 MiB of guest code."""
_libc = ctypes.CDLL(None, use_errno=True)


class BlockWatcher(Protocol):
    """Hears of every block that is made."""

    def made(self, block: Block) -> None: ...


class Block:
    """Zeroed host memory that is only backed where it is touched, between guards that nobody may touch: what runs over
    an end faults before it reaches anything else.

    `name` and `stride` (the bytes of each of its equal parts) are for the debug build, which tells `watcher` of blocks.
    """

    watcher: ClassVar[BlockWatcher | None] = None
    all: ClassVar[weakref.WeakSet[Block]] = weakref.WeakSet()
    """Those in use."""

    def __init__(self, size: int, *, huge: bool = False, name: str = "", stride: int = 0) -> None:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE
        self.used, self.name, self.stride = size, name, stride
        self.size = (size + PAGE - 1) & -PAGE
        alignment = HUGE_PAGE if huge else PAGE
        self._map = mmap.mmap(-1, self.size + 2 * alignment, flags=flags)
        self._anchor = ctypes.c_char.from_buffer(self._map)
        first = ctypes.addressof(self._anchor)
        self.address = (first + PAGE + alignment - 1) & -alignment
        self._start = self.address - first
        _forbid(first, self._start)
        _forbid(self.address + self.size, 2 * alignment - self._start)
        if huge:
            self._map.madvise(mmap.MADV_HUGEPAGE, self._start, self.size)
        Block.all.add(self)
        if Block.watcher is not None:
            Block.watcher.made(self)

    @property
    def bytes(self) -> memoryview:
        return memoryview(self._map)[self._start : self._start + self.size]

    def clear(self, offset: int = 0, length: int | None = None) -> None:
        """Gives the memory back to the host; it reads as zero again. `offset` and `length` are whole pages."""
        length = self.size - offset if length is None else length
        if offset < 0 or length < 0 or offset + length > self.size:
            raise ValueError(f"{length:#x} bytes at {offset:#x} are not inside of {self.size:#x}")
        self._map.madvise(mmap.MADV_DONTNEED, self._start + offset, length)

    def word(self, offset: int) -> ctypes.c_uint64:
        return ctypes.c_uint64.from_address(self.address + offset)


def _forbid(address: int, length: int) -> None:
    """Accesses to whole pages of a mapping fault from now on."""
    if _libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(length), 0):
        raise OSError(ctypes.get_errno(), "the host does not protect memory")


def address_of(view: memoryview) -> int:
    """The host address of a writable view's first byte, valid as long as what it is a view of."""
    return ctypes.addressof(ctypes.c_char.from_buffer(view))


class HasWords(Protocol):
    """An object with state that native code shares."""

    words: memoryview[int]


class Word:
    """An attribute that is one of its owner's words: an unsigned number of 64 bits. `offset` is in bytes."""

    def __init__(self, offset: int) -> None:
        self._index = offset // 8

    def __get__(self, owner: HasWords, kind: type | None = None) -> int:
        return owner.words[self._index]

    def __set__(self, owner: HasWords, value: int) -> None:
        owner.words[self._index] = value


class Flag:
    """The same for a bool."""

    def __init__(self, offset: int) -> None:
        self._index = offset // 8

    def __get__(self, owner: HasWords, kind: type | None = None) -> bool:
        return owner.words[self._index] != 0

    def __set__(self, owner: HasWords, value: bool) -> None:
        owner.words[self._index] = value


class HostMemory:
    """RAM at `base`, and everything that native code keeps about it for `harts` harts.

    `code_memory`: bytes for decoded pages, at least `records.LEAST_SLOTS` slots.
    """

    def __init__(self, base: int, size: int, harts: int, code_memory: int = CODE_MEMORY) -> None:
        if base % PAGE or size % PAGE or size <= 0:
            raise ValueError("RAM begins and ends at a page boundary")
        self.slots = code_memory // records.STRIDE
        if self.slots < records.LEAST_SLOTS:
            raise ValueError(f"decoded pages need {records.LEAST_SLOTS * records.STRIDE} bytes, not {code_memory}")
        self.base, self.size, self.harts = base, size, harts
        self.ram = Block(size, huge=True, name="RAM")
        pages = size // PAGE
        self.page_records = Block(pages * 8, name="page_records")
        self.page_written = Block(pages * 2, name="page_written")
        self.backed = Block((size + HUGE_PAGE - 1) // HUGE_PAGE, name="backed")
        self.arena = Block(self.slots * records.STRIDE, huge=True, name="arena", stride=records.STRIDE)
        self.shared = Block(records.SHARED_SIZE, name="shared words")
        size_of_contexts = tlb.CONTEXT_SIZE * tlb.CONTEXTS * harts
        self.contexts = Block(size_of_contexts, name="TLB contexts", stride=tlb.CONTEXT_SIZE)
        self._reset_arena()
        self.clear_contexts()

    def _reset_arena(self) -> None:
        """All slots are unused."""
        self.shared.word(records.SHARED_NEXT).value = self.arena.address
        self.shared.word(records.SHARED_END).value = self.arena.address + self.slots * records.STRIDE
        for word in (records.SHARED_FREE, records.SHARED_RETIRED, records.SHARED_RETIRED_COUNT):
            self.shared.word(word).value = 0
        ctypes.memset(self.shared.address + records.OWNER_SLOTS, 0, records.SHARED_SIZE - records.OWNER_SLOTS)

    def clear_contexts(self) -> None:
        """No translation is cached."""
        for number in range(tlb.CONTEXTS * self.harts):
            context = self.contexts.address + number * tlb.CONTEXT_SIZE
            ctypes.memset(context, 0xFF, tlb.TABLES_SIZE)
            ctypes.memset(context + tlb.TABLES_SIZE, 0, tlb.CONTEXT_SIZE - tlb.TABLES_SIZE)

    def slots_of(self, owner: int) -> int:
        """Decoded pages on the account of an owner (`records.OWNERS`)."""
        return self.shared.word(records.OWNER_SLOTS + 8 * owner).value

    def forget_code(self) -> None:
        """Drops all decoded pages and cached translations. No hart may be in native code; `context_of` of the harts'
        states is cleared by the caller."""
        self.page_records.clear()
        self.page_written.clear()
        self.arena.clear()
        self._reset_arena()
        self.clear_contexts()

    def clear_ram(self, offset: int, length: int) -> None:
        """Gives RAM back to the host, which pays for it again when it is stored into."""
        self.ram.clear(offset, length)
        first, end = offset // HUGE_PAGE, (offset + length + HUGE_PAGE - 1) // HUGE_PAGE
        self.backed.bytes[first:end] = bytes(end - first)

    def note_backed(self, pa: int, size: int) -> None:
        """RAM was stored into: the host has handed it out."""
        first, last = (pa - self.base) // HUGE_PAGE, (pa + size - 1 - self.base) // HUGE_PAGE
        self.backed.bytes[first : last + 1] = bytes((1,)) * (last + 1 - first)

    def contains(self, pa: int, size: int = 1) -> bool:
        return self.base <= pa and pa + size <= self.base + self.size

    def pages_with_records(self, pa: int, length: int) -> Iterator[int]:
        """Addresses of the pages in a range that hold decoded code."""
        first, end = (pa - self.base) // PAGE * 8, (pa + length - self.base) // PAGE * 8
        nothing = bytes(PAGE)
        for start in range(first, end, PAGE):
            words = bytes(self.page_records.bytes[start : min(start + PAGE, end)])
            if words != nothing[: len(words)]:
                for k in range(0, len(words), 8):
                    if words[k : k + 8] != nothing[:8]:
                        yield self.base + (start + k) // 8 * PAGE

    def has_records(self, pa: int) -> bool:
        return self.page_records.word((pa - self.base) // PAGE * 8).value != 0
