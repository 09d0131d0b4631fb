"""Pasted text with escape characters in it: one paste, whole, and no key is pressed."""

from __future__ import annotations

import pytest
from textual import events
from textual.drivers import linux_driver

from shyper_tui.app import ShyperApp, engine_factory
from shyper_tui.pasted_input import PastedInput

PASTES = [
    "plain",
    "A\x03Z\x1b[31mB\x9b31mE",
    "ls\x1b\rrm -rf x\r",
    "a\x1b\x03b",
    "\x1b",
    "a\x1b[20b\x1b[201",
    "\x1b[200~inner",
    "x" * 5000 + "\x1b[1;1H" + "y" * 5000,
]


@pytest.mark.parametrize("pasted", PASTES)
@pytest.mark.parametrize("size", [1, 2, 5, 7, 100_000])
def test_escape_characters_in_a_paste_press_no_keys(pasted: str, size: int) -> None:
    data = f"k\x1b[200~{pasted}\x1b[201~\x1b[A\x1b[200~{pasted}\x1b[201~z"
    parser = PastedInput()
    messages = [message for at in range(0, len(data), size) for message in parser.feed(data[at : at + size])]
    got = [message.text if isinstance(message, events.Paste) else message.key for message in messages]  # type: ignore[attr-defined]
    assert got == ["k", pasted, "up", pasted, "z"]


def test_the_workstations_driver_uses_it() -> None:
    ShyperApp(engine_factory({}))
    assert linux_driver.XTermParser is PastedInput  # type: ignore[attr-defined]
