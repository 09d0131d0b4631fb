"""A VM's RAM by guest-physical address: what hypercalls, SBI and virtqueues of that VM may touch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shyper_tui.engine.board.memory import PAGE, BadAddress, Mapping, Memory
from shyper_tui.engine.hart.direct import memory_layout as at
from shyper_tui.engine.hart.host_memory import Block, address_of


@dataclass(frozen=True, slots=True)
class RamRegion:
    """One memory region of a VM: `length` bytes at guest-physical `ipa`, machine-physical `physical`."""

    ipa: int
    physical: int
    length: int


class GuestMemory:
    """`Memory` in guest-physical addresses. Accesses may cross from one region into an adjacent one, and nothing
    else."""

    def __init__(self, machine: Memory, regions: list[RamRegion]) -> None:
        self._machine = machine
        self.regions = sorted(regions, key=lambda region: region.ipa)
        # (first address, end, bytes, decoded code) of what is in place: accesses inside of one region are nearly all
        self._spans: list[tuple[int, int, memoryview, Sequence[int]]] = []
        self._table = Block(at.size(len(regions)))
        self._words = self._table.bytes.cast("Q")
        for region in self.regions:
            mapping = machine.map(region.physical, region.length, self._lose)
            if mapping is not None and region.physical % PAGE == 0:
                self._spans.append((region.ipa, region.ipa + region.length, mapping.bytes, mapping.code))
                if isinstance(mapping.code, memoryview):
                    self._tell(region, address_of(mapping.bytes), address_of(mapping.code))

    @property
    def direct(self) -> int:
        """See `Memory`."""
        return self._table.address

    def _tell(self, region: RamRegion, host: int, code: int) -> None:
        """Native code finds this region in place from now on."""
        number = self._words[at.REGIONS // 8]
        first = (at.ENTRIES + number * at.ENTRY_SIZE) // 8
        for place, word in ((at.IPA, region.ipa), (at.LENGTH, region.length), (at.HOST, host), (at.CODE, code)):
            self._words[first + place // 8] = word
        self._words[at.REGIONS // 8] = number + 1

    def _lose(self) -> None:
        """Nothing is in place any more."""
        self._spans.clear()
        self._words[at.REGIONS // 8] = 0

    def read(self, address: int, size: int) -> bytes:
        for start, end, ram, _ in self._spans:
            if start <= address < end and 0 <= size <= end - address:
                offset = address - start
                return ram[offset : offset + size].tobytes()
        pieces = self._pieces(address, size)
        return b"".join(self._machine.read(physical, length) for physical, length in pieces)

    def write(self, address: int, data: bytes) -> None:
        size = len(data)
        if 0 < size <= PAGE:
            for start, end, ram, code in self._spans:
                if start <= address < end and address + size <= end:
                    offset = address - start
                    last = offset + size - 1
                    if not code[offset // PAGE] and not code[last // PAGE]:
                        ram[offset : last + 1] = data
                        return
        offset = 0
        for physical, length in self._pieces(address, size):
            self._machine.write(physical, data[offset : offset + length])
            offset += length

    def map(self, address: int, size: int, lost: Callable[[], None]) -> Mapping | None:
        """See `Memory.map`: in place where all of it lies in one region."""
        pieces = self._pieces(address, size)
        return self._machine.map(pieces[0][0], size, lost) if len(pieces) == 1 else None

    def read_u64(self, address: int) -> int:
        """A little-endian 64-bit value."""
        return int.from_bytes(self.read(address, 8), "little")

    def read_string(self, address: int, limit: int) -> bytes:
        """Bytes up to the first NUL, at most `limit`; the string may end where RAM ends."""
        found = bytearray()
        while len(found) < limit:
            piece = min(256, limit - len(found), self._contiguous(address + len(found)))
            chunk = self.read(address + len(found), piece)
            end = chunk.find(0)
            if end >= 0:
                return bytes(found + chunk[:end])
            found += chunk
        return bytes(found)

    def contains(self, address: int, size: int = 1) -> bool:
        """Whether all of `size` bytes at `address` are RAM."""
        try:
            self._pieces(address, size)
        except BadAddress:
            return False
        return True

    def physical(self, address: int) -> int:
        """Machine-physical address of a byte of RAM."""
        return self._pieces(address, 1)[0][0]

    def _contiguous(self, address: int) -> int:
        for region in self.regions:
            if region.ipa <= address < region.ipa + region.length:
                return region.ipa + region.length - address
        raise BadAddress(address, 1)

    def _pieces(self, address: int, size: int) -> list[tuple[int, int]]:
        """(machine-physical address, length) of each part; raises BadAddress when any byte is not RAM."""
        pieces: list[tuple[int, int]] = []
        at, left = address, size
        for region in self.regions:
            end = region.ipa + region.length
            if region.ipa <= at < end:
                take = min(left, end - at)
                pieces.append((region.physical + at - region.ipa, take))
                at, left = at + take, left - take
                if not left:
                    return pieces
        raise BadAddress(address, size)
