"""Where the fields of a hart's state lie: one table for generated code and for Python."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Field:
    """`count` consecutive 64-bit words."""

    name: str
    offset: int
    count: int


class Layout:
    """Named 64-bit fields, laid out in the order given.

    Fields that handlers use most come first (short displacements).
    """

    def __init__(self, fields: list[tuple[str, int]]) -> None:
        self.fields: dict[str, Field] = {}
        offset = 0
        for name, count in fields:
            if name in self.fields:
                raise ValueError(f"two fields named {name}")
            self.fields[name] = Field(name, offset, count)
            offset += 8 * count
        self.size = offset

    def offset(self, name: str) -> int:
        return self.fields[name].offset

    def index(self, name: str) -> int:
        return self.fields[name].offset // 8
