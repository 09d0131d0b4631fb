"""Configuration files that are too large, or would take too long."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from shyper_tui.config import check_files, check_vm, read_vm
from shyper_tui.input_file import MAX_CONFIGURATION
from shyper_tui.layout import LayoutError, load_layout
from tests.config.files import GUEST


def test_a_file_that_is_too_large_is_one_finding(tmp_path: Path) -> None:
    file = tmp_path / "vm.json"
    file.write_text(GUEST + " " * MAX_CONFIGURATION)
    (found,) = check_files([str(file)])
    assert (found.code, found.message) == ("unreadable", "The file cannot be read: it is larger than 256 KiB.")


def test_a_pipe_is_one_finding_and_nobody_waits(tmp_path: Path) -> None:
    file = tmp_path / "vm.json"
    os.mkfifo(file)
    (found,) = check_files([str(file)])
    assert found.code == "unreadable"
    with pytest.raises(LayoutError, match="it is a pipe"):
        load_layout("vm", tmp_path)


def test_thousands_of_regions_and_keys_are_read_in_bounded_time(tmp_path: Path) -> None:
    region = '{"ipa_start": "0x80000000", "length": "0x1000"}'
    old = '[{"ipa_start": "0x80000000", "length": "0x40000000"}]'
    assert old in GUEST
    many = GUEST.replace(old, f"[{','.join([region] * 4000)}]")
    keys = GUEST.replace('"memory"', "".join(f'"k{n}": 0,' for n in range(15_000)) + '"memory"', 1)
    begin = time.process_time()
    for text in (many, keys):
        reading = read_vm(text, str(tmp_path / "vm.json"))
        assert len(reading.diagnostics) <= 200
        if reading.value is not None:
            assert len(check_vm(reading.value, folder=tmp_path)) <= 201
    assert time.process_time() - begin < 20
