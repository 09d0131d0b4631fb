"""What is copied into a VM's RAM before it starts: kernel, ramdisk, device tree."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from shyper_tui.engine.hart.host_memory import Block as HostBlock
from shyper_tui.engine.hypervisor.definition import VmError
from shyper_tui.engine.hypervisor.large_copy import Piece
from shyper_tui.images.kernel_header import judge_bytes


class FileKind(IntEnum):
    """The files that a VM is made from, as the hypercall that names them counts them."""

    KERNEL = 0
    CONFIGURATION = 1
    RAMDISK = 2


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
    ramdisk_upload: Upload | None = None
    """A ramdisk that comes in pieces, too; it takes the place of `ramdisk`."""

    @property
    def uploaded(self) -> bool:
        return self.upload is not None

    @property
    def whole_ramdisk(self) -> Piece:
        """The ramdisk, in place; empty when there is none. Raises VmError while one has not arrived in full."""
        upload = self.ramdisk_upload
        if upload is None:
            return self.ramdisk
        if upload.received < upload.size:
            raise VmError(
                f"the ramdisk has not arrived in full: {upload.received} of {upload.size} bytes; upload it again"
            )
        return upload.data


@dataclass(slots=True)
class Upload:
    """A kernel that comes in pieces: `size` bytes are announced, the first `received` have arrived.

    `kept`: `data` is what has arrived; if not, it is in the VM's RAM alone. `problem`: what speaks against the kernel,
    once it is there in full.
    """

    size: int
    received: int = 0
    kept: bool = True
    problem: str = ""
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


def footprint(images: Images) -> int:
    """Bytes that a VM's kernel takes from its load address on, what it clears for itself included."""
    if images.upload is None:
        return judge_bytes(images.kernel).image_size
    known = judge_bytes(images.upload.data).image_size if images.upload.kept else 0
    return max(known, images.upload.size)


def plan_kernel(kernel: bytes | bytearray, load_ipa: int, entry: int) -> LoadPlan:
    """Raw binaries and Linux `Image` files go to `load_ipa` as they are; an ELF file by its segments.

    An ELF's lowest physical address comes to `load_ipa`, the others keep their distance. `entry` is used for raw files
    (one that lies outside of the kernel means `load_ipa`); an ELF knows its own. Raises VmError for an ELF that cannot
    be loaded.
    """
    header = judge_bytes(kernel)
    if kernel[:4] != b"\x7fELF":
        within = load_ipa <= entry < load_ipa + max(1, header.image_size)
        return LoadPlan([Segment(load_ipa, bytes(kernel))], entry if within else load_ipa)
    if header.problem:
        raise VmError(f"the kernel cannot be loaded: {header.problem}")
    segments = [
        Segment(
            load_ipa + part.physical - header.lowest,
            bytes(kernel[part.offset : part.offset + part.file_size]),
            part.memory_size - part.file_size,
        )
        for part in header.segments
    ]
    return LoadPlan(segments, load_ipa + header.physical_entry - header.lowest)
