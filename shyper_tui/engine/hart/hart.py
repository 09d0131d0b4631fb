"""A hart as Python sees it: registers, CSRs, privileged operations, and running native code."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from shyper_tui.engine.core import tlb_layout as tlb
from shyper_tui.engine.isa.value import signed

from .bus_port import BusPort
from .csr_numbers import CSR_NUMBERS, PLAIN, STORED
from .direct.windows import DirectWindows
from .exits import IN_PYTHON
from .fields import LOAD, LOAD_EXECUTABLE, STORE, Cause, Mstatus
from .host_memory import Block, HostMemory
from .program import Program
from .state import LAYOUT, NEVER

MASK64 = (1 << 64) - 1
_INDEX = {name: LAYOUT.index(name) for name in LAYOUT.fields}
_DEADLINE, _PC, _PRV, _VIRT, _SLICE_END = (_INDEX[n] for n in ("deadline", "pc", "prv", "virt", "slice_end"))
_DIRECT_GUEST = _INDEX["direct_guest"]


class Mode(Enum):
    """Privilege mode: nominal privilege and V."""

    U = (0, 0)
    HS = (1, 0)
    M = (3, 0)
    VU = (0, 1)
    VS = (1, 1)


_MODES = {mode.value: mode for mode in Mode}


class GuestFault(Exception):  # noqa: N818 the architecture's name for it
    """HLV, HLVX or HSV failed: `cause`, the guest virtual address, and for guest-page faults the guest-physical one."""

    def __init__(self, cause: int, tval: int, gpa: int) -> None:
        super().__init__(f"cause {cause} at {tval:#x} (guest-physical {gpa:#x})")
        self.cause, self.tval, self.gpa = cause, tval, gpa


class TrapHandler(Protocol):
    """Software at M or HS written in Python."""

    def trap(self, hart: Hart) -> None: ...


class Registers:
    """32 registers of 64 bits; register 0 may be fixed to zero."""

    def __init__(self, words: Any, *, zero: bool) -> None:
        self._words = words
        self._zero = zero

    def __getitem__(self, index: int) -> int:
        value: int = self._words[index]
        return value

    def __setitem__(self, index: int, value: int) -> None:
        if index or not self._zero:
            self._words[index] = value & MASK64

    def __len__(self) -> int:
        return 32

    def list(self) -> list[int]:
        """All 32, in order."""
        return list(self._words[:32])

    def fill(self, values: Sequence[int]) -> None:
        """Set all 32; register 0 stays zero where it is fixed."""
        self._words[:32] = values
        if self._zero:
            self._words[0] = 0


class CsrFile:
    """CSRs by name or number, with M-level access and the architecture's WARL behaviour. Each name is a property."""

    __slots__ = ("_hart", "_words")

    def __init__(self, hart: Hart) -> None:
        self._hart: Hart = hart
        self._words: Any = hart.words

    def __getitem__(self, number: int) -> int:
        hart = self._hart
        value: int = hart.native["csr_read"](hart.address, number, self._words[_DEADLINE])
        return value & MASK64

    def __setitem__(self, number: int, value: int) -> None:
        hart = self._hart
        hart.native["csr_write"](hart.address, number, value & MASK64, self._words[_DEADLINE])

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> int: ...

        def __setattr__(self, name: str, value: Any) -> None: ...


def _csr_property(name: str) -> property:
    """Reads and writes the CSR, in the state where that is all there is to it."""
    number, index, plain = CSR_NUMBERS[name], STORED.get(name), PLAIN.get(name)

    def read(csr: CsrFile) -> int:
        return csr[number]

    def write(csr: CsrFile, value: int) -> None:
        csr[number] = value

    if index is not None:

        def read(csr: CsrFile) -> int:
            value: int = csr._words[index]
            return value

    if plain is not None:
        place, writable = plain

        def write(csr: CsrFile, value: int) -> None:
            csr._words[place] = value & writable

    return property(read, write)


for _name in CSR_NUMBERS:
    setattr(CsrFile, _name, _csr_property(_name))


class Hart:
    """One hart. Its state lives in a block of words that native code works on while `enter` runs."""

    def __init__(self, hart_id: int, program: Program, memory: HostMemory, bus: BusPort) -> None:
        self.hart_id = hart_id
        self.native: dict[str, Callable[..., int]] = program.call
        self.memory = memory
        self.bus = bus
        self._block = Block(LAYOUT.size)
        self.address = self._block.address
        self.words: Any = (ctypes.c_uint64 * (LAYOUT.size // 8)).from_address(self.address)
        self._enter = program.call["enter"]
        self.x = Registers((ctypes.c_uint64 * 33).from_address(self.address + LAYOUT.offset("x")), zero=True)
        self.f = Registers((ctypes.c_uint64 * 32).from_address(self.address + LAYOUT.offset("f")), zero=False)
        self.csr = CsrFile(self)
        contexts = memory.contexts.address
        for name, value in {
            "hartid": hart_id,
            "ram_base": memory.base,
            "ram_size": memory.size,
            "ram_addend": memory.ram.address - memory.base,
            "page_records": memory.page_records.address,
            "page_written": memory.page_written.address,
            "backed": memory.backed.address,
            "arena": memory.arena.address,
            "shared": memory.shared.address,
            "contexts": contexts + hart_id * tlb.CONTEXTS * tlb.CONTEXT_SIZE,
            "all_contexts": contexts,
            "all_contexts_end": contexts + memory.harts * tlb.CONTEXTS * tlb.CONTEXT_SIZE,
        }.items():
            self.set(name, value)
        self._tables = [Block(len(table)) for table in (program.decode16, program.fused)]
        for name, block, table in zip(
            ("decode16", "fused_table"), self._tables, (program.decode16, program.fused), strict=True
        ):
            block.bytes[: len(table)] = table
            self.set(name, block.address)
        self.reset(0)

    def reset(self, pc: int) -> None:
        """The state after power-on: M-mode at `pc`, everything off. Time goes on."""
        for field in ("x", "f"):
            for k in range(32):
                self.set(field, 0, k)
        for name in STORED:
            self.set(name, 0)
        for name in ("mstatus", "hstatus", "vsstatus", "fflags", "frm", "virt"):
            self.set(name, 0)
        for name in ("lines", "mip_soft", "waiting", "reservation"):
            self.set(name, 0)
        for k in range(16):
            self.set("pmpcfg", 0, k)
            self.set("pmpaddr", 0, k)
        self.set("prv", 3)
        self.set("mtimecmp", NEVER)
        self.set("stimecmp", NEVER)
        self.set("vstimecmp", NEVER)
        self.set("mideleg", 0x444)
        self.set("next_context", tlb.FIXED_CONTEXTS)
        for k in range(LAYOUT.fields["context_of"].count):
            self.set("context_of", 0, k)
        self.words[_INDEX["time_divider"]] = self.words[_INDEX["time_divider"]] or 1
        self.pc = pc
        self.native["update_timers"](self.address)
        self.native["update_pmp"](self.address)

    # state
    def get(self, field: str, index: int = 0) -> int:
        value: int = self.words[_INDEX[field] + index]
        return value

    def set(self, field: str, value: int, index: int = 0) -> None:
        self.words[_INDEX[field] + index] = value & MASK64

    @property
    def pc(self) -> int:
        value: int = self.words[_PC]
        return value

    @pc.setter
    def pc(self, value: int) -> None:
        self.words[_PC] = value & MASK64

    @property
    def mode(self) -> Mode:
        return _MODES[self.words[_PRV], self.words[_VIRT]]

    @property
    def cycle(self) -> int:
        """The current virtual cycle."""
        value: int = self.words[_DEADLINE]
        return value

    @property
    def instructions(self) -> int:
        """Instructions executed since power-on."""
        return self.cycle - self.get("skipped")

    @property
    def time(self) -> int:
        """mtime now, in ticks."""
        return self.native["ticks"](self.address, self.cycle)

    @property
    def pending_interrupts(self) -> int:
        """mip as the hart sees it now."""
        return self.native["pending_interrupts"](self.address, self.cycle)

    @property
    def waiting(self) -> bool:
        return self.get("waiting") != 0

    def set_line(self, bit: int, level: bool) -> None:
        """Drives an interrupt input: 3 MSIP, 9 SEIP, 11 MEIP."""
        lines = self.get("lines")
        self.set("lines", lines | 1 << bit if level else lines & ~(1 << bit))

    def use_direct(self, windows: DirectWindows | None) -> None:
        """Native code answers registers at these guest-physical addresses, where stage 2 maps nothing; to be set by
        software in Python that would answer them in the same way after a trap."""
        self.words[_DIRECT_GUEST] = windows.address if windows is not None else 0

    def use_direct_physical(self, windows: DirectWindows | None) -> None:
        """Native code answers registers at these physical addresses."""
        self.set("direct_physical", windows.address if windows is not None else 0)

    def field_address(self, field: str) -> int:
        """The host address of a state field, for devices that drive interrupts of this hart in native code."""
        return self.address + LAYOUT.offset(field)

    def set_mtimecmp(self, value: int) -> None:
        self.set("mtimecmp", value)
        self.native["update_timers"](self.address)

    # running
    def enter(self, until: int) -> int:
        """Executes native code until virtual cycle `until`, or until Python is needed; a value of `exits.Reason`."""
        self.words[_SLICE_END] = until
        reason: int = self._enter(self.address)
        return reason

    # operations of software written in Python
    def mret(self) -> None:
        self.native["mret"](self.address)

    def sret(self) -> None:
        self.native["sret"](self.address)

    def wait(self) -> None:
        """The current mode's Python software has nothing to do until an interrupt for it; interrupts are enabled."""
        enable = Mstatus.MIE if self.words[_PRV] == 3 else Mstatus.SIE
        self.set("mstatus", self.get("mstatus") | 1 << enable)
        self.set("waiting", IN_PYTHON)

    def sfence_vma(self, va: int | None = None, asid: int | None = None) -> None:
        self.native["sfence_vma"](self.address, *_fence_arguments(va, asid))

    def hfence_vvma(self, va: int | None = None, asid: int | None = None) -> None:
        self.native["hfence_vvma"](self.address, *_fence_arguments(va, asid))

    def hfence_gvma(self, gpa: int | None = None, vmid: int | None = None) -> None:
        self.native["hfence_gvma"](self.address, *_fence_arguments(gpa, vmid))

    def fence_i(self) -> None:
        """Nothing to do: decoded code follows memory at once."""

    def translate(self, va: int, access: int, privilege: int, virtual: int) -> int:
        """Physical address, or minus the exception's cause; sets accessed and dirty bits as an access does."""
        return signed(self.native["translate"](self.address, va & MASK64, access, privilege, virtual), 64)

    def _guest_address(self, va: int, access: int) -> int:
        pa = self.translate(va, access, self.get("hstatus") >> 8 & 1, 1)
        if pa < 0:
            raise GuestFault(-pa, va, self.get("fault_gpa") if -pa >= Cause.INSTRUCTION_GUEST_PAGE else 0)
        return pa

    def hlv(self, va: int, size: int, access: int = LOAD) -> int:
        """HLV: `size` bytes at a guest virtual address, with the privilege in hstatus.SPVP."""
        room = 4096 - (va & 4095)
        if size > room:
            return self.hlv(va, room, access) | self.hlv(va + room & MASK64, size - room, access) << 8 * room
        pa = self._guest_address(va, access)
        if not self.memory.contains(pa, size):
            raise GuestFault(Cause.LOAD_ACCESS, va, 0)
        offset = pa - self.memory.base
        return int.from_bytes(self.memory.ram.bytes[offset : offset + size], "little")

    def hlvx(self, va: int) -> int:
        """HLVX.HU: a 16-bit parcel that is executable for the guest."""
        return self.hlv(va, 2, LOAD_EXECUTABLE)

    def hlvx_word(self, va: int) -> int:
        """HLVX.WU: 32 bits that are executable for the guest."""
        return self.hlv(va, 4, LOAD_EXECUTABLE)

    def hsv(self, va: int, size: int, value: int) -> None:
        room = 4096 - (va & 4095)
        if size > room:
            self._guest_address(va + room & MASK64, STORE)
            self.hsv(va, room, value & (1 << 8 * room) - 1)
            self.hsv(va + room & MASK64, size - room, value >> 8 * room)
            return
        pa = self._guest_address(va, STORE)
        if not self.memory.contains(pa, size):
            raise GuestFault(Cause.STORE_ACCESS, va, 0)
        for k in range(size) if size not in (1, 2, 4, 8) else (0,):
            width = 1 if size not in (1, 2, 4, 8) else size
            self.native["store_physical"](self.address, pa + k, width, value >> 8 * k & (1 << 8 * width) - 1)

    def physical_read(self, pa: int, width: int) -> int:
        """RAM or a device, as a load with translation off."""
        if self.memory.contains(pa, width):
            offset = pa - self.memory.base
            return int.from_bytes(self.memory.ram.bytes[offset : offset + width], "little")
        return self.bus.read(pa, width)

    def physical_write(self, pa: int, width: int, value: int) -> None:
        if self.memory.contains(pa, width):
            if width > 4096 - (pa & 4095):
                for k in range(width):
                    self.native["store_physical"](self.address, pa + k, 1, value >> 8 * k & 0xFF)
            else:
                self.native["store_physical"](self.address, pa, width, value)
            return
        self.bus.write(pa, width, value)

    def raise_exception(self, cause: int, tval: int) -> bool:
        """Takes an exception at the current pc; True when the mode it enters is Python software."""
        python = bool(self.native["exception"](self.address, cause, tval & MASK64, self.pc))
        self.words[_DEADLINE] += 1
        return python


def _fence_arguments(address: int | None, space: int | None) -> tuple[int, int, int]:
    return (address or 0) & MASK64, space or 0, (address is not None) | (space is not None) << 1
