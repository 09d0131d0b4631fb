"""`shyper` reads configuration files as `shyper-tui check` does: the same verdict, at the same place."""

from __future__ import annotations

import json
import os
import random
import re
from pathlib import Path

import pytest

from shyper_tui.config import Diagnostic, Severity, check_vm, read_vm, sample_path
from shyper_tui.config.files import read_text
from shyper_tui.config.samples import sample_names
from tests.config.bad_files import BAD

from .conftest import Shyper

NO_DRIVER = "Failed to open /dev/shyper"
ALSO_HERE = {
    "bad-name", "name-too-long", "cmdline-too-long", "bad-cmdline", "bad-colors", "no-address", "too-many",
}  # fmt: skip
"""Codes of `check_vm` that the command finds as well; everything else of it is the hypervisor's business."""
pytestmark = pytest.mark.skipif(os.path.exists("/dev/shyper"), reason="this host has a /dev/shyper")

GUIDE = """\
{
    "name": "guest-os-1",
    "type": "VM_T_LINUX",
    // kernel's command line
    "cmdline": "earlycon=sbi console=hvc1 root=/dev/vda rw audit=0",
    "image": {
        "kernel_filename": "Image",
        "kernel_load_ipa": "0x80200000",
        "kernel_entry_point": "0x80200000",
        "device_tree_filename": "",
        "device_tree_load_ipa": "0xa0000000",
        "ramdisk_filename": "initrd.gz",
        "ramdisk_load_ipa": "0"
    },
    "memory": {"num": 1, "region": [{"ipa_start": "0x80000000", "length": "0x40000000"}]},
    "cpu": {"num": 3, "allocate_bitmap": "0b1110", "master" : 1},
    "emulated_device" : {
        "num": 2,
        "emulated_device_list": [
            {"name": "plic@c000000", "base_ipa": "0xc000000", "length": "0x600000", "irq_id": 1,
             "cfg_num": 2, "cfg_list": [0, 0], "type": "EMU_DEVICE_T_PLIC"},
            /* the console */
            {"name": "virtio_console@40001000", "base_ipa": "0x40001000", "length": "0x1000", "irq_id": 21,
             "cfg_num": 2, "cfg_list": ["0", "0x40001000"], "type": "EMU_DEVICE_T_VIRTIO_CONSOLE"},
        ]
    },
    "passthrough_device": {"passthrough_device_list": []},
    "dtb_device" : {"num": 0, "dtb_device_list": []}
}
"""


def found(text: str) -> list[str]:
    """`line:column code` of each error that the command has told of."""
    pairs = re.findall(r"\.json(?::(\d+:\d+))?: error\[([a-z0-9-]+)\]", text)
    return [f"{place or '0:0'} {code}" for place, code in pairs]


def judged(shyper: Shyper, text: bytes) -> tuple[list[str], list[str]]:
    """What command and package find wrong in a VM's file, as far as both look for it."""
    file = shyper.folder / "vm.json"
    file.write_bytes(text)
    done = shyper("vm", "config", "vm.json")
    assert done.returncode == 1
    here = found(done.stderr)
    assert bool(here) != (NO_DRIVER in done.stderr), done.stderr
    return here, by_package(file)


def by_package(file: Path) -> list[str]:
    """`line:column code` of each error that the package finds."""
    findings: list[Diagnostic] = []
    text = read_text(str(file), findings)
    if text is not None:
        reading = read_vm(text, str(file))
        findings += reading.diagnostics
        if reading.value is not None:
            findings += [one for one in check_vm(reading.value) if one.code in ALSO_HERE]
    found = sorted(findings, key=lambda one: (one.line, one.column))
    return [f"{one.line}:{one.column} {one.code}" for one in found if one.severity is Severity.ERROR]


@pytest.fixture
def files(shyper: Shyper) -> Shyper:
    """A folder with what the configurations name."""
    for name in ("Image", "kernel", "large-image", "ramdisk", "overlay.dtbo", "initrd.gz"):
        (shyper.folder / name).write_bytes(b"content")
    return shyper


@pytest.mark.parametrize("name", sorted(file.name for file in BAD.glob("*.json") if not file.is_symlink()))
def test_a_bad_file_is_judged_as_by_the_package(files: Shyper, name: str) -> None:
    here, there = judged(files, (BAD / name).read_bytes())
    files_alone = [one for one in here if "file-missing" not in one]  # other folders, other files
    if any("syntax" in one for one in here):
        assert here[0] in there  # the command stops at the first mistake in the form
    elif name == "entry-irqs.json":  # the package leaves the entry out, the kernel module has no room for it
        assert (files_alone, there) == (["70:25 too-many"], [])
    else:
        assert files_alone == there


def test_the_guides_file_with_its_comments_is_read(files: Shyper) -> None:
    (files.folder / "vm.json").write_text(GUIDE)
    done = files("vm", "config", "vm.json")
    assert done.stdout == "Parse VM config successfully, VM name [guest-os-1]\n"
    assert NO_DRIVER in done.stderr
    assert "error[" not in done.stderr
    assert "warning[" not in done.stderr


@pytest.mark.parametrize("name", [name for name in sample_names() if name != "daemon.json"])
def test_the_samples_are_read(files: Shyper, name: str) -> None:
    here, there = judged(files, sample_path(name).read_bytes())
    assert there == []
    assert all("file-missing" in one for one in here)


def damaged(text: bytes, chance: random.Random) -> bytes:
    """The text after one small accident."""
    at = chance.randrange(len(text))
    match chance.randrange(5):
        case 0:
            return text[:at] + text[at + chance.randrange(1, 30) :]
        case 1:
            return text[:at] + bytes([chance.choice(b'{}[],:"\\/*0x1\n\t \x00\x1b\xff\xc3')]) + text[at + 1 :]
        case 2:
            return text[:at]
        case 3:
            other = chance.randrange(len(text))
            return text[:at] + text[other : other + chance.randrange(1, 60)] + text[at:]
        case _:
            words = [b"null", b"-1", b"1e5", b'"0"', b"[", b"{}", b"99999999999999999999", b'"\\ud800"', b"true"]
            return text[:at] + chance.choice(words) + text[at:]


def test_damaged_files_get_the_verdict_of_the_package(files: Shyper) -> None:
    chance = random.Random(10)
    texts = [GUIDE.encode(), sample_path("network-3").read_bytes()]
    differences = []
    for number in range(int(os.environ.get("SHYPER_CLI_FILES", "250"))):
        text = damaged(texts[number % 2], chance)
        here, there = judged(files, text)
        here = [one for one in here if "file-missing" not in one]
        there = [one for one in there if "file-missing" not in one]
        if bool(here) != bool(there) or (here and here[0].split()[1] not in {one.split()[1] for one in there}):
            differences.append((here, there, text))
    assert differences == []


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The file is empty."),
        (nested(60), "The file must be an object, not an array."),
        (nested(10_000), "Values are nested more than 64 deep."),
        ("[" * 200_000, "Values are nested more than 64 deep."),
        ('{"a": "' + "x" * 300_000 + '"}', "The file cannot be read: it is larger than 256 KiB."),
        ("{" + ",".join(f'"k{number}":1' for number in range(20_000)) + "}", "more than 4096 members"),
        ('{"a": ' + "9" * 100_000 + "}", "is no JSON number"),
        ('{"a": 1,,}', "There is no value before this comma."),
        ('{"a": 1} x', "There is text after the end of the value."),
        ('{"a": "\\ud800x"}', "half of a surrogate pair"),
        ("{'a': 1}", "A key is not in double quotes."),
        ('{"a": 0x10}', 'Write hexadecimal and binary values as strings: "0x10".'),
        ("/* ", "The comment is not closed before the end of the file."),
    ],
)  # fmt: skip
def test_hopeless_files_end_in_one_sentence(shyper: Shyper, text: str, message: str) -> None:
    (shyper.folder / "vm.json").write_text(text)
    done = shyper("vm", "config", "vm.json")
    assert (done.returncode, done.stdout) == (1, "")
    lines = [line for line in done.stderr.splitlines() if "error[" in line]
    assert message in lines[0]
    assert "Add vm failed: vm.json:" in lines[0]


def test_an_error_is_told_behind_any_number_of_warnings(files: Shyper) -> None:
    text = GUIDE.replace('"name": "guest-os-1",', ",".join(f'"key{number}": 1' for number in range(100)) + ",")
    (files.folder / "vm.json").write_text(text)
    done = files("vm", "config", "vm.json")
    assert done.stderr.count("warning[unknown-key]") == 19
    assert 'The file has no key "name".' in done.stderr


def test_texts_of_a_file_do_not_steer_the_terminal(shyper: Shyper) -> None:
    text = GUIDE.replace("VM_T_LINUX", "\\u001b]0;title\\u0007\\u009b2J\\u202e")
    (shyper.folder / "vm.json").write_text(text)
    done = shyper("vm", "config", "vm.json")
    assert '"?]0;title???2J???" is no value of "type"' in done.stderr
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", 'The kernel "Image" is empty.'),
        (b"\x7fELF....", "is an ELF file; make a raw image of it: objcopy -O binary FILE IMAGE."),
        (b"\x1f\x8b\x08....", "is compressed; unpack it first: gunzip < FILE > IMAGE."),
        (None, 'The kernel "Image" cannot be read: no such file or directory.'),
    ],
)
def test_a_kernel_that_cannot_run_is_told_before_anything_is_sent(
    shyper: Shyper, content: bytes | None, problem: str
) -> None:
    (shyper.folder / "vm.json").write_text(GUIDE)
    if content is not None:
        (shyper.folder / "Image").write_bytes(content)
    done = shyper("vm", "config", "vm.json")
    assert (done.returncode, done.stdout) == (1, "")
    assert problem in done.stderr
    assert "Add vm failed: vm.json:7:28: error[" in done.stderr


def test_a_ramdisk_that_is_not_there_is_a_warning(files: Shyper) -> None:
    (files.folder / "initrd.gz").unlink()
    (files.folder / "vm.json").write_text(GUIDE)
    done = files("vm", "config", "vm.json")
    assert 'warning[no-ramdisk]: The ramdisk "initrd.gz" cannot be read: no such file or directory, so' in done.stderr
    assert "error[" not in done.stderr
    assert NO_DRIVER in done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cli-config.json: error[unreadable]: The file cannot be read: no such file or directory."),
        ("{}", 'The file has no key "mediated".'),
        ('{"mediated": "disk.img"}', '"mediated" must be an array, not a string.'),
        ('{"mediated": [1]}', '"mediated[0]" must be a string, not a number.'),
        ('{"mediated": ["a\\u0000b"]}', '"mediated[0]" contains a NUL character.'),
        (json.dumps({"mediated": [f"{number}.img" for number in range(17)]}), "17 disks are given; there can be 16."),
        ('{"mediated": ["a.img", // first\n "b.img",]}', "Failed to open /dev/shyper"),
    ],
)
def test_the_daemons_file(shyper: Shyper, text: str | None, message: str) -> None:
    if text is not None:
        (shyper.folder / "cli-config.json").write_text(text)
    done = shyper("system", "daemon")
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr
