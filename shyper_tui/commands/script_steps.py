"""`vmN:TEXT` of --until and --send, and their order on the command line."""

from __future__ import annotations

import re
from typing import Any

import click

from shyper_tui.ipc.messages import ScenarioStep

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "e": "\x1b", "\\": "\\"}


class StepType(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4, and not before
    """`vmN:TEXT`; in TEXT stand `\\n \\r \\t \\e \\xNN \\\\` for control characters. A text to send gets Enter at
    its end unless it ends with a line feed already or with `\\c`."""

    name = "vmN:TEXT"

    def __init__(self, action: str) -> None:
        self._action = action

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> ScenarioStep:
        if isinstance(value, ScenarioStep):
            return value
        match = re.fullmatch(r"vm([0-7]):(.+)", value, re.DOTALL)
        if match is None:
            self.fail(f"{value!r} is not of the form vmN:TEXT (N from 0 to 7), for example 'vm0:login:'.", param, ctx)
        text = match[2]
        bare = text.endswith("\\c") and self._action == "send"
        text = re.sub(r"\\(x[0-9a-fA-F]{2}|.)", _unescape, text.removesuffix("\\c") if bare else text)
        if self._action == "send" and not bare and not text.endswith(("\n", "\r")):
            text += "\n"
        return ScenarioStep(self._action, int(match[1]), text)


def _unescape(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] == "x" and len(code) == 3:
        return chr(int(code[1:], 16))
    return _ESCAPES.get(code, match[0])


class ScriptedCommand(click.Command):
    """A command whose options `until` and `send` keep their order: the context's `meta["script"]` has all steps."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        order = self.make_parser(ctx).parse_args(args=list(args))[2]
        rest = super().parse_args(ctx, args)
        waiting = {name: list(ctx.params.get(name) or ()) for name in ("until", "send")}
        names = [param.name for param in order if param.name in waiting]
        ctx.meta["script"] = script([waiting[name].pop(0) for name in names if name])
        return rest


def script(steps: list[ScenarioStep]) -> list[ScenarioStep]:
    """The steps in the order given, except that texts are typed after the first ones to wait for: nothing listens
    before."""
    first = next((index for index, step in enumerate(steps) if step.action == "until"), 0)
    group = first
    while group < len(steps) and steps[group].action == "until":
        group += 1
    return steps[first:group] + steps[:first] + steps[group:]
