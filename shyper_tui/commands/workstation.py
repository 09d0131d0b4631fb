"""Opening the workstation in the terminal."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading

import click

from shyper_tui.commands.engine_options import EngineChoice


def open_workstation(choice: EngineChoice, attach: str | None = None, paste_controls: bool = False) -> int:
    """Runs the Textual application until the user leaves it; returns the exit status. `attach`: socket of a running
    engine, "" for the newest; `paste_controls`: control characters in pasted text reach the guests."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("The workstation needs a terminal. In scripts use `shyper-tui run --headless`.")
    options = choice.options("wall", paste_controls=paste_controls)
    if attach is not None:
        options["attach"] = attach or newest_engine()
    from shyper_tui.app import run_app  # Textual is imported here and nowhere before

    threading.Thread(target=_end_with_terminal, name="terminal", daemon=True).start()
    return run_app(options)


def _end_with_terminal() -> None:
    """Ends the workstation when its terminal is gone; the engine follows. The kernel tells that to the session's leader
    alone, which may be a `make` that waits for us, and Textual's writer then blocks for ever."""
    terminal = select.poll()
    terminal.register(sys.stdin.fileno(), 0)
    if any(events & (select.POLLHUP | select.POLLERR) for _, events in terminal.poll()):
        os._exit(128 + signal.SIGHUP)


def newest_engine() -> str:
    """Socket of the engine that was started last."""
    from shyper_tui.ipc.endpoint import remove_left_overs, running_engines

    try:
        left = remove_left_overs()
        engines = running_engines()
    except OSError as error:
        raise click.ClickException(f"Running engines cannot be looked for: {error.strerror or error}.") from None
    if not engines:
        gone = f" The sockets of killed engines were left over and are removed now: {left}." if left else ""
        raise click.ClickException(f"No engine is running.{gone} Start one with `shyper-tui` or `shyper-tui run`.")
    return str(engines[0])
