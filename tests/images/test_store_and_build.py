"""The images made from small packages of the test's own; the store that keeps them."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from shyper_tui import images
from shyper_tui.engine.boot_plan import boot_plan
from shyper_tui.images import ImageError, disk, store
from shyper_tui.images.file_tree import FileTree
from shyper_tui.images.initramfs import _MODULES
from shyper_tui.ipc.messages import EngineOptions
from tests.config.files import linux_image

from .test_cpio import members
from .test_kernel_modules import module, signed

RELEASE = "6.12.1-riscv64"
BUSYBOX = b"ELF [\0[[\0ash\0getty\0init\0login\0mount\0nano\0sh\0udhcpc\0vi\0\0\0more"

needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb")
needs_mke2fs = pytest.mark.skipif(
    shutil.which("mke2fs", path="/usr/sbin:/sbin:/usr/bin:/bin") is None, reason="needs mke2fs"
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("shyper_tui.images.store.user_cache_dir", lambda _name: str(tmp_path / "cache"))
    return tmp_path / "cache"


def package(folder: Path, name: str, files: dict[str, bytes]) -> Path:
    """A Debian package with these files."""
    root = folder / name
    for path, data in {"DEBIAN/control": b"", **files}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    control = f"Package: {name}\nVersion: 1\nArchitecture: riscv64\nMaintainer: x <x@example.org>\nDescription: x\n"
    (root / "DEBIAN/control").write_text(control)
    target = folder / f"{name}_1_riscv64.deb"
    subprocess.run(["dpkg-deb", "-Znone", "--root-owner-group", "-b", root, target], check=True, capture_output=True)
    return target


@pytest.fixture
def packages(tmp_path: Path) -> list[Path]:
    modules = {
        f"usr/lib/modules/{RELEASE}/kernel/{name}.ko": signed(module(f"name={name}", "depends=")) for name in _MODULES
    }
    kernel = package(tmp_path, "linux-image-6.12.1-riscv64", {f"boot/vmlinux-{RELEASE}": linux_image(), **modules})
    others = [
        package(tmp_path, "bash", {"usr/bin/bash": b"bash", "usr/share/doc/bash/README": b"long"}),
        package(tmp_path, "minicom", {"usr/bin/minicom": b"minicom", "etc/minicom/minirc.nullmodem": b"x"}),
    ]
    return [kernel, package(tmp_path, "busybox-static", {"usr/bin/busybox": BUSYBOX}), *others]


@needs_dpkg
@needs_mke2fs
def test_images_are_built_from_packages(packages: list[Path]) -> None:
    steps: list[str] = []
    built = images.build(packages, "stable", lambda text, _done, _total: steps.append(text))
    assert built.release == RELEASE
    assert built.kernel.read_bytes() == linux_image()
    assert images.linux_images() == built
    assert images.verify() == []
    assert steps[-1] == "images ready"
    assert images.path("linux") == images.path("images:linux/Image") == built.kernel
    assert {info.name for info in images.catalog() if info.available and info.name.startswith("linux/")} == {
        "linux/Image",
        "linux/initramfs.cpio",
        "linux/initramfs-min.cpio",
        "linux/mvm.ext4",
        "linux/gvm.ext4",
    }

    files = {name: (numbers, data) for name, numbers, data in members(built.initramfs.read_bytes())}
    assert files["init"][0][1] & stat.S_IXUSR
    assert b"GUEST-READY" in files["init"][1]
    assert files["bin/busybox"][1] == BUSYBOX
    order = files["lib/modules/order"][1].decode().split()
    assert order == [name.replace("-", "_") for name in _MODULES]
    assert all(files[f"lib/modules/{name}.ko"][1].startswith(b"\x7fELF") for name in order)
    assert stat.S_ISCHR(files["dev/console"][0][1])
    assert stat.S_ISCHR(files["dev/null"][0][1])

    small = {name for name, _, _ in members(built.initramfs_min.read_bytes())}
    assert "lib/modules/virtio_blk.ko" in small
    assert "lib/modules/ext4.ko" not in small


@needs_dpkg
@needs_mke2fs
def test_building_twice_gives_the_same_bytes(packages: list[Path]) -> None:
    images.build(packages)
    first = store.read_manifest(store.linux_folder())
    images.build(packages)
    assert store.read_manifest(store.linux_folder()) == first


@needs_dpkg
@needs_mke2fs
def test_damage_is_noticed(packages: list[Path]) -> None:
    built = images.build(packages)
    built.initramfs.write_bytes(built.initramfs.read_bytes()[:-4] + b"abcd")
    assert images.verify() == ["initramfs.cpio"]
    assert images.damaged() == []
    built.kernel.write_bytes(b"short")
    built.mvm_disk.unlink()
    assert images.linux_images() is None
    assert images.damaged() == ["Image", "mvm.ext4"]


@needs_dpkg
@needs_mke2fs
def test_images_that_others_may_write_are_not_used(packages: list[Path]) -> None:
    former = os.umask(0)
    try:
        built = images.build(packages)
    finally:
        os.umask(former)
    assert images.damaged() == []  # their modes do not follow the umask
    built.kernel.chmod(0o646)
    assert images.damaged() == ["Image"]
    assert images.linux_images() is None
    built.kernel.chmod(0o644)
    built.kernel.parent.chmod(0o777)
    assert images.damaged() == list(store.LINUX_FILES)
    built.kernel.parent.chmod(0o755)
    assert images.linux_images() == built
    if os.geteuid() == 0:
        os.chown(built.kernel, 65534, 65534)
        assert images.damaged() == ["Image"]


@needs_dpkg
@needs_mke2fs
def test_images_of_an_older_version_are_used_told_and_made_anew_without_network(packages: list[Path]) -> None:
    built = images.build(packages, "stable")
    assert not images.outdated()
    assert boot_plan(EngineOptions()).warning == ""
    manifest = built.kernel.parent / "manifest.json"
    manifest.write_text(manifest.read_text().replace(f'"builder": {store.BUILDER}', '"builder": 1'))
    built.initramfs.write_bytes(bytes(built.initramfs.stat().st_size))
    assert images.outdated()
    assert images.linux_images() == built
    assert "of an older version; `shyper-tui images build` makes them anew" in boot_plan(EngineOptions()).warning
    downloaded = store.cache_folder() / "debian" / "stable" / "packages"
    downloaded.mkdir(parents=True)
    for package_file in packages:
        shutil.copy(package_file, downloaded)
    images.fetch(lambda _text, _done, _total: None, mirror="https://nobody.invalid/debian")
    assert not images.outdated()
    assert images.verify() == []


@needs_dpkg
def test_a_package_without_a_riscv_kernel_leaves_the_store_alone(tmp_path: Path) -> None:
    kernel = package(
        tmp_path, "linux-image", {f"boot/vmlinux-{RELEASE}": b"MZ" + bytes(100), f"lib/modules/{RELEASE}/x": b""}
    )
    busybox = package(tmp_path, "busybox-static", {"bin/busybox": BUSYBOX})
    with pytest.raises(ImageError, match="no RISC-V Linux Image"):
        images.build([kernel, busybox])
    assert not store.linux_folder().exists()
    assert list(store.linux_folder().parent.iterdir()) == []


@needs_dpkg
def test_a_file_that_is_no_package(tmp_path: Path) -> None:
    (tmp_path / "x.deb").write_bytes(b"nothing")
    with pytest.raises(ImageError, match=r"x\.deb cannot be unpacked"):
        images.build([tmp_path / "x.deb"])


def test_an_image_that_is_not_there() -> None:
    with pytest.raises(ImageError) as caught:
        images.path("linux/Image")
    assert "images fetch" in caught.value.remedy
    with pytest.raises(ImageError, match="no image named 'nothing'"):
        images.path("nothing")
    assert images.linux_images() is None
    assert images.damaged() == []
    assert images.verify() == list(store.LINUX_FILES)
    with pytest.raises(ImageError, match="no downloaded packages"):
        images.rebuild(lambda _text, _done, _total: None)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"builder": 1}', '{"files": 1, "packages": {}}'])
def test_an_unreadable_manifest_counts_as_none(text: str, cache: Path) -> None:
    store.linux_folder().mkdir(parents=True)
    (store.linux_folder() / "manifest.json").write_text(text)
    assert images.linux_images() is None
    assert images.damaged()


def test_names_of_files_in_a_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert images.resolve("kernel", tmp_path) == tmp_path / "kernel"
    assert images.resolve("/boot/kernel", tmp_path) == Path("/boot/kernel")
    assert images.resolve("~/kernel", tmp_path) == Path("/home/someone/kernel")
    assert images.resolve("images:embedded/guest", tmp_path).name == "guest.elf"


def test_the_embedded_guests_come_with_the_package() -> None:
    assert images.embedded("guest")[:4] == images.embedded("supervisor")[:4] == b"\x7fELF"


@needs_mke2fs
def test_a_disk_is_ext4_with_its_files_and_repeatable(tmp_path: Path) -> None:
    for name in ("a", "b"):
        tree = FileTree()
        tree.file("README", "hello\n")
        tree.file("a folder/program", b"#!", 0o755)
        tree.folder("tmp", 0o1777)
        tree.link("link", "a folder/program")
        disk.make_ext4(tmp_path / name, "gvm", tree, 16 << 20, 64)
    data = (tmp_path / "a").read_bytes()
    assert len(data) == 16 << 20
    assert data == (tmp_path / "b").read_bytes()
    assert disk.is_ext(tmp_path / "a")
    assert b"hello\n" in data
    assert b"README" in data


def test_without_mke2fs_the_error_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shyper_tui.images.disk.shutil.which", lambda _name, path=None: None)
    with pytest.raises(ImageError, match="e2fsprogs"):
        disk.make_ext4(tmp_path / "a", "gvm", FileTree(), 8 << 20, 64)
