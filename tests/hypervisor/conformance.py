"""The conformance guest (guests/conformance) as managing VM or as guest VM."""

from __future__ import annotations

from pathlib import Path

from shyper_tui import images
from shyper_tui.engine.hypervisor.definition import DeviceType, EmulatedDevice, MemoryRegion
from shyper_tui.engine.hypervisor.mvm import mvm_definition
from tests.hypervisor import transcript
from tests.hypervisor.station import Station, guest
from tests.hypervisor.transcript import Transcript

PROGRAM = Path(__file__).parents[1] / "programs" / "conformance.elf"
PROMPT = b"test# "
RAM = 8 << 30
HYPERCALLS = range(0x0A00_0000, 0x0B00_0000)
LOAD_ADDRESS = 0x9000_0000
HVC_IRQ = 69
"""Source of the messages' interrupt."""


class Conformance:
    """VM `vm_id` of the station runs the conformance guest and waits at its prompt."""

    def __init__(self, station: Station, vm_id: int) -> None:
        self.station = station
        self.vm_id = vm_id
        station.manager.boot(vm_id)
        station.until(lambda: PROMPT in station.consoles[vm_id])

    @classmethod
    def as_managing_vm(cls) -> Conformance:
        station = Station(ram=RAM)
        station.manager.add(mvm_definition(), PROGRAM.read_bytes())
        return cls(station, 0)

    @classmethod
    def as_guest(cls, cores: int = 0b1110) -> Conformance:
        """VM 1 on these cores, beside the embedded supervisor as VM 0 and an idle VM 2."""
        station = Station(ram=RAM)
        station.manager.add(mvm_definition(), images.embedded("supervisor"))
        station.manager.boot(0)
        station.until(lambda: b"mvm# " in station.consoles[0])
        definition = guest(
            1,
            cores,
            kernel_load_ipa=LOAD_ADDRESS,
            kernel_entry_point=LOAD_ADDRESS,
            device_tree_load_ipa=LOAD_ADDRESS + (32 << 20),
        )
        definition.memory = [MemoryRegion(LOAD_ADDRESS, 64 << 20)]
        definition.devices.append(EmulatedDevice("shyper", 0, 0, HVC_IRQ, (), DeviceType.SHYPER))
        station.manager.add(definition, PROGRAM.read_bytes())
        station.manager.add(guest(2, 0b0100, devices=[]), images.embedded("guest"))
        return cls(station, 1)

    def command(self, line: str) -> str:
        """What the guest prints for a line."""
        return self.station.command(self.vm_id, line, PROMPT)

    def run(self, group: str) -> Transcript:
        """One group of calls. No hypercall may change any register but a0, and no SBI call any but a0 and a1."""
        found = transcript.read(self.command(f"run {group}"))
        assert found.order
        for made in found.order:
            assert set(made.changed) <= (set() if made.number in HYPERCALLS else {"x11"}), made
        return found
