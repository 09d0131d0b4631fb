"""The workstation's Textual application, and `run_app`, which the command line calls."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, cast

from textual import events, work
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual.app import App, SystemCommand
from textual.command import Provider
from textual.notifications import SeverityLevel
from textual.screen import Screen

from shyper_tui.file_saving import create_text
from shyper_tui.ipc.client import Client
from shyper_tui.ipc.messages import EngineError, EngineOptions, WorkerExit
from shyper_tui.keymap import Scope, bindings
from shyper_tui.layout import VIEWS, LayoutError, load_layout
from shyper_tui.pasted_input import keep_pastes_whole
from shyper_tui.plain_text import clipped, visible, visible_lines
from shyper_tui.ports import Engine, EngineFactory
from shyper_tui.screens.dialogs import Ask, discard_dialog, failure_dialog, overwrite_dialog, quit_dialog
from shyper_tui.screens.help import Help
from shyper_tui.screens.palette import Commands
from shyper_tui.screens.workstation import Workstation
from shyper_tui.session import Session
from shyper_tui.widgets.config_editor import ConfigPane
from shyper_tui.widgets.console_view import ConsoleView


def free_alt_digits() -> None:
    """Let alt+1 … alt+9 arrive: Textual takes ESC and a digit for what a Mac types with alt (¡, ™, …)."""
    table = cast("dict[str, object]", ANSI_SEQUENCES_KEYS)
    for digit in "0123456789":
        table.pop(f"\x1b{digit}", None)


LONGEST_NOTE = 1000
"""Characters of a notification, which would cover the screen otherwise."""


class ShyperApp(App[int]):
    """The front end of one engine.

    Args:
        factory: starts an engine; see `ports.EngineFactory`.
        config: file that the configuration editor opens; None: the package's sample.
        keep: the engine goes on when the user leaves.
        paste_controls: control characters in pasted text reach the guests.
    """

    TITLE = "Shyper-TUI"
    ENABLE_COMMAND_PALETTE = True
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = App.COMMANDS | {Commands}
    BINDINGS = bindings(Scope.EVERYWHERE)
    CSS = """
    Toast { max-width: 60%; }
    """

    def __init__(
        self, factory: EngineFactory, config: Path | None = None, keep: bool = False, paste_controls: bool = False
    ) -> None:
        free_alt_digits()
        keep_pastes_whole()
        super().__init__()
        self.session = Session(factory, keep, paste_controls)
        self.config_file = config
        self.workstation: Workstation | None = None
        self._told_end = False
        self._asked_quit = False

    def on_mount(self) -> None:
        layouts = [load_layout(name) for name in VIEWS]
        self.workstation = Workstation(self.session, layouts)
        self.push_screen(self.workstation, callback=None)
        if self.config_file is not None:
            self.call_after_refresh(self._load_config, self.config_file)
        self.start_engine()

    @work(group="engine")
    async def start_engine(self) -> None:
        """Start the engine; the screen is usable meanwhile and shows how far it is."""
        await self.session.start()

    def notify(
        self, message: str, *, title: str = "", severity: SeverityLevel = "information",
        timeout: float | None = None, markup: bool = False,
    ) -> None:  # fmt: skip
        """Messages are plain text whoever sends them: they quote names and texts of others."""
        text = visible_lines(message[:LONGEST_NOTE]) + ("…" if len(message) > LONGEST_NOTE else "")
        super().notify(text, title=clipped(title, 100), severity=severity, timeout=timeout, markup=False)

    # --- keys ----------------------------------------------------------------------------------------

    async def on_event(self, event: events.Event) -> None:
        """While a console is captured its keys go there before any binding is looked at. Nothing that is pasted into a
        field of ours holds controls, for fields show their text as it is."""
        if isinstance(event, events.Key) and not event.is_forwarded:
            focused = self.focused
            if isinstance(focused, ConsoleView) and focused.captured:
                await focused.captured_key(event)
                return
        if isinstance(event, events.Paste) and not isinstance(self.focused, ConsoleView):
            event.text = "".join(char for char in event.text if char in "\t\r\n" or visible(char) == char)
        await super().on_event(event)

    @property
    def _main(self) -> Workstation | None:
        return self.screen if isinstance(self.screen, Workstation) else None

    def action_view(self, name: str) -> None:
        """Show a view by name."""
        if self._main is not None:
            self._main.show_view(name)

    def action_pane(self, number: int) -> None:
        if self._main is not None:
            self._main.focus_pane(number)

    def action_next_pane(self, step: int) -> None:
        if step > 0:
            self.screen.focus_next()
        else:
            self.screen.focus_previous()

    def action_console(self, vm: int) -> None:
        """Go to a VM's console."""
        if self._main is not None and not self._main.show_console(vm):
            self.notify(f"There is no console of vm{vm}.", timeout=2)

    def action_zoom(self) -> None:
        if self._main is not None:
            self._main.zoom()

    def action_help(self) -> None:
        if self._main is not None:
            self.push_screen(Help(self._main.focused_pane))

    @work(group="commands")
    async def action_pause(self) -> None:
        """Pause the machine, or let it go on."""
        engine, status = self.session.engine, self.session.status
        if engine is None or status is None:
            return
        try:
            await (engine.resume() if status.state == "paused" else engine.pause())
        except EngineError as error:
            self.notify(error.message, severity="error")

    # --- the engine's end, leaving -------------------------------------------------------------------

    def on_workstation_engine_ended(self) -> None:
        """Tell once that the engine is gone."""
        if self.session.ended is not None and not self._told_end:
            self._told_end = True
            self._offer_restart(self.session.ended)

    @work(group="ended")
    async def _offer_restart(self, ended: WorkerExit) -> None:
        answer = await self.push_screen_wait(failure_dialog(ended))
        if answer == "restart":
            await self.action_restart_engine()
        elif answer == "leave":
            await self._leave()

    async def action_restart_engine(self) -> None:
        """Stop the engine if there is one, and start another."""
        engine = self.session.engine
        if engine is not None:
            self.session.stopping = True
            await engine.shutdown()
        await self.session.restart()
        self._told_end = False

    @work(group="quit")
    async def action_ask_quit(self) -> None:
        """Quit; ask first when VMs run. The same key once more quits."""
        if self._asked_quit:
            await self._leave()
            return
        running = [f"vm{vm.id} {vm.name}" for vm in self.session.vms if vm.state == "active"]
        if running and self.session.engine is not None and not self.session.keep:
            self._asked_quit = True
            answer = await self.push_screen_wait(quit_dialog(running))
            self._asked_quit = False
            if answer != "quit":
                return
        await self._leave()

    async def _leave(self) -> None:
        await self.session.stop()
        self.exit(0)

    async def on_unmount(self) -> None:
        await self.session.stop()

    # --- configuration files -------------------------------------------------------------------------

    def on_config_pane_open_file(self, message: ConfigPane.OpenFile) -> None:
        self.ask_file(message.pane)

    @work(group="ask", exclusive=True)
    async def ask_file(self, pane: ConfigPane) -> None:
        """Ask for a configuration file and load it."""
        before = str(pane.path or "")
        name = await self.push_screen_wait(Ask("Load a configuration file", visible(before)))
        if name == visible(before):
            name = before
        if name and (not pane.changed or await self.push_screen_wait(discard_dialog(pane.file)) == "discard"):
            self._load(pane, Path(name))

    def on_config_pane_overwrite(self, message: ConfigPane.Overwrite) -> None:
        self.ask_overwrite(message.pane, message.path, message.changed)

    @work(group="ask", exclusive=True)
    async def ask_overwrite(self, pane: ConfigPane, path: Path, changed: bool) -> None:
        """Ask whether a file may be replaced, and save."""
        if await self.push_screen_wait(overwrite_dialog(str(path), changed)) == "replace":
            pane.save_to(path)

    def _load_config(self, path: Path) -> None:
        if self.workstation is not None:
            view = self.workstation.built("config")
            self._load(view.pane_of(ConfigPane), path)

    def _load(self, pane: ConfigPane, path: Path) -> None:
        try:
            pane.load(path.expanduser())
        except OSError as error:
            self.notify(f"{path} cannot be read: {error.strerror}.", severity="error")
        except UnicodeDecodeError:
            self.notify(f"{path} is no UTF-8 text.", severity="error")

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Textual's own entries that make sense here; ours come from `Commands`."""
        yield from (command for command in super().get_system_commands(screen) if command.title == "Theme")
        yield SystemCommand("Screenshot", "Save the screen as an SVG file in the current folder", self.save_screen)

    def save_screen(self) -> None:
        """Save what is on the screen as a picture."""
        try:
            path = Path.cwd() / f"{self.TITLE}-{datetime.now():%Y%m%d-%H%M%S-%f}.svg"
            create_text(path, self.export_screenshot())
        except OSError as error:
            self.notify(f"The picture cannot be saved here: {error.strerror}.", severity="error")
        else:
            self.notify(f"Saved as {path}.")


def engine_factory(options: Mapping[str, Any]) -> EngineFactory:
    """Starts the engine that the options describe, or attaches to the one whose socket `attach` names. One that is
    started after another captures frames in a file of its own: FILE-2, and so on."""
    attach = options.get("attach")
    known = {name: value for name, value in options.items() if name in EngineOptions.__dataclass_fields__}
    numbers = itertools.count(1)

    async def start(on_log: Callable[[str], None]) -> Engine:
        if attach:
            return await Client.attach(attach)
        number, file = next(numbers), known.get("pcap")
        again = {"pcap": str(Path(file).with_stem(f"{Path(file).stem}-{number}"))} if file and number > 1 else {}
        return await Client.start({**known, **again}, on_log)

    return start


def run_app(options: dict[str, Any]) -> int:
    """Open the workstation; the exit status when the user has left it.

    Args:
        options: the fields of `EngineOptions`, and optionally `attach` (socket of a running engine) and
            `paste_controls`.
    """
    files = options.get("vms") or []
    try:
        keep = bool(options.get("attach") or options.get("detach"))
        config = Path(files[0]) if files else None
        app = ShyperApp(engine_factory(options), config, keep, bool(options.get("paste_controls")))
        return app.run() or 0
    except LayoutError as error:
        print(visible(str(error)), file=sys.stderr)
        return 2
