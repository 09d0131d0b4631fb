"""JSON Schemas (draft 2020-12) of the configuration files, made from the reader itself.

`vm` in `reader.py` and `disks` in `daemon.py` ask their object for members; here the same functions ask a recorder,
which notes what they want. So what the schema says and what is read cannot differ.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from . import daemon, reader
from .diagnostics import START, Report
from .fields import U64, Fields
from .jsonc import Object
from .schema_text import DESCRIPTIONS, TITLES

E = TypeVar("E")

HEX = r"^\s*(0|0[xX]0*[0-9a-fA-F]{1,16})\s*$"
BINARY = r"^\s*0[bB][01]{1,32}\s*$"
CFG_NUMBER = r"^\s*(0[xX][0-9a-fA-F]{1,16}|0[bB][01]{1,64}|[0-9]{1,20})\s*$"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
KINDS = ("vm", "mvm", "daemon")


def schema(kind: str) -> dict[str, Any]:
    """The schema of `vm` (a guest VM's file), `mvm` (the managing VM's) or `daemon`. Raises KeyError for others."""
    recorder = _Recorder("")
    if kind == "daemon":
        daemon.disks(recorder)
    else:
        reader.vm(recorder, "", {})
    description = "Comments and trailing commas are allowed, too; Rust-Shyper itself wants plain JSON."
    return {"$schema": DIALECT, "title": TITLES[kind], "description": description, **recorder.schema()}


def schema_text(kind: str) -> str:
    """The schema as the text of a file."""
    return json.dumps(schema(kind), indent=2, ensure_ascii=False) + "\n"


class _Recorder(Fields):
    """Answers every question with a neutral value and notes it."""

    def __init__(self, path: str) -> None:
        super().__init__(Object(START), path, Report(""), {})
        self._wanted: dict[str, tuple[str | None, dict[str, Any] | _Recorder]] = {}
        """By key: description, and the schema or the recorder of an object."""
        self._needed: list[str] = []

    def schema(self) -> dict[str, Any]:
        """The schema of this object."""
        return {
            "type": "object",
            "properties": {key: _expand(wanted) for key, wanted in self._wanted.items()},
            "required": self._needed,
            "additionalProperties": False,
        }

    def string(self, key: str, required: bool = True) -> str:
        self._note(key, {"type": "string"}, required)
        return ""

    def hex(self, key: str, unused: bool = False) -> int:
        self._note(key, {"type": "string"} if unused else {"type": "string", "pattern": HEX}, True)
        return 0

    def binary(self, key: str) -> int:
        self._note(key, {"type": "string", "pattern": BINARY}, True)
        return 0

    def number(self, key: str, low: int = 0, high: int = U64, required: bool = True) -> int:
        self._note(key, {"type": "integer", "minimum": low, "maximum": high}, required)
        return 0

    def enum(self, key: str, names: dict[str, E]) -> E | None:
        self._note(key, {"enum": list(names)}, True)
        return None

    def object(self, key: str) -> Fields:
        child = _Recorder(self._child(key))
        self._note(key, child, True)
        return child

    def objects(self, key: str) -> Iterator[Fields]:
        item = _Recorder(f"{self._child(key)}[]")
        self._note(key, {"type": "array", "items": item}, True)
        yield item

    def numbers(self, key: str, strings: bool = False, required: bool = True) -> tuple[int, ...]:
        number: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": U64}
        item = {"anyOf": [number, {"type": "string", "pattern": CFG_NUMBER}]} if strings else number
        self._note(key, {"type": "array", "items": item}, required)
        return ()

    def strings(self, key: str) -> tuple[str, ...]:
        self._note(key, {"type": "array", "items": {"type": "string"}}, True)
        return ()

    def has(self, key: str) -> bool:
        return True  # so that optional members are asked for

    def needs(self, key: str) -> None:
        """Whether the member must be there depends on others, which a schema of the form does not say."""

    def done(self, ignored: Iterable[str] = ()) -> None:
        for key in ignored:
            self._note(key, {}, False)

    def _note(self, key: str, found: dict[str, Any] | _Recorder, required: bool) -> None:
        text = DESCRIPTIONS.get(self._child(key))
        self._wanted[key] = text, found
        if required:
            self._needed.append(key)


def _expand(wanted: tuple[str | None, dict[str, Any] | _Recorder]) -> dict[str, Any]:
    """A noted member as its schema; objects are complete only now."""
    text, found = wanted
    if isinstance(found, _Recorder):
        found = found.schema()
    elif isinstance(found.get("items"), _Recorder):
        found = {**found, "items": found["items"].schema()}
    return {"description": text, **found} if text else found
