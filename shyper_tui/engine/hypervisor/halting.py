"""Takes VMs off their cores, and does what is to follow when every core has let go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING

from shyper_tui.engine.firmware.sbi import HsmState

if TYPE_CHECKING:
    from shyper_tui.engine.hypervisor.core import Core
    from shyper_tui.engine.hypervisor.vm import Vm


class Cause(IntEnum):
    """Who wants a VM to halt, from the weakest to the strongest: the guest itself, a user or the managing VM, a reset
    of the machine, the VM's removal."""

    GUEST = 0
    REQUEST = 1
    MACHINE = 2
    REMOVAL = 3


@dataclass(slots=True)
class _Halt:
    cause: Cause
    then: Callable[[], None]
    left: set[int]


class Halting:
    """VMs on their way to a halt. `on_core` does something on a core; `on_halted` is called after each halt."""

    def __init__(self, on_core: Callable[[Core, Callable[[], None]], None], on_halted: Callable[[], None]) -> None:
        self._on_core = on_core
        self._on_halted = on_halted
        self._under_way: dict[Vm, _Halt] = {}

    @property
    def busy(self) -> bool:
        """Whether some VM has not come to rest."""
        return bool(self._under_way)

    def halt(self, vm: Vm, cause: Cause, then: Callable[[], None]) -> None:
        """Take all vCPUs of `vm` off their cores, then do `then`.

        While a halt is under way, another request decides what follows when its cause is stronger, or as strong and
        not the guest: of two requests of a user the later one counts, of two of a guest's vCPUs the first.
        """
        current = self._under_way.get(vm)
        if current is not None:
            if cause > current.cause or cause == current.cause is not Cause.GUEST:
                current.cause, current.then = cause, then
            return
        vm.stopping = True
        self._under_way[vm] = _Halt(cause, then, set(range(len(vm.vcpus))))
        for vcpu in vm.vcpus:
            self._on_core(vcpu.core, partial(self._let_go, vm, vcpu.index))

    def _let_go(self, vm: Vm, index: int) -> None:
        """On the vCPU's core: it runs no more."""
        vcpu, halt = vm.vcpus[index], self._under_way[vm]
        vcpu.hsm = HsmState.STOPPED
        vcpu.core.remove(vcpu)
        vcpu.paused = False
        halt.left.discard(index)
        if halt.left:
            return
        del self._under_way[vm]
        vm.stopping = False
        halt.then()
        self._on_halted()
