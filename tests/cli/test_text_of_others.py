"""What a guest prints, and names and texts in files, on the terminal of the user: shown, and obeyed never."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from shyper_tui.commands import vm_views
from shyper_tui.commands.transcript import LONGEST_LINE, Lines
from shyper_tui.ipc.messages import VmInfo
from shyper_tui.ipc.vm_messages import Fault, RefusedCall, VmFaults, VmStatistics
from shyper_tui.plain_text import (
    LONGEST_STRING,
    ConsoleText,
    cells,
    clipped,
    plain,
    same_width,
    visible,
    visible_json,
    visible_lines,
)
from tests.hypervisor.programs import A0, A7, T0, Program

ROOT = Path(__file__).parents[2]
UNSAFE_BYTES = re.compile(
    b"[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f]|\\xc2[\\x80-\\x9f]|\\xe2\\x80[\\x8b-\\x8f\\xa8-\\xae]|\\xe2\\x81[\\xa0-\\xaf]"
)
"""In UTF-8: C0 but tab, line feed and carriage return; DEL; C1; separators, bidirectional controls, zero-width ones."""
EVIL = "\x1b]0;x\x07\x9b31m\x9d52;c;aGk=\x9c\u202e\u2066\u200b\u2028\x7f\x00\x08"


def test_each_unsafe_character_is_seen_and_the_rest_is_left_alone() -> None:
    assert visible("naïve 漢字 👩 [/] \\x1b") == "naïve 漢字 👩 [/] \\x1b"
    assert visible("a\tb\nc\rd") == "a\\tb\\nc\\rd"
    assert visible("\x1b\x9b\x7f\u202e\u2028\U000e0041") == "\\x1b\\x9b\\x7f\\u202e\\u2028\\U000e0041"
    assert visible("\ud800" + os.fsdecode(b"\xff")) == "\\ud800\\xff"
    assert visible_lines("a\tb\nc\rd\x9b") == "a\tb\nc\\rd\\x9b"
    assert visible(visible(EVIL)) == visible(EVIL)
    assert clipped(EVIL, 10) == "\\x1b]0;x\\…"
    assert clipped("1234567890", 10) == "1234567890"


def test_widgets_that_count_characters_get_as_many() -> None:
    assert same_width("a\x1b\u202e\tb") == "a\ufffd\ufffd\tb"
    assert len(same_width(EVIL)) == len(EVIL)


def test_a_cell_holds_nothing_that_moves_others() -> None:
    assert cells("e\u0301\u202e漢\u200b", lambda char: 0) == "e\u0301漢"
    assert cells("👩\u200d💻", lambda char: 0) == "👩\u200d💻"
    assert cells("a\x9bb", lambda char: -1) == "ab"


@pytest.mark.parametrize("text", [EVIL, "\ud800 \udcff\U000e0041", "é漢\\"])
def test_json_says_the_same_in_safe_characters(text: str) -> None:
    shown = visible_json(json.dumps([text], ensure_ascii=False))
    assert json.loads(shown) == [text]
    assert not UNSAFE_BYTES.search(shown.encode())


SEQUENCES = [
    (b"a\x1b[31mb\x1b[0;1mc\x1b(Bd\x1b7e\x1bMf", "abcdef"),
    ("a\x9b31mb\x9bKc".encode(), "abc"),
    (b"a\x1b]0;title\x07b\x1b]8;;http://x\x1b\\c", "abc"),
    ("a\x9d0;t\x9cb\x90q\x9cc\x98s\x9cd\x9ep\x9ce\x9fa\x9cf".encode(), "abcdef"),
    (b"a\x1bPq#0\x1b\\b\x1b_G\x1b\\c\x1b^p\x1b\\d\x1bXs\x1b\\e", "abcde"),
    (b"a\x1b]0;two\nlines\x07b", "ab"),
    (b"a\x1b]0;" + b"x" * 20_000 + b"\x07b", "ab"),
    (b"a\x1b]0;cut\x18b\x1b]0;cut\x1ac\x1b]0;cut\x1b[1md", "abcd"),
    (b"one\r\ntwo\x00\x07\x08\x0b\x0c\x7f\tthree", "one\ntwo\tthree"),
    ("a\x85b\x80c".encode(), "abc"),
    (b"\xff\xc2", "\ufffd\ufffd"),
    ("\u202ea\u2028".encode(), "\\u202ea\\u2028"),
    (b"a\x1b[", "a"),
    (b"a\x1b[" + b"1;" * 1000 + b"mb", "a" + "b"),
]


@pytest.mark.parametrize(("data", "text"), SEQUENCES)
def test_console_output_loses_its_sequences_however_it_is_cut(data: bytes, text: str) -> None:
    assert plain(data) == text or len(data) > 1000
    for size in (1, 2, 3, 7):
        reader = ConsoleText()
        pieces = [reader.feed(data[at : at + size]) for at in range(0, len(data), size)]
        shown = "".join([*pieces, reader.feed(b"", final=True)])
        assert shown == text or (len(data) > 1000 and not UNSAFE_BYTES.search(shown.encode()))


def test_a_string_without_end_does_not_hide_the_console_for_ever() -> None:
    reader = ConsoleText()
    assert reader.feed(b"\x1b]" + b"x" * LONGEST_STRING) == ""
    assert reader.feed(b"here again") == "here again"


def test_a_line_without_end_is_printed_in_parts_and_never_kept_whole() -> None:
    lines = Lines()
    shown: list[str] = []
    for _ in range(1000):
        shown += lines.feed(b"x" * 1000)
        assert sum(map(len, lines._pieces)) <= LONGEST_LINE
    shown += lines.rest()
    assert "".join(shown) == "x" * 1_000_000
    assert max(map(len, shown)) == LONGEST_LINE
    assert list(lines.feed(b"a\nb")) == ["a"]
    for _ in range(100_000):
        assert list(lines.feed(b"\x07")) == []
    assert len(lines._pieces) == 1
    assert list(lines.rest()) == ["b"]


def printer(text: bytes, base: int) -> bytes:
    """A program that prints a text through the SBI console, and waits."""
    program = Program(base).branch("beq", 0, 0, "start")
    program.label("text").data(text + bytes(1 + -(len(text) + 1) % 4))
    program.label("start").la(T0, "text").li(A7, 1)
    program.label("next").op("lbu", rd=A0, rs1=T0, imm=0).branch("beq", A0, 0, "end")
    program.op("ecall").op("addi", rd=T0, rs1=T0, imm=1).branch("beq", 0, 0, "next")
    program.label("end").op("wfi").branch("beq", 0, 0, "end")
    return program.code()


def run(*arguments: str | bytes, cwd: Path = ROOT) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "shyper_tui.cli", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, cwd=cwd, env=environment, timeout=120, check=False)


def test_a_guest_cannot_reach_the_terminal_through_the_transcript(tmp_path: Path) -> None:
    text = "A\x9b31mB\x9d0;t\x9cC\x9d52;c;aGVsbG8=\x9cD\x90q\x9cE\x1b[1mF\u202eG\x07\nDONE\n".encode()
    (tmp_path / "kernel.bin").write_bytes(printer(text, 0x8020_0000))
    sample = (ROOT / "sample_configs" / "bare-metal.json").read_text()
    sample = re.sub(r'"kernel_filename": "[^"]*"', '"kernel_filename": "kernel.bin"', sample)
    (tmp_path / "vm.json").write_text(sample)
    result = run(
        "run", "--headless", "--embedded", "--vm", str(tmp_path / "vm.json"), "--log-dir", str(tmp_path / "logs"),
        "--until", "vm1:DONE", "--timeout", "60",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert b"vm1 | ABCDEF\\u202eG\n" in result.stdout
    assert not UNSAFE_BYTES.search(result.stdout)
    logged = (tmp_path / "logs" / "vm1.log").read_bytes()
    assert text[: text.index(b"\n")] in logged


HOSTILE_FILES = [b"[bold]\x1b]0;x\x07.json", b"\xff\xfe.json", "\u202enosj.json".encode(), b"line\nbreak.json"]


@pytest.mark.parametrize("name", HOSTILE_FILES)
@pytest.mark.parametrize("command", [["check"], ["check", "--json"], ["run", "--headless", "--vm"], ["vm", "config"]])
def test_files_of_any_name_are_named_in_one_safe_line(tmp_path: Path, name: bytes, command: list[str]) -> None:
    for there in (False, True):
        if there:
            (tmp_path / os.fsdecode(name)).write_text('{"name": "x", "\\u009b31m\u202e": "\\u001b[31m"}')
        result = run(*command, name, cwd=tmp_path)
        shown = result.stdout + result.stderr
        assert result.returncode != 0
        assert b"Traceback" not in shown
        assert shown
        assert not UNSAFE_BYTES.search(shown)
        shown.decode()


def test_what_a_configuration_quotes_is_safe(tmp_path: Path) -> None:
    value = json.dumps(EVIL.replace("\x00", ""), ensure_ascii=True)
    (tmp_path / "a.json").write_text(
        f'{{"name": {value}, {value}: {value}, "type": {value}, "cpu": {{"num": {value}}}}}'
    )
    for extra in ([], ["--portable"], ["--json"]):
        result = run("check", *extra, "a.json", cwd=tmp_path)
        assert result.returncode == 1
        assert not UNSAFE_BYTES.search(result.stdout + result.stderr)
    raw = "{ \x1b]0;x\x07 \u202e : }"
    (tmp_path / "b.json").write_text(raw)
    result = run("check", "b.json", cwd=tmp_path)
    assert not UNSAFE_BYTES.search(result.stdout + result.stderr)


def test_an_unencodable_character_is_escaped(tmp_path: Path) -> None:
    (tmp_path / "größe.json").write_text("{")
    command = [sys.executable, "-m", "shyper_tui.cli", "check", "größe.json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii:strict"}
    result = subprocess.run(command, capture_output=True, cwd=tmp_path, env=environment, timeout=60, check=False)
    assert (result.returncode, b"Traceback" in result.stderr) == (1, False)


@pytest.mark.parametrize("name", [EVIL, "[/]", "[bold]", "a\nb", "\ud800", "x" * 10_000])
def test_views_of_vms_hold_one_safe_line_for_each(name: str) -> None:
    vm = VmInfo(1, name, 0, "failed", 1, [1], 1 << 20, True, name)
    fault = Fault(1, 1, 0, 2, name, 0, 0, 0, 0, "", -1, name, name)
    texts = {
        vm_views.original_list([vm]): 6,  # the last one is its message
        vm_views.table([vm]): 2,
        vm_views.statistics(VmStatistics(0, 1, name, "active", 1, 1, 0, [], [], [], [])): 1,
        vm_views.faults(VmFaults(1, name, [fault], 0), [RefusedCall(1, 1, 0, 5, name)]): 8,
        vm_views.faults(VmFaults(1, name, [], 0), []): 1,
        vm_views.faults(VmFaults(1, name, [], 0, name), []): 1,
    }
    for text, lines in texts.items():
        assert not UNSAFE_BYTES.search(text.encode())
        assert text.count("\n") + 1 == lines


@pytest.mark.parametrize("terminal", [True, False])
def test_machine_mode_is_plain_text_on_a_terminal_that_is_left_as_it_is(tmp_path: Path, terminal: bool) -> None:
    text = "A\x1b[31mB\x9b31mC\x1b]0;t\x07D\nDONE".encode()
    (tmp_path / "kernel.bin").write_bytes(printer(text, 0x8020_0000))
    command = [
        sys.executable,
        "-m",
        "shyper_tui.cli",
        "machine",
        "--headless",
        "--kernel",
        str(tmp_path / "kernel.bin"),
    ]
    command += ["--memory", "64M", "--until", "DONE", "--timeout", "60"]
    read, write = pty.openpty() if terminal else os.pipe()
    with os.fdopen(read, "rb", buffering=0) as shown:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=write, cwd=ROOT, timeout=120, check=False)
        output = shown.read(65536)
        os.close(write)
    assert done.returncode == 0
    assert output.rstrip().replace(b"\r", b"") == (b"ABCD\nDONE" if terminal else text)
