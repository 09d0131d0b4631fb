"""Hypercalls of type 0: the whole machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shyper_tui.engine.firmware.sbi import ResetType
from shyper_tui.engine.hypervisor.calls.table import SYS, Args, hypercall

if TYPE_CHECKING:
    from shyper_tui.engine.hypervisor.hypervisor import Hypervisor
    from shyper_tui.engine.hypervisor.vm import Vm

TEST_LINE = "hypervisor: test call of VM {}\n"


@hypercall(SYS, 0)
def system_reboot(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    """Every VM is stopped, the machine begins again."""
    hypervisor.manager.reset_machine(ResetType.COLD_REBOOT)
    return 0


@hypercall(SYS, 1)
def system_shutdown(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    """Every VM is stopped, the machine goes off."""
    hypervisor.manager.reset_machine(ResetType.SHUTDOWN)
    return 0


@hypercall(SYS, 4)
def system_test(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    """One line on the machine's console."""
    hypervisor.firmware.console.write(TEST_LINE.format(vm.id).replace("\n", "\r\n").encode())
    hypervisor.platform.log(f"test call of VM {vm.id}")
    return 0
