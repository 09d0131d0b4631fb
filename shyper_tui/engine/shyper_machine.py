"""The machine of Shyper mode: the board with firmware and hypervisor in Python, and nothing booted yet."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shyper_tui.engine.board.device import Timebase
from shyper_tui.engine.board.memory_map import RAM_BASE, VIRTIO_SLOTS
from shyper_tui.engine.board.virt_tree import virt_tree
from shyper_tui.engine.board.virtio.block import Block
from shyper_tui.engine.board.virtio.disk import Disk, DiskError, Overlay, RawFile
from shyper_tui.engine.board.virtio.disk_server import quiet
from shyper_tui.engine.board.virtio.disk_sync import DiskSync
from shyper_tui.engine.board.virtio.entropy import Entropy
from shyper_tui.engine.capture import CaptureFile
from shyper_tui.engine.clock import Clock
from shyper_tui.engine.firmware.console import UartConsole
from shyper_tui.engine.firmware.firmware import Firmware
from shyper_tui.engine.firmware.sbi import ResetType
from shyper_tui.engine.hart.program import Program
from shyper_tui.engine.hypervisor.devices.disks import MediatedDisks
from shyper_tui.engine.hypervisor.devices.flush import Post
from shyper_tui.engine.hypervisor.devices.paced_server import BOARD_SPEED, PacedServer
from shyper_tui.engine.hypervisor.guest_tree import Cpu
from shyper_tui.engine.hypervisor.hypervisor import Hypervisor
from shyper_tui.engine.hypervisor.layout import MAX_VMS
from shyper_tui.engine.hypervisor.mvm import MVM_ID
from shyper_tui.engine.hypervisor.platform import Platform
from shyper_tui.engine.machine import Machine
from shyper_tui.engine.outer_network import NO_NETWORK, NetworkChoice, connect_network
from shyper_tui.ipc.messages import EngineError

HARTS = 4
MEMORY = 8 << 30
"""Rust-Shyper's board: 4 harts, 8 GiB."""

NIC_SLOT = VIRTIO_SLOTS - 2
"""The network card's, which the managing VM drives: the last one that nothing else is in."""

HYPERVISOR_ENTRY = 0x8020_0000
"""Where a hypervisor's image would begin; ours has none, the address only shows in sepc."""


@dataclass(frozen=True)
class Hooks:
    """What the machine tells: output of a VM's console, that a VM's state has changed, a line for the log."""

    on_console: Callable[[int, bytes], None]
    on_change: Callable[[], None]
    log: Callable[[str], None]


def board_disk(
    disk: Disk,
    timebase: Timebase,
    report: Callable[[str], None] = quiet,
    syncs: DiskSync | None = None,
    post: Post | None = None,
) -> Block:
    """The disk in a slot of the board, which the managing VM drives. Unlike in machine mode it is paced: other VMs run
    on the same host thread."""
    server = PacedServer(disk, timebase, report, speed=BOARD_SPEED, syncs=syncs, post=post)
    return Block(server, serial="drive0", timebase=timebase)


class ShyperMachine:
    """`machine`, `firmware` and `hypervisor`, wired. The disks are copy-on-write: what guests write ends with the
    engine, but for a managing VM's disk that is to keep it."""

    def __init__(
        self,
        clock: Clock,
        core: Program,
        hooks: Hooks,
        mvm_disk: Path | None,
        guest_disk: Path | None,
        *,
        mvm_off: str = "stay",
        keep_mvm_disk: bool = False,
        network: NetworkChoice = NO_NETWORK,
        pcap: CaptureFile | None = None,
    ) -> None:
        """`keep_mvm_disk`: what the managing VM writes stays in the file.

        `mvm_off`: what follows when the managing VM powers off. "stay": its guests go on, and it may be booted
        again; "end": all VMs stop and the machine powers off; "restart": all VMs stop and the machine begins again,
        as by a reset hypercall.

        `network`: what is behind the board's network card, by default none; `pcap`: where to write what passes the
        switch and that card."""
        self._mvm_off = mvm_off
        self._log = hooks.log
        self._disks: list[Disk] = []
        self._syncs: DiskSync | None = None
        self._seeds = 0
        self._repeatable = clock.name == "virtual"
        self.machine = Machine(
            HARTS,
            MEMORY,
            clock=clock,
            on_console=lambda data: hooks.on_console(MVM_ID, data),
            core=core,
        )
        machine, cpu = self.machine, Cpu()
        if mvm_disk:

            disk = self._open(mvm_disk, keep_mvm_disk)
            if disk.read_only:
                self._report("it cannot be written, so the managing VM cannot change it")
            elif keep_mvm_disk:
                self._syncs = DiskSync(disk.flush)
            post = None if self._repeatable else machine.post
            machine.board.connect(0, board_disk(disk, machine, self._report, self._syncs, post))
        self._capture = pcap.begin(machine, hooks.log) if pcap is not None else None
        self.uplink = connect_network(machine, NIC_SLOT, network, hooks.log, self._capture)
        machine.board.connect(VIRTIO_SLOTS - 1, Entropy(self._seed))
        tree = virt_tree(harts=HARTS, ram_size=MEMORY, isa=cpu.isa, mmu_type=cpu.mmu_type)
        self.platform = Platform(
            memory=machine.memory,
            ram_end=RAM_BASE + MEMORY,
            board_tree=tree,
            on_console=hooks.on_console,
            on_mvm_reset=self._mvm_reset,
            on_machine_reset=self._machine_reset,
            on_change=hooks.on_change,
            log=hooks.log,
            cpu=cpu,
            timebase=machine,
            post=None if self._repeatable else machine.post,
            host_time=None if self._repeatable else machine.host_time,
            zero=machine.zero,
            dma=machine.board.dma,
            rng_seed=self._seed,
            disks=MediatedDisks([self._open(guest_disk) for _ in range(MAX_VMS - 1)] if guest_disk else ()),
        )
        if self._capture is not None:
            self.platform.switch.tap_with(self._capture.tap)
        self.firmware = Firmware(machine.harts, machine.memory, UartConsole(machine.board.bus), self._reset)
        self.hypervisor = Hypervisor(machine.harts, self.firmware, self.platform)
        self.firmware.supervisor = self.hypervisor
        machine.use_software(self.firmware, self.hypervisor)
        machine.bill_for = self.hypervisor.bill_for

    def power_on(self) -> None:
        """All harts enter the hypervisor; VMs that were booted before begin to run."""
        self.firmware.reset(HYPERVISOR_ENTRY, 0)

    def run(self) -> None:
        """Runs until `stop` or until the machine powers off; may be called again."""
        self._set_patient(True)
        self.machine.run()

    def stop(self) -> None:
        """Makes `run` return, also from waiting for the host's disk. Any thread may call it."""
        self.machine.stop()
        self._set_patient(False)

    def _set_patient(self, patient: bool) -> None:
        """Whether the machine may wait for the host's disk."""
        self.platform.disks.set_patient(patient)
        if self._syncs is not None:
            self._syncs.set_patient(patient)

    def _report(self, line: str) -> None:
        self._log(f"warning: the managing VM's disk: {line}")

    def close(self) -> None:
        """Closes the disks, when everything is stored, the network and the capture."""
        self.platform.disks.close(self.platform.log)
        if self._syncs is not None:
            try:
                self._syncs.close()
            except OSError as error:
                self._report(f"what was written may be lost: {error.strerror or error}")
        for disk in self._disks:
            disk.close()
        if self.uplink is not None:
            self.uplink.close()
        if self._capture is not None:
            self._capture.close()

    def _mvm_reset(self, kind: ResetType) -> None:
        """The managing VM is off."""
        if self._mvm_off != "stay":
            again = self._mvm_off == "restart"
            self.hypervisor.manager.reset_machine(ResetType.COLD_REBOOT if again else ResetType.SHUTDOWN)

    def _machine_reset(self, kind: ResetType) -> None:
        """All VMs are off. With "stay" a machine that was shut down waits for somebody to boot them again."""
        if kind is ResetType.SHUTDOWN and self._mvm_off != "stay":
            self._reset(kind, 0)

    def _reset(self, kind: ResetType, reason: int) -> None:
        self.machine.power_off("poweroff" if kind is ResetType.SHUTDOWN else "reset", reason)

    def _open(self, path: Path, keep: bool = False) -> Disk:
        try:
            disk: Disk = RawFile(path) if keep else Overlay(RawFile(path, read_only=True))
        except DiskError as error:
            raise EngineError("disk", str(error)) from None
        self._disks.append(disk)
        return disk

    def _seed(self, size: int) -> bytes:
        """Entropy for a guest: with the virtual clock the same in every run."""
        if not self._repeatable:
            return os.urandom(size)
        self._seeds += 1
        return hashlib.shake_256(f"shyper-tui {self._seeds}".encode()).digest(size)
