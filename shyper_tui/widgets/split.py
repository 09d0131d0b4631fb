"""A view's tree of splits and panes, built from its layout; it adapts to the terminal's size."""

from __future__ import annotations

from typing import TypeVar

from textual.app import ComposeResult
from textual.containers import Container
from textual.css.scalar import Scalar
from textual.widget import Widget

from shyper_tui.layout import Node, PaneNode, SplitNode
from shyper_tui.widgets.config_editor import ConfigPane
from shyper_tui.widgets.console_pane import ConsolePane
from shyper_tui.widgets.pane import Pane
from shyper_tui.widgets.plic import PlicPane
from shyper_tui.widgets.vcpus import VcpusPane
from shyper_tui.widgets.vm_list import VmListPane

P = TypeVar("P", bound=Pane)


def make_pane(node: PaneNode) -> Pane:
    """The pane that a layout names."""
    match node.pane:
        case "console":
            return ConsolePane(node.vms)
        case "vms":
            return VmListPane()
        case "vcpus":
            return VcpusPane()
        case "plic":
            return PlicPane()
        case _:
            return ConfigPane()


class Split(Container):
    """Children beside or below each other."""

    DEFAULT_CSS = "Split { width: 1fr; height: 1fr; background: $background; }"

    def __init__(self, node: SplitNode) -> None:
        super().__init__()
        self.node = node
        self.parts: list[tuple[Node, Widget]] = [(child, make(child)) for child in node.children]
        self.zoomed: Pane | None = None

    @property
    def all_panes(self) -> list[Pane]:
        """Every pane below this split, displayed or not."""
        panes: list[Pane] = []
        for _node, widget in self.parts:
            if isinstance(widget, Split):
                panes += widget.all_panes
            elif isinstance(widget, Pane):
                panes.append(widget)
        return panes

    def pane_of(self, kind: type[P]) -> P:
        """The first pane of a kind; it exists as soon as the split does, mounted or not."""
        return next(pane for pane in self.all_panes if isinstance(pane, kind))

    def compose(self) -> ComposeResult:
        for _node, widget in self.parts:
            yield widget

    def fit(self, columns: int, lines: int) -> None:
        """Adapt to a terminal of this size. With a zoomed pane only the way to it is displayed."""
        beside = self.node.split == "columns" and columns >= self.node.stack_below
        self.styles.layout = "horizontal" if beside else "vertical"
        for node, widget in self.parts:
            if self.zoomed is not None:
                widget.display = widget is self.zoomed or (
                    isinstance(widget, Split) and self.zoomed in widget.all_panes
                )
            else:
                widget.display = columns >= node.hide_below and lines >= node.hide_below_lines
            size = Scalar.parse("1fr" if self.zoomed is not None else node.size)
            widget.styles.width = size if beside else "1fr"
            if node.size == "auto" and self.zoomed is None:
                widget.styles.height = "auto"
            else:
                widget.styles.height = "1fr" if beside else size
            widget.styles.max_height = None if self.zoomed is not None or node.size != "auto" else 10
            if isinstance(widget, Split):
                widget.zoomed = self.zoomed
                widget.fit(columns, lines)


def make(node: Node) -> Widget:
    """The widget of a layout's node."""
    return Split(node) if isinstance(node, SplitNode) else make_pane(node)


class View(Split):
    """A whole view: the root of its layout."""

    def __init__(self, name: str, root: Node) -> None:
        super().__init__(root if isinstance(root, SplitNode) else SplitNode("rows", (root,)))
        self.view_name = name

    @property
    def panes(self) -> list[Pane]:
        """Displayed panes in order."""
        return [
            pane
            for pane in self.all_panes
            if all(node.display for node in pane.ancestors_with_self if isinstance(node, Widget) and node is not self)
        ]
