"""What the state panes make of snapshots, as text."""

from __future__ import annotations

from dataclasses import replace

from shyper_tui.ipc.messages import Diagnostic
from shyper_tui.widgets.config_editor import diagnostic_rows
from shyper_tui.widgets.json_editor import tokens
from shyper_tui.widgets.lines_view import Row
from shyper_tui.widgets.plic import controller_rows
from shyper_tui.widgets.states import size, span
from shyper_tui.widgets.status_bar import busy_bar, clock_text, status_row
from shyper_tui.widgets.vcpus import ABI_NAMES, detail_rows, register_rows, summary_row
from shyper_tui.widgets.vm_list import vm_row
from tests.tui.recorded import PLIC, STATUS, VCPUS, VMS


def text(row: Row) -> str:
    return "".join(part for part, _role in row)


def test_a_vm_in_one_line() -> None:
    assert text(vm_row(VMS[1])).split() == [
        "●",
        "1",
        "guest-os-0",
        "active",
        "3",
        "vCPUs",
        "on",
        "1–3",
        "1",
        "GiB",
        "linux",
    ]
    failed = replace(VMS[1], state="failed", message="load fault at pc 0x10")
    assert "✖" in text(vm_row(failed))
    assert "load fault at pc 0x10" in text(vm_row(failed))


def test_cores_and_sizes() -> None:
    assert [span(cores) for cores in ([], [0], [3, 1, 2], [0, 2, 3, 5])] == ["–", "0", "1–3", "0,2–3,5"]
    assert [size(count) for count in (4 << 30, 96 << 20, 1536 << 20, 512)] == ["4 GiB", "96 MiB", "1.5 GiB", "512 B"]


def test_the_machine_in_one_line_at_any_width() -> None:
    assert "61.2 MIPS" in text(status_row(STATUS, 80))
    assert len(text(status_row(STATUS, 80))) <= 80
    assert "vm1 VU" in text(status_row(STATUS, 120))
    assert [busy_bar(share) for share in (-1, 0.0, 0.5, 1.0, 7.0)] == [" ", " ", "▄", "█", "█"]
    assert clock_text(754_321_000) == "01:15.432"


def test_registers_read_downwards_and_changes_are_marked() -> None:
    values = list(range(32))
    before = [*values[:10], 99, *values[11:]]
    for width in (30, 60, 100, 220):
        rows = register_rows(ABI_NAMES, values, before, width, "x")
        assert all(len(text(row)) <= max(width, 25) for row in rows)
        joined = "\n".join(text(row) for row in rows)
        assert all(f" {name} " in joined or f" {name}*" in joined for name in ABI_NAMES)
        assert joined.count("*") == 1
        assert "a0*000000000000000a" in joined


def test_a_vcpu_in_full() -> None:
    vcpu = VCPUS.vcpus[0]
    lines = [text(row) for row in detail_rows(vcpu, None, 80, floats=False)]
    assert "pc ffffffff80001a2c arch_cpu_idle+0x8" in lines[0]
    assert lines[1].startswith(" → ffffffff80001a2c  10500073 wfi")
    assert any("hgatp" in line for line in lines)
    assert not any("ft0" in line for line in lines)
    assert any("ft0" in text(row) for row in detail_rows(vcpu, None, 80, floats=True))
    assert "☾ sleep" in text(summary_row(VCPUS.vcpus[2]))


def test_sources_that_are_not_in_use_are_left_out_unless_asked_for() -> None:
    controller = PLIC.controllers[0]
    before = replace(controller, sources=[replace(source, count=0) for source in controller.sources])
    lines = [text(row) for row in controller_rows(controller, before, everything=False)]
    assert [line.split()[0] for line in lines[1:-1]] == ["1", "8", "10"]
    assert "1520*" in lines[1]
    everything = controller_rows(controller, None, everything=True)
    assert len(everything) == len(controller.sources) + 2
    assert "vcpu0 VS=2" in text(
        controller_rows(
            replace(PLIC.controllers[1], contexts=[replace(PLIC.controllers[1].contexts[0], threshold=2)]), None, False
        )[0]
    )


def test_a_finding_is_folded() -> None:
    found = Diagnostic("a.json", 12, 7, 9, "error", "x", "word " * 30, "Do something else.")
    rows = [text(row) for row in diagnostic_rows(found, 60)]
    assert rows[0].startswith(" ✖ error    12:7")
    assert all(len(row) <= 60 for row in rows)
    assert rows[-1].strip() == "Do something else."


def test_tokens_of_json_with_comments() -> None:
    lines = ["{ // start", '  "key": "a // b", /* from', 'here */ "n": -12.5e3, "t": true', '"open']
    found = [(row, lines[row][start:end], kind) for row, start, end, kind in tokens(lines)]
    assert found == [
        (0, "// start", "comment"),
        (1, '"key"', "key"),
        (1, '"a // b"', "string"),
        (1, "/*", "comment"),
        (1, " from", "comment"),
        (2, "here */", "comment"),
        (2, '"n"', "key"),
        (2, "-12.5e3", "number"),
        (2, '"t"', "key"),
        (2, "true", "word"),
        (3, '"open', "string"),
    ]
