"""Whatever a file says, the checks give findings, never an exception; the findings are in the text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shyper_tui.config import DEFAULT_BOARD, DtbDeviceType, EmuDeviceType, VmType, check_vm, read_vm

from .files import GUEST, write_files

NUMBERS = st.sampled_from([0, 1, 2, 7, 31, 60, 63, 64, 511, 512, 0x1000, 0x4000_1000, 0x8000_0000, 1 << 41, 2**64 - 1])
HEX = NUMBERS.map(hex) | st.sampled_from(["0x1001", "0xc000000", "0x10001000"])
NAMES = ["-", ".", "images:", "~/", "Image", "pipe", "console=hvc9", "\0", "a/b"]
TEXTS = st.text(max_size=40) | st.sampled_from(NAMES)
LISTS = st.lists(NUMBERS, max_size=70)


def of_kind(key: str, old: Any) -> st.SearchStrategy[Any]:
    """Values of the form that the key wants."""
    if key == "type":
        return st.sampled_from([kind.json_name for enum in (VmType, EmuDeviceType, DtbDeviceType) for kind in enum])
    if key == "allocate_bitmap":
        return st.integers(0, 2**32 - 1).map(bin)
    if isinstance(old, list):
        return LISTS
    if isinstance(old, int):
        return NUMBERS
    return HEX if isinstance(old, str) and old.startswith("0x") else TEXTS


def places(node: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) below a node."""
    items = list(node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ())
    return [place for key, child in items for place in [(node, key), *places(child)]]


WHOLE = json.loads(GUEST)
WHOLE["dtb_device"]["dtb_device_list"].append(
    {"name": "rtc", "type": "DTB_DEVICE_T_CONSOLE", "irq_num": 1, "irq_list": [11], "addr_region_ipa": "0x101000",
     "addr_region_length": "0x1000"}
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files")
    write_files(path)
    return path


@settings(max_examples=300, deadline=None)
@given(data=st.data(), mvm=st.booleans())
def test_any_values_give_findings(folder: Path, data: st.DataObject, mvm: bool) -> None:
    whole = json.loads(json.dumps(WHOLE))
    for _ in range(data.draw(st.integers(1, 4))):
        container, key = data.draw(st.sampled_from(places(whole)))
        container[key] = data.draw(of_kind(str(key), container[key]))
    text = json.dumps(whole, indent=1)
    vm = read_vm(text, "vm.json", portable=True).value
    if vm is None:
        return
    found = check_vm(vm, DEFAULT_BOARD.beside(vm) if data.draw(st.booleans()) else DEFAULT_BOARD, [vm], folder, mvm,
                     portable=True, vm_id=1, peers={1: vm, 2: vm})  # fmt: skip
    lines = text.split("\n")
    for one in found:
        assert 1 <= one.line <= len(lines)
        assert 1 <= one.column <= len(lines[one.line - 1]) + 1
        assert one.message
        assert one.remedy
