"""Opening the workstation in the terminal."""

from __future__ import annotations

import sys
from typing import Any

import click

from shyper_tui.commands.engine_options import EngineChoice


def open_workstation(choice: EngineChoice, **more: Any) -> int:
    """Runs the Textual application until the user leaves it; returns the exit status."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("The workstation needs a terminal. In scripts use `shyper-tui run --headless`.")
    if more.get("attach") == "":
        more["attach"] = newest_engine()
    from shyper_tui.app import run_app  # Textual is imported here and nowhere before

    return run_app(choice.options("wall", **more)) or 0


def newest_engine() -> str:
    """Socket of the engine that was started last."""
    from shyper_tui.ipc.endpoint import running_engines

    engines = running_engines()
    if not engines:
        raise click.ClickException("No engine is running. Start one with `shyper-tui` or `shyper-tui run`.")
    return str(engines[0])
