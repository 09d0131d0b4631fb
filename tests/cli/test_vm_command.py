"""`shyper-tui vm` against a running engine: formats, exit statuses, JSON, refusals.

One engine serves the whole module; a test that changes something puts it back. What ends a machine is in
`test_system_command.py`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from shyper_tui import images
from shyper_tui.config import read_vm, sample_path
from shyper_tui.engine.definitions import definition
from shyper_tui.engine.hypervisor.definition import VmDefinition
from shyper_tui.engine.hypervisor.mvm import mvm_definition
from tests.cli.running_engine import RunningEngine

SAMPLE = sample_path("embedded-guest")


def guest_file(folder: Path, name: str, **changes: str) -> Path:
    """The embedded guest's configuration under another name."""
    text = SAMPLE.read_text().replace('"embedded-guest"', f'"{name}"')
    for old, new in changes.items():
        text = text.replace(old, new)
    file = folder / f"{name}.json"
    file.write_text(text)
    return file


def defined(text: str, vm: int = 1) -> VmDefinition:
    """What the hypervisor would be given."""
    config = read_vm(text, "").value
    assert config is not None
    return definition(vm, config)


def test_the_list_has_the_original_format(engine: RunningEngine) -> None:
    assert engine.shyper("vm", "list") == (
        0,
        "----------vm[0]----------\n"
        "vm id [0] name: supervisor type: 0\n"
        "\n"
        "vm type: Linux\n"
        "vm state: Active\n"
        "----------vm[1]----------\n"
        "vm id [1] name: embedded-guest type: 0\n"
        "\n"
        "vm type: Linux\n"
        "vm state: Active\n",
        "",
    )


def test_the_list_is_in_the_order_of_creation(engine: RunningEngine, tmp_path: Path) -> None:
    for name in ("second", "third"):
        assert engine.shyper("vm", "config", str(guest_file(tmp_path, name)))[0] == 0
    assert engine.shyper("vm", "remove", "2")[0] == 0
    assert engine.shyper("vm", "config", str(guest_file(tmp_path, "fourth")))[0] == 0
    status, out, _ = engine.shyper("vm", "list")
    assert status == 0
    assert [line for line in out.splitlines() if line.startswith("vm id")] == [
        "vm id [0] name: supervisor type: 0",
        "vm id [1] name: embedded-guest type: 0",
        "vm id [3] name: third type: 0",
        "vm id [2] name: fourth type: 0",
    ]
    assert out.count("vm state: Pending\n") == 2
    for vm in ("2", "3"):
        assert engine.shyper("vm", "delconfig", vm) == (0, f"DELETE VM [{vm}] config successfully\n", "")


def test_the_table_has_cores_and_memory(engine: RunningEngine) -> None:
    status, out, _ = engine.shyper("vm", "list", "--table")
    assert status == 0
    assert [line.split() for line in out.splitlines()] == [
        ["ID", "NAME", "STATE", "VCPUS", "CORES", "MEMORY"],
        ["0", "supervisor", "active", "1", "0", "4096", "MiB"],
        ["1", "embedded-guest", "active", "1", "1", "64", "MiB"],
    ]


def test_the_list_as_json(engine: RunningEngine) -> None:
    found = engine.json("vm", "list")
    assert [(vm["id"], vm["name"], vm["state"], vm["cores"], vm["memory"]) for vm in found] == [
        (0, "supervisor", "active", [0], 4 << 30),
        (1, "embedded-guest", "active", [1], 64 << 20),
    ]


def test_a_guest_from_configuration_to_removal(engine: RunningEngine, tmp_path: Path) -> None:
    file = guest_file(tmp_path, "second")
    said = "Parse VM config successfully, VM name [second]\nConfig VM [2] successfully\n"
    assert engine.shyper("vm", "config", str(file)) == (0, said, "")
    assert engine.state(2) == "pending"
    assert engine.shyper("vm", "boot", "2", "--display", "sdl") == (0, "vm2 is booting.\n", "")
    engine.expect(2, "gvm# ", new=True)
    assert engine.shyper("vm", "boot", "2")[::2] == (1, "Error: VM 2 runs already\n")
    assert engine.shyper("vm", "stop", "2") == (0, "vm2 is stopped.\n", "")
    assert engine.state(2) == "pending"
    assert engine.json("vm", "boot", "2")["state"] == "active"
    engine.expect(2, "gvm# ")
    assert engine.shyper("vm", "remove", "2") == (0, "vm2 is removed.\n", "")
    assert [vm["id"] for vm in engine.json("vm", "list")] == [0, 1]


def test_a_large_kernel_at_a_long_path_boots(engine: RunningEngine, tmp_path: Path) -> None:
    kernel = tmp_path / f"{'long ' * 12}kernel.elf"
    kernel.write_bytes(images.embedded("guest").ljust(33 << 20, b"\0"))  # more than one upload of the original
    file = guest_file(tmp_path, "large")
    file.write_text(file.read_text().replace("images:embedded/guest", kernel.name))
    assert engine.shyper("vm", "config", str(file), "--boot")[0] == 0
    engine.expect(2, "gvm# ", new=True)
    printed = json.loads(engine.shyper("vm", "getdefconfig", "2")[1])
    assert printed["image"]["kernel_filename"] == str(kernel)  # usable from any folder
    assert engine.shyper("vm", "remove", "2")[0] == 0


def test_config_boots_when_asked_to(engine: RunningEngine, tmp_path: Path) -> None:
    assert engine.json("vm", "config", str(guest_file(tmp_path, "booted")), "--boot")["state"] == "active"
    engine.expect(2, "gvm# ", new=True)
    assert engine.json("vm", "remove", "2") == {"id": 2}


def test_pause_keeps_a_guest_still_and_resume_lets_it_go_on(engine: RunningEngine) -> None:
    assert engine.shyper("vm", "pause", "1") == (0, "vm1 is paused.\n", "")
    assert engine.state(1) == "paused"
    assert "vm state: Active" in engine.shyper("vm", "list")[1].partition("vm[1]")[2]
    before = engine.json("vm", "stats", "1")
    engine.type(1, "echo awake\n")
    engine.expect(0, "mvm# ", typed="\n")  # the others go on
    after = engine.json("vm", "stats", "1")
    assert after["vcpus"][0]["ran_ticks"] == before["vcpus"][0]["ran_ticks"]
    assert after["time_ticks"] > before["time_ticks"]
    assert engine.shyper("vm", "pause", "1")[0] == 1
    assert engine.shyper("vm", "resume", "1") == (0, "vm1 is running.\n", "")
    engine.expect(1, "\r\nawake\r\n")
    assert engine.shyper("vm", "resume", "1") == (1, "", "Error: VM 1 is not paused\n")


def test_shutdown_and_reboot_of_a_guest_that_does_not_listen(engine: RunningEngine) -> None:
    engine.expect(1, "gvm# ", typed="\n")
    boots = engine.json("vm", "stats", "1")["boots"]
    assert engine.shyper("vm", "reboot", "1") == (0, "vm1 is rebooting.\n", "")
    engine.expect(1, "gvm# ")
    assert engine.json("vm", "reboot", "1", "-f")["asked"] is False
    engine.expect(1, "gvm# ")
    assert engine.json("vm", "stats", "1")["boots"] == boots + 2
    assert engine.shyper("vm", "shutdown", "1") == (0, "vm1 is stopped.\n", "")
    assert engine.state(1) == "pending"
    assert engine.shyper("vm", "boot", "1")[0] == 0
    engine.expect(1, "gvm# ")
    assert engine.shyper("vm", "shutdown", "1", "--force") == (0, "vm1 is stopped.\n", "")
    assert engine.shyper("vm", "boot", "1")[0] == 0
    engine.expect(1, "gvm# ")


def test_delconfig_leaves_a_running_vm_unless_forced(engine: RunningEngine, tmp_path: Path) -> None:
    assert engine.shyper("vm", "config", str(guest_file(tmp_path, "kept")), "--boot")[0] == 0
    status, out, errors = engine.shyper("vm", "delconfig", "2")
    assert (status, out) == (1, "")
    assert errors == "Error: VM 2 runs; shut it down first, or delete it by force\n"
    assert engine.state(2) == "active"
    assert engine.shyper("vm", "delconfig", "2", "-f") == (0, "DELETE VM [2] config successfully\n", "")
    assert len(engine.json("vm", "list")) == 2


def test_a_guest_that_only_faults_has_a_note_in_list_and_faults(engine: RunningEngine, tmp_path: Path) -> None:
    kernel = tmp_path / "kernel.bin"
    kernel.write_bytes(bytes.fromhex("970200009382c20073905210") + bytes(64))  # a trap handler, and nothing in it
    text = sample_path("bare-metal").read_text()
    line = next(line for line in text.splitlines() if '"kernel_filename"' in line)
    file = tmp_path / "damaged.json"
    file.write_text(text.replace(line, f'"kernel_filename": {json.dumps(str(kernel))},'))
    assert engine.shyper("vm", "config", str(file), "--boot")[0] == 0
    for _ in range(1000):
        _, listed, _ = engine.shyper("vm", "list")
        if "vm note" in listed:
            break
    assert "vm state: Active\nvm note: vCPU 0 only faults: its trap handler begins with: illegal" in listed
    assert "vCPU 0 only faults" in engine.shyper("vm", "faults", "2")[1].splitlines()[0]
    assert engine.shyper("vm", "reboot", "2") == (0, "vm2 is rebooting.\n", "")
    assert engine.json("vm", "stats", "2")["boots"] == 2
    assert engine.shyper("vm", "remove", "2") == (0, "vm2 is removed.\n", "")


def test_a_command_to_a_machine_that_is_paused_says_that_it_waits(engine: RunningEngine, tmp_path: Path) -> None:
    assert engine.shyper("vm", "config", str(guest_file(tmp_path, "waits")), "--boot")[0] == 0
    engine.pause()
    note = "Note: the machine is paused, so this takes effect when it goes on.\n"
    try:
        assert engine.shyper("vm", "reboot", "2", "-f")[2] == note
        assert engine.shyper("vm", "list")[1].endswith("vm note: is being stopped\n")
        assert engine.shyper("vm", "remove", "2") == (0, "vm2 is removed.\n", note)
    finally:
        engine.resume()
    assert len(engine.json("vm", "list")) == 2


def test_getdefconfig_prints_what_config_accepts(engine: RunningEngine, tmp_path: Path) -> None:
    status, text, _ = engine.shyper("vm", "getdefconfig", "1")
    assert status == 0
    again = tmp_path / "again.json"
    printed, original = read_vm(text, "printed"), read_vm(SAMPLE.read_text(), "sample")
    assert printed.value is not None
    assert printed.value == original.value
    assert not [found for found in printed.diagnostics if found.severity == "error"]
    again.write_text(text)
    assert engine.shyper("vm", "config", str(again))[0] == 0
    assert defined(engine.shyper("vm", "getdefconfig", "1")[1]) == defined(engine.shyper("vm", "getdefconfig", "2")[1])
    assert engine.shyper("vm", "delconfig", "2")[0] == 0


def test_getdefconfig_of_the_managing_vm_is_the_built_in_one(engine: RunningEngine, tmp_path: Path) -> None:
    status, text, _ = engine.shyper("vm", "getdefconfig", "0")
    assert status == 0
    strict = json.loads(text)
    assert strict["image"]["kernel_filename"] == "images:embedded/supervisor"
    built_in = mvm_definition()
    built_in.ramdisk_load_ipa = int(strict["image"]["ramdisk_load_ipa"], 16)  # the workstation adds one
    assert defined(text, 0) == built_in
    file = tmp_path / "mvm.json"
    file.write_text(text)
    status, out, errors = engine.shyper("check", "--mvm", str(file))
    assert (status, errors) == (0, ""), out


def test_a_vm_of_the_managing_vm_is_controlled_as_any_other(engine: RunningEngine) -> None:
    engine.expect(0, "mvm# ", typed="shyper system daemon 2048\n")
    assert "Config VM [2] successfully" in engine.expect(0, "mvm# ", typed="shyper vm config made\n")
    assert engine.shyper("vm", "boot", "2")[0] == 0
    engine.expect(2, "gvm# ", new=True)
    printed = json.loads(engine.shyper("vm", "getdefconfig", "2")[1])
    assert (printed["name"], printed["image"]["kernel_filename"]) == ("made", "")  # the file was read by VM 0
    devices = printed["emulated_device"]["emulated_device_list"]
    assert [len(device["cfg_list"]) for device in devices] == [0, 2, 6, 2]
    assert len(engine.json("vm", "stats", "2")["vcpus"]) == 3
    assert engine.shyper("vm", "remove", "2")[0] == 0
    assert "made" not in engine.expect(0, "mvm# ", typed="shyper vm list\n")


def test_getvmid_is_the_managing_vm(engine: RunningEngine) -> None:
    assert engine.shyper("vm", "getvmid") == (0, "Current VM id is 0\n", "")
    assert engine.json("vm", "getvmid") == {"id": 0}


def test_stats_count_exits_interrupts_devices_and_vcpu_time(engine: RunningEngine) -> None:
    engine.expect(1, "gvm# ", typed="\n")
    before = engine.json("vm", "stats", "1")
    engine.expect(1, "one two three", typed="echo one two three\n")
    engine.expect(1, "gvm# ")
    after = engine.json("vm", "stats", "1")
    assert (after["vm"], after["name"], after["state"], after["memory"]) == (1, "embedded-guest", "active", 64 << 20)
    assert after["running_ticks"] > before["running_ticks"] > 0
    (vcpu,) = after["vcpus"]
    assert (vcpu["vcpu"], vcpu["core"]) == (0, 1)
    assert after["time_ticks"] >= vcpu["ran_ticks"] > before["vcpus"][0]["ran_ticks"]
    exits = {row["name"]: row for row in after["exits"]}
    assert exits["load guest-page fault"]["cause"] == 21
    assert all(row["count"] > 0 and row["time_ns"] > 0 for row in after["exits"])
    irqs = {row["source"]: row for row in after["irqs"]}
    assert irqs[21]["name"] == "virtio_console@40001000"
    assert irqs[21]["raised"] >= irqs[21]["claimed"] >= irqs[21]["completed"] > 0
    devices = {row["name"]: row for row in after["devices"]}
    assert {device["kind"] for device in devices.values()} == {"net", "block", "console"}
    console, old = (
        next(row["counters"] for row in stats["devices"] if row["kind"] == "console") for stats in (after, before)
    )
    assert console["received_bytes"] - old["received_bytes"] == len("echo one two three\n")
    assert console["sent_bytes"] > old["sent_bytes"]
    block = next(row["counters"] for row in after["devices"] if row["kind"] == "block")
    assert {"in", "out", "flush", "errors"} <= set(block)


def test_stats_of_all_vms_as_text(engine: RunningEngine) -> None:
    status, out, _ = engine.shyper("vm", "stats", "all")
    assert status == 0
    first, second = out.split("\n\n")
    assert first.startswith("vm0 supervisor: active, 4096 MiB, started once, runs for ")
    assert second.startswith("vm1 embedded-guest: active, 64 MiB, started ")
    for word in ("VCPU", "EXIT", "IRQ", "DEVICE", "store/AMO guest-page fault", "virtio_net@50000000", "sent_bytes"):
        assert word in second
    assert [entry["vm"] for entry in engine.json("vm", "stats", "all")] == [0, 1]


def test_faults_tell_everything_that_is_known(engine: RunningEngine, tmp_path: Path) -> None:
    assert engine.shyper("vm", "faults", "0") == (0, "vm0 supervisor: no faults.\n", "")
    assert engine.shyper("vm", "config", str(guest_file(tmp_path, "faulty")), "--boot")[0] == 0
    engine.expect(2, "gvm# ", new=True)
    engine.type(2, "peek 0x70000000\n")
    engine.expect(2, "gvm# ")
    found = engine.json("vm", "faults", "2")
    (fault,) = found["faults"]
    assert (fault["vm"], fault["vcpu"], fault["name"]) == (2, 0, "load guest-page fault")
    assert fault["guest_physical"] == 0x7000_0000
    assert fault["guest_virtual"] == 0x7000_0000
    assert fault["pc"] > 0x8020_0000
    assert fault["stage"] == "G-stage"
    assert "0x70000000" in fault["expected"]
    status, out, _ = engine.shyper("vm", "faults", "2")
    assert status == 0
    for part in ("cause           0x15 (load guest-page fault)", "guest-physical  0x70000000", "G-stage", "expected"):
        assert part in out
    assert engine.shyper("vm", "remove", "2")[0] == 0


def test_faults_list_the_hypercalls_that_were_refused(engine: RunningEngine) -> None:
    engine.expect(1, "gvm# ", typed="\n")
    engine.type(1, "hypercall 1 0x10 1\n")  # remove VM 1
    engine.expect(1, "gvm# ")
    (refused,) = engine.json("vm", "faults", "1")["refused"]
    assert (refused["vm"], refused["vcpu"], refused["number"]) == (1, 0, 0x0A00_0110)
    assert "hypercall 0xa000110 refused: only the managing VM may do this" in engine.shyper("vm", "faults", "1")[1]
    assert engine.state(1) == "active"


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["boot", "5"], 1, "Error: there is no VM 5\n"),
        (["boot", "0"], 1, "Error: VM 0 runs already\n"),
        (["stop", "5"], 1, "Error: there is no VM 5\n"),
        (["shutdown", "5"], 1, "Error: there is no VM 5\n"),
        (["reboot", "5", "-f"], 1, "Error: there is no VM 5\n"),
        (["pause", "5"], 1, "Error: there is no VM 5\n"),
        (["remove", "5"], 1, "Error: there is no VM 5\n"),
        (["remove", "0"], 1, "Error: VM 0 is the managing VM and cannot be removed\n"),
        (["delconfig", "0", "-f"], 1, "Error: VM 0 is the managing VM and cannot be removed\n"),
        (["delconfig", "5"], 1, "Error: there is no VM 5\n"),
        (["getdefconfig", "5"], 1, "Error: there is no VM 5\n"),
        (["stats", "5"], 1, "Error: there is no VM 5\n"),
        (["faults", "5"], 1, "Error: there is no VM 5\n"),
        (["boot", "8"], 2, "8 is not in the range 0<=x<=7"),
        (["boot", "one"], 2, "'one' is not a valid integer"),
        (["stats", "some"], 2, "'some' is not a valid integer"),
        (["boot", "1", "--display", "gtk"], 2, "'gtk' is not 'sdl'"),
        (["config", "missing.json"], 2, "'missing.json' does not exist"),
        (["boot"], 2, "Missing argument 'VMID'"),
    ],
)
def test_a_refusal_is_one_sentence(engine: RunningEngine, arguments: list[str], status: int, sentence: str) -> None:
    got, out, errors = engine.shyper("vm", *arguments)
    assert (got, out) == (status, "")
    assert sentence in errors
    assert "Traceback" not in errors


def test_a_refusal_as_json(engine: RunningEngine, tmp_path: Path) -> None:
    status, out, errors = engine.shyper("vm", "boot", "5", "--json")
    assert (status, errors) == (1, "Error: there is no VM 5\n")
    assert json.loads(out) == {"error": {"code": "vm", "message": "there is no VM 5", "diagnostics": []}}
    (tmp_path / "bad.json").write_text('{"name": 5}')
    status, out, _ = engine.shyper("vm", "config", str(tmp_path / "bad.json"), "--json")
    assert status == 1
    found = json.loads(out)["error"]["diagnostics"]
    assert (1, 10, "error") in [(entry["line"], entry["column"], entry["severity"]) for entry in found]


def test_a_wrong_configuration_is_told_by_line(engine: RunningEngine, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('{"name": 5}')
    status, out, errors = engine.shyper("vm", "config", str(tmp_path / "bad.json"))
    assert (status, out) == (1, "")
    assert f"{tmp_path}/bad.json:1:10: error[" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("kernel", ["pipe", "/dev/zero", "missing"])
def test_a_kernel_that_is_no_file_is_refused_and_the_engine_goes_on(
    engine: RunningEngine, tmp_path: Path, kernel: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    file = guest_file(tmp_path, "odd")
    file.write_text(file.read_text().replace("images:embedded/guest", kernel))
    status, _, errors = engine.shyper("vm", "config", str(file))
    assert status == 1
    assert "Traceback" not in errors
    assert engine.state(1) == "active"
