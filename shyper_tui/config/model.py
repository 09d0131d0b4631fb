"""A virtual machine's configuration, in Rust-Shyper's terms. All addresses, lengths and numbers are ints (bytes).

"IPA" is a guest-physical address (intermediate physical address), "PA" a machine-physical one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from .diagnostics import Span


class VmType(IntEnum):
    """Kind of guest; values and JSON names as in Rust-Shyper."""

    LINUX = 0
    BARE_METAL = 1
    FREERTOS = 2

    @property
    def json_name(self) -> str:
        return {0: "VM_T_LINUX", 1: "VM_T_BARE_MATEL_APP", 2: "VM_T_FREERTOS"}[self]


class EmuDeviceType(IntEnum):
    """Kind of emulated device; the JSON name is `EMU_DEVICE_T_` and the member's name."""

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

    @property
    def json_name(self) -> str:
        return f"EMU_DEVICE_T_{self.name}"


class DtbDeviceType(IntEnum):
    """Kind of device tree entry; the JSON name is `DTB_DEVICE_T_` and the member's name."""

    CONSOLE = 0
    GICD = 1
    GICC = 2
    GICR = 3
    PLIC = 4
    APLIC = 5

    @property
    def json_name(self) -> str:
        return f"DTB_DEVICE_T_{self.name}"


@dataclass(frozen=True)
class VmImage:
    """Files, and where they go in the guest. Empty file names: no file. `device_tree_load_ipa` 0: no device tree."""

    kernel_filename: str
    kernel_load_ipa: int
    kernel_entry_point: int
    device_tree_filename: str = ""
    device_tree_load_ipa: int = 0
    ramdisk_filename: str = ""
    ramdisk_load_ipa: int = 0


@dataclass(frozen=True)
class MemoryRegion:
    ipa_start: int
    length: int


@dataclass(frozen=True)
class CpuConfig:
    """`allocate_bitmap`: bit n set = a vCPU on core n. `master`: the core whose vCPU starts, or None (JSON: -1)."""

    num: int
    allocate_bitmap: int
    master: int | None

    @property
    def cores(self) -> list[int]:
        """The cores used, as Rust-Shyper cuts them: the lowest `num` bits of the bitmap."""
        return [core for core in range(32) if self.allocate_bitmap >> core & 1][: self.num]


@dataclass(frozen=True)
class EmulatedDevice:
    name: str
    base_ipa: int
    length: int
    irq_id: int
    type: EmuDeviceType
    cfg_list: tuple[int, ...] = ()


@dataclass(frozen=True)
class PassthroughDevice:
    name: str
    base_pa: int
    base_ipa: int
    length: int
    irq_list: tuple[int, ...] = ()
    smmu_id: int | None = None


@dataclass(frozen=True)
class DtbDevice:
    name: str
    type: DtbDeviceType
    irq_list: tuple[int, ...]
    addr_region_ipa: int
    addr_region_length: int


@dataclass(frozen=True)
class VmConfig:
    """One VM. `positions` maps JSON paths such as `cpu.master` or `memory.region[0].length` to the text of `file`."""

    name: str
    type: VmType
    cmdline: str
    image: VmImage
    memory: tuple[MemoryRegion, ...]
    cpu: CpuConfig
    emulated_devices: tuple[EmulatedDevice, ...] = ()
    passthrough_devices: tuple[PassthroughDevice, ...] = ()
    dtb_devices: tuple[DtbDevice, ...] = ()
    memory_colors: str | None = None
    memory_budget: int | None = None
    file: str = field(default="", compare=False)
    positions: Mapping[str, Span] = field(default_factory=dict, compare=False, repr=False)

    @property
    def memory_bytes(self) -> int:
        return sum(region.length for region in self.memory)

    def device(self, *types: EmuDeviceType) -> EmulatedDevice | None:
        """The first emulated device of one of these types."""
        return next((device for device in self.emulated_devices if device.type in types), None)

    def mac(self) -> tuple[int, ...] | None:
        """Hardware address of the first network device, 6 bytes."""
        return next(self.macs(), None)

    def macs(self) -> Iterator[tuple[int, ...]]:
        """Hardware addresses of all network devices, 6 bytes each."""
        for device in self.emulated_devices:
            if device.type is EmuDeviceType.VIRTIO_NET and len(device.cfg_list) >= 6:
                yield device.cfg_list[:6]

    def consoles(self) -> list[EmulatedDevice]:
        """The virtio consoles, in order."""
        return [device for device in self.emulated_devices if device.type is EmuDeviceType.VIRTIO_CONSOLE]
