"""The debug build reports wrong accesses of generated code with their place. Each function here is wrong on purpose."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from shyper_tui.engine.core import checks
from shyper_tui.engine.core.compile import Loaded, compile_ir
from shyper_tui.engine.core.llvm import METADATA, LlvmBuilder, value_function
from shyper_tui.engine.hart.debug_build import EXIT_STATUS, Blocks
from shyper_tui.engine.hart.host_memory import Block
from shyper_tui.engine.hart.state import LAYOUT
from shyper_tui.engine.isa.value import Value

Wrong = tuple[str, int]
"""Function and address."""


def element(b: LlvmBuilder, base: Value, index: Value) -> None:
    b.ret(b.host_load(base + (index << 3)))


def element_of_pointer(b: LlvmBuilder, where: Value, index: Value) -> None:
    """As above, but the base is loaded from memory, and the element stored."""
    b.host_store(b.host_load(where) + (index << 3), 1, 8)


def fill(b: LlvmBuilder, base: Value, size: Value) -> None:
    b.emit(f"call void @llvm.memset.p0.i64(ptr align 8 {b.pointer(base)}, i8 0, i64 {size.operand}, i1 false)")


def floating(b: LlvmBuilder, index: Value, unused: Value) -> None:
    b.ret(b.get("f", index))


def guest(b: LlvmBuilder, address: Value, addend: Value) -> None:
    b.ret(b.host_load(address + addend))


def table(b: LlvmBuilder, index: Value, unused: Value) -> None:
    b.ret(b.peek(b.gep("@numbers", index << 3)))


FUNCTIONS: list[Callable[[LlvmBuilder, Value, Value], None]] = [
    element, element_of_pointer, fill, floating, guest, table,
]  # fmt: skip


class Listening(Blocks):
    """Notes what was wrong and lets it happen: the tests choose accesses that do no harm."""

    def __init__(self, sites: list[str]) -> None:
        super().__init__(sites)
        self.sites = sites
        self.wrong: list[Wrong] = []

    def report(self, state: int | None, site: int, address: int, size: int, pointer: int) -> None:
        self.wrong.append((self.sites[site].split(":")[0], address))


class Checked:
    """The functions with their checks."""

    def __init__(self) -> None:
        ir = "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)\n"
        ir += "@numbers = internal constant [2 x ptr] [ptr null, ptr null]\n"
        ir += "".join(value_function(LAYOUT, f.__name__, ["one", "two"], f) for f in FUNCTIONS)
        ir, sites = checks.instrument(ir.replace("define internal i64", "define i64") + METADATA, LAYOUT)
        self._loaded = Loaded(compile_ir(ir, level=1))
        self.blocks = Listening(sites)
        self._loaded.function("use_blocks", 0)(self.blocks.address)
        self.state = Block(LAYOUT.size)

    def block(self, size: int, *, name: str = "", stride: int = 0) -> Block:
        made = Block(size, name=name, stride=stride)
        self.blocks.made(made)
        return made

    def wrong(self, function: Callable[..., None], one: int, two: int) -> list[Wrong]:
        """What is reported when the function is called."""
        self.blocks.wrong = []
        self._loaded.function(function.__name__, 2)(self.state.address, one, two)
        return self.blocks.wrong


@pytest.fixture(scope="module")
def checked() -> Checked:
    return Checked()


def test_an_index_beyond_a_block_is_reported(checked: Checked) -> None:
    block, neighbour = checked.block(64), checked.block(4096)
    assert [checked.wrong(element, block.address, index) for index in range(8)] == [[]] * 8
    assert checked.wrong(element, block.address, 8) == [("element", block.address + 64)]
    distance = (neighbour.address - block.address) // 8
    assert checked.wrong(element, block.address, distance) == [("element", neighbour.address)]  # another's, not its own


def test_a_pointer_that_was_loaded_keeps_its_block(checked: Checked) -> None:
    pointers, block = checked.block(8), checked.block(64)
    pointers.word(0).value = block.address
    assert checked.wrong(element_of_pointer, pointers.address, 6) == []
    assert checked.wrong(element_of_pointer, pointers.address, 7) == [("element_of_pointer", block.address + 64)]


def test_a_part_of_a_block_is_no_other_part(checked: Checked) -> None:
    slots = checked.block(4 * 48, stride=48)
    assert checked.wrong(element, slots.address + 48, 5) == []
    assert checked.wrong(element, slots.address + 48, 6) == [("element", slots.address + 96)]


def test_a_fill_ends_inside(checked: Checked) -> None:
    block = checked.block(64)
    assert checked.wrong(fill, block.address + 8, 56) == []
    assert checked.wrong(fill, block.address + 8, 57) == [("fill", block.address + 8)]


def test_a_block_that_was_freed_is_nobodys(checked: Checked) -> None:
    block = checked.block(64)
    still_mapped, address = block.bytes, block.address
    del block
    gc.collect()
    assert checked.wrong(element, address, 0) == [("element", address)]
    assert still_mapped[0] == 0


def test_an_element_of_the_state_is_one_of_its_field(checked: Checked) -> None:
    assert checked.wrong(floating, 31, 0) == []
    assert checked.wrong(floating, 32, 0) == [("floating", checked.state.address + LAYOUT.offset("f") + 32 * 8)]


def test_guest_memory_is_ram(checked: Checked) -> None:
    ram, other = checked.block(4096, name="RAM"), checked.block(4096)
    assert checked.wrong(guest, 0x1000, ram.address - 0x1000) == []
    assert checked.wrong(guest, 0x1000, other.address - 0x1000) == [("guest", other.address)]


def test_a_constant_table_has_an_end(checked: Checked) -> None:
    assert checked.wrong(table, 1, 0) == []
    assert [function for function, _ in checked.wrong(table, 2, 0)] == ["table"]


def test_a_constant_offset_outside_the_state_is_refused_at_once() -> None:
    def beyond(b: LlvmBuilder) -> None:
        b.ret(b.peek(b.gep("%st", LAYOUT.size)))

    with pytest.raises(checks.Unchecked, match="beyond"):
        checks.instrument(value_function(LAYOUT, "beyond", [], beyond), LAYOUT)


WRONG = """
from shyper_tui.engine.machine import Machine
hart = Machine(1, 8 << 20).harts[0]
hart.native["ram_written"](hart.address, 0x8000_0000 + (64 << 20), 8)
"""


def test_a_process_with_the_debug_build_ends_with_a_report() -> None:
    environment = {**os.environ, "SHYPER_DEBUG_CORE": "1"}
    ended = subprocess.run([sys.executable, "-c", WRONG], capture_output=True, text=True, env=environment, timeout=300)
    assert ended.returncode == EXIT_STATUS, ended.stderr
    assert "native code is out of bounds in ram_written" in ended.stderr
    assert "page_records + 0x20000 of 0x4000" in ended.stderr
