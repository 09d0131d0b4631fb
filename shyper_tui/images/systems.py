"""The two systems on ext4 disks: the managing VM's and a guest's."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import guide_files
from .disk import make_ext4
from .file_tree import FileTree
from .kernel_modules import ModuleTree, module_aliases
from .userland import add_busybox, add_packages

MVM_DISK_BYTES = 16 << 30
GVM_DISK_BYTES = guide_files.SECTORS * 512

_SCRIPTS = Path(__file__).parent / "rootfs"
# Hashes of "root" and "vm1" (crypt(5), SHA-512). Deliberately public: they are the guide's.
_PASSWORDS = {
    "mvm": "$6$shyperTUImvm00$/FYHcQX5sAsQfXBEY7UPR0XAOKpB8SHppDBgZPcQIbRIKneePkZnlD5jXlwCTdG8joEIJA.fWzyE068as1SmX/",
    "gvm": "$6$shyperTUIgvm00$3Z2fcLVaArg2yYPpBOngkytOFKt2kB0fwrOqk2MHu251hF6mQybiyfIH7MaRU197WiS7AZartiXB1pEPva1Ur1",
}
_MODULES = ["nft_chain_nat", "nft_masq", "nft_nat", "nft_ct", "nf_conntrack", "loop", "tun"]
_FOLDERS = ("dev", "proc", "sys", "run", "mnt", "etc/dropbear", "usr/local/bin", "usr/local/sbin", "var/log", "home")


@dataclass(frozen=True)
class Parts:
    """What the systems are made of. The packages are unpacked, each in a folder of its own."""

    busybox: bytes
    release: str
    modules: ModuleTree
    kernel: Path
    initramfs: Path
    mvm_packages: Sequence[Path]
    gvm_packages: Sequence[Path]
    driver: Path | None = None
    command: Path | None = None


def make_gvm(parts: Parts, target: Path) -> None:
    """The guests' disk: bash, ssh server, login root/vm1."""
    make_ext4(target, "gvm", system("gvm", parts.busybox, parts.gvm_packages), GVM_DISK_BYTES, 32768)


def make_mvm(parts: Parts, gvm: Path, target: Path, scratch: Path) -> None:
    """The managing VM's disk with everything of the guide in /root; login root/root. `gvm` is a guest's disk."""
    tree = system("mvm", parts.busybox, parts.mvm_packages)
    add_modules(tree, parts.release, parts.modules)
    small = scratch / guide_files.DISKS[2]
    make_ext4(small, "gvm", system("gvm", parts.busybox, ()), GVM_DISK_BYTES, 32768)
    add_guide(tree, parts.kernel, parts.initramfs, (gvm, gvm, small), parts.driver, parts.command)
    make_ext4(target, "mvm", tree, MVM_DISK_BYTES, 131072)


def add_guide(
    tree: FileTree, kernel: Path, initramfs: Path, disks: Sequence[Path], driver: Path | None, command: Path | None
) -> None:
    """The files of the guide in /root; `disks` are those of the three guests."""
    for name, image in zip(guide_files.DISKS, disks, strict=True):
        tree.file(f"root/{name}", image)
    tree.file("root/Image", kernel)
    # stored, not deflated: a guest's kernel has it unpacked at once
    tree.file("root/initrd.gz", gzip.compress(initramfs.read_bytes(), 0, mtime=0))
    tree.file("root/mediated-cfg.json", guide_files.MEDIATED)
    for number in (1, 2):
        tree.file(f"root/vm{number}_config_riscv.json", guide_files.vm_configuration(number))
    if driver is not None:
        tree.file("root/shyper_riscv64.ko", driver)
    if command is not None:
        tree.file("root/shyper", command)  # not executable: the guide says chmod +x


def system(kind: str, busybox: bytes, packages: Sequence[Path]) -> FileTree:
    """The files of the system "mvm" or "gvm". Without packages it is busybox alone."""
    tree = FileTree()
    tree.merged_usr()
    for folder in _FOLDERS:
        tree.folder(folder)
    tree.folder("root", 0o700)
    for folder in ("tmp", "var/tmp"):
        tree.folder(folder, 0o1777)
    tree.link("var/run", "/run")
    tree.link("var/lock", "/run/lock")
    tree.link("etc/mtab", "/proc/self/mounts")
    add_packages(tree, packages)
    add_busybox(tree, busybox)
    shell = "/bin/bash" if "usr/bin/bash" in tree else "/bin/sh"
    add_overlay(tree, kind, {"@SHELL@": shell})
    tree.file("etc/shadow", f"{shadow_entry(kind)}\nnobody:*:20000:0:99999:7:::\n", 0o600)
    return tree


def shadow_entry(kind: str) -> str:
    """root's line of shadow(5)."""
    return f"root:{_PASSWORDS[kind]}:20000:0:99999:7:::"


def add_overlay(tree: FileTree, kind: str, words: dict[str, str], without: Sequence[str] = ()) -> None:
    """Our own files of the system "mvm" or "gvm"."""
    for overlay in ("system", kind):
        _add_overlay(tree, _SCRIPTS / overlay, words, without)


def _add_overlay(tree: FileTree, folder: Path, words: dict[str, str], without: Sequence[str]) -> None:
    """Our own files; those that name an interpreter are executable."""
    for file in sorted(folder.rglob("*")):
        path = file.relative_to(folder).as_posix()
        if not file.is_file() or path in without:
            continue
        text = file.read_text(encoding="utf-8")
        for word, value in words.items():
            text = text.replace(word, value)
        tree.file(path, text, 0o755 if text.startswith("#!") else 0o644)


def add_modules(tree: FileTree, release: str, available: ModuleTree) -> None:
    """The managing VM's modules, with the tables that modprobe reads (modules.dep(5)): the kernel calls it."""
    folder = f"usr/lib/modules/{release}"
    dependencies, aliases = "", ""
    for module in available.load_order([name for name in _MODULES if available.has(name)]):
        tree.file(f"{folder}/{module.name}.ko", module.data)
        needed = " ".join(f"{name}.ko" for name in module.needs)
        dependencies += f"{module.name}.ko: {needed}".rstrip() + "\n"
        aliases += "".join(f"alias {alias} {module.name}\n" for alias in module_aliases(module.data))
    tree.file(f"{folder}/modules.dep", dependencies)
    tree.file(f"{folder}/modules.alias", aliases)
