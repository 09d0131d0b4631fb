"""The files in `bad/`: each has one mistake; `//!` lines at its top say what is found where, and how it is checked.

//! 12:34 error[bad-hex]       line:column severity[code] of each finding
//! mvm FILE                   the managing VM's file
//! beside FILE                another file that is checked before this one
//! as mvm                     this is a managing VM's file
//! cores N                    on a machine with N cores
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from shyper_tui.config import DEFAULT_BOARD, Diagnostic, Severity, check_files

BAD = Path(__file__).parent / "bad"
LARGE_IMAGE = (32 << 20) + 1
UNREADABLE = "0:0 error[unreadable]"
"""For the file that is a link to itself, so that nothing can be written in it."""


def directives(file: Path) -> list[str]:
    """The `//!` lines."""
    if file.is_symlink():
        return [UNREADABLE]
    return re.findall(r"^\ufeff?//! (.*)$", file.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)


def expected(file: Path) -> list[str]:
    """What the file says is found in it."""
    return [line for line in directives(file) if re.match(r"\d+:\d+ ", line)]


def run_file(file: Path) -> list[Diagnostic]:
    """What is found in the file. The comment at its top is not counted, unless the file is about comments; portability
    is only looked at where it is expected."""
    board, mvm, beside, portable = DEFAULT_BOARD, None, list[str](), True
    for line in directives(file):
        word, _, rest = line.partition(" ")
        if word == "mvm":
            mvm = str(file.parent / rest)
        elif word == "beside":
            beside.append(str(file.parent / rest))
        elif line == "as mvm":
            mvm = str(file)
        elif word == "cores":
            board = replace(board, cores=int(rest))
    own = [] if mvm == str(file) else [str(file)]
    found = [one for one in check_files([*beside, *own], mvm, board, portable) if one.file == str(file)]
    if file.stem != "comments":
        found = [one for one in found if one.code != "comments"]
    if any(one.severity is not Severity.PORTABLE for one in found):
        found = [one for one in found if one.severity is not Severity.PORTABLE]
    return found
