"""What comes with the package as RISC-V ELF files: the two embedded guests, and the command `shyper` for Linux."""

from __future__ import annotations

from pathlib import Path

from . import store

_COMMAND = Path(__file__).parent / "embedded" / "shyper"


def embedded(name: str) -> bytes:
    """The ELF file of `supervisor` or `guest`. Raises ImageError when the package was built without it."""
    return store.path(f"embedded/{name}").read_bytes()


def embedded_command() -> Path | None:
    """The static program `shyper` of the managing VM's Linux; None when the package was built without it."""
    return _COMMAND if _COMMAND.is_file() else None
