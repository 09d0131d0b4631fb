"""The command `shyper-tui`.

Nothing heavy is imported here: subcommands are modules of `shyper_tui.commands`, imported when they are used, and
Textual only when the workstation opens.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from typing import Any

import click
from click.core import ParameterSource

from shyper_tui.commands.engine_options import EngineChoice, engine_options
from shyper_tui.commands.output import echo, guard_output, show_error
from shyper_tui.version import VERSION

COMMANDS = {
    "run": "Run the machine without the workstation: for scripts and tests.",
    "machine": "Run any kernel, firmware or hypervisor on the bare machine.",
    "check": "Check VM configuration files.",
    "images": "Fetch, list and build guest images.",
    "vm": "List and control the VMs of a running engine.",
    "system": "Control the whole machine of a running engine: disks, reboot, shutdown.",
    "bench": "Measure speed, compared with QEMU where it is installed.",
}
"""Name and one line of help; the module of the same name has the command under the name `command`."""


class Commands(click.Group):
    """A group that imports a subcommand only when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"shyper_tui.commands.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, "--version", "-V", prog_name="shyper-tui")
@engine_options
@click.option("--attach", metavar="SOCKET", help="Open a running engine instead of starting one ('' for the newest).")
@click.option(
    "--paste-controls",
    is_flag=True,
    help="Pasted text keeps its control characters (^C, ^D, ESC …), which become spaces otherwise.",
)
@click.pass_context
def cli(ctx: click.Context, choice: EngineChoice, attach: str | None, paste_controls: bool) -> None:
    """A workstation for RISC-V hypervisors: an RV64 machine with the H extension, Rust-Shyper's behaviour on it,
    and the consoles of all its VMs side by side.

    Without a command, opens the workstation. With Linux images installed (`shyper-tui images fetch`), Linux runs in the
    managing VM and in a guest; otherwise, or with --embedded, two small built-in systems do.
    """
    if ctx.invoked_subcommand is not None:
        if any(ctx.get_parameter_source(name) is not ParameterSource.DEFAULT for name in ctx.params):
            raise click.UsageError(f"Options for `{ctx.invoked_subcommand}` go behind its name.")
        return
    from shyper_tui.commands.check import check_configurations
    from shyper_tui.commands.workstation import open_workstation

    if attach is None:
        check_configurations(choice)
    ctx.exit(open_workstation(choice, attach, paste_controls))


def main(arguments: list[str] | None = None) -> None:
    """Entry of the console script: one clear sentence for every user error, never a traceback for one."""
    guard_output()
    try:
        result: Any = cli.main(arguments, prog_name="shyper-tui", standalone_mode=False)
    except click.exceptions.Abort:
        echo("Interrupted.", err=True)
        sys.exit(130)
    except click.ClickException as error:
        show_error(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output is gone; there is nobody left to tell
        sys.exit(1)
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        echo(f"Error: {error.strerror or error}{place}.", err=True)
        with contextlib.suppress(OSError):
            sys.stdout.close()  # what cannot be written there is not tried again at exit
        sys.exit(1)
    sys.exit(result if isinstance(result, int) else 0)


if __name__ == "__main__":
    main()
