"""What the checks know of the machine, and of the managing VM (MVM) that a guest VM runs beside."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .model import EmuDeviceType, VmConfig

GIB = 1 << 30
POOL_START = 0x9000_0000
"""First address of the memory for VMs; below it lie firmware and hypervisor."""


@dataclass(frozen=True)
class Window:
    """A device of the machine: physical address, length in bytes, its interrupts at the machine's PLIC.

    `private`: the hypervisor's own; no guest VM may have it. `dma`: it reads and writes memory by itself.
    """

    name: str
    base: int
    length: int
    irqs: tuple[int, ...] = ()
    private: bool = False
    dma: bool = False

    def meets(self, start: int, length: int) -> bool:
        """Whether any byte of `length` bytes from `start` belongs to the device."""
        return start < self.base + self.length and self.base < start + length


@dataclass(frozen=True)
class MvmConsole:
    """A console of the MVM at guest-physical `base`, paired with the console at `peer_base` of VM `peer`."""

    base: int
    peer: int
    peer_base: int


VIRTIO = tuple(Window(f"virtio slot {n}", 0x1000_1000 + 0x1000 * n, 0x1000, (n + 1,), dma=True) for n in range(8))
DEVICES = (
    Window("power switch", 0x10_0000, 0x1000, private=True),
    Window("real-time clock", 0x10_1000, 0x1000, (11,)),
    Window("CLINT", 0x200_0000, 0x1_0000, private=True),
    Window("PLIC", 0xC00_0000, 0x60_0000, private=True),
    Window("serial port", 0x1000_0000, 0x1000, (10,)),
    *VIRTIO,
)
SERIAL_PORT = 0x1000_0000


@dataclass(frozen=True)
class Board:
    """Defaults: the `virt` board with 8 GiB and Rust-Shyper's built-in MVM."""

    cores: int = 4
    mvm_cores: frozenset[int] = frozenset({0})
    gvm_pool: int = 0xF000_0000
    """Bytes of memory for all guest VMs together: what the MVM's 4 GiB leave of the pool."""
    ram_start: int = 0x8000_0000
    ram_length: int = 8 * GIB
    devices: tuple[Window, ...] = DEVICES
    plic_sources: int = 95
    """Highest source of the machine's PLIC."""
    mvm_macs: tuple[tuple[int, ...], ...] = ((0x74, 0x56, 0xAA, 0x0F, 0x47, 0xD0),)
    mvm_consoles: tuple[MvmConsole, ...] = tuple(
        MvmConsole(base, vm_id, base)
        for vm_id, base in enumerate((0x4000_1000, 0x4000_2000, *range(0x4000_4000, 0x4000_9000, 0x1000)), 1)
    )
    mvm_irqs: frozenset[int] = frozenset(range(1, 12))
    """Interrupts passed through to the MVM."""
    mvm_windows: tuple[tuple[int, int], ...] = tuple(
        (window.base, window.length) for window in DEVICES if not window.private
    )
    """Physical address and length of what is passed through to the MVM."""
    max_vms: int = 8
    disks: int | None = None
    """Mediated disks that a daemon's file offers; None: no file is known."""

    @property
    def pool(self) -> int:
        """Bytes of memory for all VMs."""
        return self.ram_start + self.ram_length - POOL_START

    def beside(self, mvm: VmConfig) -> Board:
        """The same machine with another MVM than the built-in one."""
        consoles = [device for device in mvm.emulated_devices if device.type is EmuDeviceType.VIRTIO_CONSOLE]
        return replace(
            self,
            mvm_cores=frozenset(mvm.cpu.cores),
            gvm_pool=max(0, self.pool - mvm.memory_bytes),
            mvm_macs=tuple(mvm.macs()),
            mvm_consoles=tuple(MvmConsole(c.base_ipa, *c.cfg_list[:2]) for c in consoles if len(c.cfg_list) > 1),
            mvm_irqs=frozenset(irq for device in mvm.passthrough_devices for irq in device.irq_list),
            mvm_windows=tuple((device.base_pa, device.length) for device in mvm.passthrough_devices),
        )


DEFAULT_BOARD = Board()
