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
from shyper_tui.images.driver_build import build_module, build_with_any_compiler, driver_module, driver_sources
from shyper_tui.images.fetched_compiler import FetchedCompiler, fetched_compiler
from shyper_tui.images.kernel_headers import KernelHeaders, unpack_headers
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


@pytest.fixture(scope="module")
def headers(release: str, packages: list[Path], tmp_path_factory: pytest.TempPathFactory) -> KernelHeaders:
    return unpack_headers(packages, release, tmp_path_factory.mktemp("headers"))


def build_with(kind: str, headers: KernelHeaders, monkeypatch: pytest.MonkeyPatch) -> bytes:
    available(kind)
    monkeypatch.setenv(VARIABLE, kind)
    return build_module(headers, next(cross_compilers(quiet)), driver_sources())


@pytest.mark.linux
@pytest.mark.parametrize("kind", ["path", "fetched", "ziglang"])
def test_each_compiler_builds_the_module_for_the_kernel(
    kind: str, release: str, headers: KernelHeaders, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = build_with(kind, headers, monkeypatch)
    facts = module_info(module)
    assert facts["vermagic"].split(" ")[0] == release
    assert facts["license"] == "GPL"
    assert facts["name"] == "shyper_riscv64"
    assert facts["depends"] == ""
    assert module[:4] == b"\x7fELF"
    assert os.fsencode(headers.folder) not in module
    assert os.fsencode(driver_sources().parent) not in module


@pytest.mark.linux
def test_the_same_sources_kernel_and_compiler_give_the_same_bytes_in_any_folder(
    release: str, packages: list[Path], headers: KernelHeaders, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = build_with("path", headers, monkeypatch)
    steps: list[str] = []
    again = driver_module(release, packages, lambda text, done, total: steps.append(text))
    assert hashlib.sha256(module).digest() == hashlib.sha256(again).digest()
    assert steps[0] == "kernel headers"
    assert steps[-1] == "kernel module"


@pytest.mark.linux
def test_the_compiler_that_fails_is_followed_by_the_next_one(
    headers: KernelHeaders, bare_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    available("ziglang")
    for name in ("riscv64-linux-gnu-gcc", "riscv64-linux-gnu-ld"):
        (bare_path / name).write_text("#!/bin/sh\necho 'error: no room for RISC-V today' >&2\nexit 1\n")
        (bare_path / name).chmod(0o755)
    monkeypatch.setenv(VARIABLE, "path")
    with pytest.raises(ImageError) as refused:
        build_with_any_compiler(headers, quiet)
    assert refused.value.message == (
        "The kernel module cannot be built (riscv64-linux-gnu-gcc: error: no room for RISC-V today)."
    )
    monkeypatch.setenv(VARIABLE, "path, ziglang")
    steps: list[str] = []
    assert build_with_any_compiler(headers, lambda text, done, total: steps.append(text))[:4] == b"\x7fELF"
    assert steps[:2] == ["kernel module with riscv64-linux-gnu-gcc", "kernel module with ziglang"]


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
    assert refused.value.message == "The cross compiler's archive http://127.0.0.1:9/debian cannot be reached."
    assert list((tmp_path / "shyper-tui" / "compiler").iterdir()) == []


def test_a_compiler_that_others_may_write_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    for name in ("cc1", "as", "ld", "lib/libz.so.1"):
        (tmp_path / name).touch(0o600)

    def complete() -> bool:
        return FetchedCompiler.below(tmp_path).complete

    assert complete()
    for name in ("cc1", "lib/libz.so.1", "lib"):
        mode = (tmp_path / name).stat().st_mode
        (tmp_path / name).chmod(mode | 0o020)
        assert not complete()
        (tmp_path / name).chmod(mode)
    (tmp_path / "ld").unlink()
    assert not complete()


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
