"""The console stream keeps the last MiB, gives any offset, and logs every byte."""

from __future__ import annotations

from collections.abc import Callable
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


def test_a_full_disk_ends_the_log_and_not_the_console(capsys: pytest.CaptureFixture[str]) -> None:
    stream = ConsoleStream(Path("/dev/full"))
    stream.write(b"a" * 100_000)  # more than is buffered
    stream.write(b"b")
    stream.flush()
    assert stream.read(99_999, 10) == (99_999, b"ab")
    stream.close()
    warnings = capsys.readouterr().err.splitlines()
    assert warnings == ["warning: the console log /dev/full ends here: No space left on device"]


@pytest.mark.parametrize("end", [ConsoleStream.flush, ConsoleStream.close])
def test_what_is_still_buffered_may_find_the_disk_full_too(
    end: Callable[[ConsoleStream], None], capsys: pytest.CaptureFixture[str]
) -> None:
    stream = ConsoleStream(Path("/dev/full"))
    stream.write(b"a")
    end(stream)
    stream.close()
    assert capsys.readouterr().err.count("No space left") == 1


def test_a_log_that_cannot_be_made_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    stream = ConsoleStream(tmp_path / "file" / "vm0.log")
    stream.write(b"abc")
    assert stream.read(0, 3) == (0, b"abc")
    stream.close()
    assert capsys.readouterr().err.startswith("warning: there is no console log ")


def test_a_guest_that_prints_for_ever_does_not_fill_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shyper_tui.engine.console_stream.LOG_LIMIT", 1 << 20)
    stream = ConsoleStream(tmp_path / "vm0.log")
    for _ in range(40):
        stream.write(b"y\n" * 32_768)
    stream.close()
    assert (tmp_path / "vm0.log").stat().st_size == 1 << 20
    assert stream.end == 40 * 65_536
    assert "ends here: it holds 1 MiB" in capsys.readouterr().err
