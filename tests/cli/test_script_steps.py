"""--until and --send: their form, escapes, and order."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from shyper_tui.commands.script_steps import ScriptedCommand, StepType
from shyper_tui.ipc.messages import ScenarioStep


def steps_of(*arguments: str) -> list[tuple[str, int, str]]:
    found: list[ScenarioStep] = []

    @click.command(cls=ScriptedCommand)
    @click.option("--until", type=StepType("until"), multiple=True)
    @click.option("--send", type=StepType("send"), multiple=True)
    @click.option("--timeout", type=float)
    @click.pass_context
    def command(ctx: click.Context, /, **_: object) -> None:
        found.extend(ctx.meta["script"])

    result = CliRunner().invoke(command, list(arguments), catch_exceptions=False)
    if result.exit_code:
        raise click.UsageError(result.output)
    return [(step.action, step.vm, step.text) for step in found]


def test_steps_keep_the_order_of_the_command_line() -> None:
    arguments = ["--until", "vm0:a", "--timeout", "3", "--until=vm1:b", "--send", "vm0:c", "--until", "vm0:d"]
    assert steps_of(*arguments) == [("until", 0, "a"), ("until", 1, "b"), ("send", 0, "c\n"), ("until", 0, "d")]


def test_what_is_sent_first_waits_for_the_first_texts() -> None:
    assert steps_of("--send", "vm0:x", "--until", "vm0:a", "--until", "vm1:b", "--send", "vm1:y") == [
        ("until", 0, "a"), ("until", 1, "b"), ("send", 0, "x\n"), ("send", 1, "y\n"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "typed"),
    [
        ("vm0:ls", "ls\n"),
        ("vm0:ls\\n", "ls\n"),
        ("vm0:ls\n", "ls\n"),
        ("vm0:\\x03\\c", "\x03"),
        ("vm0:a:b\\tc\\\\", "a:b\tc\\\n"),
        ("vm0:\\q", "\\q\n"),
    ],
)
def test_escapes_of_a_text_to_send(given: str, typed: str) -> None:
    assert steps_of("--send", given) == [("send", 0, typed)]


@pytest.mark.parametrize("wrong", ["login", "vm:login", "vm8:login", "vm0:", "vm10:x"])
def test_another_form_is_a_usage_error(wrong: str) -> None:
    with pytest.raises(click.UsageError, match="not of the form vmN:TEXT"):
        steps_of("--until", wrong)
