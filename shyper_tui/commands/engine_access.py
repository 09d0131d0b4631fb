"""What the commands about a running engine share: asking it, and printing its answer as text or as JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from shyper_tui.commands.output import echo_json
from shyper_tui.ipc.codec import to_wire
from shyper_tui.plain_text import visible

if TYPE_CHECKING:
    from shyper_tui.ipc.client import Client

T = TypeVar("T")


class InOrder(click.Group):
    """A group that lists its commands as they are defined, not by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


F = TypeVar("F", bound=Callable[..., Any])

socket_option: Callable[[F], F] = click.option(
    "--socket", metavar="PATH", help="Socket of the engine (default: the one started last)."
)
json_option: Callable[[F], F] = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
force_option: Callable[[F], F] = click.option("--force", "-f", is_flag=True, help="At once, without asking the guest.")


def ask(socket: str | None, question: Callable[[Client], Awaitable[T]], as_json: bool = False) -> T:
    """Attaches to the engine, asks, and leaves it. A refusal becomes the command's error, exit status 1: one sentence
    and the findings on standard error; `as_json` also as `{"error": …}` on standard output."""
    from shyper_tui.commands.check import print_diagnostic
    from shyper_tui.commands.workstation import newest_engine
    from shyper_tui.ipc.client import Client
    from shyper_tui.ipc.messages import EngineError

    async def attached() -> T:
        async with await Client.attach(socket or newest_engine()) as client:
            return await question(client)

    try:
        return asyncio.run(attached())
    except EngineError as error:
        if as_json:
            found = to_wire(error.diagnostics)
            print_json({"error": {"code": error.code, "message": error.message, "diagnostics": found}})
        else:
            for diagnostic in error.diagnostics:
                print_diagnostic(diagnostic)
        raise click.ClickException(visible(error.message)) from None
    except click.ClickException as error:
        if as_json:
            print_json({"error": {"code": "no-engine", "message": error.message, "diagnostics": []}})
        raise


def print_json(value: Any) -> None:
    """A message, or anything made of messages, as indented JSON."""
    echo_json(to_wire(value))


def columns(rows: Sequence[Sequence[str]], indent: str = "") -> str:
    """Rows of equal length as aligned columns; the first one is the heading."""
    rows = [[visible(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(indent + line for line in lines)
