"""Layout files: those that come with the package, and clear errors for others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shyper_tui.layout import VIEWS, LayoutError, PaneNode, SplitNode, layouts_folder, load_layout, parse_layout


def panes(node: PaneNode | SplitNode) -> set[str]:
    if isinstance(node, PaneNode):
        return {node.pane}
    return {pane for child in node.children for pane in panes(child)}


def test_every_file_in_the_folder_is_a_view_and_loads() -> None:
    assert {file.stem for file in layouts_folder().glob("*")} == set(VIEWS)
    assert {pane for name in VIEWS for pane in panes(load_layout(name).root)} == {
        "console",
        "vms",
        "vcpus",
        "plic",
        "config",
    }


def test_each_state_view_shows_its_pane() -> None:
    for name in ("vcpus", "plic", "config"):
        assert name in panes(load_layout(name).root)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ([], "f.json: the layout: must be an object."),
        ({"title": "x"}, "f.json: the layout has no root; give it a pane or a split."),
        ({"root": {"pane": "disk"}}, "f.json: root.pane: 'disk' is not one of console, vms, vcpus, plic, config."),
        (
            {"root": {"pane": "vms", "split": "rows"}},
            "f.json: root: a node must be an object with either pane or split.",
        ),
        (
            {"root": {"split": "rows", "children": []}},
            "f.json: root.children: a split needs a list of at least one node.",
        ),
        (
            {"root": {"split": "rows", "children": [{"pane": "vms", "size": "big"}]}},
            'f.json: root.children[0].size: \'big\' is no size; use "2fr", "30%", "auto" or a number of cells.',
        ),
        (
            {"root": {"pane": "vms", "hide_below": -1}},
            "f.json: root.hide_below: must be a number from 0 to 9999, not -1.",
        ),
        ({"root": {"pane": "console", "vms": 3}}, "f.json: root.vms: 3 is not one of mvm, guests, all."),
        ({"root": {"pane": "console", "wms": "all"}}, "f.json: root: there is no 'wms'; known are"),
    ],
)
def test_a_wrong_layout_is_refused_with_its_place(data: Any, sentence: str) -> None:
    with pytest.raises(LayoutError) as error:
        parse_layout(data, "f", "f.json")
    assert str(error.value).startswith(sentence)


def test_deep_nesting_is_refused() -> None:
    node: dict[str, Any] = {"pane": "vms"}
    for _ in range(20):
        node = {"split": "rows", "children": [node]}
    with pytest.raises(LayoutError, match="nested more than"):
        parse_layout({"root": node}, "f", "f.json")


def test_broken_json_and_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match=r"consoles\.json: the layout cannot be read: No such file"):
        load_layout("consoles", tmp_path)
    (tmp_path / "consoles.json").write_text('{"title": "x",\n  "root": }')
    with pytest.raises(LayoutError, match=r"consoles\.json:2:11: this is no JSON"):
        load_layout("consoles", tmp_path)
    (tmp_path / "plic.json").write_text(json.dumps({"root": {"pane": "plic"}}))
    assert load_layout("plic", tmp_path).title == "Plic"
