"""Hypercalls made by guest code, compared byte by byte with the contract."""

from __future__ import annotations

import random
import struct

import pytest

from shyper_tui.engine.board.virtio.disk import MemoryDisk
from shyper_tui.engine.hypervisor.definition import CpuSpec, DeviceType, EmulatedDevice, MemoryRegion, PassthroughRegion
from shyper_tui.engine.hypervisor.devices.disks import MediatedDisks
from shyper_tui.engine.hypervisor.vm import VmState
from tests.hypervisor.caller import PROGRAM, UNTOUCHED, Call, Caller
from tests.hypervisor.station import Station

BASE = 0x0A00_0000
DELETE = BASE | 0x1101
PAGE = 0x9200_0000
"""Free memory of the managing VM."""


def hypercall(kind: int, event: int, *args: int) -> Call:
    x6 = args[6] if len(args) > 6 else 0x77
    return Call(BASE | kind << 8 | event, x6, args[:6])


@pytest.fixture
def mvm() -> Caller:
    return Caller(Station(ram=1 << 30))


def put(mvm: Caller, **data: tuple[int, bytes]) -> None:
    for address, content in data.values():
        mvm.vm.memory.write(address, content)


def perform_with(mvm: Caller, memory: dict[int, bytes], *calls: Call) -> list[int]:
    """The a0 of each call, with `memory` in the VM's RAM before the first."""
    kernel = mvm.station.manager.entry(0).images
    kernel.ramdisk = b"".join(
        content.ljust(0x1000, b"\0") for _, content in sorted(memory.items())
    )  # pages in the order of their addresses, from PAGE on
    assert sorted(memory) == [PAGE + 0x1000 * index for index in range(len(memory))]
    mvm.vm.definition.ramdisk_load_ipa = PAGE
    return [a0 for a0, _ in mvm.perform(*calls)]


def define_calls(device_type: int = DeviceType.VIRTIO_CONSOLE) -> tuple[dict[int, bytes], list[Call]]:
    """The calls of `vm config`, with the memory they point to."""
    add = struct.pack("<8Q", PAGE + 0x1000, 8, 0, PAGE + 0x2000, 11, 0x8020_0000, 0x8080_0000, 0)
    memory = {
        PAGE: add,
        PAGE + 0x1000: b"guest-os-1\0garbage",
        PAGE + 0x2000: b"console=hvc0\0",
        PAGE + 0x3000: b"virtio_x@40001000\0",
        PAGE + 0x4000: struct.pack("<16Q", 0, 0x4000_1000, *[0] * 14),
        PAGE + 0x5000: struct.pack("<2Q", 40, 41),
        PAGE + 0x6000: PROGRAM,
        PAGE + 0x7000: b"plic@c000000\0",
    }
    calls = [
        hypercall(0x11, 0, PAGE),
        hypercall(0x11, 3, 1, 0x8000_0000, 16 << 20),
        hypercall(0x11, 2, 1, 3, 0b1111_0110, (1 << 64) - 1),
        hypercall(0x11, 4, 1, PAGE + 0x7000, 0xC00_0000, 0x60_0000, 0, PAGE + 0x4000, DeviceType.PLIC),
        hypercall(0x11, 4, 1, PAGE + 0x3000, 0x4000_1000, 0x1000, 21, PAGE + 0x4000, device_type),
        hypercall(0x11, 5, 1, 0x5000_0000, 0x1000_4000, 0x1000),
        hypercall(0x11, 6, 1, PAGE + 0x5000, 2),
    ]
    return memory, calls


def test_a_vm_is_configured_created_listed_booted_and_removed(mvm: Caller) -> None:
    memory, calls = define_calls()
    calls[2] = hypercall(0x11, 2, 1, 2, 0b1111_0110, 2)
    size = len(PROGRAM)
    answers = perform_with(
        mvm,
        memory,
        *calls,
        hypercall(1, 1, 1),
        hypercall(0x11, 9, 1, size, PAGE + 0x6000, 0, 32),
        hypercall(0x11, 9, 1, size, PAGE + 0x6020, 32, size),  # the last piece announces the whole file
        hypercall(1, 0, PAGE + 0x10_0000),
        hypercall(1, 2, 1),
        hypercall(1, 0, PAGE + 0x10_1000),
    )
    assert answers == [1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]
    definition = mvm.station.manager.entry(1).definition
    assert (definition.name, definition.cmdline) == ("guest-os-1", "console=hvc0")
    assert definition.memory == [MemoryRegion(0x8000_0000, 16 << 20)]
    assert definition.cpu == CpuSpec(2, 0b0110, 2)
    assert definition.cpu.cores() == [2, 1]
    assert definition.passthrough == [PassthroughRegion(0x5000_0000, 0x1000_4000, 0x1000)]
    assert definition.passthrough_irqs == [40, 41]
    assert definition.devices[1] == EmulatedDevice(
        "virtio_x@40001000", 0x4000_1000, 0x1000, 21, (0, 0x4000_1000, *[0] * 14), DeviceType.VIRTIO_CONSOLE
    )
    upload = mvm.station.manager.entry(1).images.upload
    assert upload is not None
    assert upload.data == PROGRAM
    pending, active = (mvm.vm.memory.read(PAGE + 0x10_0000 + at, 4096) for at in (0, 0x1000))
    supervisor = struct.pack("<I32sII", 0, b"supervisor", 0, 2)
    assert pending == (struct.pack("<Q", 2) + supervisor + struct.pack("<I32sII", 1, b"guest-os-1", 0, 1)).ljust(
        4096, b"\0"
    )
    assert active[8 + 44 + 40 :][:4] == b"\2\0\0\0"
    assert mvm.station.manager.state(1) is VmState.ACTIVE


@pytest.mark.parametrize(
    ("num", "bitmap", "master", "expected"),
    [
        (3, 0b1110, 2, CpuSpec(3, 0b1110, 2)),
        (2, 0b1110, 3, CpuSpec(2, 0b0110, None)),  # the bitmap is cut to its lowest bits, the master falls out
        (8, 0b0100, 2, CpuSpec(1, 0b0100, 2)),
        (1, 0b1110, (1 << 64) - 1, CpuSpec(1, 0b0010, None)),
    ],
)
def test_cpu_numbers_are_normalised(num: int, bitmap: int, master: int, expected: CpuSpec) -> None:
    assert CpuSpec(num, bitmap, master).normalised() == expected


def test_failures_are_minus_one_and_touch_no_other_register(mvm: Caller) -> None:
    bad = [
        hypercall(0, 5),
        hypercall(0x12, 0),
        hypercall(1, 0, 0x8000_0000),
        hypercall(1, 0, (1 << 64) - 8),
        hypercall(1, 2, 5),
        hypercall(1, 16, 0),
        hypercall(1, 16, 6),
        hypercall(0x11, 0, 0),
        hypercall(0x11, 3, 1, 0, 4096),
        hypercall(0x11, 9, 3, 100, PAGE, 0, 100),
        hypercall(2, 0, 0, PAGE),
        hypercall(3, 0x31, PAGE),
        hypercall(3, 0x30, 0, 0x1234),
    ]
    results = mvm.perform(*bad)
    assert [a0 for a0, _ in results] == [-1] * len(bad)
    assert [a1 for _, a1 in results] == [call.registers()[1] - (call.registers()[1] >> 63 << 64) for call in bad]


def test_calls_of_the_kernel_module_when_it_loads(mvm: Caller) -> None:
    calls = [hypercall(1, 8, PAGE + 8), hypercall(2, 0, PAGE + 0x1000, PAGE + 0x2000)]
    calls += [hypercall(2, 7, kind, 256 << 20) for kind in (3, 4, 0, 1, 2, 5)]
    calls += [hypercall(0, 4)]
    assert [a0 for a0, _ in mvm.perform(*calls)] == [0] * len(calls)
    assert mvm.vm.memory.read(PAGE + 8, 8) == bytes(8)


def test_messages_are_in_ring_order_with_one_interrupt_each(mvm: Caller) -> None:
    mvm.perform(hypercall(2, 0, PAGE, PAGE + 0x2000))
    vplic = mvm.vm.vplic
    assert vplic is not None
    for context_enable in (0x2080 + 4 * (69 // 32),):
        vplic.write(4 * 69, 4, 1)
        vplic.write(context_enable, 4, 1 << 69 % 32)
    for number in range(20):
        assert mvm.vm.notify(1, 4, number)
    received = []
    for index in range(20):
        assert vplic.read(0x20_1004, 4) == 69
        received.append(struct.unpack("<3Q", mvm.vm.memory.read(PAGE + 0x2000 + 512 * (index % 8), 24)))
        vplic.write(0x20_1004, 4, 69)
    assert received == [(1, 4, number) for number in range(20)]
    assert vplic.read(0x20_1004, 4) == 0


def test_mediated_disks_are_given_in_order_and_refused_when_used_up(mvm: Caller) -> None:
    mvm.station.platform.disks = MediatedDisks([MemoryDisk(bytearray(4096))])
    memory, calls = define_calls(DeviceType.VIRTIO_BLK_MEDIATED)
    memory[PAGE + 0x4000] = struct.pack("<16Q", 0, 8, *[0] * 14)
    second = struct.pack("<8Q", PAGE + 0x1000, 8, 0, PAGE + 0x2000, 11, 0x8020_0000, 0, 0)
    memory[PAGE + 0x8000] = second
    device = list(calls[4].args)
    answers = perform_with(
        mvm,
        memory,
        *calls,
        hypercall(0x11, 0, PAGE + 0x8000),
        Call(calls[4].a7, calls[4].a6, (2, *device[1:])),
        hypercall(0x11, 1, 1),
        Call(calls[4].a7, calls[4].a6, (2, *device[1:])),
    )
    assert answers[-4:] == [2, -1, 0, 0]
    entry = mvm.station.manager.entry(2)
    assert entry.definition.devices[0].disk == 0
    assert entry.definition.devices[0].type == DeviceType.VIRTIO_BLK
    assert entry.definition.devices[0].mediated


def test_only_the_managing_vm_manages() -> None:
    station = Station(ram=1 << 30)
    caller = Caller(station, vm_id=1)
    calls = [hypercall(1, 8, 0x8080_0000), hypercall(1, 0, 0x8080_0000), hypercall(1, 16, 1)]
    calls.append(hypercall(0x11, 0, 0x8080_0000))
    assert [a0 for a0, _ in caller.perform(*calls)] == [0, -1, -1, -1]
    assert caller.vm.memory.read_u64(0x8080_0000) == 1
    assert any("only the managing VM" in line for line in station.log)


def test_eight_vms_are_the_limit(mvm: Caller) -> None:
    memory, calls = define_calls()
    answers = perform_with(mvm, memory, *[calls[0]] * 8, hypercall(0x11, 1, 3), calls[0])
    assert answers == [1, 2, 3, 4, 5, 6, 7, -1, 0, 3]


INTERESTING = (0, 1, 2, 8, 0x7FFF_FFFF, 0x8000_0000, 0x8020_0000, 0x80FF_FFF8, 0x8100_0000, 0x9000_0000, (1 << 64) - 1)
EXTENSIONS = (0x10, 0x54494D45, 0x735049, 0x52464E43, 0x4442434E, 0, 1, 2, 3, 0x504D55)
STOPPING = (0x48534D, 0x53525354, 8)
"""Extensions with calls that stop a hart or the VM: rare, so that the others get their turn."""


def random_call(source: random.Random, managing: bool) -> Call:
    if source.random() < 0.5:
        number = BASE | source.choice((0, 1, 2, 3, 0x11, 0x12, source.randrange(256))) << 8 | source.randrange(0x34)
    else:
        number = source.choice(STOPPING if source.random() < 0.04 else EXTENSIONS)
    values = (*INTERESTING, PAGE) if managing else INTERESTING
    args = tuple(source.choice(values) + source.choice((0, 0, 4, -1)) for _ in range(6))
    return Call(number, source.choice((0, 0, 1, 2, 3, 4, 5, 6, source.getrandbits(64))), args)


@pytest.mark.parametrize("vm_id", [0, 1])
def test_no_call_breaks_the_hypervisor(vm_id: int) -> None:
    """5000 random calls from a hostile guest; some of them stop it, then it starts again. Its neighbour never
    notices."""
    source = random.Random(20)
    station = Station(ram=1 << 30)
    hostile = Caller(station, vm_id, cores=0b0010)
    neighbour = Caller(station, 2, cores=0b0110)
    assert neighbour.perform(Call(0x10, 0))[0] == (0, 0x0200_0000)
    neighbour_shown = len(station.consoles[2])
    made = answered = 0
    while made < 5000:
        calls = [random_call(source, vm_id == 0) for _ in range(50)]
        if vm_id == 0:  # the managing VM may remove or stop others: that is no attack
            calls = [call for call in calls if call.a7 >> 8 not in (BASE >> 8, BASE >> 8 | 1) and call.a7 != DELETE]
        hostile.prepare(calls)
        if station.manager.state(vm_id) is VmState.ACTIVE:
            station.manager.stop(vm_id)
            station.until(lambda: station.manager.state(vm_id) is not VmState.ACTIVE)
        station.manager.boot(vm_id)
        station.run(400_000)
        made += len(calls)
        answered += sum(a0 != UNTOUCHED for a0, _ in hostile.results(len(calls)))
        for other in [key for key in station.manager.table if key not in (0, 1, 2)]:
            station.manager.remove(other)
        station.run(50_000)
    assert answered > made // 4  # the others followed a call that stopped the hart or the VM
    assert not any("the hypervisor failed" in line or "Traceback" in line for line in station.log)
    assert station.manager.state(2) is VmState.ACTIVE
    assert len(station.consoles[2]) == neighbour_shown
    assert neighbour.perform(Call(0x10, 1), Call(0x48534D, 2, (0,)))[1] == (0, 0)
