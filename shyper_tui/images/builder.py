"""Makes the Linux images from Debian packages."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from . import initramfs, store
from .apt import Progress
from .driver_build import FILE_NAME as DRIVER
from .driver_build import driver_module
from .embedded import embedded_command
from .errors import ImageError
from .kernel_header import HEADER_BYTES, KernelKind, recognise
from .kernel_modules import ModuleTree
from .store import LinuxImages, Manifest
from .systems import Parts, make_gvm, make_mvm
from .userland import MVM_ONLY, unpack

_HEADERS = "linux-headers-"
_BASE = ("linux-", "busybox-static_")


def _silent(_text: str, _done: int, _total: int) -> None:
    """The progress of someone who does not want to know."""


def build(packages: Sequence[Path], suite: str = "", progress: Progress = _silent) -> LinuxImages:
    """Unpack a kernel's packages, busybox-static and those of the systems on the disks, and write kernel, initramfs and
    disks to the store. The names of the files tell the packages apart; of the systems' packages, any may be missing.

    The old images stay until all new ones are there. Raises ImageError.
    """
    if shutil.which("dpkg-deb") is None:
        raise ImageError("dpkg-deb, which unpacks Debian packages, is not installed.", "Install the package dpkg.")
    folder = store.linux_folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="build-") as name:
        unpacked, new = Path(name) / "unpacked", Path(name) / "linux"
        new.mkdir()
        headers = [package for package in packages if package.name.startswith(_HEADERS)]
        base = [package for package in packages if package.name.startswith(_BASE) and package not in headers]
        for count, package in enumerate(base):
            progress(f"unpacking {package.name}", count, len(packages))
            _unpack(package, unpacked)
        progress("unpacking the userland", len(base), len(packages))
        userland = unpack(sorted(set(packages) - {*base, *headers}), Path(name) / "userland")
        release = _release(unpacked)
        modules = ModuleTree(_modules_folder(unpacked, release))
        busybox = _read(unpacked, "bin/busybox", "usr/bin/busybox")
        steps = 4
        progress("kernel", 0, steps)
        (new / "Image").write_bytes(_kernel(unpacked, release))
        progress("initramfs", 1, steps)
        (new / "initramfs.cpio").write_bytes(initramfs.full(busybox, modules))
        (new / "initramfs-min.cpio").write_bytes(initramfs.minimal(busybox, modules))
        notes = _driver(release, headers, new / DRIVER, progress)
        progress("disks", 2, steps)
        parts = Parts(
            busybox, release, modules, new / "Image", new / "initramfs.cpio", userland, _for_guests(userland),
            driver=None if notes else new / DRIVER, command=embedded_command(),
        )  # fmt: skip
        make_gvm(parts, new / "gvm.ext4")
        make_mvm(parts, new / "gvm.ext4", new / "mvm.ext4", Path(name))
        progress("checksums", 3, steps)
        manifest = Manifest(
            store.BUILDER, suite, release,
            {package.name: store.facts_of(package) for package in packages},
            {file: store.facts_of(new / file) for file in store.LINUX_FILES if (new / file).is_file()},
            notes, store.recipe(),
        )  # fmt: skip
        (new / "manifest.json").write_text(manifest.to_json())
        new.chmod(0o755)
        for file in new.iterdir():
            file.chmod(0o644)  # whatever the umask is: `store` refuses images that others may write
        if folder.exists():
            folder.rename(Path(name) / "old")
        new.rename(folder)
    progress("images ready", steps, steps)
    return store.images_in(folder, release)


def _driver(release: str, headers: Sequence[Path], target: Path, progress: Progress) -> dict[str, str]:
    """Build the kernel module; without it the images are still of use, so a failure is a note about its file."""
    try:
        target.write_bytes(driver_module(release, headers, progress))
    except ImageError as error:
        return {DRIVER: str(error)}
    return {}


def _for_guests(userland: Sequence[Path]) -> list[Path]:
    """A guest's disk is small: what only the managing VM needs is left out."""
    return [folder for folder in userland if folder.name.partition("_")[0] not in MVM_ONLY]


def kernel_modules(packages: Sequence[Path], folder: Path) -> tuple[str, ModuleTree]:
    """Release and modules of the kernel among these packages, unpacked below `folder`. Raises ImageError."""
    for package in packages:
        if package.name.startswith("linux-") and not package.name.startswith("linux-headers-"):
            _unpack(package, folder)
    release = _release(folder)
    return release, ModuleTree(_modules_folder(folder, release))


def _unpack(package: Path, folder: Path) -> None:
    done = subprocess.run(["dpkg-deb", "-x", package, folder], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ImageError(f"{package.name} cannot be unpacked: {done.stderr.strip()}.", "Fetch again with --refresh.")


def _release(unpacked: Path) -> str:
    found = sorted(folder.name for folder in unpacked.glob("*lib/modules/*") if folder.is_dir())
    found += sorted(folder.name for folder in unpacked.glob("usr/lib/modules/*") if folder.is_dir())
    if not found:
        raise ImageError("The packages contain no kernel modules.", "Try another suite with --suite.")
    return found[-1]


def _modules_folder(unpacked: Path, release: str) -> Path:
    folders = [unpacked / "usr/lib/modules" / release, unpacked / "lib/modules" / release]
    return next(folder for folder in folders if folder.is_dir())


def _kernel(unpacked: Path, release: str) -> bytes:
    data = _read(
        unpacked, f"boot/vmlinux-{release}", f"boot/vmlinuz-{release}",
        f"usr/lib/modules/{release}/vmlinuz", f"usr/lib/modules/{release}/vmlinux",
    )  # fmt: skip
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    header = recognise(data[:HEADER_BYTES])
    if header.kind is not KernelKind.LINUX_IMAGE:
        raise ImageError(
            f"The kernel {release} of the package is no RISC-V Linux Image ({header.problem or header.kind.value}).",
            "Try another suite with --suite.",
        )
    return data


def _read(unpacked: Path, *candidates: str) -> bytes:
    for candidate in candidates:
        if (unpacked / candidate).is_file():
            return (unpacked / candidate).read_bytes()
    raise ImageError(f"The packages contain none of {', '.join(candidates)}.", "Try another suite with --suite.")
