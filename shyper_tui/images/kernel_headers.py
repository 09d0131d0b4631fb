"""Headers of the kernel that was fetched, for building a module: Debian's `linux-headers-RELEASE` packages.

Debian splits them: `…-riscv64` has the configuration, generated headers, the linker script of modules and
`Module.symvers`; `…-common` has the headers as they are in the source. kbuild and its programs are not needed.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .apt import PrivateApt
from .errors import ImageError

_UNWANTED = ("config", "dt-bindings", "drm", "media", "rdma", "scsi", "soc", "sound", "target", "video", "xen")
"""Folders of `include` with nothing for a module like ours: two thirds of the files."""
_AGAIN = "Fetch again with `shyper-tui images fetch --refresh`."


@dataclass(frozen=True)
class KernelHeaders:
    """Unpacked headers. `generated` and `common` are folder names below `folder`."""

    folder: Path
    release: str
    generated: str
    common: str

    @property
    def include_folders(self) -> list[str]:
        """In the kernel's own order (its top-level Makefile, `LINUXINCLUDE`), relative to `folder`."""
        generated, common = self.generated, self.common
        return [
            f"{common}/arch/riscv/include", f"{generated}/arch/riscv/include/generated",
            f"{common}/include", f"{generated}/include",
            f"{common}/arch/riscv/include/uapi", f"{generated}/arch/riscv/include/generated/uapi",
            f"{common}/include/uapi", f"{generated}/include/generated/uapi",
        ]  # fmt: skip

    @property
    def linker_script(self) -> str:
        """Where the sections of a module go, relative to `folder`."""
        return f"{self.generated}/arch/riscv/module.lds"

    def symbol_versions(self) -> dict[str, int]:
        """CRC of each symbol that modules may use (`Module.symvers`: CRC, symbol, owner, kind of export, namespace).

        Only those of the kernel itself: what other modules export may not be loaded.
        """
        versions: dict[str, int] = {}
        for line in (self.folder / self.generated / "Module.symvers").read_text().splitlines():
            crc, symbol, owner = line.split("\t")[:3]
            if owner == "vmlinux":
                versions[symbol] = int(crc, 16)
        return versions

    def has_option(self, option: str) -> bool:
        """Whether the kernel's configuration has `option` (without `CONFIG_`) built in."""
        text = (self.folder / self.generated / "include/generated/autoconf.h").read_text()
        return f"#define CONFIG_{option} 1\n" in text


def header_packages(apt: PrivateApt, release: str) -> list[str]:
    """Names of the packages with the headers of a kernel release, such as `6.12.1-riscv64`. Raises AptError."""
    package = f"linux-headers-{release}"
    others = [name for name in apt.dependencies(package) if name.startswith("linux-headers-")]
    return [package, *others]


def unpack_headers(packages: Sequence[Path], release: str, folder: Path) -> KernelHeaders:
    """Unpack what building needs of the header packages of `release` among `packages`. Raises ImageError."""
    found = [package for package in packages if package.name.startswith("linux-headers-")]
    generated = f"linux-headers-{release}"
    names = sorted(package.name.split("_")[0] for package in found)
    if generated not in names:
        others = ", ".join(name.removeprefix("linux-headers-") for name in names)
        there = f"only those of {others}" if others else "none"
        raise ImageError(f"The headers of kernel {release} are not among the packages: {there} are there.", _AGAIN)
    for package in found:
        _unpack(package, folder)
    if not (folder / generated / "Module.symvers").is_file():
        raise ImageError(f"The headers of kernel {release} lack the list of its symbols.", _AGAIN)
    common = sorted(path.name for path in folder.iterdir() if (path / "include/linux/module.h").is_file())
    if not common:
        raise ImageError(f"The common headers of kernel {release} are not among the packages.", _AGAIN)
    headers = KernelHeaders(folder, release, generated, common[-1])
    told = _release_of(folder / generated)
    if told != release:
        raise ImageError(f"The headers are those of kernel {told or 'of no release'}, not of {release}.", _AGAIN)
    return headers


def _release_of(generated: Path) -> str:
    file = generated / "include/generated/utsrelease.h"
    match = re.search(r'UTS_RELEASE "([^"]+)"', file.read_text()) if file.is_file() else None
    return match.group(1) if match else ""


def _unpack(package: Path, folder: Path) -> None:
    """A package's headers for RISC-V and its files on top, without its `usr/src`."""
    name = package.name.split("_")[0]
    wanted = ["include", "arch/riscv", "Module.symvers"]
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as archive:
        # Those that a package does not have make tar complain at the end; what is missing is found afterwards.
        command = [
            "tar", "-x", "-C", str(folder), "--strip-components=3",
            *(f"--exclude=./usr/src/{name}/include/{path}" for path in _UNWANTED),
            *(f"./usr/src/{name}/{path}" for path in wanted),
        ]  # fmt: skip
        subprocess.run(command, stdin=archive.stdout, stderr=subprocess.DEVNULL, check=False)
    if archive.returncode != 0:
        raise ImageError(f"{package.name} cannot be unpacked: it is damaged.", _AGAIN)
