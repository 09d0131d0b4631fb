"""Finds VMs that run and get nowhere: damaged kernels, most of all, which fault for ever without a word.

A guest handles its own exceptions, so nobody is told of them. One whose first instruction of the trap handler faults,
however, can never leave it: each trap leads to the next.
"""

from __future__ import annotations

from shyper_tui.engine.hart.fields import INTERRUPT_BIT
from shyper_tui.engine.hypervisor.exits.record import cause_name
from shyper_tui.engine.hypervisor.vcpu import Vcpu, VcpuState
from shyper_tui.engine.hypervisor.vm import Vm, VmState


def fault_loop(vm: Vm) -> str:
    """What a vCPU of an active VM does for ever, as a sentence's end; "" when none is caught in its trap handler."""
    if vm.state is not VmState.ACTIVE or vm.stopping:
        return ""
    for vcpu in vm.vcpus:
        if vcpu.state in (VcpuState.READY, VcpuState.RUNNING) and (found := _look(vcpu)):
            return found
    return ""


def _look(vcpu: Vcpu) -> str:
    """The exception in the handler's first instruction: the trap came from where it leads to."""
    if vcpu.loaded:
        csr = vcpu.core.hart.csr
        vector, origin, cause = csr.vstvec, csr.vsepc, csr.vscause
    else:
        vector, origin, cause = (vcpu.csrs[name] for name in ("vstvec", "vsepc", "vscause"))
    handler = vector & ~3
    if not handler or origin != handler or cause & INTERRUPT_BIT:
        return ""
    where = f"{cause_name(cause)} at {handler:#x}"
    return f"vCPU {vcpu.index} only faults: its trap handler begins with: {where}; is its kernel damaged?"
