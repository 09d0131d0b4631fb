"""`shyper-tui check`: exit statuses, what is shown, JSON for programs, schemas."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from shyper_tui.commands.check import command
from shyper_tui.config import sample_path
from shyper_tui.config.schema import KINDS, schema_text

BAD = Path(__file__).parents[1] / "config" / "bad"
SAMPLE = str(sample_path("embedded-guest"))


def check(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))


def test_portability_is_counted_and_told_on_request() -> None:
    silent = check(SAMPLE)
    assert silent.exit_code == 0
    assert silent.stdout == "no problems (3 things work here but not with Rust-Shyper itself: --portable)\n"
    told = check("--portable", SAMPLE)
    assert told.exit_code == 0
    lines = told.stdout.splitlines()
    assert lines[-1] == "3 portable"
    assert [line.split("portable[")[1].split("]")[0] for line in lines[:-1]] == [
        "comments", "elf-kernel", "workstation-path",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "status"),
    [("bad-hex", 1), ("overlap", 1), ("not-utf-8", 1), ("mac-clash", 0), ("unknown-key", 0), ("memory-colours", 0)],
)
def test_only_errors_change_the_exit_status(name: str, status: int) -> None:
    assert check("--portable", str(BAD / f"{name}.json")).exit_code == status
    assert check("--json", str(BAD / f"{name}.json")).exit_code == status


def test_json_has_everything_a_program_needs() -> None:
    file = str(BAD / "mac-clash.json")
    document = json.loads(check("--json", file).stdout)
    assert (document["files"], document["errors"], document["warnings"]) == ([file], 0, 1)
    (found,) = document["diagnostics"]
    assert {key: found[key] for key in ("file", "line", "column", "severity", "code")} == {
        "file": file, "line": 41, "column": 29, "severity": "warning", "code": "mac-clash",
    }  # fmt: skip
    assert found["end_column"] > found["column"]
    assert found["message"]
    assert found["remedy"]


def test_json_lists_portability_on_request() -> None:
    quiet, told = (json.loads(check("--json", *more, SAMPLE).stdout) for more in ([], ["--portable"]))
    assert quiet["portable"] == told["portable"] == 3
    assert quiet["diagnostics"] == []
    assert {found["severity"] for found in told["diagnostics"]} == {"portable"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_schemas_are_printed(kind: str) -> None:
    assert check("--schema", kind).stdout == schema_text(kind)


def test_the_schema_of_a_guest_is_the_default() -> None:
    assert check("--schema").stdout == schema_text("vm")


def test_no_file_is_wrong_usage() -> None:
    result = check()
    assert result.exit_code == 2
    assert "Missing argument 'FILE...'" in result.stderr


def test_the_managing_vms_file_alone() -> None:
    assert check("--mvm", str(BAD / "no-identity.json")).exit_code == 0


def test_one_file_for_two_vms_is_two_vms() -> None:
    result = check(SAMPLE, SAMPLE)
    codes = {line.split("[")[1].split("]")[0] for line in result.stdout.splitlines()[:-1]}
    assert codes == {"name-taken", "mac-clash", "console-taken", "console-unpaired"}
