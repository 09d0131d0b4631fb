"""Shorten the symbol table of an ELF file: functions, objects and global labels stay, the assembler's local labels go.

The linker at hand strips all symbols or none. With the names a program counter can be shown as function and offset.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

SECTION_HEADER = struct.Struct("<IIQQQQIIQQ")
SYMBOL = struct.Struct("<IBBHQQ")
SHT_SYMTAB, SHT_NOBITS = 2, 8
STT_OBJECT, STT_FUNC, STB_LOCAL = 1, 2, 0


@dataclass(frozen=True)
class Section:
    """One section header (ELF-64), with the bytes it stands for."""

    name: int
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry_size: int
    data: bytes = b""


def read_sections(elf: bytes) -> list[Section]:
    """All section headers, with contents."""
    (table,) = struct.unpack_from("<Q", elf, 40)
    (count,) = struct.unpack_from("<H", elf, 60)
    sections = []
    for i in range(count):
        section = Section(*SECTION_HEADER.unpack_from(elf, table + i * SECTION_HEADER.size))
        held = 0 if section.type == SHT_NOBITS else section.size
        sections.append(replace(section, data=elf[section.offset : section.offset + held]))
    return sections


def shorten(symbols: bytes, names: bytes) -> tuple[bytes, bytes, int]:
    """New contents of .symtab and .strtab, and the number of local symbols (they come first)."""
    table, strings, local = bytearray(SYMBOL.size), bytearray(b"\0"), 1
    for name, info, other, section, value, size in SYMBOL.iter_unpack(symbols[SYMBOL.size :]):
        text = names[name : names.index(b"\0", name) + 1]
        if info >> 4 == STB_LOCAL and (info & 15 not in (STT_OBJECT, STT_FUNC) or text.startswith(b".L")):
            continue
        table += SYMBOL.pack(len(strings), info, other, section, value, size)
        strings += text
        local += info >> 4 == STB_LOCAL
    return bytes(table), bytes(strings), local


def keep_named_symbols(elf: bytes) -> bytes:
    """The file with a short symbol table; what is loaded into memory stays where it is in the file."""
    sections = read_sections(elf)
    index = next((i for i, section in enumerate(sections) if section.type == SHT_SYMTAB), None)
    if index is None:
        return elf
    symtab, strtab = sections[index], sections[sections[index].link]
    symbols, names, local = shorten(symtab.data, strtab.data)
    sections[symtab.link] = replace(strtab, data=names)
    sections[index] = replace(symtab, data=symbols, info=local)

    result = bytearray(elf[: max(s.offset + len(s.data) for s in sections if s.address)])
    for i, section in enumerate(sections):
        if section.address or not section.data:
            continue
        result += bytes(-len(result) % max(section.alignment, 1))
        sections[i] = replace(section, offset=len(result), size=len(section.data))
        result += section.data
    result += bytes(-len(result) % 8)
    struct.pack_into("<Q", result, 40, len(result))
    for s in sections:
        fields = (s.name, s.type, s.flags, s.address, s.offset, s.size, s.link, s.info, s.alignment, s.entry_size)
        result += SECTION_HEADER.pack(*fields)
    return bytes(result)
