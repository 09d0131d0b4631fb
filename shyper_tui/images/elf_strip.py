"""Removes assembler labels from kernel modules.

RISC-V assemblers leave a local symbol for nearly every instruction that is relocated: 5 of the 7 MB of ext4.ko are such
symbols, and the guest's kernel copies and walks all of them. Kept are symbols that relocations use, global ones, and
named functions and objects (for the kernel's call traces). Format: System V ABI, "Symbol Table" and "Relocation".
"""

from __future__ import annotations

import struct

_SHT_SYMTAB, _SHT_RELA, _SHT_NOBITS, _SHT_GROUP, _SHT_SYMTAB_SHNDX = 2, 4, 8, 17, 18
_SYMBOL = struct.Struct("<IBBHQQ")
_RELA = struct.Struct("<QQq")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_NAME, _TYPE, _FLAGS, _ADDRESS, _OFFSET, _SIZE, _LINK, _INFO, _ALIGN, _ENTRY_SIZE = range(10)


def strip_labels(data: bytes) -> bytes:
    """A relocatable ELF64 file without its unused local labels; any other file as it is."""
    if len(data) < 64 or data[:6] != b"\x7fELF\x02\x01" or data[16:18] != b"\x01\0":
        return data
    table_offset, table_count = struct.unpack_from("<Q", data, 40)[0], struct.unpack_from("<H", data, 60)[0]
    if table_offset + 64 * table_count > len(data):
        return data
    sections = [list(_SECTION.unpack_from(data, table_offset + 64 * index)) for index in range(table_count)]
    types = [section[_TYPE] for section in sections]
    if types.count(_SHT_SYMTAB) != 1 or _SHT_GROUP in types or _SHT_SYMTAB_SHNDX in types:
        return data
    contents = [
        b"" if section[_TYPE] == _SHT_NOBITS else data[section[_OFFSET] : section[_OFFSET] + section[_SIZE]]
        for section in sections
    ]
    symbols = types.index(_SHT_SYMTAB)
    names = sections[symbols][_LINK]
    relocations = [index for index, kind in enumerate(types) if kind == _SHT_RELA]
    if names >= table_count or any(sections[index][_LINK] != symbols for index in relocations):
        return data

    used = {info >> 32 for index in relocations for _, info, _ in _RELA.iter_unpack(contents[index])}
    new_index: dict[int, int] = {}
    kept: list[bytes] = []
    strings, known = bytearray(b"\0"), {b"": 0}
    locals_kept = 0
    for number, (name, info, *rest) in enumerate(_SYMBOL.iter_unpack(contents[symbols])):
        local, label = info >> 4 == 0, info & 0xF == 0
        if number and local and label and number not in used:
            continue
        text = contents[names][name : contents[names].find(b"\0", name)]
        if text not in known:
            known[text] = len(strings)
            strings += text + b"\0"
        new_index[number] = len(kept)
        kept.append(_SYMBOL.pack(known[text], info, *rest))
        locals_kept += local
    contents[symbols] = b"".join(kept)
    sections[symbols][_INFO] = locals_kept  # the index of the first global symbol
    contents[names] = bytes(strings)
    for index in relocations:
        contents[index] = b"".join(
            _RELA.pack(offset, new_index[info >> 32] << 32 | info & 0xFFFF_FFFF, addend)
            for offset, info, addend in _RELA.iter_unpack(contents[index])
        )
    return _layout(data[:64], sections, contents)


def _layout(header: bytes, sections: list[list[int]], contents: list[bytes]) -> bytes:
    """The file again: header, contents in their old order, section headers."""
    out = bytearray(header)
    for index in sorted(range(len(sections)), key=lambda number: sections[number][_OFFSET]):
        section = sections[index]
        if section[_TYPE]:
            out += bytes(-len(out) % max(1, section[_ALIGN]))
            section[_OFFSET] = len(out)
            if section[_TYPE] != _SHT_NOBITS:
                section[_SIZE] = len(contents[index])
        out += contents[index] if section[_TYPE] else b""
    out += bytes(-len(out) % 8)
    struct.pack_into("<Q", out, 40, len(out))
    for section in sections:
        out += _SECTION.pack(*section)
    return bytes(out)
