"""Watches VMs for their user: uploads that cannot be kernels, starts that lead nowhere, requests that nobody answers.

What is found becomes the VM's message, and a line in the log, once. Nothing is done about it: a VM that is slow is not
to be stopped because it looks dead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from shyper_tui.engine.board.device import TICKS_PER_SECOND, Timebase
from shyper_tui.engine.hypervisor.definition import VmType
from shyper_tui.engine.hypervisor.platform import Platform
from shyper_tui.engine.hypervisor.progress import Progress, stuck
from shyper_tui.engine.hypervisor.vm import RUNNING, Vm, VmState
from shyper_tui.engine.isa import rows  # noqa: F401  (registers every instruction)
from shyper_tui.engine.isa.decode import decode
from shyper_tui.images.kernel_header import KernelHeader, KernelKind, judge, recognise

if TYPE_CHECKING:
    from shyper_tui.engine.hypervisor.manager import Entry

LOOKS = 32 * TICKS_PER_SECOND
"""For how long after its start a VM is looked at without anybody asking."""
PATIENCE = 10 * TICKS_PER_SECOND
"""For how long a VM that was asked to power off or reboot may take without a word about it."""
SLACK = 2 << 20
"""Bytes by which an upload may be longer than its header says: who sends it may fill the last piece."""
FIRST_INSTRUCTIONS = 16


class Watch:
    """`platform` gives the time and takes the lines for the log; `entries()` are the VMs."""

    def __init__(self, platform: Platform, entries: Callable[[], Iterable[Entry]]) -> None:
        self._platform = platform
        self._entries = entries
        self._planned = False

    def uploaded(self, entry: Entry, vm: Vm) -> None:
        """A piece has arrived; with the last one the whole is judged."""
        upload, definition = entry.images.upload, vm.definition
        if upload is None:
            return
        upload.problem = ""
        if upload.received < upload.size or definition.type != VmType.LINUX:
            return
        load = definition.kernel_load_ipa

        def read_at(offset: int, size: int) -> bytes:
            return vm.memory.read(load + offset, min(size, upload.size - offset)) if offset < upload.size else b""

        upload.problem = _problem(read_at(0, 1024), judge(read_at, upload.size), upload.size, load)
        if upload.problem and not _looks_like_code(read_at(0, 4 * FIRST_INSTRUCTIONS)):
            self._warn(vm, upload.problem)

    def upload_problem(self, entry: Entry, vm: Vm) -> str:
        """What speaks against the uploaded kernel of a VM that does not run; "" when nothing does."""
        upload = entry.images.upload
        return upload.problem if upload is not None and vm.state is VmState.PENDING else ""

    def booted(self, entry: Entry, vm: Vm) -> None:
        """A VM starts."""
        entry.progress.begin(vm, vm.booted_at)
        self._plan()

    def stuck(self, entry: Entry, vm: Vm) -> str:
        """Why a VM that runs gets nowhere; "" as long as nothing speaks for that."""
        timebase = self._platform.timebase
        found = stuck(vm, entry.progress, timebase.now() if timebase is not None else 0)
        if found and (upload := entry.images.upload) is not None and upload.problem:
            found += f"; {upload.problem}"
        return found

    def asked(self, entry: Entry, what: str) -> None:
        """A VM was asked to do something by itself."""
        if self._platform.timebase is not None:
            entry.progress.asked = what, self._platform.timebase.now() + PATIENCE
            self._plan()

    def _plan(self) -> None:
        """Plans the next look at all VMs. There is one timer, however often VMs come and go."""
        timebase = self._platform.timebase
        if timebase is not None and not self._planned:
            self._planned = True
            timebase.call_at(timebase.now() + TICKS_PER_SECOND, partial(self._look, timebase))

    def _look(self, timebase: Timebase) -> None:
        self._planned = False
        again = False
        for entry in list(self._entries()):
            vm, progress = entry.vm, entry.progress
            if vm is None or vm.state not in RUNNING or vm.stopping:
                continue
            if not progress.told and timebase.now() < vm.booted_at + LOOKS:
                again = True
                if found := self.stuck(entry, vm):
                    progress.told = True
                    self._tell(vm, found)
            if progress.asked is not None:
                again = True
                self._unanswered(progress, vm, timebase.now())
        if again:
            self._plan()

    def _unanswered(self, progress: Progress, vm: Vm, now: int) -> None:
        """A VM that does not do what it was asked for is not stopped: it may be busy, and lose unsaved data."""
        assert progress.asked is not None
        what, deadline = progress.asked
        if vm.state is VmState.ACTIVE and now >= deadline:
            progress.asked = None
            vm.message = (
                f"was asked to {what} {PATIENCE // TICKS_PER_SECOND} s ago and has not; --force does it at once"
            )
            self._tell(vm, vm.message)

    def _tell(self, vm: Vm, sentence: str) -> None:
        self._warn(vm, sentence)
        self._platform.on_change()

    def _warn(self, vm: Vm, sentence: str) -> None:
        self._platform.log(f"warning: VM {vm.id} ({vm.name}): {sentence}")


def _problem(start: bytes, whole: KernelHeader, size: int, load: int) -> str:
    """What speaks against a kernel of `size` bytes at `load` that runs as it is."""
    if whole.problem:
        return f"the uploaded kernel at {load:#x} is damaged: {whole.problem}"
    if whole.kind is KernelKind.ELF:
        return f"the upload at {load:#x} is an ELF file, which is not unpacked: upload a Linux Image"
    if whole.kind is KernelKind.RAW:
        return f"no known kernel header at {load:#x}: was the upload damaged?"
    announced = recognise(start).image_size
    if announced and size > announced + SLACK:
        return f"{size} bytes were uploaded to {load:#x}, but the kernel's header tells of {announced}"
    return ""


def _looks_like_code(start: bytes) -> bool:
    """Whether a program may begin with these bytes."""
    at = 0
    while at + 4 <= len(start):
        found = decode(int.from_bytes(start[at : at + 4], "little"))
        if found is None:
            return False
        at += found.length
    return True
