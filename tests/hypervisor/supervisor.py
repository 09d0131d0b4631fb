"""The embedded supervisor by its serial console: any hypercall, any byte of its memory."""

from __future__ import annotations

from shyper_tui import images
from shyper_tui.engine.hypervisor.mvm import mvm_definition
from tests.hypervisor.station import Station
from tests.hypervisor.transcript import Made, parse_call

PROMPT = b"mvm# "
RAM = 8 << 30
RAMDISK = 0xB000_0000
"""Where its ramdisk lies: the kernel that `shyper vm config` uploads."""
SCRATCH = 0xC000_0000
"""Memory that the supervisor never uses."""
BYTES_A_COMMAND = 200


class Supervisor:
    """The supervisor at its prompt, on a station of its own unless one is given."""

    def __init__(self, kernel: bytes = b"", station: Station | None = None) -> None:
        self.station = station or Station(ram=RAM)
        definition = mvm_definition()
        definition.ramdisk_load_ipa = RAMDISK if kernel else 0
        self.station.manager.add(definition, images.embedded("supervisor"), kernel)
        self.made: list[Made] = []

    def boot(self) -> Supervisor:
        self.station.manager.boot(0)
        self.station.until(lambda: PROMPT in self.station.consoles[0])
        return self

    def command(self, line: str, cycles: int = 200_000_000) -> str:
        """What the supervisor prints for a line."""
        return self.station.command(0, line, PROMPT, cycles)

    def hypercall(self, kind: int, event: int, *args: int) -> int:
        """a0 (signed) of a hypercall; no other register may change."""
        values = " ".join(hex(value & (1 << 64) - 1) for value in args)
        made = parse_call(self.command(f"hypercall {kind:#x} {event:#x} {values}"))
        assert made.number == 0x0A00_0000 | kind << 8 | event
        assert made.changed == ()
        self.made.append(made)
        return made.a0

    def store(self, address: int, data: bytes) -> int:
        """Write bytes into the supervisor's memory; returns the address."""
        for at in range(0, len(data), BYTES_A_COMMAND):
            piece = data[at : at + BYTES_A_COMMAND]
            assert self.command(f"store {address + at:#x} {piece.hex()}") == ""
        return address

    def dump(self, address: int, size: int) -> bytes:
        """Bytes of the supervisor's memory, as the supervisor reads them."""
        lines = self.command(f"dump {address:#x} {size}").splitlines()
        return bytes.fromhex("".join(line.split(":", 1)[1].replace(" ", "") for line in lines))
