"""Every hypercall, made by a C guest that is the managing VM, compared with the contract: results, bytes, registers.

The layouts here are written down from the contract, not taken from the hypervisor.
"""

from __future__ import annotations

import struct

import pytest

from shyper_tui.engine.hypervisor.definition import (
    CpuSpec,
    DeviceType,
    DtbDevice,
    EmulatedDevice,
    MemoryRegion,
    PassthroughRegion,
)
from shyper_tui.engine.hypervisor.vm import VmState
from tests.hypervisor.conformance import Conformance
from tests.hypervisor.transcript import Transcript

UNTOUCHED = 0xEE
PENDING, ACTIVE = 1, 2


@pytest.fixture
def mvm() -> Conformance:
    return Conformance.as_managing_vm()


def entry(vm_id: int, name: bytes, kind: int, state: int) -> bytes:
    """One entry of the VM list page: 44 bytes."""
    made = vm_id.to_bytes(4, "little") + name.ljust(32, b"\0")
    made += kind.to_bytes(4, "little") + state.to_bytes(4, "little")
    assert len(made) == 44
    return made


def vm_list(*entries: bytes, size: int) -> bytes:
    """The VM list page after the call, in memory that was filled before it."""
    return (struct.pack("<Q", len(entries)) + b"".join(entries)).ljust(size, bytes([UNTOUCHED]))


SUPERVISOR = entry(0, b"supervisor", 0, ACTIVE)


def refused(found: Transcript, *names: str) -> None:
    assert {name: found.result(name) for name in names} == dict.fromkeys(names, -1)


def done(found: Transcript, *names: str) -> None:
    assert {name: found.result(name) for name in names} == dict.fromkeys(names, 0)


def test_system_and_vm_calls_without_a_guest(mvm: Conformance) -> None:
    found = mvm.run("vms")
    done(found, "test", "getvmid", "list")
    assert found.data["getvmid"] == struct.pack("<QQ", 0, int.from_bytes(bytes([UNTOUCHED]) * 8, "little"))
    assert found.data["list"] == vm_list(SUPERVISOR, size=4096)
    assert found.result("state 0") == ACTIVE
    refused(found, "state 5", "state huge", "boot 5", "boot 8", "boot 0", "shutdown 5", "reboot 5", "reboot 5 force")
    refused(found, "remove 0", "remove 5")
    assert mvm.station.manager.state(0) is VmState.ACTIVE


def test_numbers_without_a_meaning_are_refused(mvm: Conformance) -> None:
    found = mvm.run("vms")
    refused(found, "system 2", "update")
    assert found.sweeps == [
        ("system", 0, 251, 251),
        ("vm 5-7", 1, 3, 3),
        ("vm 9-f", 1, 7, 7),
        ("vm 11-ff", 1, 239, 239),
    ]
    found = mvm.run("numbers")
    refused(found, "type 4", "type ff")
    types = [kind for kind in range(4, 256) if kind != 0x11]
    assert found.sweeps == [("type", kind, 20, 20) for kind in types]


def test_bits_23_to_16_of_a_number_are_ignored_and_the_range_ends_exactly(mvm: Conformance) -> None:
    found = mvm.run("numbers")
    done(found, "plain", "bits 23..16")
    refused(found, "bits 23..16 unknown")
    not_supported = -2  # of SBI, which also writes a1
    assert [found.calls[name][0].a0 for name in ("below", "above", "bit 32")] == [not_supported] * 3
    assert [found.calls[name][0].a1 for name in ("below", "above", "bit 32")] == [0] * 3


def test_the_message_ring_has_eight_slots_of_512_bytes_and_one_interrupt_each(mvm: Conformance) -> None:
    found = mvm.run("messages")
    refused(found, "queue receive 0", "queue ring 0", "queue ring beyond")
    done(found, "queue", "queue again")
    # ten single ones, around the ring; six that wait in the page together; twenty, which are more than it holds
    assert found.counts == [*(("one", "messages", count + 1) for count in range(10)), ("six", "messages", 16),
                            ("twenty", "messages", 36)]  # fmt: skip
    message = struct.pack("<QQQ", 1, 4, 0)  # {manage, please reboot, VM 0}
    assert [bytes(found.data[f"message-{index}"]) for index in range(36)] == [message] * 36
    empty = bytes([UNTOUCHED]) * 32
    filled = message + empty[24:]
    slots = [bytes(found.data["page"][at : at + 32]) for at in range(0, 256, 32)]
    assert slots == [empty] * 2 + [filled] * 6  # ten were read before, so slot 2 has the first
    assert found.data["ring"] == empty * 8  # nothing in a slot that was not its turn
    assert found.data["first"] == message  # prepared again, the ring begins at offset 0


def test_shared_memory_calls_give_a_harmless_base(mvm: Conformance) -> None:
    found = mvm.run("messages")
    assert found.results("share") == [0] * 6
    assert found.sweeps == [("ivc 1-6", 2, 6, 6), ("ivc 8-ff", 2, 248, 248)]


def test_every_configuration_call_and_what_it_refuses(mvm: Conformance) -> None:
    found = mvm.run("config")
    assert [found.result(name) for name in ("add", "add bare", "add long")] == [1, 2, 3]
    first = entry(1, b"guest-os-1", 0, PENDING)
    bare, long_name = entry(2, b"bare", 1, PENDING), entry(3, b"abcdefghijklmnopqrstuvwxyz-1234", 0, PENDING)
    assert found.data["list added"] == vm_list(SUPERVISOR, first, bare, long_name, size=8 + 8 * 44 + 8)
    done(found, "memory", "memory 2", "cpu", "cpu bare", "cpu long", "device", "device plic", "region", "irqs")
    done(found, "streams", "dtb", "colors", "tree 1", "tree 2")
    refused(found, *(name for name in found.calls if name.endswith(" unknown")))
    refused(found, *(name for name in found.calls if " bad" in name), "irqs too many", "device no disk")
    assert {name for name in found.calls if " bad" in name} == {
        "add bad struct", "add bad name", "add bad cmdline", "device bad name", "device bad settings", "irqs bad",
        "streams bad", "dtb bad name", "dtb bad irqs", "tree bad", "kernel bad",
    }  # fmt: skip
    assert found.sweeps == [("config c-ff", 0x11, 244, 244)]
    assert found.results("add more") == [4, 5, 6, 7, -1]  # eight VMs with VM 0
    done(found, "delete")
    assert found.result("add lowest free") == 5
    assert found.results("delete more") == [0] * 4
    assert found.result("delete 0") == -1
    assert found.data["list kept"] == found.data["list added"]


def test_configuration_calls_store_what_they_were_given(mvm: Conformance) -> None:
    mvm.run("config")
    first, bare, long_name = (mvm.station.manager.entry(vm).definition for vm in (1, 2, 3))
    assert (first.name, first.cmdline, int(first.type)) == ("guest-os-1", "console=hvc0 root=/dev/vda", 0)
    assert (bare.name, bare.cmdline, int(bare.type)) == ("bare", "", 1)
    assert (first.kernel_load_ipa, first.kernel_entry_point) == (0x8020_0000, 0x8020_0000)
    assert (first.device_tree_load_ipa, first.ramdisk_load_ipa) == (0x8080_0000, 0)
    assert first.memory == [MemoryRegion(0x8000_0000, 16 << 20), MemoryRegion(0xC000_0000, 0x20_0000)]
    # num := min(num, ones); the lowest num ones stay; a master outside of them is none
    assert first.cpu == CpuSpec(2, 0b0110, 2)
    assert bare.cpu == CpuSpec(1, 0b0100, None)
    assert long_name.cpu == CpuSpec(1, 0b0010, None)
    cfg = tuple(0x1111_1111_1111_1111 * index for index in range(16))
    assert first.devices == [
        EmulatedDevice("virtio_console@40001000", 0x4000_1000, 0x1000, 21, cfg, DeviceType.VIRTIO_CONSOLE),
        EmulatedDevice("plic@c000000", 0xC00_0000, 0x60_0000, 0, (0,) * 16, DeviceType.PLIC),
    ]
    assert first.passthrough == [PassthroughRegion(0x5000_0000, 0x1000_4000, 0x1000)]
    assert first.passthrough_irqs == [40, 41]
    assert first.stream_ids == [40]
    assert first.dtb_devices == [DtbDevice("serial@1000", 0, (40, 41), 0x1000, 0x1000)]
    assert bytes(first.overlay) == b"not really a device tree, only bytes\0"


def test_the_first_piece_of_the_kernel_creates_the_vm_and_the_last_may_be_announced_too_long(mvm: Conformance) -> None:
    found = mvm.run("upload")
    done(found, "memory", "cpu", "plic", "console", "piece 1", "piece 2", "piece 3")
    assert found.result("state created") == PENDING
    vm = mvm.station.manager.vm(1)
    kernel = bytes(found.data["payload"])
    assert len(kernel) == 0x200
    assert vm.memory.read(0x8020_0000, len(kernel)) == kernel
    assert vm.memory.read(0x8020_0000 + len(kernel), 4096) == bytes(4096)  # nothing of what lay behind the file
    assert [region.ipa for region in vm.memory.regions] == [0x8000_0000]  # later calls have no effect on a VM
    assert found.result("beyond") == -1
    # a device that does not exist on this board: an error for the caller, and the id is free again
    assert any(found.calls[name][0].a0 == -1 for name in found.calls if name.startswith(("odd kernel", "odd device")))
    done(found, "odd delete")
    assert list(mvm.station.manager.table) == [0, 1]


def test_boot_enters_the_kernel_as_the_contract_says(mvm: Conformance) -> None:
    mvm.run("upload")
    found = mvm.run("lifecycle")
    size = 8 + 3 * 44
    assert found.data["list pending"] == vm_list(SUPERVISOR, entry(1, b"payload", 0, PENDING), size=size)
    assert found.data["list active"] == vm_list(SUPERVISOR, entry(1, b"payload", 0, ACTIVE), size=size)
    assert [found.result(name) for name in ("state pending", "boot", "state active")] == [PENDING, 0, ACTIVE]
    refused(found, "boot again")
    memory = mvm.station.manager.vm(1).memory
    answers = 0x8020_0100
    mvm.station.until(lambda: memory.read_u64(answers + 0x30) == 0x600D)
    a0, a1, satp, sie, vm_id, result = struct.unpack("<6Q", memory.read(answers, 48))
    assert (a0, a1, satp, sie) == (0, 0x8080_0000, 0, 0)
    assert (vm_id, result) == (1, 0)
    assert struct.unpack(">I", memory.read(0x8080_0000, 4)) == (0xD00D_FEED,)


def disk_page(index: int, before: bytes) -> bytes:
    """The page of a mediated disk after it was appended: nreq 0, cache_pa filled in, nothing else changed."""
    descriptor = bytearray(before[8:128])
    (cache_ipa,) = struct.unpack_from("<Q", descriptor, 104)
    assert struct.unpack_from("<32s32sQQQH", descriptor) == (
        f"MEDBLK{index}".encode() + bytes([0]) + bytes([UNTOUCHED]) * 24,
        f"/root/disk{index}.img".encode() + bytes([0]) + bytes([UNTOUCHED]) * 16,
        8192, 16, 8192, index,
    )  # fmt: skip
    struct.pack_into("<Q", descriptor, 112, cache_ipa)  # the managing VM's memory is where it seems to be
    return struct.pack("<Q", 0) + bytes(descriptor) + before[128:]


def test_disks_of_a_daemon_are_registered_by_their_page(mvm: Conformance) -> None:
    found = mvm.run("mediated")
    done(found, "append 0", "append 1")
    for index in (0, 1):
        before = bytes(found.data[f"page {index} before"])
        assert struct.unpack_from("<Q", before) == (5,)
        assert found.data[f"page {index}"] == disk_page(index, before)
    refused(found, "append bad page", "done without request", "done unknown", "done nowhere")
    assert found.sweeps == [("mediated 0-2f", 3, 48, 48), ("mediated 32-ff", 3, 206, 206)]


def test_mediated_disks_go_to_vms_in_the_order_of_their_configuration(mvm: Conformance) -> None:
    found = mvm.run("mediated")
    refused(found, "no disk", "none for 1")
    done(found, "disk for 2", "disk for 1", "disk for 2 again")
    definitions = [mvm.station.manager.entry(vm).definition for vm in (1, 2)]
    devices = [device for definition in definitions for device in definition.devices]
    assert [device.disk for device in devices] == [1, 0]
    assert (devices[0].type, devices[0].mediated) == (DeviceType.VIRTIO_BLK, True)  # type 7 is stored as type 3


def test_pointers_are_translated_page_by_page_and_end_with_the_memory(mvm: Conformance) -> None:
    found = mvm.run("pointers")
    gap = bytes([UNTOUCHED])
    for name in ("id aligned", "id odd", "id across pages"):
        assert found.result(name) == 0
        assert found.data[name] == gap * 4 + bytes(8) + gap * 4
    assert found.data["list across pages"] == vm_list(SUPERVISOR, size=64)
    done(found, "list across pages", "id at the end", "list at the end")
    assert found.data["id at the end"] == gap * 8 + bytes(8)
    assert found.data["list at the end"] == vm_list(SUPERVISOR, size=52)
    refused(found, "id over the end", "list over the end")  # and not one byte is written
    assert found.data["id over the end"] == gap * 16
    assert found.data["list over the end"] == gap * 48
    strings = ("string at the end", "string over the end", "across pages")
    assert [found.result(f"add {where}") for where in strings] == [1, -1, 2]
    table = mvm.station.manager.table
    assert [(vm, table[vm].definition.name, table[vm].definition.cmdline) for vm in (1, 2)] == [
        (1, "last", "none"),
        (2, "across", "none"),
    ]


@pytest.mark.parametrize("call", ["id", "list", "add"])
def test_invalid_pointers_are_refused(mvm: Conformance, call: str) -> None:
    found = mvm.run("pointers")
    places = ("null", "device", "emulated device", "interrupt controller", "hypervisor", "below", "top", "wraps",
              "beyond 2^41", "sign")  # fmt: skip
    refused(found, *(f"{call} {place}" for place in places))
    assert not any("Traceback" in line for line in mvm.station.log)
