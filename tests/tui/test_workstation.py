"""The workstation at work on a recorded engine: keys, views, VMs, the engine's end."""

from __future__ import annotations

import re
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from textual import events
from textual.command import CommandList
from textual.widgets import Footer, Input
from textual.widgets._footer import FooterKey

from shyper_tui.app import ShyperApp
from shyper_tui.ipc.messages import EngineError, WorkerExit
from shyper_tui.screens.dialogs import Choice
from shyper_tui.screens.faults import Faults
from shyper_tui.screens.help import Help
from shyper_tui.widgets.config_editor import ConfigPane
from shyper_tui.widgets.console_pane import ConsolePane
from shyper_tui.widgets.plic import PlicPane
from shyper_tui.widgets.vcpus import VcpusPane
from shyper_tui.widgets.vm_list import VmListPane
from tests.tui.conftest import Desk, open_desk, ready
from tests.tui.recorded import REFUSAL, RecordedEngine, recorded_factory


def typed(desk: Desk, vm: int) -> bytes:
    return bytes(desk.engine.console.typed.get(vm, b""))


def shows(desk: Desk, view: str) -> bool:
    return desk.screen.current == view and desk.app.focused is not None


def prompts(found: CommandList) -> list[str]:
    """First lines of what the palette offers."""
    return [str(option.prompt).partition("\n")[0] for option in found.options]


async def capture(desk: Desk, number: int = 0) -> None:
    view = desk.console(number).view
    view.focus()
    await desk.until(lambda: view.has_focus)
    await desk.key("enter")
    await desk.until(lambda: view.captured)


# --- capture -----------------------------------------------------------------------------------------


async def test_a_captured_console_gets_every_key_but_two(desk: Desk) -> None:
    await capture(desk)
    await desk.key("l", "s", "enter", "tab", "escape", "ctrl+c", "ctrl+q", "ctrl+p", "f1", "f5", "z", "1", "up")
    wanted = b"ls\r\t\x1b\x03\x11\x10\x1bOP\x1b[15~z1\x1b[A"
    await desk.until(lambda: len(typed(desk, 0)) >= len(wanted))
    assert typed(desk, 0) == wanted
    assert desk.app.screen is desk.screen
    assert desk.screen.current == "consoles"


async def test_f12_releases(desk: Desk) -> None:
    await capture(desk)
    assert not desk.screen.query_one(Footer).display
    await desk.key("f12", "x")
    await desk.until(lambda: not desk.console(0).view.captured)
    assert typed(desk, 0) == b""
    await desk.until(lambda: desk.screen.query_one(Footer).display)


async def test_prefix_and_one_key(desk: Desk) -> None:
    await capture(desk, 1)
    pane = desk.console(1)
    assert pane.current == 1
    await desk.key("ctrl+right_square_bracket")
    await desk.until(lambda: "release" in str(pane.border_subtitle))
    await desk.key("n")
    await desk.until(lambda: pane.current == 2)
    assert pane.view.captured
    await desk.key("ctrl+right_square_bracket", "right_square_bracket")
    await desk.until(lambda: typed(desk, 2) == b"\x1d")
    await desk.key("ctrl+right_square_bracket", "d")
    await desk.until(lambda: not pane.view.captured)


async def test_paste_reaches_the_guest_bracketed_when_it_asked(desk: Desk) -> None:
    await capture(desk)
    desk.app.post_message(events.Paste("one\ntwo"))
    await desk.until(lambda: typed(desk, 0) == b"one\rtwo")
    await desk.engine.console.show(0, b"\x1b[?2004h")
    await desk.until(lambda: desk.app.session.consoles[0].terminal.modes.bracketed_paste)
    desk.app.post_message(events.Paste("three"))
    await desk.until(lambda: typed(desk, 0) == b"one\rtwo\x1b[200~three\x1b[201~")


async def test_control_characters_in_a_paste_do_not_reach_the_guest_unless_the_user_wants_it(desk: Desk) -> None:
    await capture(desk)
    desk.app.post_message(events.Paste("rm\x03 x\x04\x1b[201~\x15"))
    await desk.until(lambda: typed(desk, 0) == b"rm  x  [201~ ")
    desk.app.session.consoles[0].paste_controls = True
    desk.app.post_message(events.Paste("\x03"))
    await desk.until(lambda: typed(desk, 0) == b"rm  x  [201~ \x03")


async def test_queries_of_the_guest_are_answered_once(desk: Desk) -> None:
    """Queries in what was recorded before nobody waits for any more; a new one gets its answer."""
    await desk.engine.console.show(0, b"\x1b[c")
    await desk.until(lambda: typed(desk, 0) == b"\x1b[?6c")


async def test_losing_the_focus_releases(desk: Desk) -> None:
    await capture(desk)
    desk.console(1).view.focus()
    await desk.until(lambda: not desk.console(0).view.captured)


# --- output ------------------------------------------------------------------------------------------


async def test_output_is_shown_and_the_readers_place_is_kept(desk: Desk) -> None:
    pane = desk.console(0)
    console = desk.app.session.consoles[0]
    await desk.engine.console.show(0, b"".join(b"\r\nline %d" % number for number in range(200)))
    await desk.until(lambda: "line 199" in console.terminal.text())
    pane.view.focus()
    await desk.key("pageup", "pageup")
    await desk.until(lambda: pane.view.first is not None)
    place = pane.view._lines()[0].text
    await desk.engine.console.show(0, b"\r\nnew output" * 5)
    await desk.until(lambda: "new output" in console.terminal.text())
    assert pane.view._lines()[0].text == place
    await desk.until(lambda: "PAUSED +" in str(pane.border_subtitle))
    await desk.key("f")
    await desk.until(lambda: "FOLLOW" in str(pane.border_subtitle))
    assert "new output" in pane.view._lines()[-1].text


async def test_a_guest_hears_of_its_consoles_size_when_it_is_shown_resized_and_started(desk: Desk) -> None:
    told = desk.engine.console.resized
    pane = desk.console(1)
    first = (1, pane.view.size.width, pane.view.size.height)
    await desk.until(lambda: told == [first])
    await desk.pilot.resize_terminal(150, 40)
    size = (pane.view.size.width, pane.view.size.height)
    assert size != first[1:]
    await desk.until(lambda: told[1:] == [(1, *size)])
    pane.show_vm(2)
    await desk.until(lambda: told[2:] == [(2, *size)])  # refused: it is a serial line
    await desk.engine.vm.boot(2)
    await desk.until(lambda: told[3:] == [(2, *size)])
    assert not desk.app._notifications
    assert {vm for vm, _columns, _rows in told} == {1, 2}  # vm0's is the board's serial port


async def test_only_the_last_of_many_sizes_is_told(desk: Desk) -> None:
    told = desk.engine.console.resized
    await desk.until(lambda: len(told) == 1)
    for width in range(60, 160):  # as when a window is dragged
        desk.app.session.consoles[1].resize(width, 31)
    await desk.until(lambda: len(told) > 1)
    assert told[1:] == [(1, 159, 31)]


async def test_wrapped_wide_characters_are_copied_found_and_marked_as_one_word(desk: Desk) -> None:
    view = desk.console(0).view
    columns = view.size.width
    word = "漢字" * columns
    await desk.engine.console.show(0, ("\r\n" + "-" * (columns % 2 + 1) + word + "\r\n").encode())
    await desk.until(lambda: desk.app.session.consoles[0].terminal.text().count("字") == columns)
    view.action_copy()
    assert word in desk.app.clipboard.split("\n")[-1]
    assert view.find(re.compile("漢字" * (columns // 2)))
    marks = view._marks(view._lines())
    assert len({mark.row for mark in marks}) >= 4


async def test_find_moves_to_the_newest_match(desk: Desk) -> None:
    pane = desk.console(0)
    await desk.engine.console.show(0, b"\r\nneedle 1" + b"\r\nhay" * 100 + b"\r\nneedle 2" + b"\r\nhay" * 100)
    await desk.until(lambda: desk.app.session.consoles[0].terminal.text().count("hay") > 10)
    pane.view.focus()
    await desk.key("slash")
    box = pane.query_one(Input)
    await desk.until(lambda: box.has_focus)
    box.value = r"needle \d"
    await desk.key("enter")
    await desk.until(lambda: "needle 2" in pane.view._lines()[0].text)
    await desk.key("N")
    await desk.until(lambda: "needle 1" in pane.view._lines()[0].text)


async def test_a_flood_in_one_console_leaves_keys_and_the_other_console_alive(desk: Desk) -> None:
    """3 MB arrive in vm1 at once; a key for vm0 reaches the guest while most of them are still to be parsed."""
    flood = b"".join(b"%08d the quick brown fox jumps over the lazy dog\r\n" % number for number in range(56_000))
    await capture(desk, 0)
    console = desk.app.session.consoles[1]
    start = console.position
    await desk.engine.console.show(1, flood)
    await desk.until(lambda: console.position > start)
    desk.hit("x")
    await desk.until(lambda: typed(desk, 0) == b"x")
    behind = len(desk.engine.console.kept[1]) - console.position
    assert behind > len(flood) / 2, "the flood was parsed in one go: keys had to wait for it"
    await desk.engine.console.show(0, b"echo of x")
    await desk.until(lambda: "echo of x" in desk.app.session.consoles[0].terminal.text())
    assert console.position < len(desk.engine.console.kept[1])


# --- views and panes ---------------------------------------------------------------------------------


async def test_every_view_opens_by_letter_and_by_function_key(desk: Desk) -> None:
    views = [
        ("f3", "V", "vcpus"),
        ("f4", "P", "plic"),
        ("f6", "D", "debug"),
        ("f7", "O", "overview"),
        ("f2", "C", "consoles"),
    ]
    for function_key, letter, name in views:
        await desk.key(letter)
        await desk.until(partial(shows, desk, name))
        await desk.key("f5")
        await desk.until(lambda: desk.screen.current == "config")
        await desk.until(lambda: desk.app.focused is not None)
        await desk.key(function_key)
        await desk.until(partial(shows, desk, name))


async def test_snapshots_are_asked_for_only_while_their_pane_is_visible(desk: Desk) -> None:
    assert desk.engine.asked == []
    desk.app.action_view("vcpus")
    await desk.until(lambda: "vcpus" in desk.engine.asked)
    await desk.until(lambda: desk.screen.query(VcpusPane).first().snapshot is not None)
    assert "plic" not in desk.engine.asked
    desk.app.action_view("plic")
    await desk.until(lambda: "plic" in desk.engine.asked)
    asked = desk.engine.asked.count("vcpus")
    await desk.until(lambda: desk.engine.asked.count("plic") >= 3)
    assert desk.engine.asked.count("vcpus") <= asked + 1


async def test_numbers_focus_panes_and_z_zooms(desk: Desk) -> None:
    await desk.key("2")
    await desk.until(lambda: desk.console(1).view.has_focus)
    await desk.key("z")
    await desk.until(lambda: len(desk.screen.view.panes) == 1)
    await desk.until(lambda: desk.console(0).size.width > 110)
    assert desk.app.session.consoles[1].terminal.columns > 110
    await desk.key("z")
    await desk.until(lambda: len(desk.screen.view.panes) == 3)


async def test_alt_digit_goes_to_a_console_from_anywhere(desk: Desk) -> None:
    await desk.key("E")
    await desk.until(lambda: desk.screen.current == "config")
    await desk.key("alt+0")
    await desk.until(lambda: desk.screen.current == "consoles" and desk.console(0).view.has_focus)
    await desk.key("alt+2")
    await desk.until(lambda: desk.console(1).current == 2 and desk.console(1).view.has_focus)


async def test_help_is_about_the_focused_pane(desk: Desk) -> None:
    await desk.key("question_mark")
    await desk.until(lambda: isinstance(desk.app.screen, Help))
    assert isinstance(desk.app.screen, Help)
    assert "captures" in desk.app.screen.text
    assert "console: Release the keyboard (also f12)" in desk.app.screen.text
    await desk.key("escape")
    await desk.until(lambda: desk.app.screen is desk.screen)


async def test_the_screen_adapts_to_a_narrow_terminal() -> None:
    async with open_desk((80, 24)) as desk:
        top, bottom = desk.console(0).region, desk.console(1).region
        assert top.bottom <= bottom.y, "side by side at 80 columns"
        await desk.pilot.resize_terminal(140, 40)
        await desk.until(lambda: desk.console(0).region.right <= desk.console(1).region.x)


# --- VMs ---------------------------------------------------------------------------------------------


async def test_boot_stop_and_reboot_from_the_list(desk: Desk) -> None:
    pane = desk.screen.query(VmListPane).first()
    pane.table.focus()
    await desk.key("down", "down", "b")
    await desk.until(lambda: ("boot", 2) in desk.engine.vm.asked)
    await desk.until(lambda: "● 2  spare            active" in pane.table.text)
    await desk.key("s")
    await desk.until(lambda: ("stop", 2) in desk.engine.vm.asked)
    await desk.key("up", "R")
    await desk.until(lambda: ("reboot", 1) in desk.engine.vm.asked)
    await desk.key("enter")
    await desk.until(lambda: desk.console(1).view.has_focus)


async def test_pause_resume_and_shutdown_of_one_vm_from_the_list(desk: Desk) -> None:
    pane = desk.screen.query(VmListPane).first()
    pane.table.focus()
    await desk.key("down", "p")
    await desk.until(lambda: ("pause", 1) in desk.engine.vm.asked)
    await desk.until(lambda: "◐ 1  guest-os-0       paused" in pane.table.text)
    await desk.key("p")
    await desk.until(lambda: ("resume", 1) in desk.engine.vm.asked)
    await desk.until(lambda: "● 1  guest-os-0       active" in pane.table.text)
    await desk.key("d")
    await desk.until(lambda: ("shutdown", 1) in desk.engine.vm.asked)
    said = "vm1 guest-os-0 was asked to power off."
    await desk.until(lambda: any(note.message == said for note in desk.app._notifications))


async def test_removing_a_vm_asks_first(desk: Desk) -> None:
    table = desk.screen.query_one(VmListPane).table
    table.focus()
    await desk.until(lambda: table.has_focus)
    await desk.key("down", "X")
    await desk.until(lambda: isinstance(desk.app.screen, Choice))
    await desk.key("escape")
    await desk.until(lambda: desk.app.screen is desk.screen)
    assert ("remove", 1) not in desk.engine.vm.asked
    await desk.key("X")
    await desk.until(lambda: isinstance(desk.app.screen, Choice))
    await desk.key("r")
    await desk.until(lambda: ("remove", 1) in desk.engine.vm.asked)


async def test_loading_a_file_asks_before_changes_are_lost(desk: Desk, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text("{}")
    await desk.key("f5")
    await desk.until(lambda: shows(desk, "config"))
    pane = desk.screen.query_one(ConfigPane)
    pane.editor.text = "[]"
    for answer, text in (("k", "[]"), ("d", "{}")):
        pane.editor.focus()
        await desk.until(lambda: pane.editor.has_focus)
        await desk.key("ctrl+l")
        await desk.until(lambda: desk.app.screen is not desk.screen)
        field = desk.app.screen.query_one(Input)
        field.value = str(other)
        await desk.key("enter")
        await desk.until(lambda: isinstance(desk.app.screen, Choice))
        await desk.key(answer)
        await desk.until(lambda: desk.app.screen is desk.screen)
        await desk.until(lambda wanted=text: pane.editor.text == wanted)  # type: ignore[misc]


async def test_f_and_the_palette_open_a_vms_faults(desk: Desk) -> None:
    table = desk.screen.query_one(VmListPane).table
    table.focus()
    await desk.until(lambda: table.has_focus)
    await desk.key("down", "f")
    await desk.until(lambda: isinstance(desk.app.screen, Faults))
    shown = desk.app.screen
    assert isinstance(shown, Faults)
    await desk.until(lambda: "nothing is at this address" in shown.lines.text)
    await desk.key("escape")
    await desk.until(lambda: desk.app.screen is desk.screen)
    await desk.key("ctrl+p")
    await desk.until(lambda: desk.app.screen is not desk.screen)
    field = desk.app.screen.query_one(Input)
    field.value = "faults of 0 mvm"
    wanted = ["vm: Show faults of 0 mvm"]
    await desk.until(lambda: prompts(desk.app.screen.query_one(CommandList)) == wanted)
    await desk.key("enter")
    if not isinstance(desk.app.screen, Faults):
        await desk.key("enter")
    await desk.until(lambda: isinstance(desk.app.screen, Faults) and desk.app.screen.vm == 0)
    other = desk.app.screen
    assert isinstance(other, Faults)
    await desk.until(lambda: "no faults" in other.lines.text)


async def test_the_palette_has_themes_and_screenshots_too(desk: Desk) -> None:
    for title in ("Theme", "Screenshot"):
        await desk.key("ctrl+p")
        await desk.until(lambda: desk.app.screen is not desk.screen)
        desk.app.screen.query_one(Input).value = title
        found = desk.app.screen.query_one(CommandList)
        await desk.until(lambda shown=found, wanted=title: prompts(shown)[:1] == [wanted])  # type: ignore[misc]
        await desk.key("escape")
        await desk.until(lambda: desk.app.screen is desk.screen)


async def test_a_screenshot_is_saved_in_the_current_folder(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    desk.app.save_screen()
    (picture,) = tmp_path.glob("*.svg")  # noqa: ASYNC240 (a moment in a test)
    assert "GUEST-READY" in picture.read_text(encoding="utf-8")
    await desk.until(lambda: [note.message for note in desk.app._notifications] == [f"Saved as {picture}."])
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    desk.app.save_screen()
    await desk.until(lambda: any("cannot be saved here" in note.message for note in desk.app._notifications))


async def test_a_click_opens_a_vms_faults_and_another_beside_them_closes(desk: Desk) -> None:
    pane = desk.screen.query_one(VmListPane)
    await desk.pilot.click(pane.table, offset=(10, 1))
    await desk.until(lambda: pane.table.has_focus and pane.table.cursor == 1)
    await desk.until(lambda: [key for key in desk.screen.query(FooterKey) if key.action.endswith("faults")])
    await desk.pilot.click(next(key for key in desk.screen.query(FooterKey) if key.action.endswith("faults")))
    await desk.until(lambda: isinstance(desk.app.screen, Faults))
    shown = desk.app.screen
    assert isinstance(shown, Faults)
    assert shown.vm == 1
    await desk.pilot.click(shown.lines)
    assert desk.app.screen is shown
    await desk.pilot.click(offset=(1, 1))
    await desk.until(lambda: desk.app.screen is desk.screen)


async def test_faults_that_cannot_be_had_are_told_in_the_engines_words(desk: Desk) -> None:
    desk.screen.show_faults(2, "spare")
    await desk.until(lambda: isinstance(desk.app.screen, Faults))
    shown = desk.app.screen
    assert isinstance(shown, Faults)
    await desk.until(lambda: "VM 2 was never booted" in shown.lines.text)


async def test_a_failed_vm_says_why_in_the_list_and_once_in_a_message(desk: Desk) -> None:
    why = "its device tree does not fit: it needs 70000 bytes, and there are 65536"
    desk.engine.vm.vms[1] = replace(desk.engine.vm.vms[1], state="failed", message=why)
    pane = desk.screen.query_one(VmListPane)
    await desk.until(lambda: f"✖ 1  guest-os-0       failed   {why}" in pane.table.text)
    await desk.until(lambda: desk.app._notifications)
    for _ in range(3):
        await desk.screen.session.refresh()
        desk.screen._tell_failures()
    (note,) = desk.app._notifications
    assert (note.message, note.title) == (why, "vm1 guest-os-0 has failed")


async def test_a_refusal_is_shown_in_the_engines_words(desk: Desk) -> None:
    desk.engine.vm.refusal = EngineError("vm-state", "vm2 has no kernel image.")
    desk.screen.command("boot", 2, "spare")
    await desk.until(lambda: any("no kernel image" in note.message for note in desk.app._notifications))


@pytest.mark.parametrize(("state", "title"), [("running", "About the start"), ("failed", "did not start")])
async def test_what_went_wrong_at_the_start_is_told_in_full_and_once(desk: Desk, state: str, title: str) -> None:
    sentence = f"bad.json is not booted: [x] {'a long reason, ' * 12}the end"
    desk.engine.status_now = replace(desk.engine.status_now, state=state, message=sentence)
    await desk.until(lambda: desk.app._notifications)
    for _ in range(3):  # it is asked again and again, and told once
        await desk.screen.session.refresh()
        desk.screen._tell_trouble()
    (note,) = desk.app._notifications
    assert (note.message, title in note.title) == (sentence, True)


async def test_pause_and_resume(desk: Desk) -> None:
    await desk.key("r")
    await desk.until(lambda: "paused" in desk.screen.status.text)
    await desk.key("r")
    await desk.until(lambda: "running" in desk.screen.status.text)


# --- configuration -----------------------------------------------------------------------------------


async def test_a_wrong_value_is_listed_at_its_place_and_enter_goes_there(desk: Desk) -> None:
    await desk.key("E")
    pane = desk.screen.query(ConfigPane).first()
    await desk.until(lambda: pane.editor.has_focus)
    lines = pane.editor.text.split("\n")
    row = next(number for number, line in enumerate(lines) if '"name"' in line)
    lines[row] = '    "name": 12,'
    pane.editor.text = "\n".join(lines)
    await desk.until(lambda: pane.found and pane.found[0].severity == "error")
    assert (pane.found[0].line, pane.found[0].column) == (row + 1, 13)
    # What only the real Rust-Shyper would not take comes last, wherever it is in the text, and has its own sign.
    assert [one.severity for one in pane.found[1:]] == ["portable"] * (len(pane.found) - 1)
    assert pane.found[1].line < row
    assert re.search(r"\n ✖ error .*\n(.*\n)* ◇ portable 1:1 ", pane.problems.text)
    assert f"{row + 1}:13" in pane.problems.text
    await desk.key("ctrl+n")
    assert pane.editor.selection.start == (row, 12)
    assert pane.editor.selected_text == "12"
    await desk.key("ctrl+n")
    assert pane.editor.selection.start == (row, 12)  # notes are no problems


async def test_notes_are_visited_when_there_is_no_problem(desk: Desk) -> None:
    await desk.key("E")
    pane = desk.screen.query(ConfigPane).first()
    await desk.until(lambda: pane.editor.has_focus)
    await desk.until(lambda: pane.found)
    assert {one.severity for one in pane.found} == {"portable"}
    assert "portable" in str(pane.border_subtitle)
    await desk.key("ctrl+n")
    assert pane.editor.selection.start == (pane.found[1].line - 1, pane.found[1].column - 1)


async def test_the_text_is_applied_as_a_new_vm_and_booted(desk: Desk) -> None:
    await desk.key("E")
    pane = desk.screen.query(ConfigPane).first()
    await desk.until(lambda: pane.editor.has_focus)
    pane.editor.text = pane.editor.text.replace('"name": "', '"name": "second-')
    await desk.key("ctrl+r")
    await desk.until(lambda: ("boot", 3) in desk.engine.vm.asked)
    assert any(verb == "config" and "second-" in str(text) for verb, text in desk.engine.vm.asked)
    await desk.until(lambda: 3 in desk.app.session.consoles)


async def test_diagnostics_of_the_engine_are_listed(desk: Desk) -> None:
    desk.engine.vm.refusal = REFUSAL
    await desk.key("E")
    pane = desk.screen.query(ConfigPane).first()
    await desk.until(lambda: pane.editor.has_focus)
    await desk.key("ctrl+r")
    await desk.until(lambda: "The name is taken." in pane.problems.text)


# --- the end -----------------------------------------------------------------------------------------


async def test_quit_asks_when_vms_run(desk: Desk) -> None:
    await desk.key("ctrl+q")
    await desk.until(lambda: isinstance(desk.app.screen, Choice))
    assert isinstance(desk.app.screen, Choice)
    assert "vm0 mvm, vm1 guest-os-0" in desk.app.screen.text
    await desk.key("escape")
    await desk.until(lambda: desk.app.screen is desk.screen)
    await desk.key("ctrl+q")
    await desk.until(lambda: isinstance(desk.app.screen, Choice))
    await desk.key("q")
    await desk.until(lambda: desk.app._exit)
    assert desk.engine.closed.done()


async def test_an_engine_that_was_there_before_goes_on_when_the_user_leaves() -> None:
    engines: list[RecordedEngine] = []
    app = ShyperApp(recorded_factory(engines), keep=True)
    async with app.run_test() as pilot:
        await ready(app, pilot)
        app.post_message(events.Key("ctrl+q", None))
        while not app._exit:
            await pilot.pause(0.01)
    assert engines[0].left
    assert not engines[0].closed.done()


async def test_an_engine_that_cannot_start_is_reported() -> None:
    async def fail(on_log: object) -> RecordedEngine:
        raise EngineError("engine-start", "the kernel of vm0 is missing: run `shyper-tui images fetch`")

    app = ShyperApp(fail)
    async with app.run_test() as pilot:
        while not isinstance(app.screen, Choice):
            await pilot.pause(0.01)
        assert "the kernel of vm0 is missing" in app.screen.details


async def test_a_dead_engine_leaves_the_workstation_standing_and_can_be_restarted(desk: Desk) -> None:
    first = desk.engine
    first.closed.set_result(WorkerExit(-signal.SIGKILL, ["loading the core", "last words"]))
    await desk.until(lambda: isinstance(desk.app.screen, Choice))
    dialog = desk.app.screen
    assert isinstance(dialog, Choice)
    assert "killed by signal 9" in dialog.text
    assert "last words" in dialog.details
    assert "GUEST-READY" in desk.console(0).view.console.terminal.text()  # type: ignore[union-attr]
    await desk.key("r")
    await desk.until(lambda: len(desk.engines) == 2)
    await desk.until(lambda: desk.app.screen is desk.screen and "running" in desk.screen.status.text)
    await desk.until(
        lambda: "[the engine was restarted]" in desk.app.session.consoles[0].terminal.text(scrollback=True)
    )
    await capture(desk)
    await desk.key("k")
    await desk.until(lambda: typed(desk, 0) == b"k")


async def test_looking_around_after_the_end(desk: Desk) -> None:
    desk.engine.closed.set_result(WorkerExit(1, ["traceback"]))
    await desk.until(lambda: isinstance(desk.app.screen, Choice))
    await desk.key("l")
    await desk.until(lambda: desk.app.screen is desk.screen)
    assert "the engine has ended (status 1)" in desk.screen.status.text
    await desk.key("P")
    await desk.until(lambda: desk.screen.current == "plic")
    assert desk.screen.query(PlicPane).first().snapshot is None


# --- a managing VM that is alone -----------------------------------------------------------------------


def shown_by(pane: ConsolePane) -> str:
    """What the pane's view paints."""
    return "\n".join(strip.text.rstrip() for strip in pane.view.render_lines(pane.view.size.region))


async def test_a_linux_that_is_alone_shows_how_a_guest_is_made(desk: Desk) -> None:
    for vm in list(desk.engine.vm.vms):
        if vm:
            del desk.engine.vm.vms[vm]
    pane = desk.console(1)
    await desk.until(lambda: pane.current is None and "insmod shyper_riscv64.ko" in shown_by(pane))
    lines = shown_by(pane).splitlines()
    first = next(number for number, line in enumerate(lines) if "insmod" in line)
    column = lines[first].index("insmod")
    commands = ["insmod ", "chmod +x shyper", "./shyper system daemon ", "./shyper vm config ", "./shyper vm boot 1"]
    found = zip(lines[first:], commands, strict=False)
    assert [line[column:].startswith(command) for line, command in found] == [True] * 5


async def test_a_vm_that_the_managing_vm_makes_appears_with_its_file(desk: Desk) -> None:
    made = replace(desk.engine.vm.vms[1], id=3, name="of-mvm", file="/root/vm1_config_riscv.json")
    desk.engine.vm.vms[3] = made
    await desk.until(lambda: "vm1_config_riscv.json" in str(desk.screen.query_one(VmListPane).table.rows))
