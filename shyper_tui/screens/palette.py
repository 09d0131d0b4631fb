"""The command palette's entries: every action of the keymap, and what can be done with each VM now."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.fuzzy import Matcher
from textual.markup import escape
from textual.types import IgnoreReturnCallbackType

from shyper_tui.keymap import Scope, actions, display
from shyper_tui.plain_text import visible
from shyper_tui.screens.workstation import Workstation

if TYPE_CHECKING:
    from shyper_tui.app import ShyperApp

VERBS = {
    "pending": ("Boot", "Remove"),
    "failed": ("Boot", "Remove"),
    "stopped": ("Boot", "Remove"),
    "paused": ("Resume", "Stop", "Reboot"),
}


class Commands(Provider):
    """In the form "area: Verb object", with the key beside it."""

    def _entries(self) -> Iterator[tuple[str, IgnoreReturnCallbackType, str]]:
        for title, call, note in self._actions():
            yield visible(title), call, note

    def _actions(self) -> Iterator[tuple[str, IgnoreReturnCallbackType, str]]:
        app = cast("ShyperApp", self.app)
        for action in actions(Scope.EVERYWHERE):
            if not action.id.startswith(("pane-", "console-")):
                yield action.title, partial(app.run_action, action.call), display(action.keys[0])
        yield "engine: Restart", partial(app.run_action, "app.restart_engine"), "stops all VMs, starts anew"
        screen = self.screen
        if not isinstance(screen, Workstation):
            return
        for vm in screen.session.vms:
            for verb in VERBS.get(vm.state, ("Pause", "Shutdown", "Stop", "Reboot")):
                call = partial(screen.command, verb.lower(), vm.id, vm.name)
                yield f"vm: {verb} {vm.id} {vm.name}", call, vm.state
            yield f"vm: Show faults of {vm.id} {vm.name}", partial(screen.show_faults, vm.id, vm.name), vm.state
            if vm.console:
                yield f"console: Go to vm{vm.id} {vm.name}", partial(screen.show_console, vm.id), f"alt+{vm.id}"

    async def discover(self) -> Hits:
        for title, call, note in self._entries():
            yield DiscoveryHit(Content(title), call, title, escape(note))

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for title, call, note in self._entries():
            score = matcher.match(title)
            if score > 0:
                yield Hit(score, _highlighted(matcher, title), call, title, escape(note))


def _highlighted(matcher: Matcher, title: str) -> Content:
    """The title with what matches marked. (`Matcher.highlight` takes brackets in a name for markup.)"""
    shown = Content(title)
    for offset in matcher.fuzzy_search.match(matcher.query, title)[1]:
        shown = shown.stylize(matcher.match_style, offset, offset + 1)
    return shown
