"""Flattened device trees, version 17 (Devicetree Specification v0.4, chapter 5)."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

_MAGIC, _VERSION, _LAST_COMPATIBLE = 0xD00D_FEED, 17, 16
_BEGIN_NODE, _END_NODE, _PROP, _END = 1, 2, 3, 9
_HEADER = struct.Struct(">10I")


class Node:
    """A node with its properties and children, in the order in which they were added.

    The property methods return the node, so that calls can be chained; setting a property again replaces it. A node
    may be used in a `with` statement, which only shows the structure by indentation.
    """

    def __init__(self, name: str = "", root: Node | None = None) -> None:
        self.name = name
        self.properties: dict[str, bytes] = {}
        self.children: list[Node] = []
        self._root = root if root is not None else self

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing to do at the end of the block."""

    def node(self, name: str) -> Node:
        """Adds a child. Raises ValueError if there is one of this name."""
        if self.child(name) is not None:
            raise ValueError(f"{self.name or '/'} has a node {name} already")
        child = Node(name, self._root)
        self.children.append(child)
        return child

    def child(self, name: str) -> Node | None:
        return next((child for child in self.children if child.name == name), None)

    def walk(self) -> Iterator[Node]:
        """This node and all below it."""
        yield self
        for child in self.children:
            yield from child.walk()

    def paths(self, path: str = "") -> Iterator[tuple[str, Node]]:
        """This (root) node and all below it, with their paths; the root's is `/`."""
        yield path or "/", self
        for child in self.children:
            yield from child.paths(f"{path}/{child.name}")

    # Properties

    def data(self, name: str, value: bytes) -> Node:
        self.properties[name] = value
        return self

    def flag(self, name: str) -> Node:
        """An empty property."""
        return self.data(name, b"")

    def u32(self, name: str, *cells: int) -> Node:
        return self.data(name, struct.pack(f">{len(cells)}I", *cells))

    def u64(self, name: str, *values: int) -> Node:
        """Values of two cells each."""
        return self.data(name, struct.pack(f">{len(values)}Q", *values))

    def text(self, name: str, *strings: str) -> Node:
        return self.data(name, b"".join(string.encode() + b"\0" for string in strings))

    @property
    def phandle(self) -> int:
        """The number by which other nodes refer to this one; given out at the first use unless it was set before."""
        if "phandle" not in self.properties:
            taken = {_phandle(node) for node in self._root.walk()}
            self.u32("phandle", next(number for number in range(1, len(taken) + 2) if number not in taken))
        return _phandle(self)

    # Output

    def to_bytes(self, reservations: Sequence[tuple[int, int]] = (), boot_cpu: int = 0) -> bytes:
        """The tree below this (root) node as a DTB. `reservations` are (address, size) of memory not to be used."""
        handles = [number for node in self.walk() if (number := _phandle(node))]
        if len(handles) != len(set(handles)):
            raise ValueError("two nodes of the device tree have the same phandle")
        strings = _Strings()
        structure = b"".join(_flatten(self, strings)) + struct.pack(">I", _END)
        reserve_map = b"".join(struct.pack(">QQ", *entry) for entry in (*reservations, (0, 0)))
        structure_at = _HEADER.size + len(reserve_map)
        strings_at = structure_at + len(structure)
        header = _HEADER.pack(
            _MAGIC, strings_at + len(strings.block), structure_at, strings_at, _HEADER.size,
            _VERSION, _LAST_COMPATIBLE, boot_cpu, len(strings.block), len(structure),
        )  # fmt: skip
        return header + reserve_map + structure + bytes(strings.block)


class _Strings:
    """The strings block: each property name once."""

    def __init__(self) -> None:
        self.block = bytearray()
        self._offsets: dict[str, int] = {}

    def offset(self, name: str) -> int:
        if name not in self._offsets:
            self._offsets[name] = len(self.block)
            self.block += name.encode() + b"\0"
        return self._offsets[name]


def _phandle(node: Node) -> int:
    return int.from_bytes(node.properties.get("phandle", b""), "big")


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _flatten(node: Node, strings: _Strings) -> Iterator[bytes]:
    yield struct.pack(">I", _BEGIN_NODE) + _padded(node.name.encode() + b"\0")
    for name, value in node.properties.items():
        yield struct.pack(">III", _PROP, len(value), strings.offset(name)) + _padded(value)
    for child in node.children:
        yield from _flatten(child, strings)
    yield struct.pack(">I", _END_NODE)
