"""The workstation on a real engine with the two embedded guests: typed keys reach a shell, its answer reaches the
screen."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual import events
from textual.command import CommandList
from textual.pilot import Pilot
from textual.widgets import Input

from shyper_tui import images
from shyper_tui.app import ShyperApp, engine_factory
from shyper_tui.screens.dialogs import Choice
from shyper_tui.screens.faults import Faults
from shyper_tui.widgets.config_editor import ConfigPane
from shyper_tui.widgets.console_pane import ConsolePane
from shyper_tui.widgets.plic import PlicPane
from shyper_tui.widgets.vcpus import VcpusPane
from shyper_tui.widgets.vm_list import VmListPane

SECONDS = 240  # a first start compiles the core


def missing() -> str:
    try:
        images.embedded("supervisor")
        images.embedded("guest")
    except images.ImageError as error:
        return str(error)
    return ""


pytestmark = pytest.mark.skipif(bool(missing()), reason=f"no embedded guests: {missing()}")


class Live:
    """A running workstation with real guests."""

    def __init__(self, app: ShyperApp, pilot: Pilot[int]) -> None:
        self.app = app
        self.pilot = pilot

    async def until(self, condition: Callable[[], object], what: str) -> None:
        try:
            async with asyncio.timeout(SECONDS):
                while not condition():  # noqa: ASYNC110 (a terminal's text has no event to wait for)
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"{what} within {SECONDS} s; consoles: {self.consoles()}") from None

    def consoles(self) -> dict[int, str]:
        return {vm: console.terminal.text() for vm, console in self.app.session.consoles.items()}

    def text(self, vm: int) -> str:
        console = self.app.session.consoles.get(vm)
        return console.terminal.text(scrollback=True) if console is not None else ""

    async def type(self, vm: int, line: str) -> None:
        """Go to the VM's console, capture it, type a line, release."""
        assert self.app.workstation is not None
        self.app.action_console(vm)
        await self.until(lambda: self.pane(vm) and self.pane(vm).view.has_focus, f"no console of vm{vm}")  # type: ignore[union-attr]
        pane = self.pane(vm)
        assert pane is not None
        pane.view.action_capture()
        for char in line:
            self.app.post_message(events.Key(char, char))
        self.app.post_message(events.Key("enter", "\r"))
        self.app.post_message(events.Key("f12", None))
        await self.until(lambda: not pane.view.captured, "the console was not released")

    def pane(self, vm: int) -> ConsolePane | None:
        assert self.app.workstation is not None
        panes = [pane for pane in self.app.workstation.view.panes if isinstance(pane, ConsolePane)]
        return next((pane for pane in panes if pane.current == vm), None)


@asynccontextmanager
async def open_live(tmp_path: Path, **options: str) -> AsyncIterator[Live]:
    app = ShyperApp(engine_factory({"embedded": True, "clock": "wall", "log_dir": str(tmp_path), **options}))
    async with app.run_test(size=(120, 40)) as pilot:
        live = Live(app, pilot)
        await live.until(lambda: "mvm#" in live.text(0) and "gvm#" in live.text(1), "no prompts")
        await live.until(lambda: app.session.consoles[1].told, "the guest was not told the size of its console")
        yield live


async def test_typed_commands_are_answered_by_both_guests(tmp_path: Path) -> None:
    async with open_live(tmp_path) as live:
        await live.type(0, "shyper vm list")
        await live.until(lambda: "embedded-guest" in live.text(0), "the supervisor did not list the VMs")
        await live.type(1, "help")
        await live.until(lambda: live.text(1).count("gvm#") >= 2, "the guest did not answer")
        assert "help" in live.text(1)


async def test_state_views_show_what_the_client_reads(tmp_path: Path) -> None:
    async with open_live(tmp_path) as live:
        app = live.app
        assert app.workstation is not None
        app.action_view("vcpus")
        vcpus = app.workstation.view.pane_of(VcpusPane)
        await live.until(lambda: vcpus.snapshot is not None, "no vCPUs")
        await app.session.engine.pause()  # type: ignore[union-attr]
        engine = app.session.engine
        assert engine is not None
        asked = await engine.vcpus()
        await live.until(lambda: vcpus.snapshot == asked, "the pane did not come to the paused state")
        assert f"{asked.vcpus[0].pc:016x}" in vcpus.table.text
        assert f"{asked.vcpus[0].csrs['hgatp']:016x}" in vcpus.details.text
        app.action_view("plic")
        plic = app.workstation.view.pane_of(PlicPane)
        wanted = await engine.plic()
        await live.until(lambda: plic.snapshot == wanted, "no PLIC")
        assert wanted.controllers[0].name in plic.view.text


async def test_an_edited_guest_boots_from_the_editor(tmp_path: Path) -> None:
    async with open_live(tmp_path) as live:
        app = live.app
        assert app.workstation is not None
        app.action_view("config")
        pane = app.workstation.view.pane_of(ConfigPane)
        await live.until(lambda: '"embedded-guest"' in pane.editor.text, "the editor has no sample")
        text = pane.editor.text.replace('"embedded-guest"', '"second"').replace("0b0010", "0b0100")
        pane.editor.text = text.replace('"master": 1', '"master": 2')
        pane.action_apply()
        await live.until(lambda: [vm for vm in app.session.vms if vm.name == "second"], "it was not configured")
        vm = next(vm for vm in app.session.vms if vm.name == "second")
        await live.until(lambda: "gvm#" in live.text(vm.id), "the second guest did not come to its prompt")
        await live.type(vm.id, "help")
        await live.until(lambda: live.text(vm.id).count("gvm#") >= 2, "the second guest did not answer")


async def test_a_killed_engine_is_reported_and_restarted(tmp_path: Path) -> None:
    async with open_live(tmp_path) as live:
        app = live.app
        process = app.session.engine._process  # type: ignore[union-attr]
        process.process.kill()
        await live.until(lambda: isinstance(app.screen, Choice), "no report")
        assert isinstance(app.screen, Choice)
        assert "killed by signal 9" in app.screen.text
        app.post_message(events.Key("r", "r"))
        await live.until(lambda: app.session.engine is not None and app.session.status is not None, "no restart")
        await live.until(lambda: live.text(0).rstrip().endswith("mvm#"), "no prompt after the restart")
        await live.type(0, "help")
        kept, _, restarted = live.text(0).rpartition("[the engine was restarted]")
        assert kept.rstrip().endswith("mvm#")  # the message stands behind what the console showed
        await live.until(lambda: "help" in live.text(0).rpartition("restarted]")[2], f"no answer: {restarted}")


async def test_the_size_of_a_pane_reaches_the_guests_console_device(tmp_path: Path) -> None:
    """The guest reads its device's configuration space: columns in the low half of the word, rows in the high one."""
    async with open_live(tmp_path) as live:
        console = live.app.session.consoles[1]
        for number, width in enumerate((120, 150), 1):
            await live.pilot.resize_terminal(width, 40)
            pane = live.pane(1)
            assert pane is not None
            await live.until(lambda size=(*pane.view.size,): console.told == size, "the engine was not told")  # type: ignore[misc]
            await live.type(1, "peek 0x40001100")
            word = f"0x40001100: 0x{pane.view.size.height << 16 | pane.view.size.width:08x}"
            await live.until(lambda wanted=word: wanted in live.text(1), f"the device of size {number} says else")  # type: ignore[misc]


async def test_a_fault_of_a_guest_is_shown_with_everything_that_is_known(tmp_path: Path) -> None:
    async with open_live(tmp_path) as live:
        await live.type(1, "fault load 0x18000000")
        await live.until(
            lambda: "stval 0x18000000" in live.text(1).replace("\n", ""), "the guest did not get its fault"
        )
        assert live.app.workstation is not None
        live.app.workstation.query_one(VmListPane).table.focus()
        for key in ("down", "f"):
            live.app.post_message(events.Key(key, key if key == "f" else None))
        await live.until(lambda: isinstance(live.app.screen, Faults), "f did not open the faults")
        screen = live.app.screen
        assert isinstance(screen, Faults)
        await live.until(lambda: "load guest-page fault  cause 21  vCPU 0  at" in screen.lines.text, "no fault")
        said = live.text(1).replace("\n", "")  # its pane is narrow
        pc = re.findall(r"sepc 0x([0-9a-f]+), stval 0x18000000", said)[-1]
        for wanted in (
            "1 fault",
            "exits by cause",
            "nothing is at this address",
            f"pc           0x{pc:>016}",
            "GVA (stval)  0x0000000018000000   GPA (htval)  0x0000000018000000",
            "failed in the G-stage, at level 2",
            "no memory region, device or passthrough region covers 0x18000000; nearest:",
        ):
            assert wanted in screen.lines.text
        assert re.search(r"instruction  0x00052283", screen.lines.text)  # lw t0, 0(a0)
        assert re.search(r" 21 load guest-page fault +[1-9][0-9]* ", screen.lines.text)


async def test_the_user_is_told_of_a_disk_that_was_cut_while_its_guest_runs(tmp_path: Path) -> None:
    disk, daemon = tmp_path / "disk.img", tmp_path / "disks.json"
    disk.write_bytes(bytes(64 * 512))
    daemon.write_text('{"mediated": ["disk.img"]}')
    async with open_live(tmp_path, daemon=str(daemon)) as live:
        os.truncate(disk, 512)
        await live.type(1, "blk read 40")
        await live.until(
            lambda: any("somebody has cut it" in note.message for note in live.app._notifications), "no warning"
        )


async def test_a_guest_named_like_markup_is_listed_found_and_stopped(tmp_path: Path) -> None:
    sample = Path(__file__).parents[2] / "sample_configs" / "embedded-guest.json"
    file = tmp_path / "[bold].json"
    file.write_text(sample.read_text().replace('"name": "embedded-guest"', '"name": "[/]"'))
    options = {"embedded": True, "clock": "wall", "log_dir": str(tmp_path / "[logs]"), "vms": [str(file)]}
    app = ShyperApp(engine_factory(options), file)
    async with app.run_test(size=(120, 40)) as pilot:
        live = Live(app, pilot)
        await live.until(lambda: "gvm#" in live.text(1), "no prompt")
        app.post_message(events.Key("ctrl+p", None))
        await live.until(lambda: app.screen.query(CommandList), "no palette")
        app.screen.query_one(Input).value = "stop 1"
        wanted = "vm: Stop 1 [/]"
        await live.until(
            lambda: any(wanted in str(option.prompt) for option in app.screen.query_one(CommandList).options),
            "the palette does not find it",
        )
        app.post_message(events.Key("down", None))
        app.post_message(events.Key("enter", "\r"))
        await live.until(lambda: app.session.vms[1].state == "pending", "it was not stopped")
