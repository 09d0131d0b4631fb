"""Random configuration files, all the way: text, structure, checks, definition, and the VM made from it."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import strategies as st

from shyper_tui import config
from shyper_tui.config import DEFAULT_BOARD, read_daemon, read_vm
from shyper_tui.engine.definitions import definition
from shyper_tui.engine.hypervisor.definition import VmDefinition, VmError
from tests.config.files import GUEST
from tests.fuzz.cases import U64, fuzz
from tests.fuzz.puppet import JUMP_TO_SELF, Puppets

SAMPLES = [GUEST, *(config.sample_path(name).read_text() for name in ("embedded-guest.json", "linux-guest.json"))]
DAEMON = '{"mediated": ["/root/vm0_img.img", "/dev/vda2"]}'
PARSED: list[dict[str, Any]] = [json.loads(re.sub("//.*", "", text)) for text in SAMPLES]

Path = tuple[str | int, ...]


def _paths(node: Any, at: Path = ()) -> Iterator[Path]:
    """Where there is a value in a parsed configuration."""
    yield at
    items: Any = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield from _paths(value, (*at, key))


numbers_in_json = st.one_of(
    st.integers(-2, 80),
    st.sampled_from([2**31, 2**32 - 1, 2**32, 2**63, U64, 2**64, -(2**63), 10**40]),
    st.integers(0, U64),
)
hexes = st.one_of(
    st.builds(hex, st.one_of(st.integers(0, U64 + 2), st.sampled_from([0x8000_0000, 0x0C00_0000, 0x4000_0000]))),
    st.integers(0, 31).map(lambda bit: hex(1 << bit)),
    st.builds(bin, st.integers(0, 300)),
)
words = st.sampled_from(
    ["VM_T_LINUX", "VM_T_BMA", "VM_T_FREERTOS", "EMU_DEVICE_T_SHYPER", "EMU_DEVICE_T_PLIC", "EMU_DEVICE_T_VIRTIO_NET",
     "EMU_DEVICE_T_VIRTIO_BLK", "EMU_DEVICE_T_VIRTIO_CONSOLE", "EMU_DEVICE_T_VIRTIO_BLK_MEDIATED", "EMU_DEVICE_T_META",
     "0x", "0b", "0x-1", "1e5", "", "/", "\0", "é" * 40, "x" * 300, "\ud800"]
)  # fmt: skip
scalars = st.one_of(st.none(), st.booleans(), numbers_in_json, hexes, words, st.floats(), st.text(max_size=40))
replacements = st.one_of(
    scalars,
    hexes,
    numbers_in_json,
    st.lists(st.one_of(scalars, hexes), max_size=20),
    st.dictionaries(st.sampled_from(["name", "num", "type", "length", "é"]), scalars, max_size=3),
)


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A sample with some of its values replaced, removed or doubled."""
    tree: Any = copy.deepcopy(draw(st.sampled_from(PARSED)))
    for _ in range(draw(st.integers(0, 4))):
        path: Any = draw(st.sampled_from(list(_paths(tree))))
        if not path:
            continue
        parent: Any = tree
        for key in path[:-1]:
            parent = parent[key]
        action = draw(st.integers(0, 4))
        if action == 0:
            del parent[path[-1]]
        elif action == 1 and isinstance(parent, list):
            parent.append(copy.deepcopy(parent[path[-1]]))
        else:
            parent[path[-1]] = draw(replacements)
    return tree


@st.composite
def spoiled(draw: st.DrawFn) -> str:
    """The text of a sample with pieces cut out, doubled or written over."""
    text = draw(st.sampled_from([*SAMPLES, DAEMON]))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        piece = draw(st.one_of(st.just(""), st.text(max_size=6), st.sampled_from(list('{}[],:"/*\\\n\t-0.eE'))))
        text = text[:start] + piece + text[end:]
    return text


@pytest.fixture(scope="module")
def puppets() -> Puppets:
    return Puppets()


def judge(text: str) -> VmDefinition | None:
    """Reads and checks; None when errors were found. Diagnostics have positions inside the text and a message."""
    reading = read_vm(text, "random.json")
    diagnostics = list(reading.diagnostics)
    if reading.value is not None:
        diagnostics += config.check_vm(reading.value, DEFAULT_BOARD, [], mvm=False)
        diagnostics += config.check_vm(reading.value, DEFAULT_BOARD, [], mvm=True)
    lines = len(re.findall(r"\r\n|\r|\n", text)) + 1
    for diagnostic in diagnostics:
        assert 1 <= diagnostic.line <= lines + 1, diagnostic
        assert diagnostic.column >= 1, diagnostic
        assert diagnostic.message, diagnostic
    assert reading.value is not None or diagnostics
    return None if reading.value is None else definition(2, reading.value)


@fuzz("configuration files, their text", share=0.10, quick=100, text=st.one_of(spoiled(), st.text(max_size=200)))
def test_any_text_gives_diagnostics_and_nothing_else(text: str) -> None:
    judge(text)
    read_daemon(text, "daemon.json")


@fuzz("configuration files, their values", share=0.08, quick=100, tree=mutated(), spaces=st.sampled_from([None, 4]))
def test_any_values_give_diagnostics_or_a_vm(puppets: Puppets, tree: Any, spaces: int | None) -> None:
    station = puppets.begin()
    wanted = judge(json.dumps(tree, indent=spaces))
    if wanted is not None:
        try:
            puppets.manager.add(wanted, JUMP_TO_SELF)
            puppets.manager.boot(2)
            station.run(2000)
        except VmError as error:
            puppets.sentence(error)
    puppets.settle()
