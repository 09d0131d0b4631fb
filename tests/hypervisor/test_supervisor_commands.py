"""The supervisor's commands: `vm config` as the original does it, what a failure must not do, the kernel module."""

from __future__ import annotations

import io
import struct

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from shyper_tui import images
from shyper_tui.engine.hypervisor.vm import VmState
from tests.hypervisor.conformance import PROGRAM
from tests.hypervisor.supervisor import Supervisor

KERNEL_AT = 0x8020_0000
ANSWERS = KERNEL_AT + 0x100
"""Where the payload notes how it was entered: a0, a1, satp, sie, VM id, result of that call, 0x600d."""


def payload() -> bytes:
    """The kernel inside the conformance guest that notes how it was entered."""
    elf = ELFFile(io.BytesIO(PROGRAM.read_bytes()))
    symbols = elf.get_section_by_name(".symtab")
    assert isinstance(symbols, SymbolTableSection)
    addresses = {symbol.name: symbol["st_value"] for symbol in symbols.iter_symbols()}
    start, end = addresses["payload"], addresses["payload_end"]
    for segment in elf.iter_segments():
        at = start - segment["p_vaddr"]
        if segment["p_type"] == "PT_LOAD" and 0 <= at < segment["p_filesz"]:
            return bytes(segment.data()[at : at + end - start])
    raise AssertionError("the conformance guest has no payload")


def leftovers(mvm: Supervisor) -> tuple[int, int, int, int]:
    """What a VM that could not be made must give back: memory, tables, switch ports, disks."""
    manager, platform = mvm.station.manager, mvm.station.platform
    owned = sum(disk.owner is not None for disk in platform.disks.disks)
    return manager.pool.free_bytes, manager.pages.in_use, len(platform.switch.ports), owned


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("disk=0 cpus=0x3", "copy kernel image to memory"),  # core 0 is the managing VM's
        ("disk=0 cpus=0x30", "copy kernel image to memory"),  # the machine has four cores
        ("disk=0 cpus=0", "copy kernel image to memory"),
        ("disk=0 memory=1", "copy kernel image to memory"),  # the kernel lies behind it
        ("disk=0 memory=1048576", "copy kernel image to memory"),  # 1 TiB
        ("disk=64", "send vm_emulated_device_config_arg"),  # there is no mediated disk
    ],
)
def test_a_vm_that_cannot_be_made_is_an_error_for_its_maker_alone(arguments: str, reason: str) -> None:
    mvm = Supervisor(images.embedded("guest")).boot()
    before = leftovers(mvm)
    shown = mvm.command(f"shyper vm config wrong {arguments}").splitlines()
    assert shown == [
        "Parse VM config successfully, VM name [wrong]",
        "Send VM [1] config successfully",
        f"Config VM [1] failed: failed to {reason}",
        "DELETE VM [1] config successfully",
        f"Add vm failed: failed to {reason}",
    ]
    assert leftovers(mvm) == before
    assert list(mvm.station.manager.table) == [0]
    assert mvm.station.manager.state(0) is VmState.ACTIVE
    assert mvm.command("shyper vm config right disk=0 memory=64 cpus=2").endswith("Config VM [1] successfully\n")


def test_without_a_kernel_nothing_is_sent() -> None:
    mvm = Supervisor().boot()
    assert mvm.command("shyper vm config none") == "Add vm failed: no kernel: the boot loader gave this VM no ramdisk\n"
    assert list(mvm.station.manager.table) == [0]


def test_wrong_arguments_are_told_and_send_nothing() -> None:
    mvm = Supervisor(images.embedded("guest")).boot()
    for line in ("shyper vm config", "shyper vm config a cpus", "shyper vm config a colour=3", "shyper vm boot",
                 "shyper vm boot one", "shyper vm boot 1 --force", "shyper vm", "shyper"):  # fmt: skip
        assert mvm.command(line).startswith("usage: shyper vm list\n"), line
    assert list(mvm.station.manager.table) == [0]


@pytest.mark.parametrize(("kind", "a0", "a1"), [(0, 0, 0x83E0_0000), (1, 0x8400_0000, 0)])
def test_entry_registers_of_linux_and_bare_metal_vms(kind: int, a0: int, a1: int) -> None:
    mvm = Supervisor(payload()).boot()
    mvm.command(f"shyper vm config entered type={kind} disk=0 memory=64 cpus=4")
    mvm.command("shyper vm boot 1")
    memory = mvm.station.manager.vm(1).memory
    mvm.station.until(lambda: memory.read_u64(ANSWERS + 48) == 0x600D)
    # a bare-metal VM begins with the end of its first region in a0; both with fresh CSRs
    assert struct.unpack("<6Q", memory.read(ANSWERS, 48)) == (a0, a1, 0, 0, 1, 0)
    shown = mvm.command("shyper vm list")
    assert f"name: entered type: {kind}\n\nvm type: {('Linux', 'Bare Metal App')[kind]}\nvm state: Active" in shown


def test_a_freertos_vm_boots_like_the_others() -> None:
    mvm = Supervisor(payload()).boot()
    mvm.command("shyper vm config rtos type=2 disk=0 memory=64 cpus=4")
    mvm.command("shyper vm boot 1")
    memory = mvm.station.manager.vm(1).memory
    mvm.station.until(lambda: memory.read_u64(ANSWERS + 48) == 0x600D)
    assert "name: rtos type: 2\n\nvm type: FreeRTOS\nvm state: Active" in mvm.command("shyper vm list")


def test_an_id_that_is_used_again_has_nothing_of_the_vm_before() -> None:
    mvm = Supervisor(payload()).boot()
    before = leftovers(mvm)
    mvm.command("shyper vm config first disk=0 memory=64 cpus=2")
    mvm.command("shyper vm boot 1")
    first = mvm.station.manager.vm(1)
    mvm.station.until(lambda: first.memory.read_u64(ANSWERS + 48) == 0x600D)
    assert mvm.command("shyper vm delconfig 1") == ""
    mvm.station.until(lambda: leftovers(mvm) == before)
    shown = mvm.command("shyper vm config second disk=0 memory=128 cpus=4")
    assert shown.endswith("Config VM [1] successfully\n")
    second = mvm.station.manager.vm(1)
    assert second is not first
    assert second.definition.memory_size == 128 << 20
    assert second.memory.read(0x8300_0000, 4096) == bytes(4096)
    assert second.memory.read(KERNEL_AT, 512) == payload()  # the answers of the first are gone


def test_consoles_and_network_cards_follow_the_ids() -> None:
    mvm = Supervisor(images.embedded("guest")).boot()
    for name in ("a", "b"):
        mvm.command(f"shyper vm config {name} disk=0 memory=64 cpus={2 if name == 'a' else 4}")
    mvm.command("shyper vm boot 1")
    mvm.command("shyper vm boot 2")
    station = mvm.station
    station.until(lambda: all(b"gvm# " in station.consoles[vm] for vm in (1, 2)))
    for vm in (1, 2):
        names = [device.name for device in station.manager.entry(vm).definition.devices]
        assert names[-1] == f"virtio_console@4000{vm}000"
        assert f"address  10.0.0.{vm + 1}/24" in station.command(vm, "net", b"gvm# ")
    assert "3 packets transmitted, 3 received" in station.command(1, "ping 10.0.0.3", b"gvm# ")
    assert "3 packets transmitted, 3 received" in mvm.command("ping 10.0.0.3")


@pytest.mark.parametrize("image", ["elf", "raw"])
def test_elf_and_raw_kernels_boot_alike(image: str) -> None:
    elf = images.embedded("guest")
    kernel = elf if image == "elf" else flat(elf)
    mvm = Supervisor(kernel).boot()
    mvm.command("shyper vm config guest disk=0 memory=64 cpus=2")
    mvm.command("shyper vm boot 1")
    mvm.station.until(lambda: b"gvm# " in mvm.station.consoles[1])
    assert mvm.station.manager.vm(1).memory.read(KERNEL_AT, 4096) == flat(elf)[:4096]


def flat(file: bytes) -> bytes:
    """An ELF file as it lies in memory."""
    elf = ELFFile(io.BytesIO(file))
    loads = [segment for segment in elf.iter_segments() if segment["p_type"] == "PT_LOAD"]
    base = min(segment["p_paddr"] for segment in loads)
    memory = bytearray()
    for segment in loads:
        at = segment["p_paddr"] - base
        memory[at:] = bytes(max(0, at - len(memory)))
        memory[at : at + segment["p_filesz"]] = segment.data()
    return bytes(memory)


def test_states_and_failures_are_told() -> None:
    mvm = Supervisor(images.embedded("guest")).boot()
    mvm.command("shyper vm config guest disk=0 memory=64 cpus=2")
    assert mvm.command("shyper vm state 0") == "VM [0] is Active\n"
    assert mvm.command("shyper vm state 1") == "VM [1] is Pending\n"
    failures = {
        "shyper vm state 5": "shyper: vm state failed (hypercall 0x0a000101 returned -1)\n",
        "shyper vm boot 5": "shyper: vm boot failed (hypercall 0x0a000102 returned -1)\n",
        "shyper vm boot 0": "shyper: vm boot failed (hypercall 0x0a000102 returned -1)\n",
        "shyper vm remove 0": "shyper: vm remove failed (hypercall 0x0a000110 returned -1)\n",
        "shyper vm delconfig 5": "shyper: vm delconfig failed (hypercall 0x0a001101 returned -1)\n",
    }
    assert {line: mvm.command(line) for line in failures} == failures
    assert mvm.command("shyper vm boot 1") == ""
    assert mvm.command("shyper vm state 1") == "VM [1] is Active\n"
    assert mvm.command("shyper vm remove 1") == ""
    assert mvm.command("shyper vm getvmid") == "Current VM id is 0\n"
    assert mvm.command("shyper system test").splitlines()[-1] == "sys test ok"


def test_the_module_is_loaded_once_and_counts_its_messages() -> None:
    mvm = Supervisor().boot()
    assert mvm.command("insmod") == "insmod: the module is loaded already\n"
    assert mvm.command("messages") == "0 messages of the hypervisor, next slot 0, irq 69\n"
    for _ in range(10):  # a disk request that nobody has made: the module looks, and finds nothing
        assert mvm.station.manager.vm(0).notify(3, 0x32)
    mvm.station.run(1_000_000)
    assert mvm.command("messages") == "10 messages of the hypervisor, next slot 2, irq 69\n"
    assert mvm.command("rmmod") == ""
    assert mvm.command("rmmod") == "rmmod: the module is not loaded\n"
    assert mvm.command("insmod") == ""
    assert mvm.command("messages") == "10 messages of the hypervisor, next slot 0, irq 69\n"
