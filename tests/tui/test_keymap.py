"""The table of actions."""

from __future__ import annotations

from pathlib import Path

from shyper_tui.keymap import ACTIONS, Action, Scope, conflicts, display
from shyper_tui.screens.help import key_table


def test_no_key_means_two_things() -> None:
    assert conflicts() == []


def test_conflicts_are_found() -> None:
    twice = (
        Action("one", Scope.EVERYWHERE, ("x",), "a", "a: A"),
        Action("two", Scope.TABLE, ("x",), "b", "b: B"),
        Action("three", Scope.EDITOR, ("x",), "c", "c: C"),
    )
    assert conflicts(twice) == ["x means both one and two"]


def test_ids_are_unique_and_titles_name_their_area() -> None:
    assert len({action.id for action in ACTIONS}) == len(ACTIONS)
    for action in ACTIONS:
        area, _, rest = action.title.partition(": ")
        assert area, action.title
        assert rest[:1].isupper(), action.title


def test_nothing_hangs_on_a_function_key_alone() -> None:
    """Terminals inside editors take F1, F5 and others away."""
    for action in ACTIONS:
        assert any(not (key[0] == "f" and key[1:].isdigit()) for key in action.keys), action.id


def test_keys_as_people_write_them() -> None:
    shown = [display(key) for key in ("ctrl+q", "f12", "question_mark", "right_square_bracket", "n")]
    assert shown == ["^q", "F12", "?", "]", "n"]


def test_the_help_lists_every_action_of_a_scope() -> None:
    table = key_table(Scope.VMS)
    for action in ACTIONS:
        if action.scope is Scope.VMS:
            assert action.title in table
    assert key_table(Scope.EVERYWHERE).count("pane: Focus the pane with that number") == 1


def test_the_documentation_has_the_keys_of_this_table() -> None:
    """The end of docs/workstation.md is `key_table` of every scope, in order."""
    page = (Path(__file__).parents[2] / "docs" / "workstation.md").read_text(encoding="utf-8")
    assert page.partition("## Keys\n\n")[2] == "\n".join(key_table(scope) for scope in Scope)
