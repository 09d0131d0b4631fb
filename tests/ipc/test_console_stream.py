"""The console stream keeps the last MiB, gives any offset, and logs every byte."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shyper_tui.engine.console_stream import RING_SIZE, ConsoleStream


def test_offsets_run_on_while_old_bytes_are_dropped(tmp_path: Path) -> None:
    stream = ConsoleStream(tmp_path / "logs" / "vm0.log")
    block = bytes(range(256)) * 1024
    for _ in range(12):
        stream.write(block)
    assert stream.end == 12 * len(block)
    offset, data = stream.read(0, 16)
    assert offset == stream.start
    assert RING_SIZE <= stream.end - stream.start <= 2 * RING_SIZE
    assert data == block[offset % len(block) :][:16]
    assert stream.tail(4) == block[-4:]
    stream.close()
    assert (tmp_path / "logs" / "vm0.log").read_bytes() == block * 12


def test_an_offset_beyond_the_end_gives_nothing() -> None:
    stream = ConsoleStream()
    stream.write(b"abc")
    assert stream.read(100, 10) == (3, b"")
    assert stream.read(1, 1) == (1, b"b")


def test_taps_get_the_bytes_and_listeners_the_news() -> None:
    stream = ConsoleStream()
    tapped: list[bytes] = []
    news: list[int] = []
    stream.tap(tapped.append)
    stop = stream.listen(lambda: news.append(stream.end))
    stream.write(b"ab")
    stop()
    stream.write(b"c")
    assert tapped == [b"ab", b"c"]
    assert news == [2]


def test_a_closed_stream_stays_readable_and_takes_no_more() -> None:
    stream = ConsoleStream()
    stream.write(b"abc")
    stream.close()
    stream.write(b"d")
    assert stream.closed
    assert stream.read(0, 10) == (0, b"abc")


@contextlib.contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file of this process may become larger, as on a disk that is full then."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_ends_the_log_and_not_the_console(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "vm0.log"
    stream = ConsoleStream(file)
    with disk_of(70_000):
        stream.write(b"a" * 100_000)  # more than is buffered
        stream.write(b"b")
        stream.flush()
    assert stream.read(99_999, 10) == (99_999, b"ab")
    stream.close()
    warnings = capsys.readouterr().err.splitlines()
    assert warnings == [f"warning: the console log {file} ends here: File too large"]
    assert file.read_bytes() == b"a" * 70_000


@pytest.mark.parametrize("end", [ConsoleStream.flush, ConsoleStream.close])
def test_what_is_still_buffered_may_find_the_disk_full_too(
    end: Callable[[ConsoleStream], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = ConsoleStream(tmp_path / "vm0.log")
    stream.write(b"a")
    with disk_of(0):
        end(stream)
        stream.close()
    assert capsys.readouterr().err.count("File too large") == 1


def test_a_log_that_cannot_be_made_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    stream = ConsoleStream(tmp_path / "file" / "vm0.log")
    stream.write(b"abc")
    assert stream.read(0, 3) == (0, b"abc")
    stream.close()
    assert capsys.readouterr().err.startswith("warning: there is no console log ")
