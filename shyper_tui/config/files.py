"""Checks whole files, those of several VMs against each other as VMs of one machine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from shyper_tui.input_file import MAX_CONFIGURATION, read_input

from .board import DEFAULT_BOARD, Board
from .checks import check_vm
from .daemon import read_daemon
from .diagnostics import Diagnostic, Severity
from .model import VmConfig
from .reader import read_vm


@dataclass
class _File:
    """One file, the VM in it if it is a good VM's file, and what is wrong with it."""

    name: str
    text: str | None = None
    vm: VmConfig | None = None
    found: list[Diagnostic] = field(default_factory=list)


def check_files(
    files: Sequence[str], mvm: str | None = None, board: Board = DEFAULT_BOARD, portable: bool = False
) -> list[Diagnostic]:
    """Everything wrong with files of guest VMs, in the order in which they are configured, and of the daemon.

    `mvm` is the file of the managing VM. Guest VMs get the ids 1, 2, … in the order of their files.
    """
    managing = _open(mvm) if mvm is not None else None
    if managing is not None:
        _read(managing, portable)
        board = board.beside(managing.vm) if managing.vm is not None else board
    guests = []
    given = [_open(name) for name in files]
    for file in given:
        if file.text is not None and _is_daemon_file(file.text):
            daemon = read_daemon(file.text, file.name, portable, Path(file.name).parent)
            file.found += daemon.diagnostics
            if daemon.value is not None:
                board = replace(board, disks=(board.disks or 0) + len(daemon.value.mediated))
        else:
            _read(file, portable)
            guests.append(file)
    peers: dict[int, VmConfig] = {}
    if len(guests) > 1:  # a single file may become any VM
        peers = {number: file.vm for number, file in enumerate(guests, 1) if file.vm is not None}
    for number, file in enumerate(guests, 1):
        if file.vm is not None:
            earlier = [other.vm for other in guests[: number - 1] if other.vm is not None]
            vm_id = number if peers else None
            file.found += check_vm(file.vm, board, earlier, portable=portable, vm_id=vm_id, peers=peers)
    if managing is not None and managing.vm is not None:
        managing.found += check_vm(managing.vm, board, mvm=True, portable=portable, peers=peers)
    everything = [managing, *given] if managing is not None else given
    return [one for file in everything for one in sorted(file.found, key=lambda found: (found.line, found.column))]


def _open(name: str) -> _File:
    file = _File(name)
    file.text = read_text(name, file.found)
    return file


def _read(file: _File, portable: bool) -> None:
    """The VM of a file."""
    if file.text is not None:
        reading = read_vm(file.text, file.name, portable)
        file.vm = reading.value
        file.found += reading.diagnostics


def read_text(file: str, found: list[Diagnostic]) -> str | None:
    """The file's text; None when it cannot be read, which is then one of the findings."""
    try:
        data = read_input(file, MAX_CONFIGURATION)
        return data.decode()
    except OSError as error:
        reason = error.strerror or str(error)
        code, message, remedy = "unreadable", f"The file cannot be read: {reason[:1].lower()}{reason[1:]}.", ""
        line = column = 0
    except UnicodeDecodeError as error:
        code, message = "not-utf-8", f"The file is no UTF-8 text (byte {error.start} is {data[error.start]:#04x})."
        before = data[: error.start].decode()
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        remedy = "Save it as UTF-8."
    found.append(Diagnostic(file, line, column, column + 1 if line else 0, Severity.ERROR, code, message, remedy))
    return None


def count(diagnostics: Iterable[Diagnostic], severity: Severity) -> int:
    """How many findings have a severity."""
    return sum(found.severity is severity for found in diagnostics)


def _is_daemon_file(text: str) -> bool:
    """The daemon's file has `mediated` and nothing of a VM's; looked for in the text, for comments are allowed."""
    return bool(re.search(r'"mediated"\s*:', text)) and not re.search(r'"(image|memory|cpu)"\s*:', text)
