"""Labels of a tree's nodes, by which overlays refer to them (`__symbols__`, as `dtc -@` writes it)."""

from __future__ import annotations

import re

from shyper_tui.engine.board.devicetree import Node

Labels = dict[str, Node]


def label(name: str) -> str:
    """A node's name as a label: letters, digits and `_`, not beginning with a digit."""
    text = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return f"_{text}" if not text or text[0].isdigit() else text


def labels_of(root: Node) -> Labels:
    """The labels that every VM's tree offers: its parts, its harts with their interrupt controllers, its devices."""
    labels: Labels = {}
    for child in root.children:
        if child.name in ("chosen", "cpus", "soc"):
            labels[child.name] = child
        elif child.name.startswith("memory@"):
            labels["memory"] = child
    for cpu in labels["cpus"].children if "cpus" in labels else ():
        controller = cpu.child("interrupt-controller")
        if controller is not None:
            name = label(cpu.name.replace("@", ""))
            labels[name], labels[f"{name}_intc"] = cpu, controller
    for device in labels["soc"].children if "soc" in labels else ():
        labels.setdefault(label(device.name), device)
        if device.properties.get("compatible", b"").startswith(b"sifive,plic"):
            labels["plic"] = device
    return labels


def write_symbols(root: Node, labels: Labels) -> None:
    """The node `__symbols__`: the path of each label."""
    paths = {id(node): path for path, node in root.paths()}
    symbols = root.child("__symbols__") or root.node("__symbols__")
    for name, node in labels.items():
        symbols.text(name, paths[id(node)])
