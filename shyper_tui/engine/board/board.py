"""The `virt` board: every device at its place, wired to the harts' interrupts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from shyper_tui.engine.board import memory_map as m
from shyper_tui.engine.board.aclint import Aclint
from shyper_tui.engine.board.bus import Bus
from shyper_tui.engine.board.device import TICKS_PER_SECOND, Timebase
from shyper_tui.engine.board.dma import DmaPort
from shyper_tui.engine.board.finisher import Finisher, PowerEvent
from shyper_tui.engine.board.memory import Memory
from shyper_tui.engine.board.plic import Plic, PlicState
from shyper_tui.engine.board.rtc import GoldfishRtc
from shyper_tui.engine.board.uart import Uart
from shyper_tui.engine.board.virtio.backend import Backend
from shyper_tui.engine.board.virtio.block import Block
from shyper_tui.engine.board.virtio.disk import Disk
from shyper_tui.engine.board.virtio.disk_server import DiskServer, quiet
from shyper_tui.engine.board.virtio.mmio import SlotState, VirtioMmio
from shyper_tui.engine.hart.direct.windows import DirectWindows

MSIP, SEIP, MEIP = 3, 9, 11  # bits of mip that devices drive


@dataclass(frozen=True, slots=True)
class WindowState:
    """A device's window on the bus: physical address, length in bytes, PLIC source."""

    name: str
    base: int
    length: int
    irq: int | None


@dataclass(frozen=True, slots=True)
class BoardState:
    """The devices of the board, by address; `slots[i]` is virtio slot i."""

    windows: tuple[WindowState, ...]
    plic: PlicState
    slots: tuple[SlotState, ...]


class Board:
    """The devices around the harts; RAM is at `RAM_BASE` and not behind `bus`.

    `set_interrupt(hart, bit, level)` drives MSIP, SEIP and MEIP of a hart's `mip`; `set_mtimecmp(hart, tick)` hands a
    hart its timer deadline; `on_console` gets what the serial port transmits; `on_power(event, code)` is called when
    software ends or restarts the machine. `drives` become virtio block devices in the first slots; `report` is told the
    first error of each. `clock` gives the RTC nanoseconds since 1970 (default: it starts at 1970 and follows
    `timebase`). All calls belong on the machine's thread.

    `dma` are the paths of devices to memory, by the address of their registers.
    """

    def __init__(
        self,
        memory: Memory,
        harts: int,
        timebase: Timebase,
        *,
        set_interrupt: Callable[[int, int, bool], None],
        set_mtimecmp: Callable[[int, int], None],
        on_console: Callable[[bytes], None],
        on_power: Callable[[PowerEvent, int], None],
        drives: Sequence[Disk] = (),
        report: Callable[[str], None] = quiet,
        clock: Callable[[], int] | None = None,
    ) -> None:
        if not 1 <= harts <= m.MAX_HARTS:
            raise ValueError(f"the board has 1 to {m.MAX_HARTS} harts, not {harts}")
        if len(drives) > m.VIRTIO_SLOTS:
            raise ValueError(f"the board has {m.VIRTIO_SLOTS} virtio slots, too few for {len(drives)} drives")
        self.harts = harts
        self.bus = Bus()
        outputs = [partial(set_interrupt, hart, bit) for hart in range(harts) for _, bit in self.plic_outputs(hart)]
        self.plic = Plic(m.PLIC_SOURCES, 2 * harts, outputs)
        self.aclint = Aclint(harts, timebase, lambda hart, level: set_interrupt(hart, MSIP, level), set_mtimecmp)
        self.uart = Uart(self.plic.line(m.UART_IRQ), on_console, timebase)
        self.rtc = GoldfishRtc(clock or (lambda: _nanoseconds(timebase)), timebase, self.plic.line(m.RTC_IRQ))
        self.finisher = Finisher(on_power)
        self.dma = {m.VIRTIO_BASE + slot * m.VIRTIO_STRIDE: DmaPort(memory) for slot in range(m.VIRTIO_SLOTS)}
        ports = enumerate(self.dma.values())
        self.slots = [VirtioMmio(port, self.plic.line(m.VIRTIO_IRQ + slot)) for slot, port in ports]
        self.source_names = {m.UART_IRQ: "uart", m.RTC_IRQ: "rtc"}

        self.bus.attach(m.FINISHER_BASE, m.FINISHER_LENGTH, self.finisher, "test")
        self.bus.attach(m.RTC_BASE, m.RTC_LENGTH, self.rtc, "rtc")
        self.bus.attach(m.CLINT_BASE, m.CLINT_LENGTH, self.aclint, "clint")
        self.bus.attach(m.PLIC_BASE, m.PLIC_LENGTH, self.plic, "plic")
        self.bus.attach(m.UART_BASE, m.UART_LENGTH, self.uart, "uart")
        for slot, transport in enumerate(self.slots):
            self.source_names[m.VIRTIO_IRQ + slot] = f"virtio{slot}"
            self.bus.attach(m.VIRTIO_BASE + slot * m.VIRTIO_STRIDE, m.VIRTIO_STRIDE, transport, f"virtio{slot}")
        for slot, disk in enumerate(drives):
            self.connect(slot, Block(DiskServer(disk, partial(_of_drive, report, slot)), serial=f"drive{slot}"))

    def connect(self, slot: int, backend: Backend) -> None:
        """Plugs a virtio device into an empty slot."""
        if self.slots[slot].backend is not None:
            raise ValueError(f"virtio slot {slot} is in use")
        self.slots[slot].connect(backend)

    @staticmethod
    def plic_outputs(hart: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """The PLIC's contexts of a hart, and the bits of mip that they drive."""
        return (2 * hart, MEIP), (2 * hart + 1, SEIP)

    def add_direct(self, windows: DirectWindows) -> None:
        """Adds the devices with registers that native code answers."""
        windows.add(m.PLIC_BASE, m.PLIC_LENGTH, self.plic)
        for slot, transport in enumerate(self.slots):
            windows.add(m.VIRTIO_BASE + slot * m.VIRTIO_STRIDE, m.VIRTIO_STRIDE, transport)

    def reset(self) -> None:
        """All devices as after power-on; disks, console input and the RTC's time stay."""
        for slot in self.slots:
            slot.reset()
        self.uart.reset()
        self.rtc.reset()
        self.aclint.reset()
        self.plic.reset()

    def close(self) -> None:
        """Gives back what the devices hold on the host, such as open disk images."""
        for slot in self.slots:
            if slot.backend is not None:
                slot.backend.close()

    def snapshot(self) -> BoardState:
        """A copy of what a reader of the board may want to see; taking it changes nothing."""
        irqs = {name: irq for irq, name in self.source_names.items()}
        return BoardState(
            tuple(WindowState(w.name, w.base, w.end - w.base, irqs.get(w.name)) for w in self.bus),
            self.plic.snapshot(),
            tuple(slot.snapshot() for slot in self.slots),
        )


def _nanoseconds(timebase: Timebase) -> int:
    return timebase.now() * (1_000_000_000 // TICKS_PER_SECOND)


def _of_drive(report: Callable[[str], None], slot: int, line: str) -> None:
    report(f"drive{slot}: {line}")
