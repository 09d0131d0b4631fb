"""Every action of the front end: its stable name, its keys, what it says in palette, footer and help.

This table is the only list of keys. Bindings, the help screen, the command palette and the table in the
documentation come from it. Function keys are never the only way: terminals inside editors take some of them away.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from textual.binding import Binding, BindingType


class Scope(StrEnum):
    """Where an action's keys work."""

    EVERYWHERE = "everywhere"
    VMS = "VM list"
    CONSOLE = "console, not captured"
    CAPTURED = "console, captured: ctrl+] and then"
    TABLE = "tables"
    EDITOR = "configuration editor"


@dataclass(frozen=True)
class Action:
    """One thing a user can do.

    `id` is stable (keymaps refer to it), `call` is Textual's action, `keys` the default keys, `footer` the short
    word in the footer (none: not shown there), `title` the sentence in palette and help, in the form "area: Verb
    object".
    """

    id: str
    scope: Scope
    keys: tuple[str, ...]
    call: str
    title: str
    footer: str = ""


PREFIX = "ctrl+right_square_bracket"
"""The only key besides `RELEASE` that a captured console keeps from its guest."""
RELEASE = "f12"


def _captured(word: str, keys: tuple[str, ...], call: str, title: str) -> Action:
    return Action(f"captured-{word}", Scope.CAPTURED, keys, call, title, word)


def _view(number: int, name: str, letter: str, title: str) -> Action:
    keys = (f"f{number}", letter)
    return Action(f"view-{name}", Scope.EVERYWHERE, keys, f"app.view('{name}')", f"view: Show {title}")


ACTIONS: tuple[Action, ...] = (
    Action("help", Scope.EVERYWHERE, ("f1", "question_mark"), "app.help", "help: Show keys", "Help"),
    _view(2, "consoles", "C", "the consoles"),
    _view(3, "vcpus", "V", "vCPUs with registers and CSRs"),
    _view(4, "plic", "P", "the PLIC and the vPLICs"),
    _view(5, "config", "E", "the editor for VM configurations"),
    _view(6, "debug", "D", "consoles beside vCPUs and PLIC"),
    _view(7, "overview", "O", "everything at once"),
    Action("zoom", Scope.EVERYWHERE, ("z",), "app.zoom", "pane: Zoom", "Zoom"),
    Action("next-pane", Scope.EVERYWHERE, ("tab",), "app.next_pane(1)", "pane: Focus the next one"),
    Action("previous-pane", Scope.EVERYWHERE, ("shift+tab",), "app.next_pane(-1)", "pane: Focus the previous one"),
    *(
        Action(f"pane-{n}", Scope.EVERYWHERE, (str(n),), f"app.pane({n})", f"pane: Focus pane {n}")
        for n in range(1, 10)
    ),
    *(
        Action(f"console-{n}", Scope.EVERYWHERE, (f"alt+{n}",), f"app.console({n})", f"console: Go to vm{n}")
        for n in range(8)
    ),
    Action("pause", Scope.EVERYWHERE, ("r",), "app.pause", "machine: Pause or resume", "Pause"),
    Action("quit", Scope.EVERYWHERE, ("ctrl+q",), "app.ask_quit", "app: Quit", "Quit"),
    Action("vm-open", Scope.VMS, ("enter",), "open", "vm: Open the console", "Console"),
    Action("vm-boot", Scope.VMS, ("b",), "boot", "vm: Boot", "Boot"),
    Action("vm-shutdown", Scope.VMS, ("d",), "shutdown", "vm: Shut down (asks the guest)"),
    Action("vm-stop", Scope.VMS, ("s",), "stop", "vm: Stop (pulls its plug)", "Stop"),
    Action("vm-reboot", Scope.VMS, ("R",), "reboot", "vm: Reboot", "Reboot"),
    Action("vm-pause", Scope.VMS, ("p",), "pause_vm", "vm: Pause or resume this VM alone"),
    Action("vm-remove", Scope.VMS, ("X",), "remove", "vm: Remove", "Remove"),
    Action("vm-faults", Scope.VMS, ("f",), "faults", "vm: Show faults and exits", "Faults"),
    Action("capture", Scope.CONSOLE, ("enter",), "capture", "console: Capture the keyboard", "Capture"),
    Action("next-console", Scope.CONSOLE, ("n",), "next_console(1)", "console: Next VM in this pane"),
    Action("previous-console", Scope.CONSOLE, ("p",), "next_console(-1)", "console: Previous VM in this pane"),
    Action("find", Scope.CONSOLE, ("slash",), "find", "console: Find in the scrollback", "Find"),
    Action("find-older", Scope.CONSOLE, ("N",), "find_again", "console: Find the next older match"),
    Action("follow", Scope.CONSOLE, ("f",), "follow", "console: Follow the output", "Follow"),
    Action("scroll-up", Scope.CONSOLE, ("up", "k"), "scroll_lines(-1)", "console: Scroll up"),
    Action("scroll-down", Scope.CONSOLE, ("down", "j"), "scroll_lines(1)", "console: Scroll down"),
    Action("page-up", Scope.CONSOLE, ("pageup",), "scroll_pages(-1)", "console: Scroll a page up"),
    Action("page-down", Scope.CONSOLE, ("pagedown",), "scroll_pages(1)", "console: Scroll a page down"),
    Action("scroll-top", Scope.CONSOLE, ("home", "g"), "scroll_top", "console: Scroll to the oldest line"),
    Action("scroll-end", Scope.CONSOLE, ("end", "G"), "follow", "console: Scroll to the newest line"),
    Action("copy", Scope.CONSOLE, ("y",), "copy", "console: Copy what is shown"),
    Action("tell-size", Scope.CONSOLE, ("S",), "tell_size", "console: Type `stty rows … cols …` for the guest"),
    _captured("release", ("d",), "release", "console: Release the keyboard (also f12)"),
    _captured("next", ("n",), "next_console(1)", "console: Next VM in this pane"),
    _captured("previous", ("p",), "next_console(-1)", "console: Previous VM in this pane"),
    _captured("find", ("slash",), "find", "console: Find in the scrollback"),
    _captured("scroll", ("left_square_bracket",), "page_back", "console: Release and scroll"),
    _captured("zoom", ("z",), "app.zoom", "pane: Zoom"),
    _captured("size", ("r",), "tell_size", "console: Tell the guest its size"),
    _captured("itself", ("right_square_bracket", PREFIX), "literal", "console: Send ctrl+] itself"),
    Action("table-up", Scope.TABLE, ("up", "k"), "move(-1)", "table: Move up"),
    Action("table-down", Scope.TABLE, ("down", "j"), "move(1)", "table: Move down"),
    Action("table-page-up", Scope.TABLE, ("pageup",), "move_page(-1)", "table: Move a page up"),
    Action("table-page-down", Scope.TABLE, ("pagedown",), "move_page(1)", "table: Move a page down"),
    Action("table-top", Scope.TABLE, ("home", "g"), "move(-100000)", "table: Move to the top"),
    Action("table-end", Scope.TABLE, ("end", "G"), "move(100000)", "table: Move to the end"),
    Action("config-save", Scope.EDITOR, ("ctrl+s",), "save", "config: Save the file", "Save"),
    Action("config-apply", Scope.EDITOR, ("ctrl+r",), "apply", "config: Apply as a new VM and boot it", "Apply"),
    Action("config-next", Scope.EDITOR, ("ctrl+n",), "next_problem", "config: Go to the next problem", "Problem"),
    Action("config-open", Scope.EDITOR, ("ctrl+l",), "open_file", "config: Load another file", "Load"),
    Action("config-leave", Scope.EDITOR, ("escape",), "leave", "config: Leave the text; letters are keys again"),
)  # fmt: skip

_SYMBOLS = {
    "question_mark": "?", "slash": "/", "left_square_bracket": "[", "right_square_bracket": "]",
    "ctrl+right_square_bracket": "^]",
    "pageup": "PgUp", "pagedown": "PgDn", "shift+tab": "⇧tab", "up": "↑", "down": "↓",
}  # fmt: skip


def display(key: str) -> str:
    """A key as people write it: `^q`, `F1`, `?`."""
    if key in _SYMBOLS:
        return _SYMBOLS[key]
    if key.startswith("ctrl+"):
        return "^" + key[5:]
    return key.upper() if _is_function_key(key) else key


def actions(*scopes: Scope) -> list[Action]:
    return [action for action in ACTIONS if action.scope in scopes]


def bindings(*scopes: Scope) -> list[BindingType]:
    """Textual bindings of the scopes' actions, for a class's `BINDINGS`.

    Function keys that work everywhere come before what a text area does with them.
    """
    made: list[BindingType] = []
    for action in actions(*scopes):
        first = [key for key in action.keys if action.scope is Scope.EVERYWHERE and _is_function_key(key)]
        rest = [key for key in action.keys if key not in first]
        word = action.footer or action.title.partition(": ")[2]
        shown = bool(action.footer)
        for keys, name, priority in ((first, f"{action.id}-f", True), (rest, action.id, action.id == "quit")):
            if keys:
                key_display = display(keys[0])
                made.append(Binding(",".join(keys), action.call, word, shown, key_display, priority=priority, id=name))
                shown = False
    return made


def _is_function_key(key: str) -> bool:
    return key[0] == "f" and key[1:].isdigit()


def conflicts(table: Iterable[Action] = ACTIONS) -> list[str]:
    """Keys that would mean two things at once: two actions of one scope, or of a scope and `EVERYWHERE`.

    Pane keys may not shadow the keys that work everywhere, except inside a captured console and in the editor,
    which take letters as text.
    """
    problems: list[str] = []
    owners: dict[tuple[Scope, str], Action] = {}
    for action in table:
        for key in action.keys:
            for scope in {action.scope, Scope.EVERYWHERE} - ({Scope.EVERYWHERE} if action.scope in OWN_KEYS else set()):
                other = owners.get((scope, key))
                if other is not None:
                    problems.append(f"{display(key)} means both {other.id} and {action.id}")
            owners[action.scope, key] = action
    return problems


OWN_KEYS = frozenset({Scope.CAPTURED, Scope.EDITOR})
"""Scopes in which the keys of `EVERYWHERE` do not work."""
