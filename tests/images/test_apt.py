"""Finding the host's mirror, and understanding what apt writes. apt's programs are replaced by small scripts."""

from __future__ import annotations

from pathlib import Path

import pytest

from shyper_tui.images import ImageError, fetch
from shyper_tui.images.apt import Package, parse_complaints, parse_status, parse_uris
from shyper_tui.images.apt_sources import (
    AptSource,
    Mirror,
    find_keyring,
    find_mirror,
    parse_deb822,
    parse_list,
    read_host_sources,
)

ONE_LINE = """\
# deb http://example.org/commented stable main
deb-src http://example.org/debian stable main
deb [arch=amd64 signed-by=/k/other.gpg] https://example.com/tool ./
deb [signed-by=/k/debian.gpg] http://mirror.example.org/debian trixie main contrib # comment
deb http://example.org/debian-security trixie-security main
"""

DEB822 = """\
# a comment
Types: deb deb-src
URIs: http://example.org/debian http://example.net/debian
# a comment within
Suites: trixie trixie-updates
Components: main
 non-free
Signed-By: /k/debian.pgp

Types: deb
Enabled: no
URIs: http://example.org/off
Suites: stable
Components: main

Types: deb
URIs: http://example.org/inline
Suites: sid
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQ==
"""


def test_one_line_sources() -> None:
    assert list(parse_list(ONE_LINE)) == [
        AptSource("https://example.com/tool", "./", (), "/k/other.gpg"),
        AptSource("http://mirror.example.org/debian", "trixie", ("main", "contrib"), "/k/debian.gpg"),
        AptSource("http://example.org/debian-security", "trixie-security", ("main",), ""),
    ]


def test_deb822_sources() -> None:
    found = list(parse_deb822(DEB822))
    assert [(source.uri, source.suite) for source in found] == [
        ("http://example.org/debian", "trixie"),
        ("http://example.org/debian", "trixie-updates"),
        ("http://example.net/debian", "trixie"),
        ("http://example.net/debian", "trixie-updates"),
        ("http://example.org/inline", "sid"),
    ]
    assert found[0].components == ("main", "non-free")
    assert found[0].signed_by == "/k/debian.pgp"
    assert found[4].signed_by == ""


def test_the_hosts_files_are_read_in_apts_order(tmp_path: Path) -> None:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (tmp_path / "sources.list").write_text("deb http://a.example.org stable main\n")
    (parts / "b.sources").write_text(DEB822)
    (parts / "a.list").write_text(ONE_LINE)
    (parts / "c.list.save").write_text("deb http://saved.example.org stable main\n")
    uris = [source.uri for source in read_host_sources(tmp_path)]
    assert uris[0] == "http://a.example.org"
    assert uris[1] == "https://example.com/tool"
    assert uris[4] == "http://example.org/debian"
    assert "http://saved.example.org" not in uris


def test_the_mirror_is_debians_main_archive() -> None:
    security = AptSource("http://example.org/debian-security", "trixie-security", ("main",))
    third = AptSource("http://example.org/tool", "release", ("main",))
    sources = [third, security, *parse_list(ONE_LINE)]
    assert find_mirror(sources) == Mirror("http://mirror.example.org/debian", "/k/debian.gpg")


def test_without_a_debian_archive_the_error_says_what_to_do() -> None:
    with pytest.raises(ImageError) as caught:
        find_mirror([AptSource("http://example.org/ubuntu", "noble", ("main",))])
    assert "--mirror" in caught.value.remedy


def test_the_keyring(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="debian-archive-keyring"):
        find_keyring(tmp_path)
    (tmp_path / "debian-archive-keyring.gpg").touch()
    assert find_keyring(tmp_path).endswith("debian-archive-keyring.gpg")
    (tmp_path / "debian-archive-keyring.pgp").touch()
    assert find_keyring(tmp_path).endswith("debian-archive-keyring.pgp")


def test_addresses_of_packages() -> None:
    line = "'http://example.org/pool/linux_6%2b1_riscv64.deb' linux-image-6%2b1_6.12_riscv64.deb 112 SHA256:" + "a" * 64
    assert parse_uris(f"Reading…\n{line}\n'http://example.org/x' short 1 MD5Sum:00\n") == [
        Package(
            "linux-image-6+1",
            "http://example.org/pool/linux_6%2b1_riscv64.deb",
            "linux-image-6%2b1_6.12_riscv64.deb",
            112,
            "a" * 64,
        )
    ]


@pytest.mark.parametrize(
    ("line", "percent"),
    [
        ("dlstatus:1:10.6668:Retrieving file 1 of 2", 10),
        ("dlstatus:2:100.0000:Retrieving file 2 of 2", 100),
        ("dlstatus:2:180:x", 100),
        ("dlstatus:1:nan:x", None),
        ("pmstatus:dpkg:50:x", None),
        ("noise", None),
    ],
)
def test_progress_lines(line: str, percent: int | None) -> None:
    assert parse_status(line) == percent


class FakeHost:
    """A host whose apt programs are shell scripts; the user's cache is empty."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.programs = folder / "bin"
        self.programs.mkdir()
        monkeypatch.setenv("PATH", f"{self.programs}:/usr/bin:/bin")
        monkeypatch.setattr("shyper_tui.images.store.user_cache_dir", lambda _name: str(folder / "cache"))
        monkeypatch.setattr("shyper_tui.images.apt._HELPER", self.programs / "apt-helper")
        source = AptSource("http://mirror.example.org/debian", "stable", ("main",), "/k/debian.gpg")
        monkeypatch.setattr("shyper_tui.images.debian.read_host_sources", lambda: [source])

    def program(self, name: str, script: str) -> None:
        file = self.programs / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    fake = FakeHost(tmp_path, monkeypatch)
    for name in ("apt-get", "apt-cache", "apt-helper"):
        fake.program(name, "exit 0")
    return fake


def silent(_text: str, _done: int, _total: int) -> None: ...


def test_what_apt_complains_about() -> None:
    text = "N: note\nW: Failed to fetch x  Could not resolve.\nE: Some index files failed to download. They have\n"
    assert parse_complaints(text) == ["Failed to fetch x Could not resolve"]


def test_a_mirror_that_is_no_address(host: FakeHost) -> None:
    for text in ("", "here", "http://a b"):
        with pytest.raises(ImageError, match="no address of a mirror"):
            fetch(silent, mirror=text)


@pytest.mark.parametrize("suite", ["", "..", "../../elsewhere", "a/b", "two words", "/tmp"])
def test_a_suite_that_is_no_name(host: FakeHost, tmp_path: Path, suite: str) -> None:
    with pytest.raises(ImageError, match="no name of a Debian suite"):
        fetch(silent, suites=("stable", suite))
    assert not (tmp_path / "cache").exists()


def test_a_cache_that_cannot_be_written(host: FakeHost, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(ImageError, match="cannot be written"):
        fetch(silent)


def test_no_apt(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ImageError) as caught:
        fetch(silent)
    assert "no apt" in caught.value.message
    assert "own kernel" in caught.value.remedy


def test_no_network(host: FakeHost) -> None:
    # `apt-get update` succeeds although it reached nothing, and says so in warnings
    host.program("apt-get", "echo \"W: Failed to fetch http://x  Temporary failure resolving 'x'\" >&2; exit 0")
    with pytest.raises(ImageError) as caught:
        fetch(silent)
    assert "mirror.example.org" in caught.value.message
    assert "cannot be reached" in caught.value.message
    assert "network" in caught.value.remedy


def test_every_suite_is_tried_and_named(host: FakeHost, tmp_path: Path) -> None:
    host.program("apt-get", 'echo "E: The repository is not signed." >&2; exit 100')
    with pytest.raises(ImageError) as caught:
        fetch(silent, suites=("stable", "sid"))
    assert "stable: The repository is not signed;" in caught.value.message
    assert "sid: The repository is not signed)" in caught.value.message
    configuration = (tmp_path / "cache" / "debian" / "sid" / "apt.conf").read_text()
    assert 'APT::Architecture "riscv64";' in configuration
    sources = (tmp_path / "cache" / "debian" / "sid" / "sources.list").read_text()
    assert sources == "deb [signed-by=/k/debian.gpg] http://mirror.example.org/debian sid main\n"


def test_a_file_that_is_not_what_the_index_says_is_removed(host: FakeHost, tmp_path: Path) -> None:
    host.program("apt-cache", 'echo "Depends: linux-image-6-riscv64 (= 6)"')
    host.program(
        "apt-get",
        f'case "$*" in *print-uris*) echo "\'http://x/k.deb\' linux-image-6-riscv64_6_riscv64.deb 3 SHA256:{"0" * 64}";'
        f" echo \"'http://x/b.deb' busybox-static_1_riscv64.deb 3 SHA256:{'0' * 64}\";; esac",
    )
    host.program("apt-helper", 'for last; do before=$target; target=$last; done; printf abc > "$before"')
    with pytest.raises(ImageError, match="damaged"):
        fetch(silent, suites=("stable",))
    assert list((tmp_path / "cache" / "debian" / "stable" / "packages").iterdir()) == []
