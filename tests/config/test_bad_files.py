"""One intentionally bad file per diagnostic: found at its line and column, with its code, and nothing else."""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import shyper_tui.config
from shyper_tui.config import CODES, Severity
from shyper_tui.config.codes import ERRORS, PORTABLE, WARNINGS

from .bad_files import BAD, LARGE_IMAGE, expected, run_file

FILES = sorted(BAD.glob("*.json"))
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the files, beside what a repository cannot keep: a large kernel, permissions."""
    copy = tmp_path_factory.mktemp("configurations") / "bad"
    shutil.copytree(BAD, copy, symlinks=True)
    with open(copy / "large-image", "wb") as image:
        image.write((BAD / "Image").read_bytes())
        image.truncate(LARGE_IMAGE)
    (copy / "disks" / "read-only.img").write_bytes(bytes(512))
    (copy / "disks" / "read-only.img").chmod(0o444)
    return copy


@pytest.mark.parametrize("name", [file.name for file in FILES])
def test_a_bad_file_gives_its_diagnostic_where_the_mistake_is(folder: Path, name: str) -> None:
    file = folder / name
    found = run_file(file)
    assert [f"{one.line}:{one.column} {one.severity}[{one.code}]" for one in found] == expected(file)
    assert any(one.code == file.stem for one in found)
    for one in found:
        assert one.message.endswith(".")
        assert one.remedy.endswith((".", "?")) or one.code == "unreadable"


def test_every_code_has_a_bad_file() -> None:
    assert {file.stem for file in FILES} == set(CODES)


def test_the_list_of_codes_is_what_the_package_emits() -> None:
    emitted = set(_emitted())
    listed = {
        *((Severity.ERROR, code) for code in ERRORS),
        *((Severity.WARNING, code) for code in WARNINGS),
        *((Severity.PORTABLE, code) for code in PORTABLE),
    }
    assert emitted == listed


def test_the_documentation_lists_every_code() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    rows = dict(re.findall(r"^\| `([a-z0-9-]+)` \| (.*) \|$", text, re.MULTILINE))
    assert {code: meaning for code, meaning in rows.items() if code in CODES} == CODES


def _emitted() -> Iterator[tuple[Severity, str]]:
    """Severity and code of every report in the package's sources."""
    package = Path(shyper_tui.config.__file__).parent
    for source in package.glob("*.py"):
        codes: list[str] = []
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and len(node.args) > 1:
                code = node.args[1]
                if node.func.attr in set(Severity) and isinstance(code, ast.Constant):
                    yield Severity(node.func.attr), str(code.value)
            elif isinstance(node, ast.Assign) and source.name == "files.py":  # code, message = "…", …
                targets = [target.elts for target in node.targets if isinstance(target, ast.Tuple)]
                if targets and isinstance(targets[0][0], ast.Name) and targets[0][0].id == "code":
                    assert isinstance(node.value, ast.Tuple)
                    assert isinstance(node.value.elts[0], ast.Constant)
                    codes.append(str(node.value.elts[0].value))
        yield from ((Severity.ERROR, code) for code in codes)
