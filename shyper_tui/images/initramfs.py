"""Root file systems in memory for the Linux guests, as uncompressed cpio archives.

The scripts in `rootfs/` are PID 1. Uncompressed and with unsigned modules, because unpacking and RSA checks would
cost a guest about two billion instructions.
"""

from __future__ import annotations

from pathlib import Path

from .cpio import CpioArchive
from .kernel_modules import KernelModule, ModuleTree

_SCRIPTS = Path(__file__).parent / "rootfs"

_MODULES_MIN = ["virtio_mmio", "virtio_blk"]
_MODULES = ["virtio_mmio", "virtio_blk", "virtio_net", "virtio_rng", "crc32c_generic", "ext4"]
# crc32c_generic is only a soft dependency of ext4 in 6.12, and gone or built in in later kernels
_OPTIONAL = ["crc32c_generic", "virtio_console"]


def full(busybox: bytes, modules: ModuleTree) -> bytes:
    """The guests' initramfs: shell, network, disk."""
    wanted = [name for name in _MODULES if name not in _OPTIONAL or modules.has(name)]
    wanted += [name for name in _OPTIONAL if modules.has(name) and name not in wanted]
    archive = _base(busybox, "", modules.load_order(wanted))
    archive.file("sbin/console", (_SCRIPTS / "console").read_bytes(), 0o755)
    archive.file("etc/hosts", b"127.0.0.1 localhost\n10.0.0.1 mvm\n10.0.0.2 gvm1\n10.0.0.3 gvm2\n")
    archive.file("etc/passwd", b"root::0:0:root:/root:/bin/sh\n")
    archive.file("etc/group", b"root:x:0:\n")
    for folder in ("mnt", "tmp", "var", "usr"):
        archive.directory(folder)
    return archive.to_bytes()


def minimal(busybox: bytes, modules: ModuleTree) -> bytes:
    """The benchmarks' initramfs: block device and shell."""
    return _base(busybox, "-min", modules.load_order(_MODULES_MIN)).to_bytes()


def _base(busybox: bytes, variant: str, modules: list[KernelModule]) -> CpioArchive:
    archive = CpioArchive()
    archive.file("init", (_SCRIPTS / f"init{variant}").read_bytes(), 0o755)
    archive.file("bin/busybox", busybox, 0o755)
    archive.symlink("bin/sh", "busybox")
    archive.file("etc/profile", (_SCRIPTS / f"profile{variant}").read_bytes())
    for folder in ("proc", "sys", "root", "sbin"):
        archive.directory(folder)
    archive.character_device("dev/console", 5, 1, 0o600)
    archive.character_device("dev/null", 1, 3, 0o666)
    for module in modules:
        archive.file(f"lib/modules/{module.name}.ko", module.data)
    archive.file("lib/modules/order", "".join(f"{module.name}\n" for module in modules).encode())
    return archive
