"""Removal of assembler labels: relocations must still mean the same symbols."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence

from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection
from hypothesis import given
from hypothesis import strategies as st

from shyper_tui.images.elf_strip import strip_labels

LOCAL, GLOBAL = 0, 1
NOTYPE, OBJECT, FUNCTION, SECTION = 0, 1, 2, 3

Symbol = tuple[str, int, int, int]
"""Name, binding, type, value."""


def relocatable(symbols: Sequence[Symbol], relocations: Sequence[tuple[int, int]]) -> bytes:
    """An ELF file with .text, its relocations (offset, symbol number) and a symbol table; symbol 0 is added."""
    text = bytes(range(64))
    strings = b"\0"
    table = bytes(24)
    for name, binding, kind, value in symbols:
        table += struct.pack("<IBBHQQ", len(strings), binding << 4 | kind, 0, 1, value, 0)
        strings += name.encode() + b"\0"
    rela = b"".join(struct.pack("<QQq", offset, symbol << 32 | 18, -4) for offset, symbol in relocations)
    names = b"\0.text\0.rela.text\0.symtab\0.strtab\0.shstrtab\0.bss\0"
    first_global = 1 + sum(1 for symbol in symbols if symbol[1] == LOCAL)
    rows = [
        (".text", 1, 6, text, 0, 0, 16, 0),
        (".rela.text", 4, 0x40, rela, 3, 1, 8, 24),
        (".symtab", 2, 0, table, 4, first_global, 8, 24),
        (".strtab", 3, 0, strings, 0, 0, 1, 0),
        (".shstrtab", 3, 0, names, 0, 0, 1, 0),
        (".bss", 8, 3, b"", 0, 0, 16, 0),
    ]
    body = b""
    headers = bytes(64)
    for name, kind, flags, content, link, info, align, entry in rows:
        body += bytes(-(64 + len(body)) % align)
        size = 0x1000 if kind == 8 else len(content)
        where = names.index(name.encode() + b"\0") if name != ".text" else 1
        headers += struct.pack("<IIQQQQIIQQ", where, kind, flags, 0, 64 + len(body), size, link, info, align, entry)
        body += content
    body += bytes(-len(body) % 8)
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    head = struct.pack("<HHIQQQIHHHHHH", 1, 243, 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64, 7, 5)
    return ident + head + body + headers


def meaning(data: bytes) -> tuple[list[tuple[int, int, int, str, int, str]], list[str], bytes, int]:
    """Relocations with the symbols they mean, names of all symbols, .text, and the length of .bss."""
    elf = ELFFile(io.BytesIO(data))
    symbols = elf.get_section_by_name(".symtab")
    assert isinstance(symbols, SymbolTableSection)
    rela, text, bss = (elf.get_section_by_name(name) for name in (".rela.text", ".text", ".bss"))
    assert isinstance(rela, RelocationSection)
    assert text is not None
    assert bss is not None
    relocations = []
    for relocation in rela.iter_relocations():
        symbol = symbols.get_symbol(relocation["r_info_sym"])
        relocations.append(
            (
                relocation["r_offset"],
                relocation["r_info_type"],
                relocation["r_addend"],
                symbol.name,
                symbol["st_value"],
                symbol["st_info"]["bind"],
            )
        )
    every = list(symbols.iter_symbols())
    binds = [symbol["st_info"]["bind"] for symbol in every]
    assert binds.count("STB_LOCAL") == symbols["sh_info"]
    return (
        relocations,
        [symbol.name for symbol in every[1:]],
        text.data(),
        bss["sh_size"],
    )


def test_unused_labels_go_and_everything_else_stays() -> None:
    symbols = [
        (".text", LOCAL, SECTION, 0),
        (".L0 ", LOCAL, NOTYPE, 4),
        (".L1", LOCAL, NOTYPE, 8),
        ("helper", LOCAL, FUNCTION, 12),
        ("table", LOCAL, OBJECT, 16),
        (".L0 ", LOCAL, NOTYPE, 20),
        ("init_module", GLOBAL, FUNCTION, 0),
        ("printk", GLOBAL, NOTYPE, 0),
    ]
    data = relocatable(symbols, [(0, 8), (4, 3), (8, 6)])
    stripped = strip_labels(data)
    before, after = meaning(data), meaning(stripped)
    assert after[1] == [".text", ".L1", "helper", "table", ".L0 ", "init_module", "printk"]
    assert after[0] == before[0]
    assert after[2:] == before[2:]
    assert len(stripped) < len(data)
    assert strip_labels(stripped) == stripped


names = st.text("abc.L0 ", min_size=1, max_size=5)
numbers = st.integers(0, 60)


@given(
    st.lists(
        st.tuples(names, st.just(LOCAL), st.sampled_from([NOTYPE, OBJECT, FUNCTION, SECTION]), numbers), max_size=12
    ),
    st.lists(st.tuples(names, st.just(GLOBAL), st.sampled_from([NOTYPE, FUNCTION]), numbers), max_size=4),
    st.data(),
)
def test_relocations_keep_their_meaning(local: list[Symbol], shared: list[Symbol], data: st.DataObject) -> None:
    symbols = [*local, *shared]
    index = st.integers(0, len(symbols))
    file = relocatable(symbols, data.draw(st.lists(st.tuples(numbers, index), max_size=8)))
    before, after = meaning(file), meaning(strip_labels(file))
    assert after[0] == before[0]
    assert after[2:] == before[2:]
    assert [name for name, binding, _, _ in symbols if binding == GLOBAL] == after[1][len(after[1]) - len(shared) :]


@given(st.binary(max_size=200))
def test_other_files_stay_as_they_are(data: bytes) -> None:
    assert strip_labels(data) == data
