"""The cache of compiled objects: what is executed is the user's own, whole, and of this version."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import stat
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from shyper_tui.engine.core import object_cache
from shyper_tui.engine.core.object_cache import (
    KEPT_ENTRIES,
    LARGEST_ENTRY,
    Compiled,
    cache_folder,
    load_cached,
    store_cached,
)

KEY = "0123456789abcdef01234567"
ENTRY = Compiled(b"object" * 100, (b"table", b""))
NOBODY = 65534

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return cache_folder()


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@pytest.mark.parametrize("mask", [0, 0o022, 0o277, 0o777])
def test_folder_and_entry_are_private_whatever_the_umask(folder: Path, mask: int) -> None:
    folder.parent.mkdir(parents=True)
    former = os.umask(mask)
    try:
        store_cached(KEY, ENTRY)
    finally:
        os.umask(former)
    assert load_cached(KEY) == ENTRY
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / f"{KEY}.bin").stat().st_mode) == 0o600
    assert names(folder) == [f"{KEY}.bin"]


def test_a_folder_that_others_can_write_to_is_closed_and_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store_cached(KEY, ENTRY)
    folder.chmod(0o777)
    assert load_cached(KEY) == ENTRY  # its own mode keeps others from writing it
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert f"others could write to {folder}; its mode is 0700 now" in capsys.readouterr().err


@needs_root
def test_a_folder_of_another_user_is_neither_read_nor_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store_cached(KEY, ENTRY)
    os.chown(folder, NOBODY, NOBODY)
    assert load_cached(KEY) is None
    before = (folder / f"{KEY}.bin").stat()
    store_cached(KEY, ENTRY)
    assert (folder / f"{KEY}.bin").stat().st_ino == before.st_ino
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"warning: the compiled core in {folder} is not used: the folder belongs to user {NOBODY}.")
    assert second.endswith("Each start compiles it again")


@needs_root
def test_a_link_to_the_folder_that_another_user_made_is_not_followed(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store_cached(KEY, ENTRY)
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert load_cached(KEY) == ENTRY  # the user's own link
    os.chown(folder, NOBODY, NOBODY, follow_symlinks=False)
    assert load_cached(KEY) is None
    assert "is a link that user 65534 made" in capsys.readouterr().err


def _fifo(entry: Path) -> None:
    os.mkfifo(entry)


def _link_to_an_entry(entry: Path) -> None:
    entry.rename(entry.parent / "other")
    entry.symlink_to(entry.parent / "other")


def _link_to_zeros(entry: Path) -> None:
    entry.symlink_to("/dev/zero")


def _writable_for_others(entry: Path) -> None:
    entry.chmod(0o622)


def _endless(entry: Path) -> None:
    os.truncate(entry, LARGEST_ENTRY + 1)


def _of_another_key(entry: Path) -> None:
    other = "f" * 24
    store_cached(other, ENTRY)
    (entry.parent / f"{other}.bin").rename(entry)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "strange", [_fifo, _link_to_an_entry, _link_to_zeros, _writable_for_others, _endless, _of_another_key]
)
def test_an_entry_that_is_no_file_of_ours_is_a_miss_and_is_replaced(
    folder: Path, strange: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    store_cached(KEY, ENTRY)
    entry = folder / f"{KEY}.bin"
    if strange in (_fifo, _link_to_zeros):
        entry.unlink()
    strange(entry)
    assert load_cached(KEY) is None
    assert "warning: the compiled core" in capsys.readouterr().err
    store_cached(KEY, ENTRY)
    assert load_cached(KEY) == ENTRY
    assert stat.S_ISREG(entry.lstat().st_mode)


@needs_root
def test_an_entry_of_another_user_is_a_miss(folder: Path) -> None:
    store_cached(KEY, ENTRY)
    os.chown(folder / f"{KEY}.bin", NOBODY, NOBODY)
    assert load_cached(KEY) is None


def test_whatever_an_entry_holds_it_is_read_or_missed(folder: Path) -> None:
    """Cut at any byte, any byte changed, and any lengths beside a right checksum."""
    store_cached(KEY, ENTRY)
    entry = folder / f"{KEY}.bin"
    whole = entry.read_bytes()
    for cut in range(len(whole)):
        assert object_cache._unpacked(KEY, whole[:cut]) is None
    for at in range(len(whole)):
        assert object_cache._unpacked(KEY, whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :]) is None
    headers = [(0, []), (1, []), (2**32 - 1, []), (2, [2**64 - 1, 1]), (1, [1]), (3, [0, 0, 9]), (20, [0] * 20)]
    for count, lengths in headers:
        body = struct.pack(f"<I{len(lengths)}Q", count, *lengths) + b"12345678"
        checksum = hashlib.sha256(KEY.encode() + body).digest()
        assert object_cache._unpacked(KEY, whole[:10] + checksum + body) is None
    assert object_cache._unpacked(KEY, whole) == ENTRY


def test_a_full_disk_leaves_nothing_behind_and_is_told(folder: Path) -> None:
    script = (
        "import resource\n"
        "from shyper_tui.engine.core.object_cache import Compiled, store_cached\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))\n"
        f"store_cached({KEY!r}, Compiled(bytes(1000), ()))\n"
    )
    for _ in range(2):
        result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert result.returncode == 0
        assert f"the compiled core is not kept in {folder}: File too large." in result.stderr
        assert names(folder) == []


def test_a_home_that_cannot_be_written_is_told_once_a_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", Path("/proc/1")):
        monkeypatch.setenv("XDG_CACHE_HOME", str(place))
        assert load_cached(KEY) is None
        store_cached(KEY, ENTRY)
        assert "Each start compiles it again" in capsys.readouterr().err


def test_a_relative_cache_home_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for relative in ("here", "./here", " "):
        monkeypatch.setenv("XDG_CACHE_HOME", relative)
        assert cache_folder() == tmp_path / "home" / ".cache" / "shyper-tui" / "core"


def test_the_entries_used_last_stay(folder: Path) -> None:
    keys = [f"{number:024x}" for number in range(KEPT_ENTRIES + 4)]
    for age, key in enumerate(keys[:-1]):
        store_cached(key, ENTRY)
        os.utime(folder / f"{key}.bin", (1000.0 + age, 1000.0 + age))
    (folder / f".{KEY}.{'0' * 16}").touch()
    os.utime(folder / f".{KEY}.{'0' * 16}", (0, 0))  # of a process that was killed
    (folder / f".{KEY}.{'1' * 16}").touch()  # of one that writes now
    (folder / "notes.txt").touch()
    os.utime(folder / "notes.txt", (0, 0))  # not ours
    oldest = sorted(folder.glob("*.bin"))[0].stem
    assert load_cached(oldest) == ENTRY  # a use
    store_cached(keys[-1], ENTRY)
    kept = names(folder)
    assert kept[:1] == [f".{KEY}.{'1' * 16}"]
    assert kept[-1] == "notes.txt"
    assert len(kept) == KEPT_ENTRIES + 2
    assert {f"{oldest}.bin", f"{keys[-1]}.bin"} <= set(kept)


def _start(barrier: object, results: object) -> None:
    barrier.wait()  # type: ignore[attr-defined]
    for _ in range(50):
        if load_cached(KEY) not in (None, ENTRY):
            results.put("torn")  # type: ignore[attr-defined]
        store_cached(KEY, ENTRY)
    results.put("done")  # type: ignore[attr-defined]


def test_starts_at_the_same_time_never_see_half_an_entry(folder: Path) -> None:
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(3), context.Queue()
    processes = [context.Process(target=_start, args=(barrier, results)) for _ in range(3)]
    for process in processes:
        process.start()
    assert [results.get(timeout=60) for _ in processes] == ["done"] * 3
    for process in processes:
        process.join()
    assert names(folder) == [f"{KEY}.bin"]


def test_the_native_program_is_the_one_in_the_cache(tmp_path: Path) -> None:
    """A FIFO in the place of the entry of this version hangs no start."""
    script = (
        "import os\n"
        "from shyper_tui.engine.core import object_cache\n"
        "from shyper_tui.engine.core.compile import source_key\n"
        "from shyper_tui.engine.hart import program\n"
        "program.generate = lambda: ('define i64 @f() {\\nret i64 7\\n}\\n', (b'table',))\n"
        "found = []\n"
        "for _ in range(2):\n"
        "    found.append(program._compiled(lambda text, done: found.append(text)))\n"
        "assert found[0] == 'generating the core' and len(found) == 5 and found[3] == found[4], found\n"
        "entry, = object_cache.cache_folder().glob('*.bin')\n"
        "entry.unlink(); os.mkfifo(entry)\n"
        "assert program._compiled(lambda text, done: None) == found[3]\n"
        "assert entry.is_file()\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
