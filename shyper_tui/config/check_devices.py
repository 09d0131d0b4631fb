"""Checks of a VM's devices: types, names, interrupts, and what each type's cfg_list must hold."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .board import Board
from .diagnostics import Report
from .model import EmuDeviceType, EmulatedDevice, VmConfig

T = EmuDeviceType

MAX_IRQ = 511
MAX_CFG = 16
MAX_IRQS = 64
MAX_DEVICE_NAME = 31
MAX_SECTORS = 1 << 40
"""512 TiB; the engine's limit."""
_EMULATED = "emulated_device.emulated_device_list"
_PASSTHROUGH = "passthrough_device.passthrough_device_list"
_VIRTIO = (T.VIRTIO_BLK, T.VIRTIO_BLK_MEDIATED, T.VIRTIO_NET, T.VIRTIO_CONSOLE)
_SUPPORTED = (*_VIRTIO, T.SHYPER, T.PLIC)


def check_devices(config: VmConfig, board: Board, others: list[VmConfig], report: Report, mvm: bool) -> None:
    """Report on the emulated and the passthrough devices."""
    names: dict[str, int] = {}
    for index, device in enumerate(config.emulated_devices):
        path = f"{_EMULATED}[{index}]"
        _check_name(device, path, names, report)
        if len(device.cfg_list) > MAX_CFG:
            message = f"The cfg_list has {len(device.cfg_list)} entries; the limit is {MAX_CFG}."
            report.error(f"{path}.cfg_list", "too-many", message, "Remove some.")
        if device.type not in _SUPPORTED:
            known = ", ".join(kind.json_name for kind in _SUPPORTED)
            message = f"{device.type.json_name} is not available on this machine."
            report.error(f"{path}.type", "unsupported-device", message, f"Use one of {known}.")
        elif device.type is T.VIRTIO_NET:
            _check_net(device, path, board, others, report, mvm)
        elif device.type is T.VIRTIO_CONSOLE:
            _check_console(device, path, board, others, report, mvm)
        elif device.type in (T.VIRTIO_BLK, T.VIRTIO_BLK_MEDIATED):
            _check_block(device, path, report)
    if sum(device.type is T.PLIC for device in config.emulated_devices) > 1:
        report.error(_EMULATED, "two-plics", "The VM has more than one PLIC.", "Keep one.")
    for index, through in enumerate(config.passthrough_devices):
        if len(through.irq_list) > MAX_IRQS:
            message = f"The irq_list has {len(through.irq_list)} entries; the limit is {MAX_IRQS}."
            report.error(f"{_PASSTHROUGH}[{index}].irq_list", "too-many", message, "Remove some.")
    _check_irqs(config, board, report, mvm)


def _check_name(device: EmulatedDevice, path: str, names: dict[str, int], report: Report) -> None:
    """The name becomes the name of a node in the device tree (Devicetree Specification, "Node Names")."""
    if len(device.name.encode()) > MAX_DEVICE_NAME:
        message = f"The device name has {len(device.name.encode())} bytes; the hypervisor holds {MAX_DEVICE_NAME}."
        report.error(f"{path}.name", "name-too-long", message, "Shorten it.")
    if not re.fullmatch(r"[A-Za-z0-9,._+@-]+", device.name):
        message = f'"{device.name}" cannot be the name of a device tree node.'
        report.error(f"{path}.name", "bad-name", message, "Use letters, digits and , . _ + - @ only.")
    if device.name in names:
        message = f'The device name "{device.name}" is used twice.'
        report.error(f"{path}.name", "bad-name", message, "Names of devices must differ, they name nodes of one tree.")
    names.setdefault(device.name, len(names))


def _check_net(
    device: EmulatedDevice, path: str, board: Board, others: list[VmConfig], report: Report, mvm: bool
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
    owners = [other.name for other in others if other.mac() == mac]
    if mac == board.mvm_mac and not mvm:
        owners.append("the managing VM")
    if owners:
        message = f"The MAC address {text} is also that of {owners[0]}."
        report.warning(where, "mac-clash", message, "Give each VM its own, or frames reach the wrong one.")


def _check_console(
    device: EmulatedDevice, path: str, board: Board, others: list[VmConfig], report: Report, mvm: bool
) -> None:
    where = f"{path}.cfg_list"
    if len(device.cfg_list) < 2:
        message = "The cfg_list of a console must be the peer's VM id and the address of its console."
        report.error(where, "bad-console", message, 'Write for example ["0", "0x40001000"].')
        return
    peer, ipa = device.cfg_list[:2]
    if peer >= board.max_vms:
        message = f"There is no VM {peer}."
        report.error(f"{where}[0]", "bad-console", message, f"VM ids are 0 to {board.max_vms - 1}; 0 is the MVM.")
    elif peer == 0 and not mvm and ipa not in board.mvm_consoles:
        known = ", ".join(f"{address:#x}" for address in board.mvm_consoles)
        message = f"The managing VM has no console at {ipa:#x}."
        report.error(f"{where}[1]", "bad-console", message, f"Its consoles are at {known}.")
    elif peer == 0 and not mvm and device.base_ipa != ipa:
        message = f"The managing VM's console at {ipa:#x} answers to a console at the same address, not to this one."
        report.warning(f"{path}.base_ipa", "console-unpaired", message, f"Use {ipa:#x} here.")
    for other in others:
        taken = other.device(T.VIRTIO_CONSOLE)
        if taken is not None and taken.cfg_list[:2] == (peer, ipa) and not mvm:
            message = f"The console at {ipa:#x} of VM {peer} is already paired with {other.name}."
            report.warning(where, "console-taken", message, "Only the first VM's output reaches it.")
            break


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


def _check_irqs(config: VmConfig, board: Board, report: Report, mvm: bool) -> None:
    owners: dict[int, str] = {}
    highest = board.plic_sources if mvm else board.vplic_sources
    uses = list(_irqs(config))
    for irq, owner, path in uses:
        if not 1 <= irq <= MAX_IRQ:
            report.error(path, "irq-range", f"The interrupt {irq} does not exist.", f"Use 1 to {highest}.")
        elif irq > highest:
            message = f"The VM's PLIC has the sources 1 to {highest}; {irq} would never arrive."
            report.error(path, "irq-plic", message, f"Use 1 to {highest}.")
        elif irq in owners:
            message = f"The interrupt {irq} is already used by {owners[irq]}."
            report.error(path, "irq-clash", message, "Give each device its own.")
        owners.setdefault(irq, owner)
    if uses and config.device(T.PLIC) is None:
        message = "The VM has devices with interrupts, but no PLIC."
        remedy = f"Add a device of type {T.PLIC.json_name} at 0xc000000 with length 0x600000."
        report.error(_EMULATED, "no-plic", message, remedy)


def _irqs(config: VmConfig) -> Iterator[tuple[int, str, str]]:
    """Every interrupt the VM's devices use: number, owner, place. A PLIC's own irq_id has no meaning."""
    for index, device in enumerate(config.emulated_devices):
        if device.type is not T.PLIC:
            yield device.irq_id, f'"{device.name}"', f"{_EMULATED}[{index}].irq_id"
    for index, through in enumerate(config.passthrough_devices):
        for number, irq in enumerate(through.irq_list):
            yield irq, f'"{through.name}"', f"{_PASSTHROUGH}[{index}].irq_list[{number}]"
