"""Machine mode: what is put into RAM before power-on, as QEMU's `virt` board does it.

Firmware at the start of RAM, the kernel 2 MiB behind it, device tree and initial RAM disk at the end of the first 3
GiB, in between the structure that tells OpenSBI's fw_dynamic where to go on.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

from shyper_tui.engine.board.memory import BadAddress, Memory
from shyper_tui.engine.board.memory_map import RAM_BASE
from shyper_tui.images.kernel_header import HEADER_BYTES, KernelKind, recognise
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


def load_program(memory: Memory, data: bytes, address: int, name: str) -> Loaded:
    """Puts firmware or a kernel into RAM: an ELF file where it is linked, everything else at `address`. A
    relocatable ELF file that is linked below RAM goes to `address`, too. EngineError when it is for something else
    than RV64, or does not fit."""
    header = recognise(data[:HEADER_BYTES])
    if not data:
        raise EngineError("kernel", f"{name} cannot be run: it is empty")
    if header.problem:
        raise EngineError("kernel", f"{name} cannot be run: {header.problem}")
    try:
        if header.kind is KernelKind.ELF:
            return _load_elf(memory, data, address, name)
        memory.write(address, data)
    except BadAddress as error:
        raise EngineError("kernel", f"{name} does not fit into the machine's memory: {error}") from None
    return Loaded(address, address + max(len(data), header.image_size))


def _load_elf(memory: Memory, data: bytes, address: int, name: str) -> Loaded:
    # a Linux Image is started without them
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        elf = ELFFile(io.BytesIO(data))
        parts = [part for part in elf.iter_segments() if part["p_type"] == "PT_LOAD" and part["p_memsz"]]
        lowest = min((part["p_paddr"] for part in parts), default=RAM_BASE)
        moved = address - lowest if lowest < RAM_BASE and elf["e_type"] == "ET_DYN" else 0
        entry, end = int(elf["e_entry"]) + moved, 0
        for part in parts:
            start, size = part["p_paddr"] + moved, part["p_memsz"]
            memory.read(start + size - 1, 1)  # nothing is written when it does not fit
            data_end = start + part["p_filesz"]
            memory.write(start, part.data())
            for zeros in range(data_end, start + size, ZEROS):
                memory.write(zeros, bytes(min(ZEROS, start + size - zeros)))
            end = max(end, start + size)
            if part["p_vaddr"] <= elf["e_entry"] < part["p_vaddr"] + size:
                entry = elf["e_entry"] - part["p_vaddr"] + start  # kernels linked for high virtual addresses
    except (ELFError, KeyError, ValueError, OverflowError, MemoryError) as error:
        raise EngineError("kernel", f"{name} cannot be run: its ELF headers cannot be read ({error})") from None
    if not parts:
        raise EngineError("kernel", f"{name} cannot be run: it is an ELF file without anything to load")
    return Loaded(entry, end)


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
