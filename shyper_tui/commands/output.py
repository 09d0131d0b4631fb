"""How commands print: whatever a text holds, the terminal shows it and obeys nothing in it."""

from __future__ import annotations

import io
import json
import sys
import traceback
from types import TracebackType
from typing import Any

import click

from shyper_tui.plain_text import visible, visible_json, visible_lines


def echo(text: object = "", err: bool = False, nl: bool = True) -> None:
    """Prints text that may hold names or messages of others (`visible_lines`)."""
    click.echo(visible_lines(str(text)), err=err, nl=nl)


def echo_json(value: Any) -> None:
    """Prints a value as indented JSON."""
    click.echo(visible_json(json.dumps(value, indent=2, ensure_ascii=False)))


def echo_progress(text: str) -> None:
    """Shows one line in the place of the last one, on the terminal that is standard error; "" takes it away."""
    click.echo(f"\r\x1b[K{visible(text)}", err=True, nl=False)


def show_error(error: click.ClickException) -> None:
    """Prints a command's error, with what the user gave in it."""
    shown = io.StringIO()
    error.show(shown)
    echo(shown.getvalue(), err=True, nl=False)


def guard_output() -> None:
    """For the whole process: characters that standard output cannot encode are escaped, as they are on standard error,
    and so is what a traceback quotes."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.excepthook = _show_traceback


def _show_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    sys.stderr.write(visible_lines("".join(traceback.format_exception(kind, error, trace))))
