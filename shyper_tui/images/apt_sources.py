"""Finds the Debian mirror that this host's apt already uses.

Reads one-line files (`*.list`) and deb822 files (`*.sources`); both formats: sources.list(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import ImageError

_SUITES = {
    "stable", "testing", "unstable", "sid", "oldstable", "oldoldstable", "experimental",
    "buster", "bullseye", "bookworm", "trixie", "forky", "duke",
}  # fmt: skip
_KEYRINGS = ("debian-archive-keyring.pgp", "debian-archive-keyring.gpg")


@dataclass(frozen=True)
class AptSource:
    """One archive of the host's configuration: `deb URI SUITE COMPONENTS…`."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str = ""  # path of a keyring; empty when none is named or the key is inline


@dataclass(frozen=True)
class Mirror:
    """Where to download from, and the keyring file that its signatures are checked with; without one, apt's own."""

    uri: str
    keyring: str


@dataclass(frozen=True)
class Archive:
    """The archive that the host's own release comes from."""

    mirror: Mirror
    suite: str
    components: tuple[str, ...]


def parse_list(text: str) -> Iterator[AptSource]:
    """Entries of a one-line-style file; anything that is not a `deb` line is skipped."""
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s*([^#]*)", line)
        if match is None:
            continue
        options, uri, suite, components = match.groups()
        pairs = dict(item.split("=", 1) for item in (options or "").split() if "=" in item)
        yield AptSource(uri, suite, tuple(components.split()), _keyring_path(pairs.get("signed-by", "")))


def parse_deb822(text: str) -> Iterator[AptSource]:
    """Entries of a deb822-style file: every URI times every suite of every enabled stanza with type `deb`."""
    for stanza in re.split(r"\n\s*\n", "\n".join(line for line in text.splitlines() if not line.startswith("#"))):
        fields: dict[str, str] = {}
        key = ""
        for line in stanza.splitlines():
            if line[:1] in (" ", "\t"):
                fields[key] = fields.get(key, "") + "\n" + line.strip()
            elif ":" in line:
                key, _, value = line.partition(":")
                key = key.strip().lower()
                fields[key] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                components = tuple(fields.get("components", "").split())
                yield AptSource(uri, suite, components, _keyring_path(fields.get("signed-by", "")))


def read_host_sources(etc_apt: Path = Path("/etc/apt")) -> list[AptSource]:
    """All sources below `etc_apt`, in apt's order; unreadable files are skipped."""
    found: list[AptSource] = []
    for file in [etc_apt / "sources.list", *sorted((etc_apt / "sources.list.d").glob("*"))]:
        parse = {".list": parse_list, ".sources": parse_deb822}.get(file.suffix)
        if parse is None:
            continue
        try:
            found += parse(file.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
    return found


def find_mirror(sources: list[AptSource], keyrings: Path = Path("/usr/share/keyrings")) -> Mirror:
    """The first source that is Debian's main archive (not security, not a third party's)."""
    for source in sources:
        suite = source.suite.rstrip("/")
        if suite.split("-")[0].split("/")[0] not in _SUITES or "main" not in source.components:
            continue
        if "security" in suite or "security" in source.uri.rstrip("/").rpartition("/")[2]:
            continue
        return Mirror(source.uri, source.signed_by or find_keyring(keyrings))
    raise ImageError(
        "This host's apt has no Debian archive among its sources.",
        "Name a Debian mirror with --mirror URL, or give your own kernel and initramfs files in the configuration.",
    )


def host_archive(sources: list[AptSource], os_release: Path = Path("/etc/os-release")) -> Archive:
    """The archive with the packages of the host's release, Debian's or Ubuntu's. Raises ImageError."""
    try:
        names = re.findall(r'^VERSION_CODENAME="?([^"\n]+)"?$', os_release.read_text(), re.MULTILINE)
    except OSError:
        names = []
    usable = [
        source
        for source in sources
        if "main" in source.components and "security" not in source.uri and not source.uri.startswith("cdrom:")
    ]
    named = [source for source in usable if source.suite.rstrip("/") in names]
    for source in named or [source for source in usable if source.suite.rstrip("/") in _SUITES]:
        components = tuple(name for name in ("main", "universe") if name in source.components)
        return Archive(Mirror(source.uri, source.signed_by), source.suite, components)
    raise ImageError(
        "This host's apt has no archive of its own release among its sources.", "Install a compiler for riscv64."
    )


def find_keyring(folder: Path = Path("/usr/share/keyrings")) -> str:
    """Path of the Debian archive keyring."""
    for name in _KEYRINGS:
        if (folder / name).is_file():
            return str(folder / name)
    raise ImageError(
        "The Debian archive keyring is not installed, so downloads could not be verified.",
        "Install the package debian-archive-keyring.",
    )


def _keyring_path(value: str) -> str:
    first = value.strip().split("\n")[0].split(",")[0].strip()
    return first if first.startswith("/") else ""
