"""libslirp in the cache: fetched by apt (whose programs are scripts here), and used only if nobody else wrote it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from shyper_tui.images import ImageError, fetch_libslirp, fetched_libslirp
from shyper_tui.images import libslirp as place
from shyper_tui.images.apt_sources import Archive, Mirror
from tests.images.test_apt import FakeHost, host, silent

__all__ = ["host"]  # a fixture

ARCHIVE = Archive(Mirror("http://mirror.example.org/debian", ""), "bookworm", ("main",))
LIBRARIES = {"libpcre2-8-0": "libpcre2-8.so.0", "libglib2.0-0": "libglib-2.0.so.0", "libslirp0": "libslirp.so.0"}

pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg")


def package(folder: Path, name: str, library: str) -> Path:
    """A Debian package with one library, by its name with a version and a link."""
    root = folder / name
    target = root / "usr" / "lib" / "some-architecture"
    target.mkdir(parents=True)
    (target / f"{library}.4.0").write_text(f"this is {library}")
    (target / library).symlink_to(f"{library}.4.0")
    (root / "DEBIAN").mkdir()
    control = f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: a library\n"
    (root / "DEBIAN" / "control").write_text(control)
    subprocess.run(["dpkg-deb", "-b", "-Znone", root, folder / f"{name}.deb"], check=True, capture_output=True)
    return folder / f"{name}.deb"


def offer(host: FakeHost, folder: Path, names: dict[str, str]) -> None:
    """apt that has these packages."""
    folder.mkdir()
    lines = []
    for name, library in names.items():
        package(folder, name, library)
        lines.append(f"'file:/{name}' {name}_1_all.deb 10 SHA256:{'0' * 64}")
    text = "\\n".join(lines)
    host.program("apt-get", f'case "$*" in *print-uris*) printf "{text}\\n";; esac')
    host.program(
        "apt-cache",
        'case "$*" in *libslirp0) echo "Depends: libc6 (>= 2.34), libglib2.0-0 (>= 2.64)";; '
        '*libglib2.0-0) echo "Depends: libc6, libpcre2-8-0, libselinux1";; esac',
    )
    host.program("apt-helper", f'uri=$7; cp "{folder}/${{uri#file:/}}.deb" "$8"')


def test_it_is_fetched_with_what_it_needs(
    host: FakeHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(host, tmp_path / "offered", LIBRARIES)
    assert fetched_libslirp() == []
    files = fetch_libslirp(silent, ARCHIVE)
    assert [file.name for file in files] == list(LIBRARIES.values()), "each before those that need it"
    assert [file.read_text() for file in files] == [f"this is {name}" for name in LIBRARIES.values()]
    assert fetched_libslirp() == files
    assert [entry.name for entry in place.libslirp_folder().parent.iterdir() if entry.name.startswith("fetch-")] == []


@pytest.mark.parametrize("which", ["file", "folder"])
def test_what_others_may_write_is_not_used(host: FakeHost, tmp_path: Path, which: str) -> None:
    offer(host, tmp_path / "offered", LIBRARIES)
    files = fetch_libslirp(silent, ARCHIVE)
    (files[0] if which == "file" else files[0].parent).chmod(0o777)
    assert fetched_libslirp() == []


def test_packages_that_lack_something_leave_nothing_behind(host: FakeHost, tmp_path: Path) -> None:
    offer(host, tmp_path / "offered", {**LIBRARIES, "libglib2.0-0": "libother.so.0"})
    with pytest.raises(ImageError, match=r"do not contain libglib-2\.0\.so\.0.*Install libslirp0 yourself"):
        fetch_libslirp(silent, ARCHIVE)
    assert fetched_libslirp() == []


def test_without_a_network_it_says_what_is_lost(host: FakeHost) -> None:
    host.program("apt-get", "echo 'E: Failed to fetch http://mirror.example.org Could not connect' >&2; exit 100")
    with pytest.raises(ImageError, match=r"cannot be downloaded from http://mirror\.example\.org/debian.*ping"):
        fetch_libslirp(silent, ARCHIVE)
