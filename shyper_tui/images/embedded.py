"""The two embedded guests, which come with the package as RISC-V ELF files."""

from __future__ import annotations

from . import store


def embedded(name: str) -> bytes:
    """The ELF file of `supervisor` or `guest`. Raises ImageError when the package was built without it."""
    return store.path(f"embedded/{name}").read_bytes()
