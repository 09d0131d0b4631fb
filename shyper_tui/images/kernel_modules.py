"""Kernel modules for the initramfs: finding, unpacking, unsigned copies, loading order.

Signature trailer: Linux `include/linux/module_signature.h`. `.modinfo`: NUL-separated `key=value` strings.
"""

from __future__ import annotations

import io
import lzma
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .elf_strip import strip_labels
from .errors import ImageError

_SIGNATURE_MAGIC = b"~Module signature appended~\n"


@dataclass(frozen=True)
class KernelModule:
    """One module as it goes into the initramfs: `data` is the unpacked, unsigned ELF file without labels."""

    name: str
    data: bytes
    needs: tuple[str, ...] = ()
    """Every module that must be loaded before this one, the nearest first, as modules.dep(5) wants them."""


def strip_signature(data: bytes) -> bytes:
    """The module without its appended signature; unsigned data is returned as it is.

    Modules need not be signed (the kernel only becomes "tainted"), and checking RSA signatures costs a guest more than
    a billion instructions.
    """
    if not data.endswith(_SIGNATURE_MAGIC):
        return data
    end = len(data) - len(_SIGNATURE_MAGIC)
    if end < 12:
        raise ValueError("the signature trailer is cut off")
    _algorithm, _hash, _id_type, signer, key_id, signature = struct.unpack(">BBBBB3xI", data[end - 12 : end])
    start = end - 12 - int(signer) - int(key_id) - int(signature)
    if start < 0:
        raise ValueError("the signature is larger than the module")
    return data[:start]


def module_info(data: bytes) -> dict[str, str]:
    """`.modinfo` of a module: keys such as `depends`, `softdep`, `vermagic` (the last one wins)."""
    return dict(_entries(data))


def module_aliases(data: bytes) -> list[str]:
    """The names under which the kernel asks for a module."""
    return [value for key, value in _entries(data) if key == "alias"]


def _entries(data: bytes) -> list[tuple[str, str]]:
    from elftools.common.exceptions import ELFError  # here, because only fetching needs it and start-up must be fast
    from elftools.elf.elffile import ELFFile

    try:
        section = ELFFile(io.BytesIO(data)).get_section_by_name(".modinfo")
        text: bytes = section.data() if section is not None else b""
    except ELFError as error:
        raise ValueError(f"not an ELF file: {error}") from error
    pairs = (item.decode(errors="replace").partition("=") for item in text.split(b"\0") if b"=" in item)
    return [(key, value) for key, _, value in pairs]


class ModuleTree:
    """The modules of one kernel package: the folder `lib/modules/<release>`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files = {_name(file): file for file in sorted(folder.rglob("*.ko*"))}
        builtin = folder / "modules.builtin"
        lines = builtin.read_text().splitlines() if builtin.is_file() else []
        self._builtin = {_name(Path(line)) for line in lines}

    def has(self, name: str) -> bool:
        return _canonical(name) in self._files

    def load_order(self, wanted: list[str]) -> list[KernelModule]:
        """The wanted modules and what they depend on, each after its dependencies. Built-in ones are left out."""
        ordered: dict[str, KernelModule] = {}
        for name in wanted:
            self._visit(_canonical(name), ordered, ())
        return list(ordered.values())

    def _visit(self, name: str, ordered: dict[str, KernelModule], stack: tuple[str, ...]) -> None:
        if name in ordered or name in self._builtin or name in stack:
            return
        if name not in self._files:
            raise ImageError(
                f"The kernel package has no module {name}.", "Try another suite with --suite, for example sid."
            )
        data = self._read(self._files[name])
        needs: list[str] = []
        for dependency in filter(None, module_info(data).get("depends", "").split(",")):
            other = _canonical(dependency)
            self._visit(other, ordered, (*stack, name))
            if other in ordered:
                needs += [found for found in (other, *ordered[other].needs) if found not in needs]
        ordered[name] = KernelModule(name, data, tuple(needs))

    def _read(self, file: Path) -> bytes:
        try:
            return strip_labels(strip_signature(_unpack(file)))
        except (ValueError, KeyError, struct.error, lzma.LZMAError) as error:
            raise ImageError(
                f"The kernel module {file.name} is damaged: {error}.", "Fetch again with --refresh."
            ) from error


def _unpack(file: Path) -> bytes:
    if file.suffix == ".xz":
        return lzma.decompress(file.read_bytes())
    if file.suffix == ".zst":
        if shutil.which("zstd") is None:
            raise ImageError("The kernel's modules are compressed with zstd.", "Install the package zstd.")
        return subprocess.run(["zstd", "-dcq", str(file)], check=True, capture_output=True).stdout
    return file.read_bytes()


def _name(file: Path) -> str:
    return _canonical(file.name.partition(".ko")[0])


def _canonical(name: str) -> str:
    return name.replace("-", "_")
