"""A whole Debian on a disk: what dpkg finds of packages unpacked on the host, and what its first boot says."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from shyper_tui.commands.debian_build import ConfigurationLog
from shyper_tui.images.debian_system import check_names
from shyper_tui.images.dpkg_database import DpkgDatabase
from shyper_tui.images.errors import ImageError
from shyper_tui.images.file_tree import FileTree

ROOT = Path(__file__).parents[2]
needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not installed")


def package(folder: Path, name: str, fields: str = "", files: dict[str, str] | None = None, **control: str) -> Path:
    """A package file; `control` are further control files."""
    root = folder / name
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: 1\nArchitecture: riscv64\nMaintainer: nobody <n@example.org>\n{fields}"
        "Description: a test\n more of it\n"
    )
    for file, text in control.items():
        target = root / "DEBIAN" / file
        target.write_text(text)
        target.chmod(0o755 if text.startswith("#!") else 0o644)
    for path, text in (files or {}).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    made = folder / f"{name}.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", root, made], check=True, capture_output=True)
    return made


def content(tree: FileTree, path: str) -> bytes:
    found = tree[path].content
    return found.read_bytes() if isinstance(found, Path) else found


@needs_dpkg
def test_packages_are_known_as_unpacked_with_their_scripts_and_files(tmp_path: Path) -> None:
    tree = FileTree()
    database = DpkgDatabase(tree, tmp_path)
    made = package(
        tmp_path, "first", files={"etc/first.conf": "x=1\n", "bin/tool": "tool"}, conffiles="/etc/first.conf\n",
        postinst="#!/bin/sh\nexit 0\n",
    )  # fmt: skip
    assert database.add(made) == "first"
    library = package(tmp_path, "library", "Multi-Arch: same\n", {"usr/lib/library.so": "so"})
    assert database.add(library) == "library"
    database.finish()
    status = content(tree, "var/lib/dpkg/status").decode()
    assert status.count("Status: install ok unpacked\n") == 2
    assert "Conffiles:\n /etc/first.conf f968f33f844c98de1d3b4fe70f2e1a0f" in status
    assert content(tree, "usr/bin/tool") == b"tool"
    assert b"/bin/tool\n" in content(tree, "var/lib/dpkg/info/first.list")
    assert stat.S_IMODE(tree["var/lib/dpkg/info/first.postinst"].mode) == 0o755
    assert "var/lib/dpkg/info/library:riscv64.list" in tree


@needs_dpkg
def test_triggers_are_noted_by_name_and_by_file(tmp_path: Path) -> None:
    tree = FileTree()
    database = DpkgDatabase(tree, tmp_path)
    wishes = "# comment\ninterest-noawait named\ninterest /usr/share/files\nactivate other\n"
    database.add(package(tmp_path, "listener", triggers=wishes))
    database.finish()
    assert content(tree, "var/lib/dpkg/triggers/named") == b"listener/noawait\n"
    assert content(tree, "var/lib/dpkg/triggers/File") == b"/usr/share/files listener\n"


@needs_dpkg
def test_a_damaged_package_is_one_sentence(tmp_path: Path) -> None:
    broken = tmp_path / "broken.deb"
    broken.write_bytes(package(tmp_path, "whole").read_bytes()[:200])
    with pytest.raises(ImageError, match=r"broken\.deb cannot be unpacked"):
        DpkgDatabase(FileTree(), tmp_path).add(broken)


@pytest.mark.parametrize("name", ["", "-o", "a b", "UPPER", "a;b", "../x", "x"])
def test_what_is_no_name_of_a_package_is_refused(name: str) -> None:
    with pytest.raises(ImageError, match="no name of a Debian package"):
        check_names(["gcc", name])


def test_the_first_boot_is_followed_line_by_line() -> None:
    shown: list[tuple[str, int, int]] = []
    log = ConfigurationLog(2, lambda *step: shown.append(step))
    log.feed(b"Setting up one (1) ...\r\nstatus: one:riscv64: half-confi")
    log.feed(b"gured\r\nstatus: one:riscv64: installed\r\nSetting up two ...\r\nit does not \x1b[31mwork\r\n")
    log.feed(b"dpkg: error processing package two (--configure):\r\nSHYPER-CONFIGURED 1\r\n")
    assert shown == [("configuring one", 0, 2), ("configuring one", 1, 2)]
    assert (log.failed, log.status) == (["two"], 1)
    assert "Setting up two" in log.tail
    assert "\x1b" not in log.tail


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["mvm"], "together with --debian"),
        (["--debian"], "together with --debian"),
        (["--packages", "gcc"], "go with --debian"),
        (["gvm", "--debian", "--output", "there.img"], "there.img is there already"),
        (["gvm", "--debian", "--packages", "no;name", "--output", "new.img"], "no name of a Debian package"),
    ],
)
def test_mistakes_of_the_command_line_make_nothing(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    (tmp_path / "there.img").write_bytes(b"mine")
    command = [sys.executable, "-P", "-m", "shyper_tui.cli", "images", "build", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode in (1, 2)
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["there.img"]
    assert (tmp_path / "there.img").read_bytes() == b"mine"
