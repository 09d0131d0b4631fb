"""What a VM is made from: the entry of the configuration table, as hypercalls or a configuration file fill it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

NAME_SIZE = 32
"""Bytes that the VM list has for a VM's name, with its terminating NUL."""
LONGEST_SENTENCE = 4096


class VmError(Exception):
    """A request about a VM that cannot be fulfilled; the message is one sentence for the user.

    It may quote what a guest wrote: no such text moves a terminal's cursor or fills a log.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(printable(sentence[:LONGEST_SENTENCE]))


def printable(text: str) -> str:
    """The text with `?` in place of all that a terminal might obey."""
    return "".join(character if character.isprintable() else "?" for character in text)


class VmType(IntEnum):
    """Kind of guest, numbered as `vm list` shows it."""

    LINUX = 0
    BARE_METAL = 1
    FREERTOS = 2


class DeviceType(IntEnum):
    """Emulated device types with the numbers of the configuration hypercall."""

    CONSOLE = 0
    GICD = 1
    GPPT = 2
    VIRTIO_BLK = 3
    VIRTIO_NET = 4
    VIRTIO_CONSOLE = 5
    SHYPER = 6
    VIRTIO_BLK_MEDIATED = 7
    IOMMU = 8
    SRE = 9
    SGIR = 10
    GICR = 11
    META = 12
    PLIC = 13
    APLIC = 14


SUPPORTED_DEVICES = frozenset(
    {DeviceType.VIRTIO_BLK, DeviceType.VIRTIO_NET, DeviceType.VIRTIO_CONSOLE, DeviceType.SHYPER, DeviceType.PLIC}
)


@dataclass(frozen=True, slots=True)
class MemoryRegion:
    """RAM of the VM: guest-physical start and length in bytes."""

    ipa_start: int
    length: int


@dataclass(frozen=True, slots=True)
class EmulatedDevice:
    """A device the hypervisor emulates. `mediated` marks a block device backed by a mediated disk, `disk` is that
    disk's index in the list once it has been taken."""

    name: str
    base_ipa: int
    length: int
    irq_id: int
    cfg_list: tuple[int, ...]
    type: int
    mediated: bool = False
    disk: int | None = None

    @property
    def type_name(self) -> str:
        """The type as messages name it; a type that does not exist by its number."""
        return DeviceType(self.type).name if self.type in DeviceType.__members__.values() else str(self.type)


@dataclass(frozen=True, slots=True)
class PassthroughRegion:
    """A machine device mapped into the VM."""

    ipa: int
    pa: int
    length: int


@dataclass(frozen=True, slots=True)
class DtbDevice:
    """A device described in the VM's device tree only."""

    name: str
    type: int
    irqs: tuple[int, ...]
    ipa_start: int
    length: int


@dataclass(slots=True)
class CpuSpec:
    """vCPUs: how many, which cores (bit n = core n), and the core of vCPU 0 (None: the lowest)."""

    num: int = 0
    allocate_bitmap: int = 0
    master: int | None = None

    def normalised(self) -> CpuSpec:
        """As the CPU hypercall stores it: the lowest `num` cores of the bitmap, `master` only if it is one of them."""
        cores = [bit for bit in range(32) if self.allocate_bitmap >> bit & 1]
        kept = cores[: min(self.num, len(cores))]
        master = self.master if self.master in kept else None
        return CpuSpec(len(kept), sum(1 << core for core in kept), master)

    def cores(self) -> list[int]:
        """Core of each vCPU in order: the master first, then the others ascending."""
        rest = [bit for bit in range(32) if self.allocate_bitmap >> bit & 1 and bit != self.master]
        return rest if self.master is None else [self.master, *rest]


@dataclass(slots=True)
class VmDefinition:
    """One entry of the configuration table. Addresses are guest-physical; 0 as device tree address means none, 0 as
    ramdisk address that a ramdisk is placed where it fits."""

    id: int
    name: str
    type: int = VmType.LINUX
    cmdline: str = ""
    kernel_load_ipa: int = 0
    kernel_entry_point: int = 0
    device_tree_load_ipa: int = 0
    ramdisk_load_ipa: int = 0
    memory: list[MemoryRegion] = field(default_factory=list)
    cpu: CpuSpec = field(default_factory=CpuSpec)
    devices: list[EmulatedDevice] = field(default_factory=list)
    passthrough: list[PassthroughRegion] = field(default_factory=list)
    passthrough_irqs: list[int] = field(default_factory=list)
    stream_ids: list[int] = field(default_factory=list)
    dtb_devices: list[DtbDevice] = field(default_factory=list)
    overlay: bytes = b""

    @property
    def memory_size(self) -> int:
        """Bytes of RAM over all regions."""
        return sum(region.length for region in self.memory)

    def owned_irqs(self) -> set[int]:
        """Source numbers that exist in this VM: of emulated and of passthrough devices."""
        return {device.irq_id for device in self.devices if device.irq_id} | set(self.passthrough_irqs)
