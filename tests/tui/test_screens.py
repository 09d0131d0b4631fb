"""Pictures of the screens with recorded consoles. Each also asserts on its content: a first picture could be blank."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from textual.pilot import Pilot

from shyper_tui.app import ShyperApp
from shyper_tui.screens.faults import Faults
from shyper_tui.widgets.config_editor import ConfigPane
from shyper_tui.widgets.console_pane import ConsolePane
from shyper_tui.widgets.plic import PlicPane
from shyper_tui.widgets.vcpus import VcpusPane
from tests.tui.conftest import ready
from tests.tui.recorded import CONFIG, RecordedEngine, recorded_factory

SnapCompare = Callable[..., bool]


def shown(app: ShyperApp) -> str:
    """What is on the screen, as text."""
    width, height = app.screen.size
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())[: (width + 1) * height]


def after(*steps: Callable[[ShyperApp, Pilot[int]], Awaitable[None]]) -> Callable[[Pilot[int]], Awaitable[None]]:
    async def run(pilot: Pilot[int]) -> None:
        app = pilot.app
        assert isinstance(app, ShyperApp)
        await ready(app, pilot)
        for step in steps:
            await step(app, pilot)
        await pilot.pause()

    return run


def view(name: str) -> Callable[[ShyperApp, Pilot[int]], Awaitable[None]]:
    async def switch(app: ShyperApp, pilot: Pilot[int]) -> None:
        app.action_view(name)
        for _ in range(1000):
            await pilot.pause(0.01)
            assert app.workstation is not None
            panes = app.workstation.view.panes
            states = [pane for pane in panes if isinstance(pane, (VcpusPane, PlicPane))]
            if all(pane.snapshot is not None for pane in states) and app.workstation.focused_pane in panes:
                return
        raise AssertionError(f"the view {name} did not come up")

    return switch


def says(*texts: str) -> Callable[[ShyperApp, Pilot[int]], Awaitable[None]]:
    async def check(app: ShyperApp, pilot: Pilot[int]) -> None:
        await pilot.pause()
        text = shown(app)
        for wanted in texts:
            assert wanted in text, f"{wanted!r} is not on the screen:\n{text}"

    return check


def app() -> ShyperApp:
    engines: list[RecordedEngine] = []
    return ShyperApp(recorded_factory(engines))


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_consoles(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    texts = [
        "root@mvm:~# uname -a",
        "64 bytes from 10.0.0.1",
        "vm0 mvm ●",
        "vm2 spare ○ pending",
        "61.2 MIPS",
        "FOLLOW",
    ]
    if size[1] > 28:
        texts += ["3 vCPUs on 1–3", "4 GiB"]
    assert snap_compare(app(), terminal_size=size, run_before=after(says(*texts)))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_vcpus(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    check = says("vm1.2", "arch_cpu_idle+0x8", "10500073 wfi", "ra ffffffff80001a34", "☾ sleep", "▶ running")
    assert snap_compare(app(), terminal_size=size, run_before=after(view("vcpus"), check))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_plic(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    check = says("vplic vm1", "virtio-net", "▲ yes", "● yes", "1520", "threshold vcpu2 VS=1")
    assert snap_compare(app(), terminal_size=size, run_before=after(view("plic"), check))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_config(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    async def spoil(app: ShyperApp, pilot: Pilot[int]) -> None:
        assert app.workstation is not None
        pane = app.workstation.query_one(ConfigPane)
        pane.path = None
        pane.editor.text = CONFIG
        pane.check()
        await pilot.pause()

    check = says("new.json", "✖ error", "15:65", "1 error, ", "◇ portable 2:5", "1 comment; Rust-Shyper reads plain")
    assert snap_compare(app(), terminal_size=size, run_before=after(view("config"), spoil, check))


def test_debug_layout(snap_compare: SnapCompare) -> None:
    check = says("vm0 mvm", "vm1 guest-os-0", "vm1.0", "vplic vm0")
    assert snap_compare(app(), terminal_size=(200, 60), run_before=after(view("debug"), check))


def test_captured_console(snap_compare: SnapCompare) -> None:
    async def capture(app: ShyperApp, pilot: Pilot[int]) -> None:
        assert app.workstation is not None
        app.workstation.query(ConsolePane).first().view.action_capture()
        await pilot.pause()

    run = after(capture, says("CAPTURED · f12 releases"))
    assert snap_compare(app(), terminal_size=(120, 40), run_before=run)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_faults_of_a_vm(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    async def open_faults(app: ShyperApp, pilot: Pilot[int]) -> None:
        assert app.workstation is not None
        app.workstation.show_faults(1, "guest-os-0")
        for _ in range(1000):
            await pilot.pause(0.01)
            if isinstance(app.screen, Faults) and app.screen.lines.rows:
                return
        raise AssertionError("the faults did not come")

    check = says(
        "vm1 guest-os-0: exits and faults",
        "97,957 exits by cause",
        "load guest-page fault               96,431      1,204.0       12.5",
        "i1 supervisor software interrupt",
        "2 faults, newest first",
        "load guest-page fault  cause 21  vCPU 2  3 times, last at 75.400000 s",
        "nothing is at this address",
        "0xffffffff80001a2c",
        "instruction  0x4388",
        "GVA (stval)  0xffffffc800000000   GPA (htval)  0x0000000018000000",
        "failed in the G-stage, at level 2",
        "virtio_blk@10001000",
        "virtual instruction  cause 22",
    )
    assert snap_compare(app(), terminal_size=size, run_before=after(open_faults, check))
