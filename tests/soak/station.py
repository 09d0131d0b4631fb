"""The managing VM and three guests under load, for as long as somebody wants: real Linux twice on the same cores, an
embedded guest on one of them, everything checking itself.

`python -m tests.soak SECONDS` runs it for that much virtual time and tells how it goes.
"""

from __future__ import annotations

import dataclasses
import re
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from shyper_tui import config, images
from shyper_tui.engine.clock import TICKS_PER_SECOND, VirtualClock
from shyper_tui.engine.definitions import definition
from shyper_tui.engine.hart.program import program
from shyper_tui.engine.hypervisor.definition import CpuSpec, VmDefinition
from shyper_tui.engine.hypervisor.mvm import MVM_ID, mvm_definition
from shyper_tui.engine.hypervisor.vcpu import Vcpu
from shyper_tui.engine.shyper_machine import Hooks, ShyperMachine
from shyper_tui.images.cpio import CpioArchive

LOAD = Path(__file__).parents[1] / "programs" / "linux_soak.elf"
CYCLES_PER_TICK = 2
"""20 MHz harts: ten minutes cost the host five times less than with the usual 100 MHz, and timers come as often."""
RAMDISK = 0xA000_0000
LINUX, EMBEDDED = (1, 2), 3
PROMPT = b"gvm# "
_OK, _WRONG = (
    re.compile(rb"soak (\w+(?: \S+)?) ok (\d+)"),
    re.compile(rb"soak [^\r\n]* ERROR[^\r\n]*|[^\n]*failed\r?\n"),
)
_KERNEL_TROUBLE = re.compile(rb"[^\n]*(?:BUG:|Oops|I/O error|rcu_sched self-detected|hung_task|Call Trace)[^\n]*")


class Soak:
    """The machine with its VMs, their consoles, and what the load has told."""

    def __init__(self, report: Callable[[str], None] = lambda line: None) -> None:
        linux = images.linux_images()
        assert linux is not None
        self.report = report
        self.log: list[str] = []
        self.consoles: dict[int, bytearray] = defaultdict(bytearray)
        hooks = Hooks(self._output, lambda: None, self.log.append)
        self.built = ShyperMachine(VirtualClock(CYCLES_PER_TICK), program(), hooks, linux.mvm_disk, linux.gvm_disk)
        self.machine, self.manager = self.built.machine, self.built.hypervisor.manager
        kernel = linux.kernel.read_bytes()
        archive = CpioArchive()
        archive.file("bin/soak", LOAD.read_bytes(), 0o755)
        ramdisk = linux.initramfs.read_bytes() + archive.to_bytes()
        mvm = mvm_definition()
        mvm.ramdisk_load_ipa = RAMDISK
        mvm.cmdline = mvm.cmdline.replace("root=/dev/vda ", "")  # the shell of the initramfs is enough
        self.manager.add(mvm, kernel, ramdisk)
        for vm in LINUX:
            wanted = definition(vm, _sample(f"two-linux-{vm}"))
            wanted.cmdline = wanted.cmdline.replace("root=/dev/vda ", "")
            self.manager.add(wanted, kernel, ramdisk)
        self.manager.add(_embedded(), images.embedded("guest"))
        for vm in (MVM_ID, *LINUX, EMBEDDED):
            self.manager.boot(vm)
        self.built.power_on()

    def _output(self, vm: int, data: bytes) -> None:
        self.consoles[vm] += data

    def close(self) -> None:
        self.built.close()

    # Time

    @property
    def seconds(self) -> float:
        """Virtual time since power-on."""
        return self.machine.now() / TICKS_PER_SECOND

    def run(self, seconds: float) -> None:
        """Let virtual time pass."""
        end = self.machine.cycle + int(seconds * TICKS_PER_SECOND * CYCLES_PER_TICK)
        while self.machine.cycle < end and self.machine.power is None:
            self.machine.run_round(end)

    def until(self, vm: int, text: bytes, start: int = 0, limit: float = 120) -> None:
        """Run until the VM's console shows `text` behind `start`; at most `limit` virtual seconds."""
        end = self.seconds + limit
        while self.consoles[vm].find(text, start) < 0:
            shown = bytes(self.consoles[vm][-600:]).decode("utf-8", "replace")
            assert self.seconds < end, f"vm{vm} has not shown {text!r} within {limit} s; it ended with: {shown}"
            self.run(0.02)

    def command(self, vm: int, line: str, prompt: bytes, limit: float = 120) -> str:
        """Type a line; what the VM shows up to its next prompt."""
        start = len(self.consoles[vm])
        self.type(vm, line + "\r")
        self.until(vm, prompt, start + len(line), limit)
        return bytes(self.consoles[vm][start:]).decode("utf-8", "replace")

    def type(self, vm: int, text: str) -> None:
        data = text.encode()
        if vm == MVM_ID:
            assert self.machine.board.uart.receive(data) == len(data)
        else:
            assert self.manager.vm(vm).console.type(data) == len(data)

    # Load

    def start_load(self) -> None:
        """Wait for all systems, then keep the Linux guests' cores, disks, networks and timers busy."""
        for vm in (MVM_ID, *LINUX):
            self.until(vm, b"GUEST-READY", limit=400)
            self.until(vm, b"# ", self.consoles[vm].find(b"GUEST-READY"))
        self.until(EMBEDDED, PROMPT)
        self.report(f"{self.seconds:.1f} s: every system is up")
        for vm in (MVM_ID, *LINUX):
            self.type(vm, "soak serve &\r")
        self.run(5)  # nobody asks a server that is not there
        everywhere = "soak disk /mnt/soak & soak timer &"
        self.type(MVM_ID, f"{everywhere} soak net 10.0.0.2 & soak net 10.0.0.3 &\r")
        spin = "".join(f" soak spin {number} &" for number in range(3))
        self.type(1, f"{everywhere} soak net 10.0.0.3 &{spin}\r")
        self.type(2, f"{everywhere} soak net 10.0.0.1 &{spin}\r")

    def round(self, number: int, spin: float) -> dict[int, list[float]]:
        """All cores are wanted by all their VMs for `spin` seconds: the shares of each core by VM in that time, which
        are checked by the caller. Afterwards the embedded guest tries its devices."""
        start = len(self.consoles[EMBEDDED])
        self.type(EMBEDDED, f"spin {int(spin * 1000)}\r")
        self.run(spin * 0.1)
        before = self._used()
        self.run(spin * 0.8)
        after = self._used()
        self.until(EMBEDDED, PROMPT, start + 5)
        shares: dict[int, list[float]] = defaultdict(list)
        for core in (1, 2, 3):
            used = {vcpu: after[vcpu] - before[vcpu] for vcpu in after if vcpu.core.hart_id == core}
            shares[core] = [ticks / sum(used.values()) for ticks in used.values()]
        self._embedded_devices(number)
        return shares

    def _used(self) -> dict[Vcpu, int]:
        """Ticks that every vCPU of the guests has had its core."""
        guests = [self.manager.vm(vm) for vm in (*LINUX, EMBEDDED)]
        return {vcpu: vcpu.core.time_on_core(vcpu) for vm in guests for vcpu in vm.vcpus}

    def _embedded_devices(self, number: int) -> None:
        sector, text = 10 + number % 50, f"round {number} of the soak"
        self.command(EMBEDDED, f"blk write {sector} {text}", PROMPT)
        assert text[:12] in self.command(EMBEDDED, f"blk read {sector}", PROMPT)
        answer = self.command(EMBEDDED, "fp 200", PROMPT)
        assert "0 of 200 rounds lost" in answer, answer
        for host in ("10.0.0.1", "10.0.0.2", "10.0.0.3"):
            answer = self.command(EMBEDDED, f"ping {host} 2", PROMPT)
            assert answer.count("from 10.0.0.") == 2 or "2 received" in answer, answer

    # Results

    def progress(self) -> dict[tuple[int, str], int]:
        """(VM, process) → how often it has done its work, as it said last."""
        found: dict[tuple[int, str], int] = {}
        for vm in (MVM_ID, *LINUX):
            for name, count in _OK.findall(bytes(self.consoles[vm])):
                found[vm, name.decode()] = int(count)
        return found

    def trouble(self) -> list[str]:
        """Everything that went wrong anywhere."""
        found = []
        for vm, shown in self.consoles.items():
            for pattern in (_WRONG, _KERNEL_TROUBLE):
                found += [f"vm{vm}: {line.decode('utf-8', 'replace')}" for line in pattern.findall(bytes(shown))]
        for vm_made in self.manager.vms():
            found += [str(record) for record in vm_made.faults]
        return found + [line for line in self.log if "failed" in line or "Traceback" in line]


def soak(seconds: float, spin: float, report: Callable[[str], None]) -> None:
    """Raises AssertionError when anything is lost, wrong or unfair."""
    station = Soak(report)
    started = time.monotonic()
    try:
        station.start_load()
        begun = station.seconds
        worst, number, last = 0.0, 0, station.progress()
        while station.seconds < begun + seconds:
            shares = station.round(number, spin)
            station.run(12)
            for core, found in shares.items():
                fair = 1 / len(found)
                worst = max(worst, *(abs(share - fair) / fair for share in found))
                assert worst <= 0.10, f"core {core} was shared {found}"
            now = station.progress()
            assert not station.trouble(), "\n".join(station.trouble())
            for process, count in last.items():
                assert now[process] > count, f"{process} has done nothing in a round"
            last, number = now, number + 1
            took = time.monotonic() - started
            done = sum(now.values())
            report(
                f"{station.seconds:.0f} s ({took:.0f} s here): shares within {worst:.1%} of fair, {done} units of work"
            )
        expected = {(vm, name) for vm in (0, 1, 2) for name in ("serve", "disk /mnt/soak", "timer")}
        expected |= {(vm, f"spin {number}") for vm in LINUX for number in range(3)}
        expected |= {(0, "net 10.0.0.2"), (0, "net 10.0.0.3"), (1, "net 10.0.0.3"), (2, "net 10.0.0.1")}
        assert set(last) == expected, last
        report(f"{station.seconds - begun:.0f} s of virtual time under load: {last}")
    finally:
        station.close()


def _sample(name: str) -> config.VmConfig:
    reading = config.read_vm(config.sample_path(name).read_text(encoding="utf-8"), name)
    assert reading.value is not None
    return reading.value


def _embedded() -> VmDefinition:
    """The third guest of the network sample, with a disk, on core 3 beside both Linux guests."""
    guest = definition(EMBEDDED, _sample("network-3"))
    disk = next(device for device in definition(EMBEDDED, _sample("embedded-guest")).devices if device.mediated)
    cpu = CpuSpec(num=1, allocate_bitmap=0b1000, master=3)
    return dataclasses.replace(guest, devices=[*guest.devices, disk], cpu=cpu)
