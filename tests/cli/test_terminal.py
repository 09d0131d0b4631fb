"""The terminal of `shyper-tui machine`: which keys reach the guest, how to leave, pipes, and the restored mode."""

from __future__ import annotations

import os
import pty
import sys
import termios
from collections.abc import Iterator

import click
import pytest

from shyper_tui.commands.machine import MemorySize
from shyper_tui.commands.terminal import Keys, converse, raw_terminal


@pytest.mark.parametrize(
    ("typed", "for_guest", "leaves"),
    [
        (b"ls\r\x03\x1a", b"ls\r\x03\x1a", False),
        (b"\x01x", b"", True),
        (b"\x01\x01", b"\x01", False),
        (b"\x01b", b"", False),
        (b"a\x1d", b"a", True),
    ],
)
def test_keys(typed: bytes, for_guest: bytes, leaves: bool) -> None:
    keys = Keys()
    assert b"".join(keys.feed(bytes([byte])) for byte in typed) == for_guest
    assert keys.quit is leaves


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A pseudo terminal as standard input; gives the end where a person would type."""
    person, guest = pty.openpty()
    with open(guest, encoding="utf-8") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield person
    os.close(person)


def test_a_person_types_and_leaves(terminal: int) -> None:
    ended, _tell = os.pipe()
    before = termios.tcgetattr(sys.stdin.fileno())
    received: list[bytes] = []
    with raw_terminal():
        assert not termios.tcgetattr(sys.stdin.fileno())[3] & termios.ECHO
        os.write(terminal, b"ls\r\x03")
        os.write(terminal, b"\x01x")
        assert converse(received.append, ended) is False
    assert b"".join(received) == b"ls\r\x03"
    assert termios.tcgetattr(sys.stdin.fileno()) == before


def test_a_pipe_goes_to_the_guest_as_it_is_and_its_end_is_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    source, feed = os.pipe()
    ended, tell = os.pipe()
    os.write(feed, b"\x01x\x1d\n")
    os.close(feed)
    received: list[bytes] = []
    with open(source, encoding="utf-8") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)

        def send(data: bytes) -> None:
            received.append(data)
            os.write(tell, b"x")  # the machine powers off when it has read its input

        assert converse(send, ended) is True
    assert received == [b"\x01x\x1d\n"]


def test_time_runs_out(terminal: int) -> None:
    ended, _tell = os.pipe()
    assert converse(lambda _: None, ended, seconds=0.01) is False


@pytest.mark.parametrize(("text", "size"), [("1G", 1 << 30), ("512m", 512 << 20), ("0x8000000", 128 << 20)])
def test_memory_sizes(text: str, size: int) -> None:
    assert MemorySize().convert(text, None, None) == size


@pytest.mark.parametrize("text", ["1T", "lots", "17G", "1000000001", "-1G", "1M"])
def test_wrong_memory_sizes(text: str) -> None:
    with pytest.raises(click.BadParameter):
        MemorySize().convert(text, None, None)
