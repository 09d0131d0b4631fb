"""A whole Debian on a disk: its packages unpacked on the host, to be configured by the first boot.

The login and the start of the system are those of the small systems (busybox init, `/etc/init.d/rcS`), so that it is
there after a second; whoever wants systemd installs it with apt.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import guide_files, store
from .apt import AptError, Package, PrivateApt, Progress
from .apt_sources import Mirror
from .builder import kernel_modules
from .disk import make_ext4
from .dpkg_database import DpkgDatabase
from .embedded import embedded_command
from .errors import ImageError
from .file_tree import FileTree
from .systems import GVM_DISK_BYTES, MVM_DISK_BYTES, add_guide, add_modules, add_overlay, shadow_entry
from .userland import add_busybox

CONFIGURE = "/sbin/shyper-configure"
"""First program of the first boot."""
BASE = (
    "apt", "debian-archive-keyring", "ca-certificates", "busybox-static", "login", "mount", "passwd", "procps",
    "kmod", "e2fsprogs", "iproute2", "iputils-ping", "dropbear-bin", "openssh-sftp-server", "nano", "less", "netbase",
)  # fmt: skip
MVM_ONLY = ("minicom", "nftables")

_PROGRAMS = ("init", "ifconfig", "route", "usleep", "udhcpc", "syslogd", "poweroff", "reboot", "halt", "vi")
"""Of busybox: what our own scripts need and Debian's base has not."""
_NOT_OURS = ("etc/passwd", "etc/group", "etc/shells", "etc/nsswitch.conf")
_SCRIPT = Path(__file__).parent / "rootfs" / "debian" / "configure"
_PACKAGE_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")


@dataclass(frozen=True)
class DebianDisk:
    """An image whose packages are unpacked; `packages` counts them."""

    image: Path
    packages: int


def check_names(packages: Sequence[str]) -> None:
    """Raises ImageError for what is no name of a package."""
    for name in packages:
        if not _PACKAGE_NAME.fullmatch(name):
            raise ImageError(f"{name!r} is no name of a Debian package.", "Give names such as gcc,python3.")


def make_debian(
    kind: str, more: Sequence[str], mirror: Mirror, suite: str, scratch: Path, progress: Progress
) -> DebianDisk:
    """The disk of the system "mvm" or "gvm" as an image below `scratch`. Raises ImageError and AptError."""
    apt = PrivateApt(store.cache_folder() / "debian" / suite, mirror, suite)
    apt.update(progress)
    wanted = [*apt.essential(), *BASE, *(MVM_ONLY if kind == "mvm" else ()), *more]
    try:
        names = apt.closure(wanted)
    except AptError as error:
        raise ImageError(f"apt cannot find these packages together: {error}.", "Check the names.") from error
    files = _download(apt, apt.locate(names), progress)
    tree = FileTree()
    tree.merged_usr()
    tree.folder("root", 0o700)
    database = DpkgDatabase(tree, scratch)
    for count, file in enumerate(files):
        progress(f"unpacking {file.name.split('_')[0]}", count, len(files))
        database.add(file)
    database.finish()
    progress("disk", 0, 1)
    _own_files(tree, kind, mirror, suite)
    if kind == "mvm":
        _guide(tree, scratch / "kernel")
    image = scratch / f"{kind}.ext4"
    size, inodes = (MVM_DISK_BYTES, 524288) if kind == "mvm" else (GVM_DISK_BYTES, 131072)
    make_ext4(image, kind, tree, size, inodes)
    return DebianDisk(image, len(files))


def _download(apt: PrivateApt, packages: Sequence[Package], progress: Progress) -> list[Path]:
    """Files of packages, in a folder that `images fetch` does not clear."""
    folder = apt.folder / "system"
    folder.mkdir(exist_ok=True)
    total, before = sum(package.size for package in packages), 0
    if shutil.disk_usage(folder).free < 4 * total:
        raise ImageError(f"{folder} has too little free space for {total >> 20} MiB of packages.", "Make room there.")
    files = []
    for package in packages:
        target = folder / package.file_name
        start, text = before, f"downloading {package.name}"
        if not target.is_file() or store.facts_of(target).sha256 != package.sha256:
            target.unlink(missing_ok=True)
            partial = target.with_suffix(".partial")
            apt.download(package, partial, lambda done, start=start, text=text: progress(text, start + done, total))  # type: ignore[misc]
            partial.rename(target)
        before += package.size
        files.append(target)
    return files


def _own_files(tree: FileTree, kind: str, mirror: Mirror, suite: str) -> None:
    """What the maintainer scripts expect of a new system (as debootstrap makes it), and our own start and login."""
    for name in ("passwd", "group"):
        master = tree[f"usr/share/base-passwd/{name}.master"].content
        assert isinstance(master, Path)
        text = master.read_text()
        tree.file(f"etc/{name}", text.replace("root:*:0:0:root:/root:/bin/sh", "root:x:0:0:root:/root:/bin/bash"))
    tree.file("etc/shadow", shadow_entry(kind) + "\n", 0o640)
    add_overlay(tree, kind, {"@SHELL@": "/bin/bash"}, _NOT_OURS)
    busybox = tree["usr/bin/busybox"].content
    assert isinstance(busybox, Path)
    add_busybox(tree, busybox.read_bytes(), _PROGRAMS)
    for folder in ("dev", "proc", "sys", "run", "mnt", "etc/dropbear", "var/lib/dpkg/alternatives"):
        if folder not in tree:
            tree.folder(folder)
    tree.folder("tmp", 0o1777)
    sources = (
        f"Types: deb\nURIs: {mirror.uri}\nSuites: {suite}\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.pgp\n"
    )
    if "usr/share/keyrings/debian-archive-keyring.pgp" not in tree:
        sources = sources.replace(".pgp", ".gpg")
    tree.file("etc/apt/sources.list.d/debian.sources", sources)
    tree.file("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101  # no service starts while packages are configured\n", 0o755)
    # the maintainer scripts make a shadow file of their own, so the password comes after them
    script = _SCRIPT.read_text(encoding="utf-8").replace("@PASSWORD@", shadow_entry(kind).split(":")[1])
    tree.file(f"usr{CONFIGURE}", script, 0o755)


def _guide(tree: FileTree, folder: Path) -> None:
    """The guide's files and the kernel's modules, from the installed images and their packages."""
    linux, manifest = store.linux_images(), store.read_manifest(store.linux_folder())
    if linux is None or manifest is None:
        raise ImageError("The Linux images are not there.", "Run `shyper-tui images fetch` first.")
    packages = store.cache_folder() / "debian" / manifest.suite / "packages"
    release, modules = kernel_modules([packages / name for name in manifest.packages], folder)
    add_modules(tree, release, modules)
    disks = (linux.gvm_disk,) * len(guide_files.DISKS)
    add_guide(tree, linux.kernel, linux.initramfs, disks, linux.driver, embedded_command())
