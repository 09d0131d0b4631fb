"""Recognises kernels: RISC-V Linux `Image` files and RISC-V ELF files.

Image header: Linux `Documentation/arch/riscv/boot-image-header.rst`. ELF: System V ABI, e_machine 243 = EM_RISCV.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum

HEADER_BYTES = 64
"""How much of a file `recognise` needs."""

_EM_RISCV = 243
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
    """LINUX_IMAGE: bytes of memory it occupies, .bss included; 0 when unknown."""
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


def _elf(start: bytes) -> KernelHeader:
    if len(start) < 20:
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
