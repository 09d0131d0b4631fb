"""What is copied into a VM's RAM before it starts: kernel, ramdisk, device tree."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from shyper_tui.engine.hart.host_memory import Block as HostBlock
from shyper_tui.engine.hypervisor.definition import VmError
from shyper_tui.engine.hypervisor.large_copy import Piece

EM_RISCV = "EM_RISCV"
MAX_SEGMENTS = 64


@dataclass(frozen=True, slots=True)
class Segment:
    """Bytes at a guest-physical address; `zeros` more zero bytes follow them."""

    ipa: int
    data: Piece
    zeros: int = 0


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """What is copied into a VM's RAM, and where vCPU 0 begins."""

    segments: list[Segment]
    entry: int


@dataclass(slots=True)
class Images:
    """The files of one VM, kept so that it can start again. A kernel that comes in pieces through hypercalls is in
    `upload` instead of `kernel`; it is copied as it is, without looking at its format."""

    kernel: bytes | bytearray = b""
    ramdisk: bytes = b""
    upload: Upload | None = None

    @property
    def uploaded(self) -> bool:
        return self.upload is not None


@dataclass(slots=True)
class Upload:
    """A kernel that comes in pieces: `size` bytes are announced, the first `received` have arrived.

    `kept`: `data` is what has arrived; if not, it is in the VM's RAM alone.
    """

    size: int
    received: int = 0
    kept: bool = True
    _memory: HostBlock | None = None

    @property
    def data(self) -> memoryview:
        """In place; a further piece changes it."""
        return memoryview(b"") if self._memory is None else self._memory.bytes[: self.received]

    def add(self, offset: int, piece: Piece) -> None:
        """A piece that begins at `offset`, at most `received`: it and nothing behind it counts from now on."""
        end = offset + len(piece)
        if self.kept:
            if self._memory is None:  # in large pages: the host gives 32 MiB of small ones ten times as slowly
                self._memory = HostBlock(self.size, huge=True)
            self._memory.bytes[offset:end] = piece
        self.received = end


def plan_kernel(kernel: bytes | bytearray, load_ipa: int, entry: int) -> LoadPlan:
    """Raw binaries and Linux `Image` files go to `load_ipa` as they are; an ELF file by its segments.

    An ELF's lowest physical address comes to `load_ipa`, the others keep their distance. `entry` is used for raw files
    (0 means `load_ipa`); an ELF knows its own. Raises VmError for an ELF that cannot be loaded.
    """
    if kernel[:4] != b"\x7fELF":
        return LoadPlan([Segment(load_ipa, bytes(kernel))], entry or load_ipa)
    # imported here: a Linux Image starts without it
    from elftools.elf.elffile import ELFFile

    try:
        elf = ELFFile(io.BytesIO(bytes(kernel)))
        if elf["e_machine"] != EM_RISCV or elf.elfclass != 64:
            raise VmError("the kernel is an ELF file, but not for 64-bit RISC-V")
        loads = _loads(elf, len(kernel))
        lowest = min(segment["p_paddr"] for segment in loads)
        segments = [
            Segment(
                load_ipa + segment["p_paddr"] - lowest,
                segment.data(),
                max(0, segment["p_memsz"] - segment["p_filesz"]),
            )
            for segment in loads
        ]
        start = _physical_entry(elf["e_entry"], loads)
        return LoadPlan(segments, load_ipa + start - lowest)
    except VmError:
        raise
    except Exception as error:  # the library raises whatever it stumbles over
        raise VmError(f"the kernel's ELF headers cannot be read: {str(error) or type(error).__name__}") from None


def _loads(elf: Any, size: int) -> list[Any]:
    """The segments to be loaded of an ELF file of `size` bytes."""
    if elf.num_segments() > MAX_SEGMENTS:
        raise VmError(f"the kernel is an ELF file with {elf.num_segments()} segments; at most {MAX_SEGMENTS} are read")
    loads = [segment for segment in elf.iter_segments() if segment["p_type"] == "PT_LOAD" and segment["p_memsz"]]
    if not loads:
        raise VmError("the kernel is an ELF file without anything to load")
    if any(segment["p_offset"] + segment["p_filesz"] > size for segment in loads):
        raise VmError("the kernel is an ELF file that is cut short: a segment ends behind the end of the file")
    if any(segment["p_filesz"] > segment["p_memsz"] for segment in loads):
        raise VmError("the kernel is an ELF file with a segment that is larger in the file than in memory")
    return loads


def _physical_entry(entry: int, loads: list[Any]) -> int:
    """The entry point as a physical address: it is a virtual one in kernels linked for high addresses."""
    for segment in loads:
        if segment["p_vaddr"] <= entry < segment["p_vaddr"] + segment["p_memsz"]:
            return int(entry - segment["p_vaddr"] + segment["p_paddr"])
    return entry
