"""Machine mode: what is put into RAM before power-on, as QEMU's `virt` board does it.

Firmware at the start of RAM, the kernel 2 MiB behind it, device tree and initial RAM disk at the end of the first 3
GiB, in between the structure that tells OpenSBI's fw_dynamic where to go on.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from shyper_tui.engine.board.memory import BadAddress, Memory
from shyper_tui.engine.board.memory_map import RAM_BASE
from shyper_tui.images.kernel_file import KernelFile
from shyper_tui.images.kernel_header import KernelHeader, KernelKind
from shyper_tui.ipc.messages import EngineError

KERNEL_OFFSET = 0x20_0000
"""The kernel's place behind the start of RAM; firmware has the room before it."""
TREE_ROOM = 0x20_0000
"""Kept at the end for the device tree, which firmware may let grow in place."""
LOW_RAM = 3 << 30
"""Tree and RAM disk lie below this offset, where every kernel can reach them early."""
FW_DYNAMIC = struct.Struct("<6Q")
FW_DYNAMIC_MAGIC, FW_DYNAMIC_VERSION, NEXT_MODE_S = 0x4942534F, 2, 1
ANY_HART = (1 << 64) - 1


@dataclass(frozen=True)
class Loaded:
    """Where a program went: its entry point, and the first byte behind it."""

    entry: int
    end: int


def load_program(memory: Memory, kernel: KernelFile, address: int, name: str) -> Loaded:
    """Puts firmware or a kernel into RAM: an ELF file where it is linked, the content of a uImage where it asks to be
    (if that is RAM), everything else at `address`. A relocatable ELF file that is linked below RAM goes to `address`,
    too. EngineError when it is for something else than RV64, not whole, or does not fit."""
    data, header = kernel.data, kernel.header
    if not data:
        raise EngineError("kernel", f"{name} cannot be run: it is empty")
    if header.problem:
        remedy = f". {kernel.remedy.rstrip('.')}" if kernel.remedy else ""
        raise EngineError("kernel", f"{name} cannot be run: {header.problem}{remedy}")
    try:
        if header.kind is KernelKind.ELF:
            return _load_elf(memory, data, header, address)
        if kernel.load is not None and kernel.load >= RAM_BASE and header.kind is KernelKind.RAW:
            address = kernel.load
        memory.write(address, data)
    except BadAddress as error:
        raise EngineError("kernel", f"{name} does not fit into the machine's memory: {error}") from None
    entry = kernel.entry if kernel.entry is not None and address == kernel.load else address
    return Loaded(entry, address + max(len(data), header.image_size))


def _load_elf(memory: Memory, data: bytes, header: KernelHeader, address: int) -> Loaded:
    moved = address - header.lowest if header.lowest < RAM_BASE and header.movable else 0
    for part in header.segments:  # nothing is written when one does not fit
        memory.read(part.physical + moved, 1)
        memory.read(part.physical + moved + part.memory_size - 1, 1)
    for part in header.segments:
        start, end = part.physical + moved, part.physical + moved + part.memory_size
        memory.write(start, data[part.offset : part.offset + part.file_size])
        for zeros in range(start + part.file_size, end, ZEROS):
            memory.write(zeros, bytes(min(ZEROS, end - zeros)))
    return Loaded(header.physical_entry + moved, header.lowest + moved + header.image_size)


ZEROS = 1 << 20
"""Bytes cleared at a time: a file may ask for as much as the machine has."""


@dataclass(frozen=True)
class Places:
    """Addresses of the device tree and of the RAM disk (None without one), and of fw_dynamic's structure."""

    tree: int
    initrd: tuple[int, int] | None
    fw_dynamic: int


def places(ram_size: int, initrd_size: int, used: int) -> Places:
    """Where tree and RAM disk go when everything below address `used` is taken. EngineError when they do not fit."""
    tree = RAM_BASE + min(ram_size, LOW_RAM) - TREE_ROOM
    fw_dynamic = tree - 0x1000
    start = (fw_dynamic - initrd_size) & -0x1000
    if start < used:
        sentence = f"kernel and initrd do not fit into {ram_size >> 20} MiB of memory; give more with --memory"
        raise EngineError("memory", sentence)
    return Places(tree, (start, start + initrd_size) if initrd_size else None, fw_dynamic)


def fw_dynamic_info(next_address: int) -> bytes:
    """OpenSBI's `struct fw_dynamic_info`: go on at `next_address` in S-mode."""
    return FW_DYNAMIC.pack(FW_DYNAMIC_MAGIC, FW_DYNAMIC_VERSION, next_address, NEXT_MODE_S, 0, ANY_HART)
