"""Reads flattened device trees, version 16 and 17 (Devicetree Specification v0.4, chapter 5)."""

from __future__ import annotations

import struct

from shyper_tui.engine.board.devicetree import Node

MAGIC = 0xD00D_FEED
MAX_DEPTH = 64
MAX_NODES = 4096
LONGEST_NAME = 255
"""Characters of a node's or property's name; the specification has 31."""
_BEGIN_NODE, _END_NODE, _PROP, _NOP, _END = 1, 2, 3, 4, 9
_HEADER = struct.Struct(">7I")


class BadTreeError(ValueError):
    """Bytes that are no device tree; the message says why."""


def read_tree(data: bytes) -> Node:
    """The tree of a DTB: its root node. Memory reservations are not kept. Raises BadTreeError."""
    if len(data) < 40:
        raise BadTreeError("it is too short for a device tree")
    magic, total, structure, strings, _, version, compatible = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise BadTreeError("it does not begin as a device tree does")
    if version < 16 or compatible > 17:
        raise BadTreeError(f"its format is version {version}, and version 17 is needed")
    if total > len(data):
        raise BadTreeError(f"it ends after {len(data)} of {total} bytes")
    return _Reader(data[:total], structure, strings).root()


class _Reader:
    """Walks the structure block."""

    def __init__(self, data: bytes, structure: int, strings: int) -> None:
        self._data, self._at, self._strings = data, structure, strings
        self._nodes = 0

    def root(self) -> Node:
        if self._token() != _BEGIN_NODE:
            raise BadTreeError("it has no root node")
        self._name()
        root = Node()
        open_nodes = [root]
        names: list[set[str]] = [set()]
        while open_nodes:
            token = self._token()
            if token == _BEGIN_NODE:
                name = self._name()
                self._nodes += 1
                if len(open_nodes) >= MAX_DEPTH or self._nodes > MAX_NODES:
                    raise BadTreeError(f"it has more than {MAX_NODES} nodes, or they are more than {MAX_DEPTH} deep")
                if name in names[-1]:
                    raise BadTreeError(f"{open_nodes[-1].name or '/'} has two nodes {name}")
                names[-1].add(name)
                node = Node(name, root)
                open_nodes[-1].children.append(node)
                open_nodes.append(node)
                names.append(set())
            elif token == _END_NODE:
                open_nodes.pop()
                names.pop()
            elif token == _PROP:
                self._property(open_nodes[-1])
            elif token != _NOP:
                raise BadTreeError(f"its structure has the unknown token {token:#x}")
        if self._token() != _END:
            raise BadTreeError("it does not end after its root node")
        return root

    def _property(self, node: Node) -> None:
        length, name_at = self._cell(), self._cell()
        if self._at + length > len(self._data):
            raise BadTreeError(f"a property of {node.name or '/'} ends behind the tree")
        node.data(self._string(self._strings + name_at)[0], self._data[self._at : self._at + length])
        self._at += (length + 3) & ~3

    def _token(self) -> int:
        token = self._cell()
        while token == _NOP:
            token = self._cell()
        return token

    def _cell(self) -> int:
        if self._at + 4 > len(self._data):
            raise BadTreeError("it ends within its structure")
        cell = int.from_bytes(self._data[self._at : self._at + 4], "big")
        self._at += 4
        return cell

    def _name(self) -> str:
        name, end = self._string(self._at)
        self._at = (end + 3) & ~3
        return name

    def _string(self, start: int) -> tuple[str, int]:
        """A name and the offset behind its NUL."""
        end = self._data.find(b"\0", start, start + LONGEST_NAME + 1)
        if end < 0:
            raise BadTreeError(f"a name in it has no end, or more than {LONGEST_NAME} characters")
        try:
            name = self._data[start:end].decode("ascii")
        except UnicodeDecodeError:
            raise BadTreeError("a name in it is not ASCII") from None
        if not name.isprintable():
            raise BadTreeError("a name in it has characters that cannot be printed")
        return name, end + 1
