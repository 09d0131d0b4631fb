"""Downloads packages, Debian's for riscv64 above all, with the host's own apt, in a private configuration.

Nothing is installed and the host's package state is neither read nor written: lists, caches and status lie in a private
folder. apt verifies the archive's signature with the Debian keyring, and every package by the hash in the signed index.
An interrupted download is resumed when the mirror supports it (apt-helper asks for the missing range).
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from .apt_sources import Mirror
from .errors import ImageError

Progress = Callable[[str, int, int], None]
"""Called with a text, the bytes done and the bytes in total (0 when unknown)."""

_HELPER = Path("/usr/lib/apt/apt-helper")
_OFFLINE = re.compile(
    r"(?i)temporary failure resolving|could not resolve|could not connect|cannot initiate the connection|"
    r"network is unreachable|connection timed out|connection refused|no route to host|connection failed"
)
_EMPTY_WORDS = ("Some index files failed", "Some files failed", "Download Failed", "Target Packages")


@dataclass(frozen=True)
class Package:
    """A package file as the signed index describes it. `sha256` is in hexadecimal."""

    name: str
    uri: str
    file_name: str
    size: int
    sha256: str


class AptError(Exception):
    """What apt complained about; `offline` when it could not reach the mirror at all."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.offline = bool(_OFFLINE.search(text))


class PrivateApt:
    """apt for one suite of one mirror with its state in `folder` (made when missing)."""

    def __init__(
        self,
        folder: Path,
        mirror: Mirror,
        suite: str,
        components: Sequence[str] = ("main",),
        architecture: str = "riscv64",
    ) -> None:
        if shutil.which("apt-get") is None or not _HELPER.exists():
            raise ImageError(
                "This system has no apt, which downloads and verifies Debian's packages.",
                "Run this on Debian or Ubuntu, or give your own kernel and initramfs files in the configuration.",
            )
        self.folder = folder
        self.suite = suite
        self._configuration = folder / "apt.conf"
        for name in ("lists/partial", "cache/archives/partial", "state"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        keyring = f"[signed-by={mirror.keyring}] " if mirror.keyring else ""
        (folder / "sources.list").write_text(f"deb {keyring}{mirror.uri} {suite} {' '.join(components)}\n")
        self._configuration.write_text(_configuration(folder, architecture))

    def update(self, progress: Progress) -> None:
        """Fetch and verify the index of the suite."""
        self._run(["apt-get", "update"], lambda percent: progress(f"package index of {self.suite}", percent, 100))

    def dependencies(self, package: str) -> list[str]:
        """Names in the `Depends` field, the first of each group of alternatives. Empty when there is none."""
        shown = self._run(["apt-cache", "show", "--no-all-versions", package])
        match = re.search(r"^Depends: (.*)$", shown, re.MULTILINE)
        groups = match.group(1).split(",") if match else []
        return [re.split(r"[\s(|:]", group.strip())[0] for group in groups]

    def locate(self, packages: Sequence[str]) -> list[Package]:
        """Addresses, sizes and hashes of packages, from the verified index."""
        found = parse_uris(self._run(["apt-get", "download", "--print-uris", *packages]))
        missing = set(packages) - {package.name for package in found}
        if missing:
            raise AptError(f"no address for {', '.join(sorted(missing))}")
        return found

    def closure(self, wanted: Sequence[str], provided: Sequence[str] = ()) -> list[str]:
        """Names of the wanted packages and all that they depend on, as apt would install them on a system that has
        nothing but the `provided` ones. Recommended packages are left out."""
        status = self.folder / "status.closure"
        status.write_text(_status(self._versions(provided)) if provided else "")
        output = self._run(
            [
                "apt-get", "install", "--simulate", "--yes", "--no-install-recommends",
                "-o", f"Dir::State::status={status}", *wanted,
            ]
        )  # fmt: skip
        return sorted(set(re.findall(r"^Inst (\S+)", output, re.MULTILINE)))

    def essential(self) -> list[str]:
        """Names of the packages that every system has (`Essential: yes`)."""
        stanzas = self._run(["apt-cache", "dumpavail"]).split("\n\n")
        found = [stanza for stanza in stanzas if "\nEssential: yes" in stanza]
        return sorted({match[1] for stanza in found if (match := re.search(r"^Package: (\S+)", stanza, re.MULTILINE))})

    def _versions(self, packages: Sequence[str]) -> dict[str, str]:
        """Versions of those packages that the suite has."""
        versions: dict[str, str] = {}
        shown = self._run(["apt-cache", "show", "--no-all-versions", *packages])
        for name, fields in re.findall(r"^Package: (\S+)\n((?:.+\n)*)", shown, re.MULTILINE):
            if version := re.search(r"^Version: (\S+)", fields, re.MULTILINE):
                versions[name] = version.group(1)
        return versions

    def download(self, package: Package, target: Path, done: Callable[[int], None]) -> None:
        """Load a package to `target`, or what is missing of it. `done` gets the bytes that are there."""
        arguments = [str(_HELPER), "download-file", package.uri, str(target), f"SHA256:{package.sha256}"]
        self._run(arguments, lambda percent: done(package.size * percent // 100))

    def _run(self, command: list[str], on_percent: Callable[[int], None] | None = None) -> str:
        """Run one of apt's programs; its output, or AptError with its complaints."""
        reader, writer = os.pipe()
        command = [command[0], "-q", "-c", str(self._configuration), "-o", f"APT::Status-Fd={writer}", *command[1:]]
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        pipe = subprocess.PIPE
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, pass_fds=(writer,), env=environment,
            cwd=self.folder, text=True, errors="replace",
        ) as process:  # fmt: skip
            try:
                os.close(writer)
                watcher = threading.Thread(target=_watch, args=(reader, on_percent), daemon=True)
                with _signals_held():
                    watcher.start()
                output, complaints = process.communicate()
                watcher.join()
            except BaseException:
                process.send_signal(signal.SIGINT)  # apt then notes how far it came, and can resume
                process.wait()
                raise
        errors = parse_complaints(complaints)
        # `apt-get update` exits with 0 when it could not reach the mirror; only its warnings tell.
        if process.returncode != 0 or any("Failed to fetch" in line for line in errors):
            raise AptError("; ".join(errors) or complaints.strip() or f"{command[0]} exited with {process.returncode}")
        return output


@contextmanager
def _signals_held() -> Iterator[None]:
    """Signals come afterwards: an interrupt inside of `Thread.start` may end in a RuntimeError about its lock."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def parse_complaints(text: str) -> list[str]:
    """apt's errors and warnings without their marks and without the ones that say nothing."""
    lines = [line[2:].strip() for line in text.splitlines() if line.startswith(("E:", "W:"))]
    return [re.sub(r"\s+", " ", line).rstrip(".") for line in lines if not line.startswith(_EMPTY_WORDS)]


def parse_uris(output: str) -> list[Package]:
    """Lines of `apt-get download --print-uris`: 'URI' file-name size SHA256:hash."""
    pattern = r"^'([^']+)' (\S+) (\d+) SHA256:([0-9a-f]{64})\s*$"
    rows = re.findall(pattern, output, re.MULTILINE)
    return [Package(unquote(name).split("_")[0], uri, name, int(size), sha256) for uri, name, size, sha256 in rows]


def parse_status(line: str) -> int | None:
    """Percent of a line on `APT::Status-Fd`, for example `dlstatus:1:10.6668:Retrieving file 1 of 2`."""
    parts = line.split(":")
    if len(parts) < 4 or parts[0] != "dlstatus":
        return None
    try:
        return min(100, max(0, int(float(parts[2]))))
    except (ValueError, OverflowError):
        return None


def _status(provided: dict[str, str]) -> str:
    """dpkg's status file of a system whose one package provides these ones: nothing that only they need is wanted."""
    names = ", ".join(f"{name} (= {version})" for name, version in provided.items())
    return (
        "Package: shyper-tui-provided\nStatus: install ok installed\nArchitecture: riscv64\nMulti-Arch: foreign\n"
        f"Version: 1\nMaintainer: none\nProvides: {names}\nDescription: what the images do without\n"
    )


def _watch(reader: int, on_percent: Callable[[int], None] | None) -> None:
    with os.fdopen(reader, errors="replace") as lines:
        for line in lines:
            percent = parse_status(line)
            if on_percent is not None and percent is not None:
                on_percent(percent)


def _configuration(folder: Path, architecture: str) -> str:
    """A configuration read after the host's own, so that proxies keep working but its hooks and state do not."""
    return f"""\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
#clear APT::Architectures;
#clear Dir::Etc::sourceparts;
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Sandbox::User "root";
APT::Get::AllowUnauthenticated "false";
Acquire::AllowInsecureRepositories "false";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "{folder}/state";
Dir::State::lists "{folder}/lists";
Dir::State::status "{folder}/status";
Dir::State::extended_states "{folder}/extended_states";
Dir::Cache "{folder}/cache";
"""
