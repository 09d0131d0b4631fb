"""Checks of a VM's emulated devices: types, names, and what each type's cfg_list must hold."""

from __future__ import annotations

import re

from .diagnostics import Report
from .model import EmuDeviceType, EmulatedDevice, VmConfig
from .surroundings import EMULATED, Surroundings

T = EmuDeviceType

MAX_CFG = 16
MAX_DEVICE_NAME = 31
MAX_SECTORS = 1 << 40
"""512 TiB; the engine's limit."""
PLIC_LENGTH = 0x60_0000
_VIRTIO = (T.VIRTIO_BLK, T.VIRTIO_BLK_MEDIATED, T.VIRTIO_NET, T.VIRTIO_CONSOLE)
_SUPPORTED = (*_VIRTIO, T.SHYPER, T.PLIC)


def check_devices(config: VmConfig, around: Surroundings, report: Report) -> None:
    """Report on the emulated devices; consoles and interrupts have their own modules."""
    names: dict[str, str] = {}
    macs: list[tuple[int, ...]] = []
    for index, device in enumerate(config.emulated_devices):
        path = f"{EMULATED}[{index}]"
        check_node_name(device.name, f"{path}.name", names, report)
        if len(device.cfg_list) > MAX_CFG:
            message = f"The cfg_list has {len(device.cfg_list)} entries; the limit is {MAX_CFG}."
            report.error(f"{path}.cfg_list", "too-many", message, "Remove some.")
        if device.type not in _SUPPORTED:
            known = ", ".join(kind.json_name for kind in _SUPPORTED)
            message = f"{device.type.json_name} is not available on this machine."
            report.error(f"{path}.type", "unsupported-device", message, f"Use one of {known}.")
        elif device.type is T.VIRTIO_NET:
            _check_net(device, path, around, macs, report)
        elif device.type in (T.VIRTIO_BLK, T.VIRTIO_BLK_MEDIATED):
            _check_block(device, path, report)
        elif device.type is T.PLIC and device.length not in (0, PLIC_LENGTH):
            message = f"The PLIC always takes {PLIC_LENGTH:#x} bytes, not {device.length:#x}."
            report.warning(f"{path}.length", "plic-length", message, f"Use {PLIC_LENGTH:#x}.")
    if sum(device.type is T.PLIC for device in config.emulated_devices) > 1:
        report.error(EMULATED, "two-plics", "The VM has more than one PLIC.", "Keep one.")
    _check_disks(config, around, report)


def check_node_name(name: str, path: str, names: dict[str, str], report: Report) -> None:
    """The name becomes the name of a node in the device tree (Devicetree Specification, "Node Names"); `names` holds
    those in use and where they are written."""
    if len(name.encode()) > MAX_DEVICE_NAME:
        message = f"The device name has {len(name.encode())} bytes; the hypervisor holds {MAX_DEVICE_NAME}."
        report.error(path, "name-too-long", message, "Shorten it.")
    if not is_node_name(name):
        message = f'"{name}" cannot be the name of a device tree node.'
        report.error(path, "bad-name", message, "Use letters, digits and , . _ + - @ only.")
    if name in names:
        message = f'The device name "{name}" is used twice.'
        report.error(path, "bad-name", message, "Names of devices must differ, they name nodes of one tree.")
    names.setdefault(name, path)


def is_node_name(name: str) -> bool:
    """Whether a device tree's node can have this name."""
    return re.fullmatch(r"[A-Za-z0-9,._+@-]+", name) is not None


def _check_net(
    device: EmulatedDevice, path: str, around: Surroundings, own: list[tuple[int, ...]], report: Report
) -> None:
    mac = device.cfg_list[:6]
    where = f"{path}.cfg_list"
    if len(mac) < 6 or max(mac) > 0xFF:
        message = "The cfg_list of a network device must be the 6 bytes of its MAC address."
        report.error(where, "bad-mac", message, 'Write for example ["0x74", "0x56", "0xaa", "0x0f", "0x47", "0xd1"].')
        return
    text = ":".join(f"{byte:02x}" for byte in mac)
    if mac[0] & 1 or not any(mac):
        message = f"{text} is no address of a single station."
        report.error(where, "bad-mac", message, "The lowest bit of the first byte must be 0, and not all bytes 0.")
    owners = ["another device of this VM"] if mac in own else []
    owners += [other.name for other in around.others if mac in other.macs()]
    if mac in around.board.mvm_macs and not around.mvm:
        owners.append("the managing VM")
    if owners:
        message = f"The MAC address {text} is also that of {owners[0]}."
        report.warning(where, "mac-clash", message, "Give each network device its own, or frames reach the wrong one.")
    own.append(mac)


def _check_block(device: EmulatedDevice, path: str, report: Report) -> None:
    where = f"{path}.cfg_list"
    if len(device.cfg_list) < 2:
        message = "The cfg_list of a block device must be its first sector and its number of sectors."
        report.error(where, "bad-block", message, "Write for example [0, 131072] for 64 MiB.")
    elif device.cfg_list[1] == 0:
        report.error(f"{where}[1]", "bad-block", "The disk has no sectors.", "A sector is 512 bytes.")
    for index, sectors in enumerate(device.cfg_list[:2]):
        if sectors > MAX_SECTORS:
            message = f"A disk of {sectors} sectors is too large." if index else f"Sector {sectors} is on no disk."
            report.error(f"{where}[{index}]", "bad-block", message, f"The limit is {MAX_SECTORS} sectors of 512 bytes.")


def _check_disks(config: VmConfig, around: Surroundings, report: Report) -> None:
    """Each mediated block device takes the next disk of the daemon's list, in the order of configuration."""
    offered = around.board.disks
    if offered is None:
        return
    used = sum(device.type is T.VIRTIO_BLK_MEDIATED for other in around.others for device in other.emulated_devices)
    for index, device in enumerate(config.emulated_devices):
        if device.type is not T.VIRTIO_BLK_MEDIATED:
            continue
        if used >= offered:
            disks = f"{offered or 'no'} disk{'s' * (offered != 1)}"
            message = f"This would be disk {used} of the daemon's file, which has {disks}; it begins with an empty one."
            remedy = 'Add a path to "mediated", or remove the device.'
            report.warning(f"{EMULATED}[{index}].type", "no-disk", message, remedy)
        used += 1
