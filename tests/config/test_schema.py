"""The JSON Schemas: published as they are generated, and of one mind with the reader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from shyper_tui.config import Severity, read_daemon, read_vm
from shyper_tui.config.diagnostics import Report
from shyper_tui.config.jsonc import Array, Node, Object, Scalar, parse
from shyper_tui.config.samples import samples_folder
from shyper_tui.config.schema import KINDS, schema, schema_text
from shyper_tui.config.schema_text import DESCRIPTIONS

from .bad_files import BAD
from .files import GUEST, edit

ROOT = Path(__file__).parents[2]
PUBLISHED = {"vm": "vm-config.schema.json", "mvm": "mvm-config.schema.json", "daemon": "daemon.schema.json"}
FORM = {"wrong-type", "bad-hex", "bad-binary", "bad-number", "bad-enum", "missing-key", "unknown-key"}
"""Codes of mistakes that a schema can tell."""


def plain(node: Node | None) -> Any:
    """The Python value of what the reader has parsed; comments are gone."""
    match node:
        case Object():
            return {key: plain(member.value) for key, member in node.members.items()}
        case Array():
            return [plain(item) for item in node.items]
        case Scalar():
            return node.value
        case _:
            raise AssertionError("not a value")


def value(text: str) -> Any:
    return plain(parse(text, Report("file")))


def kind(file: Path) -> str:
    if '"mediated"' in file.read_text():
        return "daemon"
    return "mvm" if "mvm" in file.name else "vm"


def accepts(which: str, text: str) -> bool:
    return bool(jsonschema.Draft202012Validator(schema(which)).is_valid(value(text)))


@pytest.mark.parametrize("which", KINDS)
def test_the_published_schema_is_the_generated_one(which: str) -> None:
    assert (ROOT / "docs" / PUBLISHED[which]).read_text() == schema_text(which)


@pytest.mark.parametrize("which", KINDS)
def test_a_schema_is_a_schema(which: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(which))


@pytest.mark.parametrize("file", sorted(samples_folder().glob("*.json")), ids=lambda file: file.name)
def test_a_sample_fits_its_schema(file: Path) -> None:
    jsonschema.validate(value(file.read_text()), schema(kind(file)))


@pytest.mark.parametrize("which", KINDS)
def test_every_key_is_described(which: str) -> None:
    paths = set(_paths(schema(which), ""))
    assert paths
    assert paths <= set(DESCRIPTIONS)


def test_no_description_is_left_over() -> None:
    assert {path for which in KINDS for path in _paths(schema(which), "")} == set(DESCRIPTIONS)


@pytest.mark.parametrize("name", sorted(file.name for file in BAD.glob("*.json") if not file.is_symlink()))
def test_the_schema_refuses_what_the_reader_refuses(name: str) -> None:
    """And accepts what it accepts: the form of a file, not what it means."""
    text = (BAD / name).read_bytes().decode("utf-8", "replace")
    daemon = '"mediated"' in text
    found = read_daemon(text, name).diagnostics if daemon else read_vm(text, name).diagnostics
    codes = {one.code for one in found}
    if "syntax" in codes or "duplicate-key" in codes:
        return
    needs_irq = "missing-key" in codes and any('"irq_id"' in one.message for one in found)
    assert accepts("daemon" if daemon else "vm", text) is (not codes & FORM or needs_irq)


@pytest.mark.parametrize(
    "text",
    ["0x1F", " 0x1f ", "0", "0X20", "0x" + "f" * 16, "0x" + "0" * 17 + "1", "12", "0x", "", "0x1" + "f" * 16],
)
def test_hexadecimal_values_of_schema_and_reader_agree(text: str) -> None:
    changed, _, _ = edit('"kernel_load_ipa": "0x80200000"', f'"kernel_load_ipa": "{text}"')
    errors = [one for one in read_vm(changed, "f").diagnostics if one.severity is Severity.ERROR]
    assert accepts("vm", changed) is not bool(errors)


@pytest.mark.parametrize("text", ["0b1", "0B10", "0b" + "1" * 32, "0b" + "1" * 33, "10", "0b", "0b2"])
def test_binary_values_of_schema_and_reader_agree(text: str) -> None:
    changed, _, _ = edit('"0b1110"', f'"{text}"')
    assert accepts("vm", changed) is not bool(read_vm(changed, "f").diagnostics)


def test_all_values_of_the_sample_are_read() -> None:
    assert accepts("vm", GUEST)
    assert json.loads(schema_text("vm"))["required"] == [
        "name", "type", "cmdline", "image", "memory", "cpu", "emulated_device", "passthrough_device", "dtb_device",
    ]  # fmt: skip


def _paths(node: dict[str, Any], path: str) -> list[str]:
    """The paths of all properties, as `DESCRIPTIONS` names them."""
    found = []
    for key, child in node.get("properties", {}).items():
        own = f"{path}.{key}" if path else key
        found += [own, *_paths(child, own)]
        if "items" in child:
            found += _paths(child["items"], f"{own}[]")
    return found
