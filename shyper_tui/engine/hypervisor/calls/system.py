"""Hypercalls of type 0: the whole machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shyper_tui.engine.firmware.sbi import ResetType
from shyper_tui.engine.hypervisor.calls.table import SYS, Args, hypercall

if TYPE_CHECKING:
    from shyper_tui.engine.hypervisor.hypervisor import Hypervisor
    from shyper_tui.engine.hypervisor.vm import Vm


@hypercall(SYS, 0)
def system_reboot(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    hypervisor.manager.guest_reset(vm, ResetType.COLD_REBOOT)
    return 0


@hypercall(SYS, 1)
def system_shutdown(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    hypervisor.manager.guest_reset(vm, ResetType.SHUTDOWN)
    return 0


@hypercall(SYS, 4)
def system_test(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    hypervisor.platform.log(f"test call of VM {vm.id}")
    return 0
