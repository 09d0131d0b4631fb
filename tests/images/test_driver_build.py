"""Building the kernel module for the kernel that was fetched, with each compiler there is, and without any."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
from pathlib import Path

import pytest

from shyper_tui.images import ImageError, store
from shyper_tui.images.apt_sources import AptSource, Archive, Mirror, host_archive
from shyper_tui.images.cross_compiler import VARIABLE, cross_compilers
from shyper_tui.images.driver_build import driver_module, driver_sources
from shyper_tui.images.fetched_compiler import FetchedCompiler, fetched_compiler
from shyper_tui.images.kernel_modules import module_info

OS_RELEASE = 'NAME="Some Linux"\nVERSION_CODENAME={}\n'


def quiet(text: str, done: int, total: int) -> None:
    """Nobody looks at the progress."""


@pytest.fixture(scope="module")
def release() -> str:
    manifest = store.read_manifest(store.linux_folder())
    if manifest is None:
        pytest.skip("no Linux images; run `shyper-tui images fetch`")
    return manifest.release


@pytest.fixture(scope="module")
def packages(release: str) -> list[Path]:
    manifest = store.read_manifest(store.linux_folder())
    assert manifest is not None
    found = sorted((store.cache_folder() / "debian" / manifest.suite / "packages").glob("linux-headers-*.deb"))
    if len(found) < 2:
        pytest.skip("no kernel headers; run `shyper-tui images fetch --refresh`")
    return found


@pytest.fixture
def bare_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with what unpacks packages, and no compiler."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("dpkg", "dpkg-deb", "tar", "xz", "apt-get", "apt-cache"):
        program = shutil.which(name)
        if program is None:
            pytest.skip(f"{name} is not installed")
        (folder / name).symlink_to(program)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def available(kind: str) -> None:
    """Skip the test when this host has no compiler of a kind."""
    if kind == "path" and not any(shutil.which(name) for name in ("riscv64-linux-gnu-gcc", "ld.lld")):
        pytest.skip("no compiler for riscv64 is on the PATH")
    if kind == "ziglang" and importlib.util.find_spec("ziglang") is None:
        pytest.skip("ziglang is not installed")
    if kind == "fetched" and not any(
        FetchedCompiler.below(folder).complete for folder in (store.cache_folder() / "compiler").glob("*")
    ):
        pytest.skip("no compiler was fetched before, and tests have no network")


@pytest.mark.linux
@pytest.mark.parametrize("kind", ["path", "fetched", "ziglang"])
def test_each_compiler_builds_the_module_for_the_kernel(
    kind: str, release: str, packages: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    available(kind)
    monkeypatch.setenv(VARIABLE, kind)
    steps: list[str] = []
    module = driver_module(release, packages, lambda text, done, total: steps.append(text))
    facts = module_info(module)
    assert facts["vermagic"].split(" ")[0] == release
    assert facts["license"] == "GPL"
    assert facts["name"] == "shyper_riscv64"
    assert facts["depends"] == ""
    assert module[:4] == b"\x7fELF"
    assert steps[0] == "kernel headers"
    assert steps[-1] == "kernel module"
    assert os.fsencode(Path.home()) not in module
    assert b"/tmp/" not in module


@pytest.mark.linux
def test_building_twice_gives_the_same_bytes(
    release: str, packages: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    available("path")
    monkeypatch.setenv(VARIABLE, "path")
    first = driver_module(release, packages, quiet)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    second = driver_module(release, packages, quiet)
    assert hashlib.sha256(first).digest() == hashlib.sha256(second).digest()


@pytest.mark.linux
def test_headers_of_another_kernel_are_refused_with_one_sentence(packages: list[Path]) -> None:
    with pytest.raises(ImageError) as refused:
        driver_module("6.1.0-99-riscv64", packages, quiet)
    assert refused.value.message.startswith("The headers of kernel 6.1.0-99-riscv64 are not among the packages")
    assert refused.value.message.count(". ") == 0


def test_packages_without_headers_are_told() -> None:
    with pytest.raises(ImageError, match=r"kernel 6.1.0-riscv64 are not among the packages: none are there"):
        driver_module("6.1.0-riscv64", [], quiet)


def test_a_damaged_header_package_is_told(tmp_path: Path) -> None:
    damaged = tmp_path / "linux-headers-6.1.0-riscv64_6.1.0-1_riscv64.deb"
    damaged.write_bytes(b"!<arch>\nnothing else")
    with pytest.raises(ImageError, match=r"linux-headers-6.1.0-riscv64.* cannot be unpacked"):
        driver_module("6.1.0-riscv64", [damaged], quiet)


def test_without_any_compiler_one_sentence_says_how_to_get_one(
    bare_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "path")
    with pytest.raises(ImageError) as refused:
        list(cross_compilers(quiet))
    assert refused.value.message == "There is no C compiler for riscv64: none is on the PATH."
    assert "gcc-riscv64-linux-gnu" in refused.value.remedy
    assert "pip install ziglang" in refused.value.remedy


def test_a_word_that_is_no_kind_of_compiler_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "path,gcc")
    with pytest.raises(ImageError, match=r"SHYPER_CROSS_COMPILER has 'gcc'. The words are path, fetched, ziglang."):
        list(cross_compilers(quiet))


def test_an_archive_that_cannot_be_reached_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("apt-get") is None:
        pytest.skip("apt is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    nowhere = Archive(Mirror("http://127.0.0.1:9/debian", ""), "stable", ("main",))
    with pytest.raises(ImageError) as refused:
        fetched_compiler(quiet, nowhere)
    assert refused.value.message.startswith("The cross compiler cannot be downloaded from http://127.0.0.1:9/debian")
    assert list((tmp_path / "shyper-tui" / "compiler").iterdir()) == []


def test_the_archive_of_the_hosts_release(tmp_path: Path) -> None:
    file = tmp_path / "os-release"
    ubuntu = AptSource("http://archive.example.org/ubuntu", "noble", ("main", "universe", "restricted"), "/k/u.gpg")
    debian = AptSource("http://deb.example.org/debian", "testing", ("main", "contrib"), "")
    others = [
        AptSource("cdrom:[Debian]/", "noble", ("main",)),
        AptSource("http://security.example.org/debian-security", "noble", ("main",)),
        AptSource("https://example.com/tool", "nodistro", ("main",)),
    ]
    file.write_text(OS_RELEASE.format("noble"))
    assert host_archive([*others, debian, ubuntu], file) == Archive(
        Mirror("http://archive.example.org/ubuntu", "/k/u.gpg"), "noble", ("main", "universe")
    )
    file.write_text(OS_RELEASE.format("forky"))
    assert host_archive([*others, debian], file).suite == "testing"
    with pytest.raises(ImageError, match="no archive of its own release"):
        host_archive(others, tmp_path / "nothing")


def test_the_sources_of_the_module_are_there() -> None:
    names = {file.name for file in driver_sources().iterdir()}
    assert {"abi.h", "module.c", "disks.c", "ring.c"} <= names
