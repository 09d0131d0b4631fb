"""`shyper-tui check`: what is wrong with configuration files, by line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

import click

from shyper_tui.commands.engine_options import EngineChoice
from shyper_tui.commands.output import echo, echo_json
from shyper_tui.plain_text import visible

if TYPE_CHECKING:
    from shyper_tui.config import Diagnostic

_COLOURS = {"error": "red", "warning": "yellow", "portable": "cyan"}
_FILE = click.Path(exists=True, dir_okay=False)


class Finding(Protocol):
    """The part of a diagnostic that is printed; `config` and `ipc` have one each."""

    @property
    def file(self) -> str: ...
    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...
    @property
    def severity(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def remedy(self) -> str: ...


@click.command("check")
@click.argument("files", nargs=-1, type=_FILE, metavar="FILE...")
@click.option("--mvm", metavar="FILE", type=_FILE, help="The managing VM's file.")
@click.option("--portable", is_flag=True, help="Tell also what works here, but not with Rust-Shyper itself.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")
@click.option(
    "--schema", is_flag=False, flag_value="vm", type=click.Choice(["vm", "mvm", "daemon"]),
    help="Print the JSON Schema of a kind of file (default: vm) and check nothing.",
)  # fmt: skip
@click.pass_context
def command(
    ctx: click.Context, files: tuple[str, ...], mvm: str | None, portable: bool, as_json: bool, schema: str | None
) -> None:
    """Check VM configuration files (Rust-Shyper's JSON), and files of its daemon (`mediated` disks).

    Prints every error with file, line and column, what is wrong and what to do. Several files are checked against each
    other, too, as VMs of one machine, which get the ids 1, 2, … in their order. Exit status 1 when there are errors;
    warnings and what --portable tells do not change it.
    """
    if schema is not None:
        from shyper_tui.config.schema import schema_text

        echo(schema_text(schema), nl=False)
        return
    if not files and mvm is None:
        raise click.UsageError("Missing argument 'FILE...'.")
    if as_json:
        ctx.exit(1 if report_json(files, mvm, portable) else 0)
    ctx.exit(1 if report(files, mvm=mvm, portable=portable) else 0)


def check_configurations(choice: EngineChoice) -> None:
    """Reports errors of the configuration files before anything starts: exit 2."""
    if choice.files and report(choice.guest_files, mvm=choice.mvm, quiet=True):
        raise click.exceptions.Exit(2)


def report(files: Sequence[str], mvm: str | None = None, quiet: bool = False, portable: bool = False) -> bool:
    """Prints what is found in the files of guest VMs that run together; True when there are errors. With `quiet`, says
    nothing when there are none."""
    from shyper_tui import config

    found = config.check_files(files, mvm, portable=True)
    shown = found if portable else [one for one in found if one.severity is not config.Severity.PORTABLE]
    failed = config.has_errors(found)
    if failed or not quiet:
        for diagnostic in shown:
            print_diagnostic(diagnostic)
        echo(config.summary(shown) + (_hidden(len(found) - len(shown)) if not failed else ""), err=failed)
    for file in dict.fromkeys(diagnostic.file for diagnostic in found if diagnostic.code == "core-taken"):
        echo(f"If {file} is the managing VM, give it with --mvm {file}.", err=True)
    return failed


def report_json(files: Sequence[str], mvm: str | None = None, portable: bool = False) -> bool:
    """Prints {errors, warnings, portable, diagnostics}; True when there are errors. What is only a matter of
    portability is counted always, and listed with `portable`."""
    import dataclasses

    from shyper_tui import config

    found = config.check_files(files, mvm, portable=True)
    counts = {severity: config.count(found, severity) for severity in config.Severity}
    listed: Iterable[Diagnostic] = (one for one in found if portable or one.severity is not config.Severity.PORTABLE)
    document = {
        "files": [*([mvm] if mvm else []), *files],
        "errors": counts[config.Severity.ERROR],
        "warnings": counts[config.Severity.WARNING],
        "portable": counts[config.Severity.PORTABLE],
        "diagnostics": [dataclasses.asdict(one) for one in listed],
    }
    echo_json(document)
    return bool(document["errors"])


def print_diagnostic(diagnostic: Finding) -> None:
    """`file:line:column: error[code]: what is wrong. What to do.` Errors go to standard error."""
    severity = str(diagnostic.severity)
    head = click.style(f"{severity}[{diagnostic.code}]", fg=_COLOURS.get(severity))
    file, said = visible(diagnostic.file), visible(f"{diagnostic.message} {diagnostic.remedy}".rstrip())
    place = f"{file}:{diagnostic.line}:{diagnostic.column}" if diagnostic.line else file
    click.echo(f"{place}: {head}: {said}", err=severity == "error")


def _hidden(number: int) -> str:
    if not number:
        return ""
    what = "1 thing works" if number == 1 else f"{number} things work"
    return f" ({what} here but not with Rust-Shyper itself: --portable)"
