"""A frame with one console: which VM, whether the keyboard is captured, whether the view follows."""

from __future__ import annotations

import re
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input

from shyper_tui.ipc.messages import VmInfo
from shyper_tui.keymap import Scope, actions, display
from shyper_tui.plain_text import clipped, visible
from shyper_tui.session import Session
from shyper_tui.widgets.console_view import ConsoleView
from shyper_tui.widgets.pane import Pane
from shyper_tui.widgets.states import VM_GLYPHS

FIRST_STEPS = """\
No guest VM yet. In the managing VM (login root, password root):

  insmod shyper_riscv64.ko
  chmod +x shyper
  ./shyper system daemon mediated-cfg.json &
  ./shyper vm config vm1_config_riscv.json
  ./shyper vm boot 1

Its console appears here. docs/guide.md explains each step. F5 edits a configuration and starts a VM without the shell.\
"""


class ConsolePane(Pane):
    """Consoles of the MVM (`mvm`), of the guests (`guests`) or of all VMs (`all`), one at a time; the frame names
    them all."""

    HELP: ClassVar[str] = """\
The serial console of a VM. **enter** or a click *captures* the keyboard: then every key goes to the guest,
except **ctrl+]** and **f12**. **f12** releases at once. **ctrl+]** waits for one more key, which the frame then
lists; twice it sends itself. While the keyboard is not captured, the arrows scroll through what the console has
shown so far.

The frame says `FOLLOW` while the newest line is shown, and `PAUSED +n` with n rows below the view when you have
scrolled up.
"""
    DEFAULT_CSS = """
    ConsolePane.-captured {
        border: heavy $success; border-title-color: $text-success; border-subtitle-color: $text-success;
    }
    ConsolePane.-captured:focus-within { border: heavy $success; }
    ConsolePane > Input { display: none; height: 1; border: none; padding: 0 1; }
    ConsolePane > Input.-open { display: block; }
    """

    def __init__(self, which: str) -> None:
        super().__init__()
        self.which = which
        self.session: Session | None = None
        self.vms: list[VmInfo] = []
        self.current: int | None = None
        """Id of the VM that is shown."""
        self.view = ConsoleView()

    def compose(self) -> ComposeResult:
        yield self.view
        yield Input(placeholder="find (regular expression, enter: search upwards, escape: end)", compact=True)

    def on_mount(self) -> None:
        self.show_state()

    @property
    def main(self) -> Widget | None:
        return self.view

    # --- which console -------------------------------------------------------------------------------

    def update_session(self, session: Session) -> None:
        self.session = session
        self.vms = [vm for vm in session.vms if vm.console and self._takes(vm.id)]
        ids = [vm.id for vm in self.vms]
        if self.current not in ids and not session.ended:
            self.current = ids[0] if ids else None
        if self.current is not None:
            self.view.attach(session.consoles.get(self.current))
        elif not session.ended:
            self.view.attach(None)
        if self.view.console is None:
            self.view.placeholder = self._waiting(session)
            self.view.refresh()
        self.show_state()

    def _takes(self, vm: int) -> bool:
        return self.which == "all" or (vm == 0) == (self.which == "mvm")

    def _waiting(self, session: Session) -> str:
        if session.ended is not None:
            return "the engine has ended"
        if not session.vms:
            return session.progress
        if session.status is None or session.status.embedded:
            return "no guest VM yet: F5 edits a configuration and starts one"
        return FIRST_STEPS

    def show_vm(self, vm: int) -> bool:
        """Show this VM's console, if the pane takes it."""
        if self.session is None or vm not in [info.id for info in self.vms]:
            return False
        self.current = vm
        self.update_session(self.session)
        return True

    @on(ConsoleView.Step)
    def _step(self, message: ConsoleView.Step) -> None:
        ids = [vm.id for vm in self.vms]
        if self.current in ids:
            captured = self.view.captured
            self.show_vm(ids[(ids.index(self.current) + message.step) % len(ids)])
            self.view.captured = captured
            self.show_state()

    # --- the frame -----------------------------------------------------------------------------------

    @on(ConsoleView.Changed)
    def show_state(self) -> None:
        """Write title and note anew."""
        self.set_class(self.view.captured, "-captured")
        self.write_frame(self._title(), Content(self._note()))

    def set_title(self, title: str, note: str = "") -> None:
        self.show_state()

    def _title(self) -> Content:
        names: list[str | tuple[str, str]] = [f"{self.number} " if self.number else ""]
        consoles = self.session.consoles if self.session is not None else {}
        for index, vm in enumerate(self.vms):
            shown = vm.id == self.current
            console = consoles.get(vm.id)
            news = "*" if console is not None and console.unseen and not shown else ""
            state = "" if vm.state == "active" else f" {vm.state}"
            text = f"vm{vm.id} {visible(vm.name)} {VM_GLYPHS.get(vm.state, '?')}{state}{news}"
            names.append(" │ " if index else "")
            names.append((text, "reverse" if shown and len(self.vms) > 1 else ""))
        if not self.vms:
            names.append({"mvm": "vm0", "guests": "guests"}.get(self.which, "consoles"))
        title = self.view.console.terminal.title if self.view.console is not None else ""
        if title:
            names.append(f" ─ {clipped(title, 24)}")
        return Content.assemble(*names)

    def _note(self) -> str:
        view = self.view
        if view.prefixed:
            keys = [(display(action.keys[0]), action.footer) for action in actions(Scope.CAPTURED)]
            return "^] " + " ".join(f"{key} {word}" for key, word in keys)
        if view.captured:
            return "CAPTURED · f12 releases · ^] commands"
        if view.console is not None and view.console.trouble:
            return visible(view.console.trouble)
        state = f"PAUSED +{view.behind} · f follows" if view.first is not None else "FOLLOW"
        if view.console is None:
            return ""
        return f"{state} · enter captures" if view.has_focus else state

    # --- find ----------------------------------------------------------------------------------------

    @on(ConsoleView.Find)
    def _open_find(self) -> None:
        box = self.query_one(Input)
        box.add_class("-open")
        box.focus()

    @on(Input.Submitted)
    def _search(self, message: Input.Submitted) -> None:
        message.stop()
        self._close_find()
        if not message.value:
            self.view.find(None)
            return
        try:
            pattern = re.compile(message.value, re.IGNORECASE)
        except re.error:
            pattern = re.compile(re.escape(message.value), re.IGNORECASE)
        if not self.view.find(pattern):
            self.notify(f"The console shows no {message.value!r}.", timeout=3)

    def key_escape(self) -> None:
        if self.query_one(Input).has_focus:
            self._close_find()
        else:
            self.view.find(None)

    def _close_find(self) -> None:
        self.query_one(Input).remove_class("-open")
        self.view.focus()
