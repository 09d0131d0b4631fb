"""Real Linux as managing VM, with kernel module and command `shyper` in its `/root`, and small guests to run."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
from collections import defaultdict
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile

from shyper_tui import images
from shyper_tui.engine.clock import TICKS_PER_SECOND, VirtualClock
from shyper_tui.engine.hart.program import program
from shyper_tui.engine.hypervisor.mvm import MVM_ID, mvm_definition
from shyper_tui.engine.shyper_machine import Hooks, ShyperMachine
from shyper_tui.engine.vm_control import VmControl
from shyper_tui.images.cpio import CpioArchive

CYCLES_PER_TICK = 5
RAMDISK = 0xA000_0000
CMDLINE = "console=ttyS0 audit=0 quiet default_hugepagesz=2M hugepagesz=2M hugepages=10"
"""Rust-Shyper's, but for the disk: the system is the initramfs."""
PROMPT, GUEST_PROMPT = b"\nmvm# ", b"gvm# "
GUEST_BASE = 0x8020_0000
_STAMP = re.compile(r"\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ")


def plain(shown: str) -> str:
    """Without the times of log lines."""
    return _STAMP.sub("[", shown)


def flat(elf: bytes) -> bytes:
    """The memory of an ELF file from its lowest address on: what `objcopy -O binary` writes."""
    segments = [one for one in ELFFile(io.BytesIO(elf)).iter_segments() if one["p_type"] == "PT_LOAD"]
    start = min(segment["p_paddr"] for segment in segments)
    assert start == GUEST_BASE
    image = bytearray(max(segment["p_paddr"] + segment["p_filesz"] for segment in segments) - start)
    for segment in segments:
        at = segment["p_paddr"] - start
        image[at : at + segment["p_filesz"]] = segment.data()
    return bytes(image)


def configuration(number: int = 1, *, disk: bool = True, **changes: Any) -> str:
    """The file of a guest VM on core `number`, paired with the managing VM's console of that number. `changes`: other
    values, `image_kernel_filename="x"` stands for {"image": {"kernel_filename": "x"}}."""
    console = f"0x4000{number}000"
    devices: list[dict[str, Any]] = [
        {"name": "plic@c000000", "base_ipa": "0xc000000", "length": "0x600000", "irq_id": 1, "cfg_num": 2,
         "cfg_list": [0, 0], "type": "EMU_DEVICE_T_PLIC"},
        {"name": "virtio_blk@10001000", "base_ipa": "0x10001000", "length": "0x1000", "irq_id": 19, "cfg_num": 2,
         "cfg_list": [0, 8192000], "type": "EMU_DEVICE_T_VIRTIO_BLK_MEDIATED"},
        {"name": f"virtio_console@4000{number}000", "base_ipa": console, "length": "0x1000", "irq_id": 21, "cfg_num": 2,
         "cfg_list": ["0", console], "type": "EMU_DEVICE_T_VIRTIO_CONSOLE"},
    ]  # fmt: skip
    body: dict[str, Any] = {
        "name": f"guest-os-{number}",
        "type": "VM_T_LINUX",
        "cmdline": "console=hvc0",
        "image": {
            "kernel_filename": "guest.bin", "kernel_load_ipa": "0x80200000", "kernel_entry_point": "0x80200000",
            "device_tree_filename": "", "device_tree_load_ipa": "0x82000000",
            "ramdisk_filename": "", "ramdisk_load_ipa": "0",
        },
        "memory": {"num": 1, "region": [{"ipa_start": "0x80000000", "length": "0x4000000"}]},
        "cpu": {"num": 1, "allocate_bitmap": f"{1 << number:#06b}", "master": number},
        "emulated_device": {"num": 3, "emulated_device_list": devices if disk else devices[::2]},
        "passthrough_device": {"passthrough_device_list": []},
        "dtb_device": {"num": 0, "dtb_device_list": []},
    }  # fmt: skip
    for path, value in changes.items():
        group, _, key = path.partition("_")
        if group in body and key:
            body[group][key] = value
        else:
            body[path] = value
    return json.dumps(body, indent=4)


def linux_configuration(number: int, cmdline: str = "console=hvc0 quiet") -> str:
    """The same for a Linux: kernel `Image`, ramdisk `initrd`, more memory."""
    body = json.loads(configuration(number, cmdline=cmdline, image_kernel_filename="Image"))
    body["image"]["ramdisk_filename"] = "initrd"
    body["image"]["device_tree_load_ipa"] = "0x8f000000"
    body["memory"]["region"][0]["length"] = "0x10000000"
    return json.dumps(body, indent=1)


def e2fsprogs(name: str) -> str:
    """Path of one of its programs, which are not in every user's PATH."""
    found = shutil.which(name, path=f"{os.environ.get('PATH')}:/sbin:/usr/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def make_ext4(file: Path) -> None:
    """An empty ext4 file system of 32 MiB."""
    subprocess.run([e2fsprogs("mke2fs"), "-q", "-t", "ext4", str(file), "32M"], check=True)


class LinuxStation:
    """The machine; call it with a line for the managing VM's shell."""

    def __init__(self, module: bytes, files: dict[str, bytes] | None = None, disk: Path | None = None) -> None:
        """`files`: more files of `/root`; `disk`: the managing VM's, at /mnt, where what is written stays."""
        linux = images.linux_images()
        assert linux is not None
        self.consoles: dict[int, bytearray] = defaultdict(bytearray)
        self.log: list[str] = []
        hooks = Hooks(self._output, lambda: None, self.log.append)
        self.built = ShyperMachine(VirtualClock(CYCLES_PER_TICK), program(), hooks, disk, None, keep_mvm_disk=True)
        self.machine, self.manager = self.built.machine, self.built.hypervisor.manager
        self.built.platform.describe = VmControl(self.manager, self.machine.now, lambda vm: True).default_config
        archive = CpioArchive()
        root = {
            "shyper": (resources.files("shyper_tui") / "images/embedded/shyper").read_bytes(),
            "guest.bin": flat(images.embedded("guest")),
            "vm1.json": configuration(1).encode(),
            "vm2.json": configuration(2).encode(),
            **(files or {}),
        }
        for name, data in root.items():
            archive.file(f"root/{name}", data, 0o755 if name == "shyper" else 0o644)
        archive.file("root/shyper_riscv64.ko", module)
        mvm = mvm_definition()
        mvm.ramdisk_load_ipa = RAMDISK
        mvm.cmdline = CMDLINE
        self.manager.add(mvm, linux.kernel.read_bytes(), linux.initramfs.read_bytes() + archive.to_bytes())
        self.manager.boot(MVM_ID)
        self.built.power_on()

    def _output(self, vm: int, data: bytes) -> None:
        self.consoles[vm] += data

    def close(self) -> None:
        self.built.close()

    @property
    def seconds(self) -> float:
        """Virtual time since power-on."""
        return self.machine.now() / TICKS_PER_SECOND

    def run(self, seconds: float) -> None:
        """Let virtual time pass."""
        end = self.machine.cycle + int(seconds * TICKS_PER_SECOND * CYCLES_PER_TICK)
        while self.machine.cycle < end and self.machine.power is None:
            self.machine.run_round(end)

    def until(self, vm: int, pattern: bytes, start: int = 0, limit: float = 60) -> re.Match[bytes]:
        """Run until a VM's console shows a pattern behind `start`; at most `limit` virtual seconds."""
        end = self.seconds + limit
        while (found := re.compile(pattern).search(self.consoles[vm], start)) is None:
            shown = bytes(self.consoles[vm][-1500:]).decode("utf-8", "replace")
            assert self.seconds < end, f"vm{vm} has not shown {pattern!r} within {limit} s: {shown}\n{self.log[-10:]}"
            self.run(0.01)
        return found

    def boot(self, start: int = 0) -> None:
        """Wait for the shell, behind `start` of the console, and give it a prompt of its own."""
        ready = self.until(MVM_ID, b"GUEST-READY", start)
        self.until(MVM_ID, b"# ", ready.end())
        start = len(self.consoles[MVM_ID])
        self.type(MVM_ID, "stty columns 400; PS1='mvm''# '\r")
        self.until(MVM_ID, PROMPT, start)

    def type(self, vm: int, text: str) -> None:
        data = text.encode()
        while data:
            if vm == MVM_ID:
                taken = self.machine.board.uart.receive(data[:16])
            else:
                taken = self.manager.vm(vm).console.type(data)
            data = data[taken:]
            self.run(0.001)

    def __call__(self, line: str, limit: float = 60) -> str:
        """What a command prints in the managing VM, and behind it ` => ` and its exit status."""
        start = len(self.consoles[MVM_ID])
        self.type(MVM_ID, f'{line}{"" if line.endswith("&") else ";"} echo " => $?"\r')
        found = self.until(MVM_ID, rb" => (\d+)\r\n(\[\d+\][^\n]*\n)*mvm# ", start + len(line), limit)
        shown = bytes(self.consoles[MVM_ID][start : found.end(1)]).decode("utf-8", "replace").replace("\r", "")
        return shown.partition("\n")[2]

    def write(self, name: str, text: str) -> None:
        """Make a file in the managing VM's working directory."""
        assert self(f"cat > {name} << 'END'\n{text}\nEND\ntrue").endswith(" => 0")

    def log_of_daemon(self, pattern: str, limit: float = 10) -> str:
        """Run until the daemon, whose log is the file `log`, has told something; the whole log without times."""
        end = self.seconds + limit
        while not re.search(pattern, shown := plain(self("cat log").removesuffix(" => 0"))):
            assert self.seconds < end, f"the daemon has not told {pattern!r}: {shown}\n{self.log[-10:]}"
            self.run(0.1)
        return shown

    def daemon(self, *disks: str) -> str:
        """Start the daemon in the background; what it says until it serves."""
        self.write("disks.json", json.dumps({"mediated": disks}))
        self("./shyper system daemon disks.json 2> log &")
        return self.log_of_daemon(r"MEDBLK|ERROR")

    def boot_guest(self, vm: int, **changes: Any) -> None:
        """Configure a guest VM, whose id must come out as `vm`, and wait for its shell."""
        self.write(f"vm{vm}.json", configuration(vm, **changes))
        shown = self(f"./shyper vm config vm{vm}.json")
        assert shown.endswith(f"Config VM [{vm}] successfully\n => 0"), shown
        assert self(f"./shyper vm boot {vm}") == " => 0"
        self.until(vm, re.escape(GUEST_PROMPT))

    def guest(self, vm: int, line: str, limit: float = 60) -> str:
        """What a command prints at the shell of an embedded guest."""
        start = len(self.consoles[vm])
        self.type(vm, line + "\r")
        found = self.until(vm, re.escape(GUEST_PROMPT), start + len(line), limit)
        shown = bytes(self.consoles[vm][start : found.start()]).decode("utf-8", "replace").replace("\r", "")
        return shown.partition("\n")[2].rstrip("\n")
