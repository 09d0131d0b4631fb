"""Recognises kernels: RISC-V Linux `Image` files and RISC-V ELF files, and judges whether they are whole.

Image header: Linux `Documentation/arch/riscv/boot-image-header.rst`. ELF: System V ABI, e_machine 243 = EM_RISCV. The
file is not trusted: every offset in it is compared with its size before it is used.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from shyper_tui.input_file import open_input

from .containers import START_BYTES, container

HEADER_BYTES = 64
"""How much of a file `recognise` needs; of `START_BYTES` it can tell more containers."""
MAX_SEGMENTS = 64
"""Program headers of an ELF file that are read."""

_EM_RISCV = 243
_ET_EXEC, _ET_DYN = 2, 3
_PT_LOAD = 1
_MACHINES = {0x3E: "x86-64", 0xB7: "AArch64", 0x28: "Arm", 0x03: "x86", 0xF3: "RISC-V"}
_TYPES = {0: "of no type", 1: "a relocatable object file, not a linked program", 4: "a core dump, not a program"}
_TOP = 1 << 64

ReadAt = Callable[[int, int], bytes]
"""Bytes of a file at an offset; fewer at its end."""


class KernelKind(Enum):
    """What a kernel file is."""

    LINUX_IMAGE = "RISC-V Linux Image"
    ELF = "RISC-V ELF"
    RAW = "raw binary"


@dataclass(frozen=True)
class Segment:
    """Part of an ELF program: `file_size` bytes at `offset` of the file go to `physical`, zeros follow them."""

    offset: int
    virtual: int
    physical: int
    file_size: int
    memory_size: int


@dataclass(frozen=True)
class KernelHeader:
    """`problem` is empty, or says why the file cannot be a RV64 kernel."""

    kind: KernelKind
    text_offset: int = 0
    """LINUX_IMAGE: load address relative to the start of RAM, bytes."""
    image_size: int = 0
    """Bytes of memory it occupies, .bss included; 0 when unknown."""
    lowest: int = 0
    """ELF: lowest physical address of its segments; a loader moves that one to the load address."""
    problem: str = ""
    entry: int = 0
    """ELF: its entry point, as it is linked."""
    movable: bool = False
    """ELF: it is position-independent (ET_DYN)."""
    segments: tuple[Segment, ...] = ()
    """ELF: what is loaded, in the order of the file."""

    @property
    def physical_entry(self) -> int:
        """ELF: the entry point as a physical address; it is a virtual one in kernels linked for high addresses."""
        for segment in self.segments:
            if segment.virtual <= self.entry < segment.virtual + segment.memory_size:
                return self.entry - segment.virtual + segment.physical
        return self.entry


def recognise(start: bytes) -> KernelHeader:
    """Judge a file by its first `HEADER_BYTES` bytes."""
    if start[:4] == b"\x7fELF":
        return _elf(start)
    if start[0x30:0x35] == b"RISCV" or start[0x38:0x3C] == b"RSC\x05":
        if len(start) < HEADER_BYTES:
            return KernelHeader(KernelKind.RAW, problem="it ends within the Linux Image header")
        text_offset, image_size = struct.unpack_from("<QQ", start, 8)
        return KernelHeader(KernelKind.LINUX_IMAGE, text_offset, image_size)
    if start[0x38:0x3C] == b"ARM\x64":
        return KernelHeader(KernelKind.RAW, problem="it is a Linux Image for AArch64")
    if start[:2] == b"MZ":
        if start[4:8] == b"zimg":
            return KernelHeader(KernelKind.RAW, problem="it is a compressed EFI zboot image")
        return KernelHeader(KernelKind.RAW, problem="it is an EFI or Windows program without the RISC-V Image header")
    if start[:4] == b"\x27\x05\x19\x56":
        return KernelHeader(KernelKind.RAW, problem="it is a U-Boot uImage")
    if start[:4] == b"\xd0\x0d\xfe\xed":
        return KernelHeader(KernelKind.RAW, problem="it is a U-Boot FIT image or another device tree")
    wrapped = container(start)
    if wrapped is not None:
        return KernelHeader(KernelKind.RAW, problem=f"it is {wrapped}")
    return KernelHeader(KernelKind.RAW)


def judge(read_at: ReadAt, size: int) -> KernelHeader:
    """Judge a whole kernel of `size` bytes and tell how much memory it occupies from its load address on."""
    start = read_at(0, START_BYTES)
    header = recognise(start)
    if header.problem:
        return replace(header, image_size=max(size, header.image_size))
    if header.kind is KernelKind.ELF:
        return _program(read_at, size, start, header)
    if header.kind is KernelKind.LINUX_IMAGE and (there := _bytes_of_image(read_at, start)) > size:
        return replace(header, problem=f"it is cut short: {size} of its {there} bytes are there")
    return replace(header, image_size=max(size, header.image_size))


def judge_bytes(data: bytes | bytearray | memoryview) -> KernelHeader:
    """`judge` for a kernel in memory."""
    return judge(lambda offset, size: bytes(data[offset : offset + size]), len(data))


def measure(file: Path) -> KernelHeader:
    """`judge` for a plain file, of which only the headers are read. Raises OSError."""
    descriptor = open_input(file)
    try:
        size = os.fstat(descriptor).st_size
        return judge(lambda offset, wanted: os.pread(descriptor, wanted, offset) if offset < size else b"", size)
    finally:
        os.close(descriptor)


def _program(read_at: ReadAt, size: int, start: bytes, header: KernelHeader) -> KernelHeader:
    """The segments of an ELF program, all of them in the file, in memory, and apart."""
    kind, entry, offset = *struct.unpack_from("<H", start, 16), *struct.unpack_from("<QQ", start, 24)
    entry_size, count = struct.unpack_from("<HH", start, 54)
    header = replace(header, entry=entry, movable=kind == _ET_DYN, image_size=size)
    if kind not in (_ET_EXEC, _ET_DYN):
        return replace(header, problem=f"it is an ELF file that is {_TYPES.get(kind, 'no program')}")
    if count > MAX_SEGMENTS:
        return replace(header, problem=f"it has {count} ELF program headers; at most {MAX_SEGMENTS} are read")
    if count and (entry_size < 56 or offset + entry_size * count > size):
        return replace(header, problem="its ELF program headers are damaged")
    table = read_at(offset, entry_size * count) if count else b""
    if len(table) < entry_size * count:
        return replace(header, problem="its ELF program headers are damaged")
    segments: list[Segment] = []
    for at in range(0, entry_size * count, entry_size or 1):
        kind, _, where, virtual, physical, in_file, in_memory, _ = struct.unpack_from("<IIQQQQQQ", table, at)
        if kind != _PT_LOAD or not in_memory:
            continue
        if where + in_file > size:
            return replace(header, problem="it ends within a segment of its ELF program")
        if in_file > in_memory:
            return replace(header, problem="it has an ELF segment that is larger in the file than in memory")
        if physical + in_memory > _TOP or virtual + in_memory > _TOP:
            return replace(header, problem="it has an ELF segment that goes beyond the 64-bit addresses")
        if any(physical < other.physical + other.memory_size and other.physical < physical + in_memory
               for other in segments):  # fmt: skip
            return replace(header, problem="two of its ELF segments lie on top of each other")
        segments.append(Segment(where, virtual, physical, in_file, in_memory))
    if not segments:
        return replace(header, problem="it is an ELF file without anything to load")
    lowest = min(part.physical for part in segments)
    extent = max(part.physical + part.memory_size for part in segments) - lowest
    return replace(header, image_size=extent, lowest=lowest, segments=tuple(segments))


def _bytes_of_image(read_at: ReadAt, start: bytes) -> int:
    """How long a Linux Image must be: its EFI header (PE/COFF) tells where the sections end. 0 without that header."""
    begin = int.from_bytes(start[0x3C:0x40], "little")
    head = read_at(begin, 24)
    if len(head) < 24 or head[:4] != b"PE\0\0":
        return 0
    count, optional = int.from_bytes(head[6:8], "little"), int.from_bytes(head[20:22], "little")
    table = read_at(begin + 24 + optional, 40 * min(count, 96))
    ends = [sum(struct.unpack_from("<II", table, at + 16)) for at in range(0, len(table) - 39, 40)]
    return max(ends, default=0)


def _elf(start: bytes) -> KernelHeader:
    if len(start) < HEADER_BYTES:
        return KernelHeader(KernelKind.ELF, problem="it ends within the ELF header")
    if start[5] != 1:
        return KernelHeader(KernelKind.ELF, problem="it is a big-endian ELF file")
    machine = int.from_bytes(start[18:20], "little")
    if machine != _EM_RISCV:
        name = _MACHINES.get(machine, f"machine {machine}")
        return KernelHeader(KernelKind.ELF, problem=f"it is an ELF file for {name}")
    if start[4] != 2:
        return KernelHeader(KernelKind.ELF, problem="it is a 32-bit RISC-V ELF file")
    return KernelHeader(KernelKind.ELF)
