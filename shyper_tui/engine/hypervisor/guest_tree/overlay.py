"""Device tree overlays: merges what `dtc -@` makes of a source with `/plugin/` into a tree.

An overlay's fragments each have a target in the tree and, in `__overlay__`, properties and nodes for it. `__fixups__`
lists where phandles of the tree's labels belong, `__local_fixups__` where the overlay's own phandles are used, and
`__symbols__` the labels the overlay adds (dtc, "Device Tree Dynamic Object format internals").
"""

from __future__ import annotations

from collections.abc import Iterator

from shyper_tui.engine.board.devicetree import Node
from shyper_tui.engine.board.dtb_reader import BadTreeError, read_tree
from shyper_tui.engine.hypervisor.definition import VmDefinition, VmError
from shyper_tui.engine.hypervisor.guest_tree.labels import Labels, labels_of, write_symbols

PHANDLES = ("phandle", "linux,phandle")
UNRESOLVED = 0xFFFF_FFFF
"""In place of a phandle that `__fixups__` names, and the one number that is no phandle."""

MAX_FIXUPS = 4096
"""Places in one overlay where phandles belong."""
MAX_FRAGMENTS = 256
"""Fragments of one overlay; each may cost a look at the whole tree."""

Place = tuple[int, str]
"""A property: id() of its node, and its name."""


class OverlayError(VmError):
    """An overlay that cannot be merged."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the device tree overlay cannot be applied: {reason}")


def finish(root: Node, definition: VmDefinition) -> bytes:
    """The tree as bytes, with the definition's overlay if it has one."""
    if definition.overlay:
        merge_overlay(root, definition.overlay, labels_of(root))
    try:
        return root.to_bytes()
    except (ValueError, UnicodeEncodeError) as error:
        raise VmError(f"the device tree of VM {definition.name} cannot be made: {error}") from None


def merge_overlay(root: Node, overlay: bytes, labels: Labels) -> None:
    """Merge an overlay into the tree of `root`, whose nodes have the given labels. Raises OverlayError."""
    try:
        extra = read_tree(overlay)
    except BadTreeError as error:
        raise OverlayError(str(error)) from None
    _Merge(root, extra, dict(labels)).run()


class _Merge:
    """One overlay on its way into a tree."""

    def __init__(self, root: Node, extra: Node, labels: Labels) -> None:
        self._root, self._extra, self._labels = root, extra, labels
        self._paths = dict(extra.paths())
        self._local: dict[Place, list[int]] = {}
        """Properties of the overlay with phandles of its own: where in them."""
        self._handles: dict[int, int] = {}
        """The overlay's phandles that are not what they were, plus `_offset`: those of nodes that the tree has."""
        self._placed: dict[int, Node] = {}
        """By id() of an overlay's node: the tree's node that it has become."""
        self._pending: dict[Place, tuple[Node, list[int]]] = {}
        """Properties in the tree with phandles of the overlay, which are renumbered at the end."""
        self._offset = 0

    def run(self) -> None:
        self._read_local_fixups()
        self._fix_labels()
        self._offset = max((_handle(node) for node in self._root.walk()), default=0)
        fragments = [node for node in self._extra.children if node.child("__overlay__") is not None]
        if not fragments:
            raise OverlayError("it has no fragment with something to merge")
        if len(fragments) > MAX_FRAGMENTS:
            raise OverlayError(f"it has more than {MAX_FRAGMENTS} fragments")
        for fragment in fragments:
            content = fragment.child("__overlay__")
            assert content is not None
            self._merge(content, self._target(fragment))
        for (_, name), (node, places) in self._pending.items():
            value = node.properties[name]
            _write_cells(node, name, {place: self._renumbered(_cell(value, place)) for place in places})
        self._add_symbols()
        write_symbols(self._root, self._labels)

    # Phandles

    def _fix_labels(self) -> None:
        """`__fixups__`: label → places `path:property:offset` that want the phandle of the label's node."""
        fixups = self._extra.child("__fixups__")
        wanted: dict[Place, tuple[Node, dict[int, int]]] = {}
        count = 0
        for label, value in fixups.properties.items() if fixups is not None else ():
            node = self._labels.get(label)
            if node is None:
                known = ", ".join(sorted(self._labels))
                raise OverlayError(f"the tree has no label {label}; its labels are {known}")
            texts = value.rstrip(b"\0").split(b"\0")
            count = _bounded(count + len(texts))
            for text in texts:
                path, _, rest = text.decode("ascii", "replace").partition(":")
                name, _, number = rest.partition(":")
                if not number.isdecimal() or len(number) > 9:
                    raise OverlayError(f"its fixup of the label {label} is damaged")
                target = self._node(path)
                wanted.setdefault((id(target), name), (target, {}))[1][int(number)] = node.phandle
        for (_, name), (target, numbers) in wanted.items():
            _write_cells(target, name, numbers)

    def _read_local_fixups(self) -> None:
        """`__local_fixups__`: the overlay's nodes once more, with the offsets of its own phandles in each property."""
        fixups = self._extra.child("__local_fixups__")
        count = 0
        for path, node in fixups.paths() if fixups is not None else ():
            for name, value in node.properties.items():
                target = self._node(path)
                places = [_cell(value, at) for at in range(0, len(value) - len(value) % 4, 4)]
                count = _bounded(count + len(places))
                for place in places:
                    _cell(target.properties.get(name, b""), place)
                self._local[id(target), name] = places

    def _renumbered(self, handle: int) -> int:
        """A phandle of the overlay as it is in the tree: behind all that the tree has."""
        number = self._handles.get(handle, handle + self._offset)
        if not 0 < number < UNRESOLVED:
            raise OverlayError(f"it uses {handle:#x} as a phandle")
        return number

    # Merging

    def _target(self, fragment: Node) -> Node:
        """The tree's node that a fragment is for: by phandle (`target`) or by path (`target-path`)."""
        path = fragment.properties.get("target-path")
        if path is not None:
            text = path.rstrip(b"\0").decode("ascii", "replace")
            for node in _along(self._root, text):
                if node is None:
                    raise OverlayError(f"the tree has no node {text}, which its {fragment.name} is for")
                target = node
            return target
        value = fragment.properties.get("target", b"")
        if len(value) != 4:
            raise OverlayError(f"its {fragment.name} has neither target nor target-path")
        handle = _cell(value, 0)
        if (id(fragment), "target") in self._local:
            handle = self._renumbered(handle)
        for node in self._root.walk():
            if handle and _handle(node) == handle:
                return node
        raise OverlayError(f"its {fragment.name} has no target in this tree")

    def _merge(self, source: Node, target: Node) -> None:
        """Properties of `source` replace those of `target`; nodes of one name become one."""
        self._placed[id(source)] = target
        old, new = _handle(target), _handle(source)
        if new:
            self._handles[new] = old or new + self._offset
        for name, value in source.properties.items():
            if name in PHANDLES:
                if new and not old:
                    target.u32(name, self._renumbered(new))
                continue
            target.data(name, value)
            places = self._local.get((id(source), name))
            if places is None:
                self._pending.pop((id(target), name), None)
            else:
                self._pending[id(target), name] = target, places
        children = {child.name: child for child in target.children}
        stems = _stems(target)
        for child in source.children:
            place = children.get(child.name) or stems.get(child.name)
            if place is None:
                place = Node(child.name, self._root)
                target.children.append(place)
                children[child.name] = place
            self._merge(child, place)

    def _add_symbols(self) -> None:
        """Labels of the overlay become labels of the tree."""
        symbols = self._extra.child("__symbols__")
        for label, value in symbols.properties.items() if symbols is not None else ():
            node = self._paths.get(value.rstrip(b"\0").decode("ascii", "replace"))
            if node is not None and id(node) in self._placed:
                self._labels[label] = self._placed[id(node)]

    def _node(self, path: str) -> Node:
        node = self._paths.get(path)
        if node is None:
            raise OverlayError(f"its fixups name the node {path}, which it does not have")
        return node


def _along(root: Node, path: str) -> Iterator[Node | None]:
    """The nodes on the way along a path, None when one is not there; a path without `/` begins with an alias."""
    names = [name for name in path.split("/") if name]
    if not path.startswith("/") and names:
        aliases = root.child("aliases")
        value = aliases.properties.get(names[0], b"") if aliases is not None else b""
        if not value.startswith(b"/"):
            yield None
            return
        names = [*(name for name in value.rstrip(b"\0").decode("ascii", "replace").split("/") if name), *names[1:]]
    node: Node | None = root
    yield node
    for name in names:
        node = (node.child(name) or _stems(node).get(name)) if node is not None else None
        yield node


def _stems(parent: Node) -> dict[str, Node]:
    """Children by their names without unit address, where that is unambiguous."""
    found: dict[str, list[Node]] = {}
    for child in parent.children:
        stem, unit, _ = child.name.partition("@")
        if unit:
            found.setdefault(stem, []).append(child)
    return {stem: children[0] for stem, children in found.items() if len(children) == 1}


def _bounded(count: int) -> int:
    if count > MAX_FIXUPS:
        raise OverlayError(f"it has more than {MAX_FIXUPS} fixups")
    return count


def _handle(node: Node) -> int:
    """A node's phandle, 0 when it has none."""
    value = next((node.properties[name] for name in PHANDLES if name in node.properties), b"")
    return int.from_bytes(value, "big") if len(value) == 4 else 0


def _cell(value: bytes | bytearray, place: int) -> int:
    if place + 4 > len(value):
        raise OverlayError("its fixups name places outside of its properties")
    return int.from_bytes(value[place : place + 4], "big")


def _write_cells(node: Node, name: str, numbers: dict[int, int]) -> None:
    """Phandles at their places in a property, all at once: the property may be long."""
    value = bytearray(node.properties.get(name, b""))
    for place, number in numbers.items():
        _cell(value, place)
        value[place : place + 4] = number.to_bytes(4, "big")
    node.data(name, bytes(value))
