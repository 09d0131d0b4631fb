"""From JSON text to a VmConfig; every wrong field is reported where it stands."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shyper_tui.config import EmuDeviceType, MemoryRegion, Severity, VmType, read_daemon, read_vm, sample_path, summary

from .files import GUEST, edit


def test_the_sample_of_the_user_guide() -> None:
    file = sample_path("linux-guest.json")
    reading = read_vm(file.read_text(), str(file))
    vm = reading.value
    assert vm is not None
    assert reading.diagnostics == []
    assert (vm.name, vm.type) == ("guest-os-1", VmType.LINUX)
    assert vm.memory == (MemoryRegion(0x8000_0000, 0x4000_0000),)
    assert (vm.cpu.num, vm.cpu.allocate_bitmap, vm.cpu.master, vm.cpu.cores) == (3, 0b1110, 1, [1, 2, 3])
    assert vm.image.kernel_load_ipa == vm.image.kernel_entry_point == 0x8020_0000
    assert vm.image.device_tree_load_ipa == 0xA000_0000
    assert vm.mac() == (0x74, 0x56, 0xAA, 0x0F, 0x47, 0xD1)
    assert [device.irq_id for device in vm.emulated_devices] == [1, 19, 20, 21]
    console = vm.device(EmuDeviceType.VIRTIO_CONSOLE)
    assert console is not None
    assert console.cfg_list == (0, 0x4000_1000)


def test_the_built_in_managing_vm() -> None:
    file = sample_path("mvm")
    vm = read_vm(file.read_text(), str(file)).value
    assert vm is not None
    assert vm.memory == (MemoryRegion(0x9000_0000, 0x1_0000_0000),)
    assert sorted(irq for device in vm.passthrough_devices for irq in device.irq_list) == list(range(1, 12))
    assert [device.type for device in vm.emulated_devices] == [
        EmuDeviceType.PLIC,
        EmuDeviceType.VIRTIO_CONSOLE,
        EmuDeviceType.VIRTIO_CONSOLE,
        EmuDeviceType.VIRTIO_NET,
        EmuDeviceType.SHYPER,
    ]


def test_values_of_all_kinds() -> None:
    vm = read_vm(GUEST, "vm.json").value
    assert vm is not None
    assert vm.passthrough_devices[0].irq_list == (11,)
    assert vm.emulated_devices[1].cfg_list == (0, 8192)
    assert vm.memory_colors is None
    fewer = read_vm(GUEST.replace('"num": 3', '"num": 2'), "vm.json").value
    assert fewer is not None
    assert fewer.cpu.cores == [1, 2]
    no_master = read_vm(GUEST.replace('"master": 1', '"master": -1'), "vm.json").value
    assert no_master is not None
    assert no_master.cpu.master is None


@pytest.mark.parametrize(
    ("text", "value"), [('"0"', 0), ('" 0x1F "', 0x1F), ('"0X20"', 0x20), ('"0xffffffffffffffff"', 2**64 - 1)]
)
def test_hexadecimal_strings(text: str, value: int) -> None:
    vm = read_vm(GUEST.replace('"0x80200000"', text), "vm.json").value
    assert vm is not None
    assert vm.image.kernel_load_ipa == value


@pytest.mark.parametrize(
    ("old", "marked", "code"),
    [
        ('"0xa0000000"', '«"a0000000"', "bad-hex"),
        ('"0xa0000000"', '«"0x"', "bad-hex"),
        ('"0xa0000000"', '«"12"', "bad-hex"),
        ('"0xa0000000"', '«"0x1ffffffffffffffff"', "bad-hex"),
        ('"0xa0000000"', "«2684354560", "wrong-type"),
        ('"0b1110"', '«"1110"', "bad-binary"),
        ('"0b1110"', '«""', "bad-binary"),
        ('"0b1110"', '«"0b1120"', "bad-binary"),
        ('"0b1110"', "«14", "wrong-type"),
        ('"num": 3', '"num": «"3"', "wrong-type"),
        ('"num": 3', '"num": «3.0', "wrong-type"),
        ('"num": 3', '"num": «true', "wrong-type"),
        ('"num": 3', '"num": «null', "wrong-type"),
        ('"num": 3', '"num": «[3]', "wrong-type"),
        ('"num": 3', '"num": «-1', "bad-number"),
        ('"num": 3', '"num": «4294967296', "bad-number"),
        ('"master": 1', '"master": «-2', "bad-number"),
        ("86", "«-86", "bad-number"),
        ("86", "«null", "wrong-type"),
        ("86", '«"86x"', "bad-number"),
        ('"VM_T_LINUX"', '«"VM_T_LINUZ"', "bad-enum"),
        ('"VM_T_LINUX"', "«0", "wrong-type"),
        ('"EMU_DEVICE_T_PLIC"', '«"PLIC"', "bad-enum"),
        ('"guest"', "«7", "wrong-type"),
        ('{"num": 3, "allocate_bitmap": "0b1110", "master": 1}', "«[]", "wrong-type"),
        ('[{"ipa_start": "0x80000000", "length": "0x40000000"}]', "«{}", "wrong-type"),
        ('[{"ipa_start": "0x80000000", "length": "0x40000000"}]', '[«"0x80000000"]', "wrong-type"),
        ('{"ipa_start": "0x80000000", "length": "0x40000000"}', '«{"ipa_start": "0x80000000"}', "missing-key"),
        ('{"dtb_device_list": []}', "«{}", "missing-key"),
        ('"irq_list": [11]', '"irq_list": [«"11"]', "wrong-type"),
    ],
)
def test_a_wrong_field_is_one_error_at_its_place(old: str, marked: str, code: str) -> None:
    text, line, column = edit(old, marked)
    reading = read_vm(text, "vm.json")
    assert reading.value is None
    assert [(d.line, d.column, d.code) for d in reading.diagnostics] == [(line, column, code)]
    assert reading.diagnostics[0].remedy


def test_an_unknown_key_is_a_warning_with_a_suggestion() -> None:
    text, line, column = edit('"cmdline": "console=hvc0",', '"cmdline": "", «"cmdlin": "",')
    reading = read_vm(text, "vm.json")
    assert reading.value is not None
    (warning,) = reading.diagnostics
    assert (warning.line, warning.column, warning.code) == (line, column, "unknown-key")
    assert warning.severity is Severity.WARNING
    assert 'Did you mean "cmdline"?' in warning.remedy


def test_a_misspelt_key_is_named_in_the_error() -> None:
    reading = read_vm(GUEST.replace('"cmdline"', '"comdline"'), "vm.json")
    missing = next(d for d in reading.diagnostics if d.code == "missing-key")
    assert missing.remedy == 'Rename "comdline" to "cmdline".'


def test_counts_that_samples_carry_are_accepted_silently() -> None:
    for part in ("memory", "dtb_device", "emulated_device", "passthrough_device"):
        text = GUEST.replace(f'"{part}": {{', f'"{part}": {{"num": 1,')
        assert read_vm(text, "vm.json").diagnostics == []


def test_all_errors_of_a_file_are_reported() -> None:
    text = (
        GUEST.replace('"0xa0000000"', '"zz"').replace('"num": 3', '"num": 0x3').replace('"irq_id": 19', '"irq_id": -1')
    )
    codes = [found.code for found in read_vm(text, "vm.json").diagnostics]
    assert codes == ["bad-hex", "syntax", "bad-number"]


@pytest.mark.parametrize("text", ["[]", "7", '"x"'])
def test_a_file_that_is_no_object(text: str) -> None:
    (found,) = read_vm(text, "vm.json").diagnostics
    assert (found.code, found.line, found.column) == ("wrong-type", 1, 1)


def test_every_required_key_is_required() -> None:
    whole = json.loads(GUEST)
    for key in whole:
        found = read_vm(json.dumps({k: v for k, v in whole.items() if k != key}), "vm.json").diagnostics
        assert [(d.code, key in d.message) for d in found] == [("missing-key", True)]


@given(st.data())
def test_no_change_of_the_text_raises(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(GUEST)))
    end = data.draw(st.integers(start, min(len(GUEST), start + 40)))
    reading = read_vm(GUEST[:start] + data.draw(st.text(max_size=5)) + GUEST[end:], "vm.json")
    assert reading.value is not None or reading.diagnostics


def test_how_a_diagnostic_reads() -> None:
    text, line, column = edit('"0b1110"', '«"1110"')
    (found,) = read_vm(text, "vm.json").diagnostics
    assert str(found).startswith(f'vm.json:{line}:{column}: error[bad-binary]: "1110" is no binary value')
    assert found.end_column == column + len('"1110"')
    assert summary([found]) == "1 error"
    assert summary([]) == "no problems"


def test_the_daemon_file() -> None:
    reading = read_daemon('{"mediated": ["/root/a.img", "/dev/vdb"]}', "daemon.json")
    assert reading.value is not None
    assert reading.value.mediated == ("/root/a.img", "/dev/vdb")


@pytest.mark.parametrize(
    ("text", "line", "column", "code"),
    [
        ('{"mediated": [1]}', 1, 15, "wrong-type"),
        ('{"mediated": "x"}', 1, 14, "wrong-type"),
        ("{\n}", 1, 1, "missing-key"),
        ('{"mediated": [' + ",".join(['"/a"'] * 17) + "]}", 1, 14, "too-many"),
    ],
)
def test_a_wrong_daemon_file(text: str, line: int, column: int, code: str) -> None:
    reading = read_daemon(text, "daemon.json")
    assert reading.value is None
    assert [(d.line, d.column, d.code) for d in reading.diagnostics] == [(line, column, code)]
