"""Hypercalls of type 3: disks that a daemon in the managing VM serves."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from shyper_tui.engine.hypervisor.calls.table import MEDIATED, Args, RefusedError, hypercall

if TYPE_CHECKING:
    from shyper_tui.engine.hypervisor.hypervisor import Hypervisor
    from shyper_tui.engine.hypervisor.vm import Vm


@hypercall(MEDIATED, 0x30)
def append_mediated_disk(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    """A daemon in the MVM offers a disk: the page at a1 gets nreq = 0 and the cache's machine-physical address."""
    page = args[1]
    cache_ipa = vm.memory.read_u64(page + 8 + 104)
    cache_pa = vm.memory.physical(cache_ipa)
    vm.memory.write(page, struct.pack("<Q", 0))
    vm.memory.write(page + 8 + 112, struct.pack("<Q", cache_pa))
    hypervisor.platform.disks.register(page)
    return 0


@hypercall(MEDIATED, 0x31)
def mediated_request_done(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    entry = hypervisor.platform.disks.registered(args[0])
    if entry is None:
        raise RefusedError(f"no mediated disk has its page at {args[0]:#x}")
    if not entry.outstanding:
        raise RefusedError(f"the mediated disk at {args[0]:#x} has no request to finish")
    entry.outstanding -= 1
    return 0
