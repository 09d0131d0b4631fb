"""Hypercalls of type 3: disks that a daemon in the managing VM serves."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from shyper_tui.engine.guest_view import translate
from shyper_tui.engine.hypervisor.calls.table import MEDIATED, Args, RefusedError, hypercall

if TYPE_CHECKING:
    from shyper_tui.engine.hypervisor.devices.daemon_disk import DaemonDisk
    from shyper_tui.engine.hypervisor.devices.disk_page import Translate
    from shyper_tui.engine.hypervisor.hypervisor import Hypervisor
    from shyper_tui.engine.hypervisor.vm import Vm

FLUSHES = 1
"""Feature of a daemon: it gets flushes as requests."""


@hypercall(MEDIATED, 0x30)
def append_mediated_disk(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    """A daemon offers a disk: a0 class (ignored), a1 its page, which gets nreq = 0 and the cache's machine-physical
    address."""
    platform = hypervisor.platform
    disk = platform.disks.register(vm, args[1], platform.timebase, platform.log, _translation(hypervisor, vm))
    platform.log(f"mediated disk {disk.name} ({disk.path or 'no path'}): {disk.sectors} sectors, served by VM {vm.id}")
    return 0


@hypercall(MEDIATED, 0x31)
def mediated_request_done(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    """The daemon has finished the request in the page at a0."""
    _registered(hypervisor, args).done()
    return 0


@hypercall(MEDIATED, 0x33)
def mediated_request_failed(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    """The daemon could not do the request in the page at a0: an I/O error for the guest. Not in Rust-Shyper."""
    _registered(hypervisor, args).failed()
    return 0


@hypercall(MEDIATED, 0x34)
def set_daemon_features(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    """What the daemon of the disk with its page at a0 is able to do: a1 bit 0, it flushes on request. Returns the bits
    that are in force. Not in Rust-Shyper."""
    disk = _registered(hypervisor, args)
    disk.use_flushes(bool(args[1] & FLUSHES))
    return args[1] & FLUSHES


@hypercall(MEDIATED, 0x35)
def detach_mediated_disk(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    """The daemon of the disk with its page at a0 goes: page and cache are not touched from now on. Not in
    Rust-Shyper."""
    disk = _registered(hypervisor, args)
    disk.detach()
    hypervisor.platform.log(f"mediated disk {disk.name}: its daemon is gone")
    return 0


def _registered(hypervisor: Hypervisor, args: Args) -> DaemonDisk:
    disk = hypervisor.platform.disks.registered(args[0])
    if disk is None:
        raise RefusedError(f"no mediated disk has its page at {args[0]:#x}")
    return disk


def _translation(hypervisor: Hypervisor, vm: Vm) -> Translate | None:
    """How the caller's virtual addresses are translated now: the daemon's own process makes the call."""
    vcpu = hypervisor.caller
    if vcpu is None or vcpu.core.current is not vcpu:
        return None
    return partial(translate, vm.memory, vcpu.core.hart.csr.vsatp)
