"""What the systems on the disks are made of: Debian packages, unpacked without their maintainer scripts, and busybox.

The packages are chosen so that their programs run without any configuration. What only the maintainer scripts or unused
features of others need is counted as provided, so that apt leaves it out of the closure.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .errors import ImageError
from .file_tree import FileTree

GVM_PACKAGES = ("bash", "dropbear-bin", "openssh-sftp-server", "iproute2", "nano", "ncurses-base", "libc-bin")
MVM_PACKAGES = (*GVM_PACKAGES, "minicom", "e2fsprogs", "nftables")
MVM_ONLY = frozenset((
    "minicom", "e2fsprogs", "libext2fs2t64", "libss2", "libcom-err2", "libuuid1", "libblkid1",
    "nftables", "libnftables1", "libnftnl11", "libjansson4", "libedit2", "libbsd0", "libmd0",
))  # fmt: skip
"""Packages that only programs of the managing VM need."""
PROVIDED = (
    "adduser", "base-files", "base-passwd", "debconf", "debianutils", "init-system-helpers", "passwd",  # of scripts
    "libcap2-bin", "libpam0g", "libpam-modules", "libaudit1", "logsave", "openssh-client",
    "libdb5.3t64",  # of arpd, in iproute2
    "libtirpc3t64", "libgssapi-krb5-2",  # of ss, in iproute2
    "libgcc-s1",  # of threads that are cancelled
)  # fmt: skip

_UNWANTED = re.compile(
    r"usr/share/(doc|man|locale|info|lintian|bug|bash-completion|initramfs-tools|nftables|applications|pixmaps|icons)(/|$)"
    r"|usr/lib/(systemd|udev|init|lsb|tmpfiles\.d|sysusers\.d)(/|$)"
    r"|usr/lib/[^/]+/(gconv|perl-base|engines-3)(/|$)"
    r"|usr/lib/[^/]+/lib(c_malloc_debug|memusage|pcprofile|BrokenLocale|psx|thread_db)\.so"
    r"|etc/(init\.d|cron\.d|default|systemd|apt|apparmor\.d|alternatives|logcheck|e2scrub\.conf|nftables\.conf)(/|$)"
    r"|usr/s?bin/(ss|arpd|bashbug|e2scrub(_all)?)$|usr/share/bash-completion|var/(lib|cache)/"
)
_SYSTEM_PROGRAMS = frozenset((
    "getty", "halt", "hwclock", "ifconfig", "ifdown", "ifup", "init", "insmod", "klogd", "losetup", "lsmod", "mkswap",
    "modinfo", "modprobe", "nameif", "pivot_root", "poweroff", "reboot", "rmmod", "route", "run-init",
    "start-stop-daemon", "sulogin", "swapoff", "swapon", "switch_root", "sysctl", "syslogd", "udhcpc", "udhcpc6",
    "udhcpd", "watchdog",
))  # fmt: skip
_PLACES = ("usr/bin", "usr/sbin")
_NOT_HERE = frozenset(("dpkg", "dpkg-deb", "rpm", "rpm2cpio", "linuxrc", "busybox", "mke2fs", "svc", "svok"))


def unpack(packages: Sequence[Path], folder: Path) -> list[Path]:
    """Unpack packages, each to a folder of its own. Raises ImageError."""

    def one(package: Path) -> Path:
        target = folder / package.name
        done = subprocess.run(["dpkg-deb", "-x", package, target], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            reason = done.stderr.strip()
            raise ImageError(f"{package.name} cannot be unpacked: {reason}.", "Fetch again with --refresh.")
        return target

    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, packages))


def add_packages(tree: FileTree, unpacked: Sequence[Path]) -> None:
    """The packages' files without documentation, translations and what belongs to a service manager."""
    for folder in unpacked:
        tree.unpacked(folder, lambda path: not _UNWANTED.match(path))


def add_busybox(tree: FileTree, busybox: bytes, only: Sequence[str] = ()) -> None:
    """busybox, and a link for each of its programs, or `only` those, that the tree does not have yet."""
    tree.file("usr/bin/busybox", busybox, 0o755)
    for name in applets(busybox):
        if (only and name not in only) or name in _NOT_HERE or any(f"{place}/{name}" in tree for place in _PLACES):
            continue
        tree.link(f"{_PLACES[name in _SYSTEM_PROGRAMS]}/{name}", "/usr/bin/busybox")


def applets(busybox: bytes) -> list[str]:
    """Names of the programs in a busybox binary: one list of NUL-terminated names, sorted, which begins with `[`.

    Raises ImageError when it lacks what a system needs.
    """
    start = busybox.find(b"[\0[[\0")
    end = busybox.find(b"\0\0", start)
    names = busybox[start:end].decode(errors="replace").split("\0") if start >= 0 else []
    missing = {"init", "getty", "login", "sh", "mount", "udhcpc"} - set(names)
    if missing:
        message = f"The package's busybox has no {', '.join(sorted(missing))}."
        raise ImageError(message, "Try another suite with --suite.")
    return [name for name in names if re.fullmatch(r"[\w.+-]+|\[\[?", name)]
