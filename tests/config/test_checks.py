"""Semantic checks: each mistake is found, alone, at the value that is wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from shyper_tui.config import Severity, check_vm, read_vm, sample_path

from .files import BOARD, GUEST, checked, config, edit, elf, linux_image, write_files

FIRST_REGION = '«[{"ipa_start": "0x80000000", "length": '
LAST_REGION = '"length": "0x40000000"}]'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_files(tmp_path)
    return tmp_path


def found(text: str, folder: Path) -> list[tuple[int, int, str]]:
    return [(d.line, d.column, d.code) for d in checked(text, folder)]


def test_a_correct_configuration_has_no_findings(folder: Path) -> None:
    assert checked(GUEST, folder) == []


@pytest.mark.parametrize(
    ("old", "marked", "code"),
    [
        ('"name": "guest"', '"name": «""', "bad-name"),
        ('"name": "guest"', '"name": «"a\\nb"', "bad-name"),
        ('"name": "guest"', f'"name": «"{"é" * 16}"', "name-too-long"),
        ('"console=hvc0"', f'«"{"x" * 1025}"', "cmdline-too-long"),
        ('"console=hvc0"', '«"a\\u0000b"', "bad-cmdline"),
        ('"region": [{', '"colors": «"3-0", "region": [{', "bad-colors"),
        # CPUs
        ('"num": 3', '"num": «2', "cpu-count"),
        ('"num": 3', '"num": «4', "cpu-count"),
        ('"num": 3', '"num": «0', "no-cpu"),
        ('"0b1110"', '«"0b0"', "no-cpu"),
        ('"num": 3, "allocate_bitmap": "0b1110"', '"num": 4, "allocate_bitmap": «"0b11110"', "no-such-core"),
        ('"num": 3, "allocate_bitmap": "0b1110"', '"num": 4, "allocate_bitmap": «"0b1111"', "core-taken"),
        ('"master": 1', '"master": «0', "cpu-master"),
        # memory
        ('[{"ipa_start": "0x80000000", "length": "0x40000000"}]', "«[]", "no-memory"),
        (LAST_REGION, LAST_REGION[:-1] + ', {"ipa_start": «"0xbffff000", "length": "0x2000"}]', "overlap"),
        (LAST_REGION, LAST_REGION[:-1] + ', {"ipa_start": "0xc0000000", "length": «"0"}]', "empty-region"),
        (LAST_REGION, LAST_REGION[:-1] + ', {"ipa_start": «"0xd0000800", "length": "0x1000"}]', "unaligned"),
        (LAST_REGION, LAST_REGION[:-1] + ', {"ipa_start": "0xd0000000", "length": «"0x1800"}]', "unaligned"),
        ('"0x40000000"}]', '"0x40000000"}, {"ipa_start": «"0x1ffffffff000", "length": "0x1000"}]', "address-too-high"),
        ('[{"ipa_start": "0x80000000", "length": "0x4', FIRST_REGION + '"0x10', "pool-exhausted"),
        ('"base_ipa": "0x50000000"', '"base_ipa": «"0xb0000000"', "overlap"),
        ('"base_ipa": "0x50000000"', '"base_ipa": «"0xc001000"', "overlap"),
        ('"base_ipa": "0x101000"', '"base_ipa": «"0x10001000"', "overlap"),
        ('"base_pa": "0x101000"', '"base_pa": «"0x80000000"', "passthrough-ram"),
        ('"base_pa": "0x101000"', '"base_pa": «"0x101800"', "unaligned"),
        # what is loaded
        ('"kernel_filename": "Image"', '"kernel_filename": «""', "file-missing"),
        ('"kernel_filename": "Image"', '"kernel_filename": «"Imagf"', "file-missing"),
        ('"kernel_filename": "Image"', '"kernel_filename": «"."', "file-missing"),
        ('"kernel_filename": "Image"', '"kernel_filename": «"images:nothing"', "file-missing"),
        ('"kernel_filename": "Image"', '"kernel_filename": «"a\\u0000b"', "file-missing"),
        ('"kernel_filename": "Image"', '"kernel_filename": «"ramdisk"', "not-a-kernel"),
        ('"kernel_filename": "Image"', '"kernel_filename": «"pipe"', "file-missing"),
        ('"ramdisk_filename": "ramdisk"', '"ramdisk_filename": «"nothing"', "file-missing"),
        ('"device_tree_filename": ""', '"device_tree_filename": «"nothing"', "file-missing"),
        ('"kernel_entry_point": "0x80200000"', '"kernel_entry_point": «"0x8000"', "entry-outside"),
        ('"device_tree_load_ipa": "0xa0000000"', '"device_tree_load_ipa": «"0xbffff800"', "outside-ram"),
        ('"device_tree_load_ipa": "0xa0000000"', '"device_tree_load_ipa": «"0x80200000"', "overlap"),
        ('"device_tree_load_ipa": "0xa0000000"', '"device_tree_load_ipa": «"0xa0000004"', "unaligned"),
        ('"ramdisk_load_ipa": "0x90000000"', '"ramdisk_load_ipa": «"0xbfffe000"', "outside-ram"),
        ('"ramdisk_load_ipa": "0x90000000"', '"ramdisk_load_ipa": «"0x821ff000"', "overlap"),
        ('"ramdisk_load_ipa": "0x90000000"', '"ramdisk_load_ipa": «"0x9ffff000"', "overlap"),
        ('"ramdisk_load_ipa": "0x90000000"', '"ramdisk_load_ipa": «"0x90000010"', "unaligned"),
        (
            '"ramdisk_filename": "ramdisk",\n        "ramdisk_load_ipa": "0x90000000"',
            '"ramdisk_filename": «"nothing",\n        "ramdisk_load_ipa": "0"',
            "no-ramdisk",
        ),
        # devices
        ('"EMU_DEVICE_T_VIRTIO_NET"', '«"EMU_DEVICE_T_GICD"', "unsupported-device"),
        ('"name": "net"', '"name": «"a/b"', "bad-name"),
        ('"name": "net"', '"name": «"blk"', "bad-name"),
        ('"name": "net"', f'"name": «"{"n" * 32}"', "name-too-long"),
        ('"irq_id": 20', '"irq_id": «0', "irq-range"),
        ('"irq_id": 20', '"irq_id": «512', "irq-range"),
        ('"irq_id": 20', '"irq_id": «19', "irq-clash"),
        ('"irq_list": [11]', '"irq_list": [«21]', "irq-clash"),
        ('"irq_list": [11]', f'"irq_list": «{[11] + [12] * 64}', "too-many"),
        ('"irq_id": 20', '"irq_id": «60', "irq-reserved"),
        ('"irq_list": [11]', '"irq_list": [«61]', "irq-reserved"),
        ('"irq_list": [11]', '"irq_list": [«96]', "irq-plic"),
        ('"irq_list": [11]', '"irq_list": [«10]', "irq-taken"),
        ('"base_pa": "0x101000"', '"base_pa": «"0x10000000"', "passthrough-shared"),
        ('"base_pa": "0x101000"', '"base_pa": «"0xc200000"', "passthrough-private"),
        ('"base_pa": "0x101000"', '"base_pa": «"0x20000000"', "no-such-device"),
        ('"irq_num": 1', '"irq_num": 1, "smmu_id": «3', "no-iommu"),
        ('"cfg_list": [0, 8192]', '"cfg_list": «[0]', "bad-block"),
        ('"cfg_list": [0, 8192]', '"cfg_list": [0, «0]', "bad-block"),
        ('"cfg_list": [0, 8192]', '"cfg_list": [0, «1099511627777]', "bad-block"),
        ('"cfg_list": [0, 8192]', '"cfg_list": [«1099511627777, 1]', "bad-block"),
        ('"cfg_list": [0, 8192]', f'"cfg_list": «{list(range(17))}', "too-many"),
        ('["0x74", 86, "0xaa", 15, "0x47", "0xd1"]', "«[1, 2]", "bad-mac"),
        ('["0x74", 86, "0xaa", 15, "0x47", "0xd1"]', "«[1, 2, 3, 4, 5, 6]", "bad-mac"),
        ('["0x74", 86, "0xaa", 15, "0x47", "0xd1"]', "«[2, 256, 3, 4, 5, 6]", "bad-mac"),
        ('["0x74", 86, "0xaa", 15, "0x47", "0xd1"]', '«["0x74", 86, "0xaa", 15, "0x47", "0xd0"]', "mac-clash"),
        ('"cfg_list": ["0", "0x40001000"]', '"cfg_list": «[0]', "bad-console"),
        ('"base_ipa": "0x40001000"', '"base_ipa": «"0x40002000"', "console-unpaired"),
        ('"cfg_list": ["0", "0x40001000"]', '"cfg_list": [«8, "0x40001000"]', "bad-console"),
        ('"cfg_list": ["0", "0x40001000"]', '"cfg_list": ["0", «"0x40003000"]', "console-unpaired"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_finding_at_its_place(folder: Path, old: str, marked: str, code: str) -> None:
    text, line, column = edit(old, marked)
    findings = set(found(text, folder))  # [12] * 64 also clashes with itself, at other places
    assert (line, column, code) in findings
    if code != "too-many":
        assert findings == {(line, column, code)}
    assert all(d.remedy and d.message.endswith(".") for d in checked(text, folder))


def test_no_plic_and_two_plics(folder: Path) -> None:
    plic = '{"name": "plic", "base_ipa": "0xc000000", "length": "0x600000", "irq_id": 1, "type": "EMU_DEVICE_T_PLIC"},'
    text, line, column = edit('"emulated_device_list": [', '"emulated_device_list": «[')
    assert found(text.replace(plic, ""), folder) == [(line, column, "no-plic")]
    second = plic.replace('"plic"', '"plic2"').replace("0xc000000", "0xd000000")
    assert found(text.replace(plic, plic + second), folder) == [(line, column, "two-plics")]


def test_too_many_devices(folder: Path) -> None:
    device = '{{"name": "d{0}", "base_ipa": "0x6000{0:02}000", "length": "0x1000", "irq_id": {1}, "cfg_list": [0, 1], '
    devices = "".join((device + '"type": "EMU_DEVICE_T_VIRTIO_BLK"}},').format(i, 30 + i) for i in range(13))
    text, line, column = edit('"emulated_device_list": [', f'"emulated_device_list": «[{devices}')
    assert found(text, folder) == [(line, column, "too-many")]


def test_an_overlay_without_an_address_for_the_tree_is_ignored(folder: Path) -> None:
    text = GUEST.replace('"device_tree_filename": ""', '"device_tree_filename": "ramdisk"')
    text, line, column = edit('"0xa0000000"', '«"0"', text)
    assert found(text, folder) == [(line, column, "no-tree")]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (elf(machine=0x3E), "for x86-64"),
        (elf(machine=0xB7), "for AArch64"),
        (elf()[:100], "program headers are damaged"),
        (elf()[:130], "ends within a segment"),
        (elf()[:30], "ends within the ELF header"),
        (linux_image()[:60], "ends within the Linux Image header"),
        (b"\x1f\x8b\x08" + bytes(100), "gzip"),
        (b"\xfd7zXZ\0" + bytes(100), "compressed"),
        (b"MZ\0\0zimg" + bytes(16) + b"lzo\0" + bytes(100), "compressed with lzo"),
        (bytes(56) + b"ARM\x64" + bytes(8), "AArch64"),
        (b"hello, kernel", "neither"),
        (b"", "neither"),
    ],
)
def test_a_file_that_is_no_riscv_kernel(folder: Path, content: bytes, words: str) -> None:
    (folder / "Image").write_bytes(content)
    text, line, column = edit('"kernel_filename": "Image"', '"kernel_filename": «"Image"')
    (finding,) = checked(text, folder)
    assert (finding.line, finding.column, finding.code) == (line, column, "not-a-kernel")
    assert words in finding.message


def test_a_raw_binary_is_allowed_for_bare_metal_only(folder: Path) -> None:
    (folder / "Image").write_bytes(b"\x13\0\0\0" * 16)
    assert "VM_T_BARE_MATEL_APP" in checked(GUEST, folder)[0].remedy
    assert checked(GUEST.replace("VM_T_LINUX", "VM_T_BARE_MATEL_APP"), folder) == []


def test_a_linux_kernel_must_be_aligned_to_2_mib(folder: Path) -> None:
    text = GUEST.replace('"kernel_entry_point": "0x80200000"', '"kernel_entry_point": "0x80201000"')
    text, line, column = edit('"kernel_load_ipa": "0x80200000"', '"kernel_load_ipa": «"0x80201000"', text)
    assert found(text, folder) == [(line, column, "unaligned")]


def test_an_elf_kernel_counts_with_the_memory_of_its_segments(folder: Path) -> None:
    text = GUEST.replace('"Image"', '"program.elf"')
    assert checked(text, folder) == []
    text, line, column = edit('"0x90000000"', '«"0x80202000"', text)
    assert found(text, folder) == [(line, column, "overlap")]


def test_an_elf_kernel_away_from_its_linked_address_is_a_warning(folder: Path) -> None:
    (folder / "program.elf").write_bytes(elf(address=0x8000_0000))
    text, line, column = edit('"kernel_load_ipa": "0x80200000"', '"kernel_load_ipa": «"0x80200000"')
    (finding,) = checked(text.replace('"Image"', '"program.elf"'), folder)
    assert (finding.line, finding.column, finding.code) == (line, column, "elf-moved")
    assert finding.severity is Severity.WARNING


def test_other_vms_share_names_addresses_consoles_and_memory(folder: Path) -> None:
    others = [config(GUEST, folder)]
    findings = checked(GUEST, folder, others=others)
    assert [(d.code, d.severity) for d in findings] == [
        ("name-taken", Severity.WARNING),
        ("mac-clash", Severity.WARNING),
        ("console-taken", Severity.WARNING),
        ("device-taken", Severity.ERROR),
        ("irq-taken", Severity.ERROR),
    ]
    text, line, column = edit('"region": [{', '"region": «[{')
    findings = checked(text, folder, others=others * 3)
    pool = next(d for d in findings if d.code == "pool-exhausted")
    assert (pool.line, pool.column) == (line, column)
    assert "768 MiB of the 3840 MiB" in pool.message


def test_the_limits_are_those_of_the_board(folder: Path) -> None:
    board = replace(BOARD, cores=2, gvm_pool=0x1000_0000)
    assert {d.code for d in checked(GUEST, folder, board)} == {"no-such-core", "pool-exhausted"}


def test_files_are_looked_up_in_the_folder_of_the_configuration(folder: Path, tmp_path: Path) -> None:
    vm = read_vm(GUEST, "elsewhere/vm.json").value
    assert vm is not None
    assert {d.code for d in check_vm(vm, BOARD)} == {"file-missing"}
    assert check_vm(vm, BOARD, folder=folder) == []
    absolute = GUEST.replace('"Image"', f'"{folder}/Image"').replace('"ramdisk"', f'"{folder}/ramdisk"')
    vm = read_vm(absolute, "elsewhere/vm.json").value
    assert vm is not None
    assert check_vm(vm, BOARD) == []


def test_an_unknown_sample_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="linux-guest"):
        sample_path("nothing")
