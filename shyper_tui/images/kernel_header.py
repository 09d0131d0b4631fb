"""Recognises kernels: RISC-V Linux `Image` files and RISC-V ELF files.

Image header: Linux `Documentation/arch/riscv/boot-image-header.rst`. ELF: System V ABI, e_machine 243 = EM_RISCV.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

HEADER_BYTES = 64
"""How much of a file `recognise` needs."""

_EM_RISCV = 243
_PT_LOAD = 1
_MACHINES = {0x3E: "x86-64", 0xB7: "AArch64", 0x28: "Arm", 0x03: "x86", 0xF3: "RISC-V"}


class KernelKind(Enum):
    """What a kernel file is."""

    LINUX_IMAGE = "RISC-V Linux Image"
    ELF = "RISC-V ELF"
    RAW = "raw binary"


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
    if start[:2] == b"\x1f\x8b":
        return KernelHeader(KernelKind.RAW, problem="it is compressed with gzip")
    if start[:6] == b"\xfd7zXZ\0" or start[:4] in (b"\x28\xb5\x2f\xfd", b"\x02!L\x18", b"\x04\x22\x4d\x18"):
        return KernelHeader(KernelKind.RAW, problem="it is a compressed file")
    if start[:2] == b"MZ":
        if start[4:8] == b"zimg":
            return KernelHeader(KernelKind.RAW, problem="it is a compressed EFI zboot image")
        return KernelHeader(KernelKind.RAW, problem="it is an EFI or Windows program without the RISC-V Image header")
    return KernelHeader(KernelKind.RAW)


def measure(file: Path) -> KernelHeader:
    """Judge a kernel file and tell how much memory it occupies from its load address on. Raises OSError."""
    with file.open("rb") as stream:
        start = stream.read(HEADER_BYTES)
        header = recognise(start)
        size = stream.seek(0, 2)
        if header.problem or header.kind is not KernelKind.ELF:
            return replace(header, image_size=max(size, header.image_size))
        offset, entry_size, count = *struct.unpack_from("<Q", start, 32), *struct.unpack_from("<HH", start, 54)
        if entry_size < 56 or offset + entry_size * count > size:
            return replace(header, problem="its ELF program headers are damaged")
        stream.seek(offset)
        table = stream.read(entry_size * count)
    extents: list[tuple[int, int]] = []
    for at in range(0, len(table), entry_size):
        kind, _, where, _, physical, file_size, size_there, _ = struct.unpack_from("<IIQQQQQQ", table, at)
        if kind == _PT_LOAD and size_there:
            if where + file_size > size:
                return replace(header, problem="it ends within a segment of its ELF program")
            extents.append((physical, physical + size_there))
    if not extents:
        return replace(header, problem="it is an ELF file without anything to load")
    lowest = min(first for first, _ in extents)
    return replace(header, image_size=max(end for _, end in extents) - lowest, lowest=lowest)


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
