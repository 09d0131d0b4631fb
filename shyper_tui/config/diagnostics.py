"""What the configuration's readers and checks report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")


class Severity(StrEnum):
    """ERROR: the VM cannot run. WARNING: it can, but hardly as it was meant. PORTABLE: it runs here, but Rust-Shyper
    itself rejects the file, panics, or does something else."""

    ERROR = "error"
    WARNING = "warning"
    PORTABLE = "portable"


@dataclass(frozen=True, order=True)
class Span:
    """A range of a text: lines and columns count from 1 in characters; the end is exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int


START = Span(1, 1, 1, 2)


@dataclass(frozen=True)
class Diagnostic:
    """One finding. `message` is one sentence of what is wrong, `remedy` one sentence of what to do."""

    file: str
    line: int
    column: int
    end_column: int
    severity: Severity
    code: str
    message: str
    remedy: str

    def __str__(self) -> str:
        head = f"{self.file}:{self.line}:{self.column}: {self.severity}[{self.code}]"
        return f"{head}: {self.message} {self.remedy}".rstrip()


@dataclass(frozen=True)
class Reading(Generic[T]):
    """Result of reading a file: the value, or None when there are errors; and everything found, by position."""

    value: T | None
    diagnostics: list[Diagnostic]

    @property
    def ok(self) -> bool:
        return self.value is not None


MAX_FINDINGS = 200
"""More findings of one file are not kept, but for the first error."""


def shortened(text: str, most: int = 60) -> str:
    """A text of a file as messages show it."""
    return text if len(text) <= most else text[: most - 1] + "…"


class Report:
    """Collects diagnostics of one file. `positions` maps paths such as `cpu.master` to their place in the text.

    Findings of severity PORTABLE are kept only with `portable`.
    """

    def __init__(self, file: str, positions: Mapping[str, Span] | None = None, portable: bool = False) -> None:
        self.file = file
        self._portable = portable
        self._positions = positions or {}
        self._found: list[Diagnostic] = []
        self._failed = False

    def error(self, where: Span | str, code: str, message: str, remedy: str) -> None:
        self._add(where, Severity.ERROR, code, message, remedy)

    def warning(self, where: Span | str, code: str, message: str, remedy: str) -> None:
        self._add(where, Severity.WARNING, code, message, remedy)

    def portable(self, where: Span | str, code: str, message: str, remedy: str) -> None:
        """Report something that this workstation does and Rust-Shyper does not."""
        if self._portable:
            self._add(where, Severity.PORTABLE, code, message, remedy)

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """In the order of their positions."""
        return sorted(self._found, key=lambda found: (found.line, found.column))

    @property
    def failed(self) -> bool:
        return self._failed

    @property
    def full(self) -> bool:
        """Further warnings are not kept."""
        return len(self._found) >= MAX_FINDINGS

    def has(self, code: str) -> bool:
        """Something with this code was found."""
        return any(found.code == code for found in self._found)

    def _add(self, where: Span | str, severity: Severity, code: str, message: str, remedy: str) -> None:
        first_error = severity is Severity.ERROR and not self._failed
        self._failed = self._failed or severity is Severity.ERROR
        if len(self._found) >= MAX_FINDINGS and not first_error:
            return  # there is enough to correct
        span = self._locate(where) if isinstance(where, str) else where
        # A finding about something that spans lines is shown at its first character.
        end = span.end_column if span.end_line == span.line else span.column + 1
        self._found.append(Diagnostic(self.file, span.line, span.column, end, severity, code, message, remedy))

    def _locate(self, path: str) -> Span:
        """The place of a path, or of the nearest enclosing value that is in the text."""
        while path:
            if path in self._positions:
                return self._positions[path]
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self._positions.get("", START)


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    return any(found.severity is Severity.ERROR for found in diagnostics)


def describe(diagnostics: Iterable[Diagnostic]) -> Iterator[str]:
    """One line per diagnostic: `file:line:column: error[code]: message. remedy`."""
    return map(str, diagnostics)


def summary(diagnostics: Iterable[Diagnostic]) -> str:
    """For example `2 errors, 1 warning, 3 portable`, or `no problems`."""
    counts = dict.fromkeys(Severity, 0)
    for found in diagnostics:
        counts[found.severity] += 1
    parts = [
        f"{count} {severity}{'s' * (count != 1 and severity is not Severity.PORTABLE)}"
        for severity, count in counts.items()
        if count
    ]
    return ", ".join(parts) or "no problems"
