"""Files checked as VMs of one machine: ids by their order, pairs of consoles in both directions, shared things."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from shyper_tui.config import check_files, sample_path
from shyper_tui.config.diagnostics import Severity
from shyper_tui.config.files import count

BASE = sample_path("embedded-guest").read_text()
CONSOLES = {1: "40001000", 2: "40002000", 3: "40004000"}

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a guest's file: its own name and MAC address, and the console of VM `number`."""

    def write(number: int, *changes: tuple[str, str]) -> str:
        text = BASE.replace('"embedded-guest"', f'"guest-{number}"').replace('"0xd1"', f'"{0xD0 + number:#x}"')
        text = text.replace("40001000", CONSOLES[number])
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        file = tmp_path / f"guest-{number}.json"
        file.write_text(text)
        return str(file)

    return write


def findings(files: list[str], mvm: str | None = None) -> list[tuple[str, str, str]]:
    return [(Path(one.file).name, one.code, one.message) for one in check_files(files, mvm)]


def test_three_guests_in_order_have_no_findings(write: Write) -> None:
    assert findings([write(1), write(2), write(3)]) == []


def test_a_file_alone_may_become_any_vm(write: Write) -> None:
    assert findings([write(3)]) == []


def test_the_order_of_the_files_decides_the_ids_and_so_the_consoles(write: Write) -> None:
    first, second = findings([write(2), write(1)])
    assert first[:2] == ("guest-2.json", "console-unpaired")
    assert "answers to VM 2, and this becomes VM 1" in first[2]
    assert second[:2] == ("guest-1.json", "console-unpaired")


def test_a_daemons_file_between_them_is_no_vm(write: Write, tmp_path: Path) -> None:
    (tmp_path / "daemon.json").write_text('{"mediated": ["a", "b"]}')
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(bytes(512))
    assert findings([write(1), str(tmp_path / "daemon.json"), write(2)]) == []
    (found,) = findings([write(1), str(tmp_path / "daemon.json"), write(2), write(3)])
    assert found[:2] == ("guest-3.json", "no-disk")
    assert "disk 2 of the daemon's file, which has 2 disks" in found[2]


def test_two_guests_consoles_may_be_paired_with_each_other(write: Write) -> None:
    one = write(1, ('["0", "0x40001000"]', '["2", "0x40002000"]'))
    two = write(2, ('["0", "0x40002000"]', '["1", "0x40001000"]'))
    assert findings([one, two]) == []
    (found,) = findings([write(1), two])
    assert found[:2] == ("guest-2.json", "console-unpaired")
    assert "The console at 0x40001000 of VM 1 (guest-1) is not paired with this one" in found[2]
    nowhere = write(2, ('["0", "0x40002000"]', '["1", "0x40009000"]'))
    (found,) = findings([write(1), nowhere])
    assert "VM 1 (guest-1) has no console at 0x40009000" in found[2]


def test_a_console_cannot_be_its_own_peer(write: Write) -> None:
    one = write(1, ('["0", "0x40001000"]', '["1", "0x40001000"]'))
    found = findings([one, write(2)])
    assert [entry[:2] for entry in found] == [("guest-1.json", "bad-console")]


def test_the_managing_vms_consoles_are_looked_at_from_its_side_too(write: Write) -> None:
    mvm = str(sample_path("mvm"))
    assert findings([write(1), write(2)], mvm) == []
    moved = write(2, ("40002000", "40005000"))
    found = findings([write(1), moved], mvm)
    assert [entry[:2] for entry in found] == [("mvm.json", "console-unpaired"), ("guest-2.json", "console-unpaired")]
    assert "VM 2 (guest-2) has no console at 0x40002000" in found[0][2]


def test_another_managing_vm_leaves_other_memory_cores_and_addresses(write: Write, tmp_path: Path) -> None:
    text = sample_path("mvm").read_text()
    for old, new in {
        '"length": "0x100000000"': '"length": "0x1e0000000"',
        '"num": 1,\n        "allocate_bitmap": "0b0001"': '"num": 2,\n        "allocate_bitmap": "0b0011"',
        '"0xd0"': '"0xd9"',
    }.items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "mvm.json").write_text(text)
    large = write(1, ('"0x4000000"', '"0x20000000"'), ('"0xd1"', '"0xd9"'))
    codes = {entry[1] for entry in findings([large], str(tmp_path / "mvm.json"))}
    assert codes == {"core-taken", "mac-clash", "pool-exhausted"}


def test_memory_is_summed_over_all_files(write: Write) -> None:
    files = [write(number, ('"0x4000000"', '"0x60000000"')) for number in (1, 2, 3)]
    (found,) = findings(files)
    assert found[:2] == ("guest-3.json", "pool-exhausted")
    assert "The VM wants 1536 MiB of memory; 768 MiB of the 3840 MiB for guest VMs are free." in found[2]


def test_findings_are_counted_by_severity(write: Write) -> None:
    found = check_files([write(2), write(1)], portable=True)
    assert count(found, Severity.WARNING) == 2
    assert count(found, Severity.ERROR) == 0
    assert count(found, Severity.PORTABLE) == len(found) - 2


@pytest.mark.parametrize(
    ("cmdline", "hint"),
    [
        ("", ""),
        ("console=hvc0 quiet", ""),
        ("console=hvc1", "only for kernels with an SBI console"),
        ("console=hvc2", "the VM has 1 virtio console"),
        ("earlycon=sbi console=ttyS0,115200", "the VM has no serial port"),
        ("myconsole=hvc7", ""),
    ],
)
def test_hints_about_the_console_of_the_command_line(write: Write, cmdline: str, hint: str) -> None:
    found = findings([write(1, ('"cmdline": ""', f'"cmdline": "{cmdline}"'))])
    assert [entry[1] for entry in found] == (["console-hint"] if hint else [])
    assert all(hint in entry[2] for entry in found)


def test_a_serial_port_that_is_passed_through_is_a_console(write: Write, tmp_path: Path) -> None:
    mvm = sample_path("mvm").read_text()
    start = mvm.index('            {\n                "name": "serial@')
    end = mvm.index('            {\n                "name": "rtc@')
    (tmp_path / "mvm.json").write_text(mvm[:start] + mvm[end:])
    port = (
        '[{"name": "serial", "base_pa": "0x10000000", "base_ipa": "0x10000000", "length": "0x1000", "irq_num": 1, '
        '"irq_list": [10]}]'
    )
    guest = write(
        1,
        ('"cmdline": ""', '"cmdline": "console=ttyS0"'),
        ('"passthrough_device_list": []', f'"passthrough_device_list": {port}'),
    )
    found = findings([guest], str(tmp_path / "mvm.json"))
    assert [entry[:2] for entry in found] == [("mvm.json", "console-hint")]  # it has the port no more
