"""Names, messages and console output of others in the workstation: shown as text, whatever is in them.

The recorded engine says a hostile text wherever an engine can say one, and every screen is opened.
"""

from __future__ import annotations

import unicodedata
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from textual import events
from textual.command import CommandList
from textual.widgets import Input

from shyper_tui.app import ShyperApp
from shyper_tui.ipc.messages import (
    Diagnostic,
    EngineError,
    MachineStatus,
    PlicSnapshot,
    VcpusSnapshot,
    VmInfo,
    WorkerExit,
)
from shyper_tui.ipc.vm_messages import VmFaults, VmStatistics
from shyper_tui.ports import Engine
from shyper_tui.screens.dialogs import Ask, Choice
from shyper_tui.screens.faults import Faults
from shyper_tui.screens.help import Help
from shyper_tui.widgets.config_editor import ConfigPane
from tests.tui.conftest import Desk
from tests.tui.recorded import EXITS, FAULTS, PLIC, VCPUS, RecordedEngine, RecordedVms

HOSTILE = {
    "closing tag": "[/]",
    "tags": "[bold red]x[/bold][@click=app.quit]y[\\",
    "controls": "\x1b]0;x\x07\x9b31mx\x9d52;c;aGk=\x9c\x7f",
    "unseen": "\u202eab\u2066c\u200bb\ufeffc\u2060d\U000e0041",
    "lines": "a\nb\rc\u2028d\u2029e\x85f\tg",
    "surrogates": "a\ud800b\udcff",
    "long": "x" * 10_000,
}
UNSAFE_CATEGORIES = {"Cc", "Cf", "Cs", "Zl", "Zp"}


class HostileVms(RecordedVms):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.vms[1] = replace(self.vms[1], name=text, message=text)
        self.vms[3] = VmInfo(3, text, 1, "failed", 1, [2], 64 << 20, False, text)
        self.refusal = None

    async def faults(self, vm: int) -> VmFaults:
        bad = [
            replace(fault, name=self.text, reason=self.text, stage=self.text, expected=self.text) for fault in FAULTS
        ]
        return VmFaults(vm, self.text, bad, 7)

    async def statistics(self, vm: int) -> VmStatistics:
        exits = [replace(row, name=self.text) for row in EXITS]
        return VmStatistics(0, vm, self.text, "active", 1 << 30, 1, 0, [], exits, [], [])


class HostileEngine(RecordedEngine):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.vm = HostileVms(text)
        self.status_now = replace(self.status_now, message=text)
        self.console.kept[1] += text[:80].encode("utf-8", "surrogatepass")

    async def vcpus(self) -> VcpusSnapshot:
        line = replace(VCPUS.vcpus[0].disassembly[0], text=self.text)
        return replace(VCPUS, vcpus=[replace(one, symbol=self.text, disassembly=[line]) for one in VCPUS.vcpus])

    async def plic(self) -> PlicSnapshot:
        controllers = [
            replace(
                one,
                name=self.text,
                sources=[replace(source, name=self.text, priority=1) for source in one.sources],
                contexts=[replace(context, name=self.text, threshold=1) for context in one.contexts],
            )
            for one in PLIC.controllers
        ]
        return replace(PLIC, controllers=controllers)


@asynccontextmanager
async def hostile_desk(text: str) -> AsyncIterator[Desk]:
    engines: list[RecordedEngine] = []

    async def start(on_log: Callable[[str], None]) -> Engine:
        on_log(text)
        engines.append(HostileEngine(text))
        return engines[-1]

    app = ShyperApp(start)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        desk = Desk(app, engines, pilot)
        await desk.ready()
        yield desk


def shown(desk: Desk) -> str:
    """Everything that is sent to the terminal for a whole picture of the screen."""
    strips = desk.app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


def check(desk: Desk, *wanted: str) -> None:
    assert desk.app.is_running
    assert desk.app._exception is None
    text = shown(desk)
    unsafe = {char for char in text if unicodedata.category(char) in UNSAFE_CATEGORIES} - {"\n"}
    assert unsafe == set()
    for part in wanted:
        assert part in text


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
async def test_every_screen_shows_the_text_and_obeys_nothing_in_it(text: str, tmp_path: Path) -> None:
    async with hostile_desk(text) as desk:
        check(desk)  # consoles, bars, and the notifications that a VM failed and that not everything started
        for view in ("vcpus", "plic", "config", "debug", "overview", "consoles"):
            desk.app.action_view(view)
            await desk.pilot.pause(0.15)
            check(desk)
        desk.app.clear_notifications()
        await desk.key("f1")
        await desk.until(lambda: isinstance(desk.app.screen, Help))
        check(desk)
        await desk.key("escape")
        desk.screen.show_faults(1, text)
        await desk.until(lambda: isinstance(desk.app.screen, Faults) and desk.app.screen.lines.rows)
        check(desk)
        await desk.key("escape")
        desk.screen.command("shutdown", 1, text)  # "was asked to power off"
        desk.screen.command("remove", 1, text)
        await desk.until(lambda: isinstance(desk.app.screen, Choice))
        await desk.pilot.pause()
        check(desk)
        await desk.key("escape")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
async def test_the_palette_lists_and_finds_vms_of_any_name(text: str) -> None:
    async with hostile_desk(text) as desk:
        await desk.key("ctrl+p")
        await desk.until(
            lambda: len(desk.app.screen.query(CommandList)) and desk.app.screen.query_one(CommandList).options
        )
        check(desk)
        desk.app.screen.query_one(Input).value = "stop 1"
        await desk.until(lambda: any("vm: Stop 1" in str(option.prompt) for option in palette(desk).options))
        await desk.pilot.pause()
        check(desk, "vm: Stop 1")
        if text.isascii() and text.isprintable() and len(text) < 40:
            check(desk, f"vm: Stop 1 {text}")
        await desk.key("down", "enter")
        await desk.until(lambda: ("stop", 1) in desk.engine.vm.asked)


def palette(desk: Desk) -> CommandList:
    return desk.app.screen.query_one(CommandList)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
async def test_refusals_and_an_engines_last_words_are_text(text: str) -> None:
    async with hostile_desk(text) as desk:
        found = Diagnostic(text, 1, 1, 2, "error", "code", text, text)
        desk.engine.vm.refusal = EngineError("vm", text, [found])
        desk.screen.command("boot", 1, text)
        desk.app.action_view("config")
        pane = desk.screen.built("config").pane_of(ConfigPane)
        await desk.until(lambda: pane.is_mounted and pane.editor.is_mounted)
        desk.screen.apply(pane, text, "", text)
        await desk.pilot.pause(0.1)
        check(desk)
        desk.engine.closed.set_result(WorkerExit(1, [text, text]))
        await desk.until(lambda: isinstance(desk.app.screen, Choice))
        await desk.pilot.pause()
        check(desk, "The engine has ended")


@pytest.mark.parametrize("text", [text for text in HOSTILE.values() if "\n" not in text and "\ud800" not in text])
async def test_a_file_with_controls_opens_in_the_editor_and_saves_unchanged(text: str, tmp_path: Path) -> None:
    name = tmp_path / (text.replace("/", "-")[:100] + ".json")
    name.write_text(f'{{"name": "{text}"}}\n// {text}\n', encoding="utf-8", newline="")
    before = name.read_bytes()
    async with hostile_desk(text) as desk:
        desk.app.action_view("config")
        pane = desk.screen.built("config").pane_of(ConfigPane)
        await desk.until(lambda: pane.is_mounted and pane.editor.is_mounted)
        desk.app._load(pane, name)
        await desk.pilot.pause()
        check(desk)
        pane.action_save()
        await desk.pilot.pause()
        check(desk, "Saved as")
        assert name.read_bytes() == before
        desk.app.ask_file(pane)
        await desk.until(lambda: isinstance(desk.app.screen, Ask))
        await desk.pilot.pause()
        check(desk)
        await desk.key("enter")
        await desk.until(lambda: not isinstance(desk.app.screen, Ask))
        assert pane.path == name


async def test_what_is_pasted_into_a_field_of_ours_has_no_controls() -> None:
    async with hostile_desk("x") as desk:
        await desk.key("ctrl+p")
        await desk.until(lambda: len(desk.app.screen.query(Input)))
        desk.app.screen.query_one(Input).focus()
        desk.app.post_message(events.Paste("a\x1b]0;x\x07\x9b31m\u202eb"))
        await desk.until(lambda: desk.app.screen.query_one(Input).value)
        assert desk.app.screen.query_one(Input).value == "a]0;x31mb"
        await desk.pilot.pause()
        check(desk)


async def test_a_status_before_the_machine_runs_is_text() -> None:
    async with hostile_desk("\x1b[31m") as desk:
        desk.engine.status_now = MachineStatus("failed", "wall", 0, 0, 0.0, [], False, "\x9b31m[/]\n")
        await desk.pilot.pause(0.4)
        check(desk)
