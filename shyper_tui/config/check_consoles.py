"""Checks of virtio consoles: each is paired with one of another VM, and the pair must agree in both directions."""

from __future__ import annotations

import re

from .board import SERIAL_PORT, MvmConsole
from .diagnostics import Report
from .model import DtbDeviceType, EmuDeviceType, EmulatedDevice, VmConfig, VmType
from .surroundings import EMULATED, Surroundings


def check_consoles(config: VmConfig, around: Surroundings, report: Report) -> None:
    """Report on every console's peer, and on `console=` in the command line."""
    for index, device in enumerate(config.emulated_devices):
        if device.type is EmuDeviceType.VIRTIO_CONSOLE:
            _check_console(config, device, f"{EMULATED}[{index}]", around, report)
    _check_cmdline(config, report)


def _check_console(config: VmConfig, device: EmulatedDevice, path: str, around: Surroundings, report: Report) -> None:
    where = f"{path}.cfg_list"
    if len(device.cfg_list) < 2:
        message = "The cfg_list of a console must be the peer's VM id and the address of its console."
        report.error(where, "bad-console", message, 'Write for example ["0", "0x40001000"].')
        return
    peer, ipa = device.cfg_list[:2]
    last = around.board.max_vms - 1
    if peer > last:
        message = f"There is no VM {peer}."
        report.error(f"{where}[0]", "bad-console", message, f"VM ids are 0 to {last}; 0 is the managing VM.")
    elif peer == around.vm_id:
        message = f"The console is paired with VM {peer}, which is this VM itself."
        report.error(f"{where}[0]", "bad-console", message, "Name another VM; 0 is the managing VM.")
    elif peer == 0:
        _check_managing_end(device, ipa, path, around, report)
    else:
        _check_other_end(device, peer, ipa, path, around, report)
    earlier = config.consoles()[: config.consoles().index(device)]
    for other, consoles in [(config, earlier), *((other, other.consoles()) for other in around.others)]:
        if any(console.cfg_list[:2] == (peer, ipa) for console in consoles) and not around.mvm:
            message = f"The console at {ipa:#x} of VM {peer} is already paired with {other.name}."
            report.warning(where, "console-taken", message, "Only the first one's output reaches it.")
            break


def _check_managing_end(device: EmulatedDevice, ipa: int, path: str, around: Surroundings, report: Report) -> None:
    """The peer is a console of the managing VM, built in or from its file."""
    consoles = {console.base: console for console in around.board.mvm_consoles}
    where = f"{path}.cfg_list[1]"
    end: MvmConsole | None = consoles.get(ipa)
    if end is None:
        known = ", ".join(f"{base:#x}" for base in consoles)
        remedy = "Add one there to the managing VM's file"
        remedy += f", or use one of {known}." if known else "."
        message = f"The managing VM has no console at {ipa:#x}; the workstation shows this one all the same."
        report.warning(where, "console-unpaired", message, remedy)
    elif end.peer_base != device.base_ipa:
        message = f"The managing VM's console at {ipa:#x} answers to one at {end.peer_base:#x}, not to this one."
        report.warning(f"{path}.base_ipa", "console-unpaired", message, f"Use {end.peer_base:#x} here.")
    elif around.vm_id is not None and end.peer != around.vm_id:
        own = [console for console in consoles.values() if console.peer == around.vm_id]
        message = f"The managing VM's console at {ipa:#x} answers to VM {end.peer}, and this becomes VM {around.vm_id}."
        remedy = f"Use {own[0].base:#x}" if own else "Add a console to the managing VM's file"
        report.warning(where, "console-unpaired", message, f"{remedy}, or change the order of the VMs.")


def _check_other_end(
    device: EmulatedDevice, peer: int, ipa: int, path: str, around: Surroundings, report: Report
) -> None:
    """The peer is a guest VM; whether it answers is known when its file is."""
    other = around.peers.get(peer)
    if other is None:
        return
    end = next((console for console in other.consoles() if console.base_ipa == ipa), None)
    if end is None:
        message = f"VM {peer} ({other.name}) has no console at {ipa:#x}."
        known = ", ".join(f"{console.base_ipa:#x}" for console in other.consoles())
        remedy = f"Its consoles are at {known}." if known else "Give it one there."
        report.warning(f"{path}.cfg_list[1]", "console-unpaired", message, remedy)
    elif end.cfg_list[:2] != (around.vm_id, device.base_ipa):
        message = f"The console at {ipa:#x} of VM {peer} ({other.name}) is not paired with this one."
        remedy = f"Its cfg_list should be [{around.vm_id}, {device.base_ipa:#x}]."
        report.warning(f"{path}.cfg_list", "console-unpaired", message, remedy)


def _check_cmdline(config: VmConfig, report: Report) -> None:
    """`console=` of Linux should name a device that is there: hvc0, hvc1, … are the virtio consoles in order, after the
    SBI console (hvc0) of kernels that have it."""
    if config.type is not VmType.LINUX:
        return
    count = len(config.consoles())
    for name, number in re.findall(r"(?:^|\s)console=(hvc|ttyS)(\d{1,9})(?=[\s,]|$)", config.cmdline):
        if name == "ttyS":
            if not _has_serial_port(config):
                message = f"The command line names console=ttyS{number}, and the VM has no serial port."
                report.warning("cmdline", "console-hint", message, "Use console=hvc0, the VM's virtio console.")
        elif int(number) > count:
            consoles = f"{count or 'no'} virtio console{'s' * (count != 1)}"
            message = f"The command line names console=hvc{number}, and the VM has {consoles}."
            report.warning("cmdline", "console-hint", message, "Use console=hvc0.")
        elif count and int(number) == count:
            message = (
                f"console=hvc{number} is a virtio console only for kernels with an SBI console, which is their hvc0."
            )
            remedy = f"Use console=hvc{count - 1} for others, Debian's among them."
            report.warning("cmdline", "console-hint", message, remedy)


def _has_serial_port(config: VmConfig) -> bool:
    through = config.passthrough_devices
    passed = any(device.base_pa <= SERIAL_PORT < device.base_pa + device.length for device in through)
    overlay = bool(config.image.device_tree_filename)  # may describe one
    return passed or overlay or any(entry.type is DtbDeviceType.CONSOLE for entry in config.dtb_devices)
