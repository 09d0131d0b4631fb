"""The main screen: the views, the line of views above, the machine's state and the keys below."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Container
from textual.css.query import NoMatches
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer

from shyper_tui.ipc.messages import EngineError
from shyper_tui.ipc.vm_messages import VmAnswer
from shyper_tui.keymap import ACTIONS, display
from shyper_tui.layout import Layout
from shyper_tui.screens.dialogs import remove_dialog
from shyper_tui.screens.faults import Faults
from shyper_tui.session import Session
from shyper_tui.widgets.config_editor import ConfigPane
from shyper_tui.widgets.console_pane import ConsolePane
from shyper_tui.widgets.console_view import ConsoleView
from shyper_tui.widgets.pane import Pane, SnapshotKind
from shyper_tui.widgets.split import View
from shyper_tui.widgets.status_bar import CaptureBar, StatusBar, ViewTabs
from shyper_tui.widgets.vm_list import VmListPane, VmTable

STATE_SECONDS = 0.25
"""Between two questions for the machine's state and the VMs."""
START_SECONDS = 0.05
"""The same until the VMs are known: nobody likes to wait at the start."""
SNAPSHOT_SECONDS = 0.1
"""Between two snapshots of a visible state pane, counted from the answer."""

TROUBLE_SECONDS = 30.0
"""How long a message about the start stays."""


class Workstation(Screen[None]):
    """Views of one session."""

    DEFAULT_CSS = """
    Workstation { layers: base; background: $background; }
    Workstation > #views { width: 1fr; height: 1fr; }
    Workstation > Footer { height: 1; }
    """

    class EngineEnded(Message):
        """The engine is gone without being asked to; sent again as long as it is."""

    def __init__(self, session: Session, layouts: list[Layout]) -> None:
        super().__init__()
        self.session = session
        keys = {action.call: display(action.keys[0]) for action in ACTIONS}
        self.tabs = ViewTabs([(one.name, one.title, keys.get(f"app.view('{one.name}')", "")) for one in layouts])
        self.status = StatusBar()
        self.captured = CaptureBar()
        self.layouts = {one.name: one for one in layouts}
        self.views: dict[str, View] = {}
        """Views that were opened so far; each is built when it is first needed, and then keeps its state."""
        self.current = layouts[0].name
        self.zoomed: Pane | None = None
        self._told = ""
        self._failed: dict[int, str] = {}
        """VMs whose failure was told, with what was told."""

    def compose(self) -> ComposeResult:
        yield self.tabs
        with Container(id="views"):
            yield self._build(self.current)
        yield self.status
        yield self.captured
        yield Footer(compact=True, show_command_palette=True)

    def on_mount(self) -> None:
        self.fit()
        self.tabs.select(self.current)
        self.poll_state()
        self.poll_snapshots("vcpus")
        self.poll_snapshots("plic")
        self.call_after_refresh(self.focus_pane, 1)

    def on_resize(self) -> None:
        self.fit()

    # --- views and panes -----------------------------------------------------------------------------

    def _build(self, name: str) -> View:
        view = self.views[name] = View(name, self.layouts[name].root)
        return view

    def built(self, name: str) -> View:
        """A view; it may be hidden."""
        if name not in self.views:
            view = self._build(name)
            view.display = False
            self.query_one("#views").mount(view)
        return self.views[name]

    @property
    def view(self) -> View:
        return self.views[self.current]

    def show_view(self, name: str) -> None:
        """Switch to another view."""
        if name == self.current:
            return
        self.unzoom()
        entered = self.built(name)
        self.view.display = False
        self.current = name
        entered.display = True
        self.tabs.select(name)
        self.fit()
        self.call_after_refresh(self._entered)

    def _entered(self) -> None:
        self.update_panes()
        self.focus_pane(1)

    def fit(self) -> None:
        """Fit the current view to the terminal, and number its panes."""
        view = self.view
        view.zoomed = self.zoomed
        view.fit(self.size.width, self.size.height)
        for number, pane in enumerate(view.panes, 1):
            pane.renumber(number)
        self.update_panes()

    def focus_pane(self, number: int) -> None:
        """Put the focus into a pane by its number."""
        panes = self.view.panes
        if 1 <= number <= len(panes) and panes[number - 1].main is not None:
            self.set_focus(panes[number - 1].main)

    @property
    def focused_pane(self) -> Pane | None:
        if self.focused is None:
            return None
        return next((node for node in self.focused.ancestors_with_self if isinstance(node, Pane)), None)

    def zoom(self) -> None:
        """Give the focused pane the whole view, or go back."""
        if self.zoomed is not None:
            self.unzoom()
        elif self.focused_pane is not None:
            self.zoomed = self.focused_pane
            self.fit()

    def unzoom(self) -> None:
        if self.zoomed is not None:
            self.zoomed = None
            self.fit()

    def show_console(self, vm: int) -> bool:
        """Go to a VM's console; False when there is none."""
        if self._show_console_here(vm):
            return True
        if self.current == "consoles" or vm not in self.session.consoles:
            return False
        self.show_view("consoles")
        self.call_after_refresh(self.call_after_refresh, self._show_console_here, vm)
        return True

    def _show_console_here(self, vm: int) -> bool:
        """Go to a VM's console if the current view has one."""
        for pane in self.view.panes:
            if isinstance(pane, ConsolePane) and pane.show_vm(vm):
                pane.view.focus()
                return True
        return False

    @on(ConsoleView.Changed)
    def _console_changed(self) -> None:
        """The footer shows keys that work; while a console is captured those are others."""
        view = self.focused
        captured = isinstance(view, ConsoleView) and view.captured
        if captured != self.captured.display:
            self.captured.display = captured
            self.query_one(Footer).display = not captured
        if captured:
            pane = self.focused_pane
            vm = pane.current if isinstance(pane, ConsolePane) else None
            name = next((info.name for info in self.session.vms if info.id == vm), "the console")
            self.captured.tell(f"vm{vm} {name}")

    # --- state ---------------------------------------------------------------------------------------

    @work(group="state", exclusive=True)
    async def poll_state(self) -> None:
        """Ask for machine state and VMs again and again; one question at a time."""
        while True:
            await self.session.refresh()
            self.update_panes()
            self._tell_trouble()
            self._tell_failures()
            self._tell_warnings()
            if self.session.ended is not None:
                self.post_message(self.EngineEnded())
            await asyncio.sleep(STATE_SECONDS if self.session.vms or self.session.ended else START_SECONDS)

    def _tell_warnings(self) -> None:
        """What the engine has warned of since, for example a disk that has errors."""
        while self.session.warnings:
            self.notify(self.session.warnings.popleft(), title="warning", severity="warning", timeout=30)

    def _tell_trouble(self) -> None:
        """What went wrong at the start, once in full: the state line and the panes have room for its beginning only."""
        status = self.session.status
        if status is None or status.state not in ("running", "failed") or status.message == self._told:
            return
        self._told = status.message
        if status.message:
            title = "The machine did not start" if status.state == "failed" else "About the start"
            self.notify(status.message, title=title, severity="error", timeout=TROUBLE_SECONDS)

    def _tell_failures(self) -> None:
        """Why a VM has failed, once: the list of VMs may not be on the screen."""
        failed = {vm.id: vm.message for vm in self.session.vms if vm.state == "failed"}
        for vm in self.session.vms:
            if vm.id in failed and self._failed.get(vm.id) != vm.message:
                title = f"vm{vm.id} {vm.name} has failed"
                self.notify(vm.message, title=title, severity="error", timeout=TROUBLE_SECONDS)
        self._failed = failed

    @work(group="snapshots")
    async def poll_snapshots(self, kind: SnapshotKind) -> None:
        """Ask for a snapshot while a visible pane wants it; one question at a time."""
        while True:
            panes = [pane for pane in self.view.all_panes if kind == pane.WANTS and pane.shown]
            engine = self.session.engine
            ready = self.session.status is not None and self.session.status.state not in ("booting", "failed")
            if panes and engine is not None and ready:
                try:
                    snapshot = await (engine.vcpus() if kind == "vcpus" else engine.plic())
                except EngineError:
                    pass  # refused now, or gone: the state line says so
                else:
                    for pane in panes:
                        if pane.shown:
                            pane.show_snapshot(snapshot)
            await asyncio.sleep(SNAPSHOT_SECONDS)

    def update_panes(self) -> None:
        """Hand the session's state to everything that shows it."""
        if not self.is_mounted:
            return
        self.status.update_session(self.session)
        for pane in self.view.all_panes:
            if pane.is_mounted:
                pane.update_session(self.session)

    @on(Pane.Ready)
    def _pane_ready(self, message: Pane.Ready) -> None:
        """A view that is built while one looks at it shows the session at once, not with the next poll."""
        message.pane.update_session(self.session)

    # --- what panes ask for --------------------------------------------------------------------------

    @on(VmTable.Command)
    def _vm_command(self, message: VmTable.Command) -> None:
        if message.verb == "open":
            self.show_console(message.vm.id)
        elif message.verb == "faults":
            self.show_faults(message.vm.id, message.vm.name)
        else:
            self.command(message.verb, message.vm.id, message.vm.name)

    def show_faults(self, vm: int, name: str) -> None:
        """Open the VM's faults and exits."""
        self.app.push_screen(Faults(self.session, vm, name))

    @work(group="commands")
    async def command(self, verb: str, vm: int, name: str) -> None:
        """Do something with a VM; a refusal is shown as the engine words it."""
        engine = self.session.engine
        if engine is None:
            self.notify("The engine is not running.", severity="error")
            return
        if verb == "remove" and vm == 0:
            self.notify("VM 0 is the managing VM and cannot be removed", title=f"vm0 {name}: remove", severity="error")
            return
        if verb == "remove" and await self.app.push_screen_wait(remove_dialog(vm, name)) != "remove":
            return
        calls: dict[str, Callable[[int], Awaitable[object]]] = {
            "boot": engine.vm.boot,
            "shutdown": engine.vm.shutdown,
            "stop": engine.vm.stop,
            "reboot": engine.vm.reboot,
            "pause": engine.vm.pause,
            "resume": engine.vm.resume,
            "remove": engine.vm.remove,
        }
        try:
            answer = await calls[verb](vm)
            if isinstance(answer, VmAnswer) and answer.asked:
                self.notify(f"vm{vm} {name} was asked to {'power off' if verb == 'shutdown' else verb}.")
        except EngineError as error:
            self.notify(error.message, title=f"vm{vm} {name}: {verb}", severity="error")
            return
        await self.session.refresh()
        self.update_panes()

    @on(ConfigPane.Apply)
    def _apply(self, message: ConfigPane.Apply) -> None:
        self.apply(message.pane, message.text, message.directory, message.file)

    @work(group="commands")
    async def apply(self, pane: ConfigPane, text: str, directory: str, file: str) -> None:
        """Make a VM of the text and boot it; a refusal's diagnostics go to the editor."""
        engine = self.session.engine
        if engine is None:
            self.notify("The engine is not running.", severity="error")
            return
        try:
            vm = await engine.vm.config(text, directory, file)
        except EngineError as error:
            if error.diagnostics:
                pane.show_found(list(error.diagnostics), error.message)
            self.notify(error.message, title="Not applied", severity="error")
            return
        try:
            await engine.vm.boot(vm.id)
        except EngineError as error:
            self.notify(error.message, title=f"vm{vm.id} {vm.name} is configured but did not boot", severity="error")
        else:
            self.notify(f"vm{vm.id} {vm.name} boots. alt+{vm.id} shows its console.")
        await self.session.refresh()
        self.update_panes()

    @property
    def selected_vm(self) -> int | None:
        """The VM that the focused pane is about."""
        pane = self.focused_pane
        if isinstance(pane, VmListPane) and pane.selected is not None:
            return pane.selected.id
        if isinstance(pane, ConsolePane):
            return pane.current
        try:
            chosen = self.view.query_one(VmListPane).selected
        except NoMatches:
            return None
        return chosen.id if chosen is not None else None
