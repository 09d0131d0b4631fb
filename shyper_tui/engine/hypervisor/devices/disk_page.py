"""The page that a disk's daemon in the managing VM and the hypervisor share, and the daemon's cache.

The page has 4096 bytes: `nreq`, the descriptor that the daemon gave, and the request that it is to serve.

| offset | field |
|---|---|
| 0 | nreq, u64: the hypervisor adds 1 for each request, the kernel module takes 1 away for each it has delivered |
| 8 | descriptor, 120 bytes; its last field, cache_pa, is written by the hypervisor |
| 128 | type, u32: 0 read, 1 write, 2 flush (for a daemon that asked for flushes) |
| 136, 144 | first sector, number of sectors, u64 |

What the page says is believed once, when the disk is registered; it may change at any time afterwards.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from shyper_tui.engine.board.memory import BadAddress
from shyper_tui.engine.board.virtio.block import SECTOR
from shyper_tui.engine.board.virtio.queue import Segment, cut
from shyper_tui.engine.hypervisor.definition import VmError, printable
from shyper_tui.engine.hypervisor.guest_memory import GuestMemory
from shyper_tui.engine.hypervisor.layout import PAGE

DESCRIPTOR_OFFSET, REQUEST_OFFSET = 8, 128
CACHE_PA_OFFSET = DESCRIPTOR_OFFSET + 112
READ, WRITE, FLUSH = 0, 1, 2
MAX_SECTORS = 1 << 40
MAX_TRANSFER = 4 << 20
"""Bytes that are copied to or from a cache at once, while the machine stands still; larger requests go in pieces."""

_DESCRIPTOR = struct.Struct("<32s32sQQQHB5xQQQ")
_REQUEST = struct.Struct("<I4xQQ")
_U64_MASK = (1 << 64) - 1

Translate = Callable[[int], int]
"""Guest-physical address of a virtual address of the daemon; raises LookupError."""


@dataclass(frozen=True, slots=True)
class DiskDescriptor:
    """A mediated disk as its daemon describes it: `block_num` sectors of 512 bytes; transfers go through a cache of
    `cache_size` bytes at guest-physical `cache_ipa`, which the daemon sees at `cache_va`, at most `dma_block_max`
    sectors at a time."""

    name: str
    path: str
    block_num: int
    dma_block_max: int
    cache_size: int
    cache_va: int
    cache_ipa: int

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        name, path, blocks, dma, size, _, _, va, ipa, _ = _DESCRIPTOR.unpack(data)
        return cls(_text(name), _text(path), blocks, dma, size, va, ipa)

    @property
    def transfer_size(self) -> int:
        """Bytes that one request to the daemon may have; a `dma_block_max` of 0 sets no limit."""
        most = self.dma_block_max * SECTOR if self.dma_block_max else self.cache_size
        return min(most, self.cache_size, MAX_TRANSFER) // SECTOR * SECTOR


class DiskPage:
    """The page at guest-physical `address` of the managing VM, whose RAM is `memory`."""

    def __init__(self, memory: GuestMemory, address: int) -> None:
        self._memory = memory
        self.address = address

    def descriptor(self) -> DiskDescriptor:
        """What the daemon offers. Raises VmError for what cannot be a disk."""
        if not self._memory.contains(self.address, PAGE):
            raise VmError(f"the page of the mediated disk at {self.address:#x} is not in the VM's memory")
        descriptor = DiskDescriptor.unpack(self._memory.read(self.address + DESCRIPTOR_OFFSET, _DESCRIPTOR.size))
        what = f"mediated disk {descriptor.name or hex(self.address)}"
        if not 0 < descriptor.block_num <= MAX_SECTORS:
            raise VmError(f"{what} has {descriptor.block_num} sectors; 1 to {MAX_SECTORS} are possible")
        if descriptor.transfer_size < SECTOR:
            raise VmError(f"{what} has a cache of {descriptor.cache_size} bytes, which holds no sector")
        if not self._memory.contains(descriptor.cache_ipa, descriptor.cache_size):
            raise VmError(
                f"{what} has a cache of {descriptor.cache_size:#x} bytes at {descriptor.cache_ipa:#x}, "
                "which is not all in the VM's memory"
            )
        return descriptor

    def accept(self, descriptor: DiskDescriptor) -> None:
        """No request waits, and the cache has this machine-physical address."""
        self._memory.write(self.address, bytes(8))
        physical = self._memory.physical(descriptor.cache_ipa)
        self._memory.write(self.address + CACHE_PA_OFFSET, physical.to_bytes(8, "little"))

    def request(self, kind: int, sector: int, count: int) -> None:
        """Put a request into the page and count it."""
        self._memory.write(self.address + REQUEST_OFFSET, _REQUEST.pack(kind, sector, count))
        waiting = (self._memory.read_u64(self.address) + 1) & _U64_MASK
        self._memory.write(self.address, waiting.to_bytes(8, "little"))


class DiskCache:
    """The daemon's cache as pieces of guest-physical memory: `size` bytes that a request to the daemon may have.

    The protocol tells where the first byte is and takes the rest to follow it. The daemon has it from its operating
    system page by page, though, so the pages behind `cache_va` are looked up (`translate`) where that agrees with what
    was told about the first byte; the cache ends before a page that has no place in RAM.
    """

    def __init__(self, memory: GuestMemory, descriptor: DiskDescriptor, translate: Translate | None = None) -> None:
        self._memory = memory
        size = descriptor.transfer_size
        self._pieces: list[Segment] = [(descriptor.cache_ipa, size)]
        if translate is not None and descriptor.cache_va:
            pieces = _look_up(memory, descriptor.cache_va, size, translate)
            if pieces and pieces[0][0] == descriptor.cache_ipa:
                self._pieces = pieces
        self.size = sum(length for _, length in self._pieces) // SECTOR * SECTOR

    @property
    def scattered(self) -> bool:
        """The pages do not follow each other in guest-physical memory."""
        return len(self._pieces) > 1

    def read(self, size: int) -> bytes:
        """The first `size` bytes."""
        return b"".join(self._memory.read(address, length) for address, length in cut(self._pieces, 0, size))

    def write(self, data: bytes) -> None:
        done = 0
        for address, length in cut(self._pieces, 0, len(data)):
            self._memory.write(address, data[done : done + length])
            done += length


def _look_up(memory: GuestMemory, start: int, size: int, translate: Translate) -> list[Segment]:
    """Pieces of RAM behind `size` bytes of virtual memory, up to the first page that has none."""
    pieces: list[Segment] = []
    done = 0
    while done < size:
        length = min(size - done, PAGE - (start + done) % PAGE)
        try:
            address = translate((start + done) & _U64_MASK)
        except (LookupError, BadAddress):
            break
        if not memory.contains(address, length):
            break
        if pieces and sum(pieces[-1]) == address:
            pieces[-1] = pieces[-1][0], pieces[-1][1] + length
        else:
            pieces.append((address, length))
        done += length
    return pieces


def _text(field: bytes) -> str:
    """The string in a field, for logs and lists."""
    return printable(field.partition(b"\0")[0].decode("utf-8", "replace"))
