"""Stage 2 on the real core: what a guest's page tables say never leads out of its own memory, nor into an old one's."""

from __future__ import annotations

import struct

import pytest

from shyper_tui.engine.hypervisor.definition import MemoryRegion
from shyper_tui.engine.hypervisor.layout import HYPERVISOR_MEMORY
from shyper_tui.engine.hypervisor.mvm import mvm_definition
from shyper_tui.engine.hypervisor.vm import Vm, VmState
from tests.hypervisor.programs import A0, A1, S0, S1, S2, SATP, SEPC, STVEC, T0, T1, Program
from tests.hypervisor.station import RAM_BASE, Station, guest
from tests.hypervisor.workloads import boot, words

BASE = guest().kernel_load_ipa
RESULTS, HANDLER, ROOT = BASE + 0x4000, BASE + 0x3000, BASE + 0x5000
LEAF = 0xCF
MIB, GIB = 1 << 20, 1 << 30
SECRET = b"another VM's data"


def finish(body: Program, tables: dict[int, int] | None = None) -> bytes:
    """A trap is counted in the second word of the results, and its instruction skipped."""
    at = BASE + 0x2FF0
    assert body.here < at
    body.at(HANDLER).op("ld", rd=T1, rs1=S0, imm=8).op("addi", rd=T1, rs1=T1, imm=1).op("sd", rs1=S0, rs2=T1, imm=8)
    body.csrr(T1, SEPC).op("addi", rd=T1, rs1=T1, imm=4).csrw(SEPC, T1).op("sret")
    image = bytearray(body.code().ljust(0x8000, b"\0"))
    for address, entry in (tables or {}).items():
        struct.pack_into("<Q", image, address - BASE, entry)
    return bytes(image)


def done(body: Program) -> Program:
    return body.li(T0, 1).op("sd", rs1=S0, rs2=T0, imm=0).label("end").op("wfi").jump("end")


def begin() -> Program:
    return Program(BASE).li(S0, RESULTS).li(T0, HANDLER).csrw(STVEC, T0)


def neighbour(station: Station) -> Vm:
    """Another VM with a secret in its memory."""
    vm = station.manager.add(guest(2, 0b0100), Program(BASE).label("stay").op("wfi").jump("stay").code())
    station.manager.boot(2)
    vm.memory.write(RAM_BASE, SECRET)
    return vm


def test_every_gibibyte_of_the_machine_through_page_tables_and_without() -> None:
    """A guest maps guest-physical = machine-physical, at 1 GiB a leaf, and reads and writes each: only its own answers.

    Guest-physical 0x8000_0000 to 0x8100_0000 is its RAM; everywhere else it must trap, with paging and with
    physical addresses, and nothing of the machine may change.
    """
    station = Station(ram=1 << 30)
    other = neighbour(station)
    manager = station.manager
    places = [
        HYPERVISOR_MEMORY[0], HYPERVISOR_MEMORY[1] - 8, other.stage2.root, other.memory.physical(RAM_BASE), 0x200_0000,
        0xC00_0000, 0x1000_0000, 0x10_0000, 0, 0x9000_0000, 0xBFFF_FFF8, 1 << 38, (1 << 41) - 8,
    ]  # fmt: skip
    body = begin()
    outside = [place for place in places if not RAM_BASE <= place < RAM_BASE + 16 * MIB]
    outside = [place for place in outside if not 0xC00_0000 <= place < 0x1260_0000]
    for place in outside:
        body.li(A1, place).op("ld", rd=A0, rs1=A1, imm=0).op("sd", rs1=A1, rs2=S0, imm=0)
    body.li(T0, 8 << 60 | ROOT >> 12).csrw(SATP, T0).op("sfence.vma")
    paged = [place for place in outside if place < 1 << 38]
    for place in paged:
        body.li(A1, place).op("ld", rd=A0, rs1=A1, imm=0).op("sd", rs1=A1, rs2=S0, imm=0)
    tables = {ROOT + 8 * gib: gib * GIB >> 2 | LEAF for gib in range(256)}
    vm = station.manager.add(guest(1), finish(done(body), tables))
    kept = [(region.physical, region.length) for region in other.memory.regions]
    before = [station.machine.memory.read(physical, length) for physical, length in kept]
    tables_before = station.machine.memory.read(HYPERVISOR_MEMORY[0], 1 * MIB)
    manager.boot(1)
    station.until(lambda: words(vm, 1)[0] == 1)
    assert words(vm, 2)[1] == 2 * (len(outside) + len(paged))
    assert len(outside) >= 8
    assert [station.machine.memory.read(physical, length) for physical, length in kept] == before
    assert station.machine.memory.read(HYPERVISOR_MEMORY[0], 1 * MIB) == tables_before
    assert other.state is VmState.ACTIVE


@pytest.mark.parametrize("what", ["hypervisor", "stage-2 root", "neighbour"])
def test_page_tables_in_memory_that_is_not_the_guests(what: str) -> None:
    """satp names a machine address of somebody else's: guest-physically nothing is there. That VM alone stops."""
    station = Station(ram=1 << 30)
    other = neighbour(station)
    vm = station.manager.add(guest(1), Program(BASE).code() or b"\0")
    root = {
        "hypervisor": HYPERVISOR_MEMORY[1] - 0x10000,
        "stage-2 root": vm.stage2.root + 0x800_0000,
        "neighbour": other.memory.physical(RAM_BASE + 15 * MIB) + 0x1000,
    }[what]
    station.manager.entry(1).images.kernel = bytearray(
        Program(BASE).li(T0, 8 << 60 | root >> 12).csrw(SATP, T0).op("sfence.vma").op("wfi").code()
    )
    station.manager.boot(1)
    station.until(lambda: vm.state is VmState.FAILED)
    record = vm.faults[-1]
    assert (record.stage, record.level) == ("VS-stage", 2)
    assert record.guest_physical // 0x1000 == root // 0x1000
    assert other.memory.read(RAM_BASE, len(SECRET)) == SECRET
    assert other.state is VmState.ACTIVE


def test_the_managing_vm_does_not_reach_the_hypervisor_through_its_identity_map() -> None:
    station = Station(ram=1 << 30)
    definition = mvm_definition()
    definition.memory = [MemoryRegion(0x9000_0000, 64 * MIB)]
    definition.device_tree_load_ipa = 0x9100_0000
    base = definition.kernel_load_ipa
    body = Program(base).li(S0, base + 0x4000).li(T0, base + 0x3000).csrw(STVEC, T0)
    places = [HYPERVISOR_MEMORY[0], HYPERVISOR_MEMORY[1] - 8, RAM_BASE, 0x200_0000, 0x10_0000]
    for place in places:
        body.li(A1, place).op("ld", rd=A0, rs1=A1, imm=0).op("sd", rs1=A1, rs2=S0, imm=0)
    done(body).at(base + 0x3000).op("ld", rd=T1, rs1=S0, imm=8).op("addi", rd=T1, rs1=T1, imm=1)
    body.op("sd", rs1=S0, rs2=T1, imm=8).csrr(T1, SEPC).op("addi", rd=T1, rs1=T1, imm=4).csrw(SEPC, T1).op("sret")
    vm = station.manager.add(definition, body.code().ljust(0x5000, b"\0"))
    assert vm.memory.physical(0x9000_0000) == 0x9000_0000
    station.manager.boot(0)
    station.until(lambda: vm.memory.read_u64(base + 0x4000) == 1)
    assert vm.memory.read_u64(base + 0x4008) == 2 * len(places)
    assert len(vm.faults) == 2 * len(places)


def reader() -> bytes:
    """Reads the first doubleword of RAM and one at the end, again and again, with and without page tables."""
    body = begin().li(A1, RAM_BASE).li(S1, RAM_BASE + 8 * MIB)
    body.label("again").op("ld", rd=A0, rs1=A1, imm=0).op("sd", rs1=S0, rs2=A0, imm=16)
    body.op("ld", rd=A0, rs1=S1, imm=0).op("sd", rs1=S0, rs2=A0, imm=24)
    body.li(S2, 8 << 60 | ROOT >> 12).csrw(SATP, S2).op("ld", rd=A0, rs1=A1, imm=0).csrw(SATP, 0)
    body.op("sd", rs1=S0, rs2=A0, imm=32).li(T0, 1).op("sd", rs1=S0, rs2=T0, imm=0).jump("again")
    return finish(body, {ROOT + 16: RAM_BASE >> 2 | LEAF})


def test_nothing_of_a_removed_vm_is_found_under_its_id() -> None:
    """VM 1 goes, another gets its id, its core and other memory: translations of the old one are gone, data too."""
    station = Station(ram=1 << 30)
    first = boot(station, 1, reader())
    first.memory.write(RAM_BASE, struct.pack("<Q", 111))
    first.memory.write(RAM_BASE + 8 * MIB, struct.pack("<Q", 222))
    station.until(lambda: words(first, 5)[2:] == (111, 222, 111))
    old = first.memory.physical(RAM_BASE)
    station.manager.remove(1)
    station.until(lambda: first.vcpus[0].core.current is None)
    assert station.machine.memory.read(old, 16 * MIB) == bytes(16 * MIB)
    filler = station.manager.add(guest(3, 0b1000), reader())  # takes the memory that has become free
    assert filler.memory.physical(RAM_BASE) == old
    filler.memory.write(RAM_BASE, struct.pack("<Q", 333))
    second = boot(station, 1, reader())
    assert second.memory.physical(RAM_BASE) != old
    second.memory.write(RAM_BASE, struct.pack("<Q", 444))
    station.run(2_000_000)
    assert words(second, 5) == (1, 0, 444, words(second, 5)[3], 444)
    assert words(second, 5)[3] not in (111, 222, 333)


def test_two_vms_with_the_same_addresses_take_turns_on_one_core() -> None:
    """Same guest-physical addresses, same satp: the VMID keeps their translations apart."""
    station = Station(ram=1 << 30)
    vms = [boot(station, vm_id, reader()) for vm_id in (1, 2)]
    for vm in vms:
        vm.memory.write(RAM_BASE, struct.pack("<Q", 1000 + vm.id))
    station.run(5_000_000)
    for _ in range(5):
        for vm in vms:
            vm.memory.write(RESULTS, bytes(40))
        station.run(4_000_000)
        for vm in vms:
            found = words(vm, 5)
            assert (found[0], found[1], found[2], found[4]) == (1, 0, 1000 + vm.id, 1000 + vm.id)


def test_ram_is_mapped_by_the_largest_leaves_that_fit() -> None:
    station = Station(ram=4 << 30)
    vm = station.manager.add(guest(memory=2 * GIB), b"\0")
    sizes = set()
    for offset in range(0, 2 * GIB, 2 * MIB):
        translation = vm.stage2.translate(RAM_BASE + offset)
        assert translation is not None
        assert translation.physical == vm.memory.physical(RAM_BASE + offset)
        sizes.add(translation.leaf_size)
    assert min(sizes) >= 2 * MIB
    assert station.manager.pages.in_use <= 8
