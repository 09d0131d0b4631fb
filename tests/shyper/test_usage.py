"""The command tree of `shyper`: help, version, and one clear message for each wrong usage."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from .conftest import Shyper

VM = ("list", "boot", "shutdown", "reboot", "remove", "config", "getvmid", "getdefconfig", "delconfig")
SYSTEM = ("reboot", "shutdown", "update", "test", "daemon")
COMMANDS = [*(("vm", name) for name in VM), *(("system", name) for name in SYSTEM)]
NO_DRIVER = pytest.mark.skipif(os.path.exists("/dev/shyper"), reason="this host has a /dev/shyper")


def test_the_version_is_what_scripts_for_the_original_expect(shyper: Shyper) -> None:
    for option in ("-V", "--version"):
        assert (shyper(option).returncode, shyper(option).stdout) == (0, "shyper-cli-rust 0.1.0\n")


@pytest.mark.parametrize("words", [(), ("vm",), ("system",), *COMMANDS])
def test_every_level_has_help(shyper: Shyper, words: tuple[str, ...]) -> None:
    for option in ("-h", "--help"):
        done = shyper(*words, option)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"\nUsage: shyper {' '.join(words)}".rstrip() in done.stdout
        assert "-h, --help" in done.stdout
    assert shyper("help", *words).stdout == done.stdout


def test_the_lists_of_commands_are_complete(shyper: Shyper) -> None:
    for group, names in (("vm", VM), ("system", SYSTEM)):
        assert tuple(re.findall(r"^  ([a-z]+)  ", shyper(group, "-h").stdout, re.MULTILINE)) == (*names, "help")


@pytest.mark.parametrize("words", [(), ("vm",), ("system",)])
def test_without_a_command_the_help_goes_to_standard_error(shyper: Shyper, words: tuple[str, ...]) -> None:
    done = shyper(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == shyper(*words, "-h").stdout


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["nonsense"], "unrecognized subcommand 'nonsense'"),
        (["vm", "nonsense"], "unrecognized subcommand 'nonsense'"),
        (["--nonsense"], "unexpected argument '--nonsense' found"),
        (["vm", "list", "1"], "unexpected argument '1' found"),
        (["vm", "boot"], "the following required arguments were not provided:\n  <VMID>"),
        (["vm", "boot", "one"], "invalid value 'one' for '<VMID>': invalid digit found in string"),
        (["vm", "boot", ""], "invalid value '' for '<VMID>': cannot parse integer from empty string"),
        (["vm", "boot", "65536"], "invalid value '65536' for '<VMID>': number too large: VMs are 0 to 7"),
        (["vm", "boot", "-1"], "unexpected argument '-1' found"),
        (["vm", "boot", "1", "--force"], "unexpected argument '--force' found"),
        (["vm", "boot", "1", "--display", "x"], "invalid value 'x' for '--display <TYPE>'\n  [possible values: sdl]"),
        (["vm", "boot", "1", "--display"], "a value is required for '--display <TYPE>' but none was supplied"),
        (["vm", "shutdown", "1", "2"], "unexpected argument '2' found"),
        (["vm", "config"], "the following required arguments were not provided:\n  <CONFIG>"),
        (["vm", "config", ""], "a value is required for '<CONFIG>' but none was supplied"),
        (["vm", "config", "none.json"], "invalid value 'none.json' for '<CONFIG>': File none.json not exists!"),
        (["vm", "config", "a\x1b]0;x\x07"], "invalid value 'a?]0;x?' for '<CONFIG>': File a?]0;x? not exists!"),
        (["system", "daemon", "a", "b"], "unexpected argument 'b' found"),
        (["system", "update"], "the following required arguments were not provided:\n  <IMAGE>"),
        (["system", "reboot", "-x"], "unexpected argument '-x' found"),
    ],
)  # fmt: skip
def test_wrong_usage_is_one_message_and_status_2(shyper: Shyper, words: list[str], error: str) -> None:
    done = shyper(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {error}\n\n")
    assert done.stderr.endswith("For more information, try '--help'.\n")


@NO_DRIVER
@pytest.mark.parametrize("words", [["list"], ["boot", "1"], ["boot", "--display=sdl", "1"], ["shutdown", "-f", "1"],
                                   ["reboot", "1", "--force"], ["remove", "1"], ["getvmid"], ["getdefconfig", "0"],
                                   ["delconfig", "1", "-f"]])  # fmt: skip
def test_without_the_kernel_module_a_command_says_how_to_load_it(shyper: Shyper, words: list[str]) -> None:
    done = shyper("vm", *words)
    assert (done.returncode, done.stdout) == (1, "")
    stamp, text = done.stderr.split(" ", 1)
    assert re.fullmatch(r"\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", stamp)
    problem = "it does not exist; load the kernel module first: insmod shyper_riscv64.ko"
    assert text == f"ERROR shyper_cli_rust::vmm] Failed to open /dev/shyper: {problem}\n"


def test_the_hypervisor_cannot_be_replaced(shyper: Shyper, tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(bytes(100))
    (tmp_path / "empty").touch()
    for name, problem in {
        "image": "this hypervisor is part of the machine and cannot be replaced while it runs",
        "empty": "empty is empty",
        "none": "File none not exists!",
    }.items():
        done = shyper("system", "update", name)
        assert done.returncode == (2 if name == "none" else 1)
        assert problem in done.stderr
