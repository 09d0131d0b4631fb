"""The requests that a client may make of a machine with VMs, by name: which method of the workstation serves each, with
which arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from shyper_tui.input_file import MAX_CONFIGURATION, size_text
from shyper_tui.ipc.messages import EngineError, MessageError, from_wire

if TYPE_CHECKING:
    from shyper_tui.engine.workstation import Workstation

T = TypeVar("T")


class Arguments:
    """A request's arguments, checked as they are taken."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def take(self, name: str, kind: type[T]) -> T:
        """Argument `name`; EngineError when it is missing or has another type."""
        try:
            return from_wire(kind, self._values.get(name))
        except MessageError as error:
            raise EngineError("bad-arguments", f"argument {name}: {str(error).partition(': ')[2]}") from None

    @property
    def vm(self) -> int:
        return self.take("vm", int)

    @property
    def force(self) -> bool:
        return self.take("force", bool)

    @property
    def document(self) -> tuple[str, str, str]:
        """A file's text, the folder for its relative names, and its own name."""
        text = self.take("text", str)
        if len(text) > MAX_CONFIGURATION or len(text.encode("utf-8", "replace")) > MAX_CONFIGURATION:
            raise EngineError("bad-arguments", f"the text is larger than {size_text(MAX_CONFIGURATION)}")
        return text, self.take("directory", str), self.take("file", str)


Action = Callable[["Workstation", Arguments], Any]

ACTIONS: dict[str, Action] = {
    "vm.list": lambda station, _: station.vms.infos(),
    "vm.config": lambda station, a: station.vms.config(*a.document),
    "vm.default_config": lambda station, a: station.vms.default_config(a.vm),
    "vm.boot": lambda station, a: station.vms.boot(a.vm),
    "vm.stop": lambda station, a: station.vms.stop(a.vm),
    "vm.shutdown": lambda station, a: station.vms.shutdown(a.vm, a.force),
    "vm.reboot": lambda station, a: station.vms.reboot(a.vm, a.force),
    "vm.pause": lambda station, a: station.vms.pause(a.vm),
    "vm.resume": lambda station, a: station.vms.resume(a.vm),
    "vm.remove": lambda station, a: station.vms.remove(a.vm),
    "vm.delete": lambda station, a: station.vms.delete(a.vm, a.force),
    "vm.statistics": lambda station, a: station.vms.statistics(a.vm),
    "vm.all_statistics": lambda station, _: station.vms.all_statistics(),
    "vm.faults": lambda station, a: station.vms.faults(a.vm),
    "vm.audit": lambda station, _: station.vms.audit(),
    "system.test": lambda station, _: station.test(),
    "system.shutdown": lambda station, a: station.shutdown(a.force),
    "system.reboot": lambda station, a: station.reboot(a.force),
    "system.daemon": lambda station, a: station.daemon(*a.document),
    "console.write": lambda station, a: station.type(a.vm, a.take("data", bytes)),
    "console.resize": lambda station, a: station.resize(a.vm, a.take("columns", int), a.take("rows", int)),
    "vcpus": lambda station, _: station.vcpus(),
    "plic": lambda station, _: station.plic(),
    "pause": lambda station, _: station.pause(),
    "resume": lambda station, _: station.resume(),
    "scenario": lambda station, _: station.scenario.status(),
}

NEEDING_POWER = ("vm.boot", "vm.reboot", "vm.resume", "system.reboot", "resume")
"""Requests that would start something, which a machine that has powered off cannot."""

FRUITLESS = (
    "vm.config",
    "vm.boot",
    "vm.stop",
    "vm.shutdown",
    "vm.reboot",
    "vm.pause",
    "vm.resume",
    "vm.remove",
    "vm.delete",
)
"""Requests that a machine which has failed cannot do: none of its cores runs any more."""

SETTLING = ("vm.stop", "vm.shutdown", "vm.reboot", "vm.remove", "vm.delete", "system.shutdown", "system.reboot")
"""Requests that stop VMs: they are answered when every core has let go of them."""
