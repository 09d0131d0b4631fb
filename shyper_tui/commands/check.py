"""`shyper-tui check`: what is wrong with configuration files, by line."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Protocol

import click

from shyper_tui.commands.engine_options import EngineChoice

_COLOURS = {"error": "red", "warning": "yellow", "portable": "cyan"}


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
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False), metavar="FILE...")
@click.option("--mvm", metavar="FILE", type=click.Path(exists=True, dir_okay=False), help="The managing VM's file.")
@click.pass_context
def command(ctx: click.Context, files: tuple[str, ...], mvm: str | None) -> None:
    """Check VM configuration files (Rust-Shyper's JSON), and files of its daemon (`mediated` disks).

    Prints every error with file, line and column, what is wrong and what to do. Several files are checked against each
    other, too, as VMs of one machine. Exit status 1 when there are errors.
    """
    ctx.exit(1 if report(files, mvm=mvm) else 0)


def check_configurations(choice: EngineChoice) -> None:
    """Reports errors of the configuration files before anything starts: exit 2."""
    if choice.files and report(choice.vms, mvm=choice.mvm, quiet=True):
        raise click.exceptions.Exit(2)


def report(files: Iterable[str], mvm: str | None = None, quiet: bool = False) -> bool:
    """Prints what is found in the files of guest VMs that run together; True when there are errors. With `quiet`, says
    nothing when there are none."""
    from shyper_tui import config

    others: list[Any] = []
    found: list[Any] = []
    for file in [*([mvm] if mvm else []), *files]:
        text = _text(file, found)
        if text is None:
            continue
        if _is_daemon_file(text):
            found += config.read_daemon(text, file).diagnostics
            continue
        reading = config.read_vm(text, file)
        found += reading.diagnostics
        if reading.value is not None:
            found += config.check_vm(reading.value, config.DEFAULT_BOARD, others, mvm=file == mvm)
            if file != mvm:
                others.append(reading.value)
    failed = any(str(diagnostic.severity) == "error" for diagnostic in found)
    if failed or not quiet:
        for diagnostic in found:
            print_diagnostic(diagnostic)
        click.echo(config.summary(found), err=failed)
    for file in dict.fromkeys(diagnostic.file for diagnostic in found if diagnostic.code == "core-taken"):
        click.echo(f"If {file} is the managing VM, give it with --mvm {file}.", err=True)
    return failed


def print_diagnostic(diagnostic: Finding) -> None:
    """`file:line:column: error[code]: what is wrong. What to do.` Errors go to standard error."""
    severity = str(diagnostic.severity)
    head = click.style(f"{severity}[{diagnostic.code}]", fg=_COLOURS.get(severity))
    place = f"{diagnostic.file}:{diagnostic.line}:{diagnostic.column}" if diagnostic.line else diagnostic.file
    click.echo(f"{place}: {head}: {diagnostic.message} {diagnostic.remedy}".rstrip(), err=severity == "error")


def _text(file: str, found: list[Any]) -> str | None:
    """The file's text; None when it cannot be read, which is then one of the findings."""
    from shyper_tui.config.diagnostics import Diagnostic, Severity

    try:
        with open(file, encoding="utf-8") as stream:
            return stream.read()
    except OSError as error:
        code, message, remedy = "unreadable", f"The file cannot be read: {(error.strerror or str(error)).lower()}.", ""
    except UnicodeDecodeError as error:
        code, message = (
            "not-utf-8",
            f"The file is no UTF-8 text (byte {error.start} is {error.object[error.start]:#04x}).",
        )
        remedy = "Save it as UTF-8."
    found.append(Diagnostic(file, 0, 0, 0, Severity.ERROR, code, message, remedy))
    return None


def _is_daemon_file(text: str) -> bool:
    """The daemon's file has `mediated` and nothing of a VM's; looked for in the text, for comments are allowed."""
    return bool(re.search(r'"mediated"\s*:', text)) and not re.search(r'"(image|memory|cpu)"\s*:', text)
