"""The vocabulary of semantic functions: what an instruction may read, write and do.

A semantic function gets one `Semantics` and describes the instruction's effect once. Each back end (interpreter, plain Python)
gives the vocabulary its meaning. Registers are read before they are written; an exception leaves no effect behind.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager

from .value import Value


class Semantics(ABC):
    """One instruction under translation. Integer registers and addresses are 64-bit values."""

    # operands
    @property
    @abstractmethod
    def rs1(self) -> Value: ...

    @property
    @abstractmethod
    def rs2(self) -> Value: ...

    @property
    @abstractmethod
    def rs1_index(self) -> Value:
        """The register number itself: the immediate of CSR instructions, and the x0 test of fences."""

    @property
    @abstractmethod
    def rs2_index(self) -> Value: ...

    @property
    @abstractmethod
    def rd_index(self) -> Value:
        """The number of rd; a number above 31 stands for x0."""

    @property
    @abstractmethod
    def imm(self) -> Value: ...

    @abstractmethod
    def write_rd(self, value: Value) -> None: ...

    @property
    def rd(self) -> Value:
        raise AttributeError("rd is only written")

    @rd.setter
    def rd(self, value: Value) -> None:
        self.write_rd(value)

    @abstractmethod
    def read_f(self, operand: int) -> Value:
        """The raw 64 bits of fs1, fs2 or fs3 (`operand` 1, 2, 3)."""

    @abstractmethod
    def write_f(self, value: Value) -> None:
        """Writes the raw 64 bits of fd; mstatus.FS becomes Dirty."""

    @property
    @abstractmethod
    def pc(self) -> Value: ...

    @property
    @abstractmethod
    def next_pc(self) -> Value: ...

    @abstractmethod
    def const(self, value: int, width: int = 64) -> Value: ...

    # memory
    @abstractmethod
    def load(self, address: Value, width: int, *, signed: bool = False, to_f: bool = False) -> Value:
        """`width` bits at a virtual address. `signed` and `to_f` tell how the caller will extend it into which register file."""

    @abstractmethod
    def store(self, address: Value, value: Value) -> None: ...

    @abstractmethod
    def load_reserved(self, address: Value, width: int) -> Value: ...

    @abstractmethod
    def store_conditional(self, address: Value, value: Value) -> Value:
        """64-bit 0 on success, 1 on failure."""

    @abstractmethod
    def amo(self, address: Value, value: Value, operation: str) -> Value:
        """Atomic read-modify-write with LLVM's name of the operation (xchg add xor and or min max umin umax); the old value."""

    # control flow of the hart
    @abstractmethod
    def branch_if(self, condition: Value) -> None: ...

    @abstractmethod
    def jump_relative(self) -> None:
        """pc := pc + imm."""

    @abstractmethod
    def jump(self, target: Value) -> None: ...

    @abstractmethod
    def trap(self, cause: Value | int, tval: Value | int) -> None:
        """Raises an exception at this instruction; nothing after it executes."""

    @abstractmethod
    def illegal(self) -> None:
        """Illegal-instruction exception."""

    @abstractmethod
    def virtual_instruction(self) -> None:
        """Virtual-instruction exception."""

    @abstractmethod
    def resume(self) -> None:
        """Continues at the state's pc after privilege, interrupts or translation may have changed."""

    # control flow of the description
    @abstractmethod
    def if_(self, condition: Value, likely: bool | None = None) -> AbstractContextManager[None]: ...

    @abstractmethod
    def else_(self) -> AbstractContextManager[None]: ...

    # state and generated functions
    @abstractmethod
    def get(self, field: str) -> Value: ...

    @abstractmethod
    def set(self, field: str, value: Value | int) -> None: ...

    @abstractmethod
    def call(self, function: str, *arguments: Value | int) -> Value: ...

    @property
    @abstractmethod
    def now(self) -> Value:
        """Virtual cycles at this instruction: what time, cycle and instret are computed from."""

    @abstractmethod
    def wait_for_interrupt(self) -> None: ...

    @abstractmethod
    def hypervisor_load(self, address: Value, width: int, *, signed: bool, execute: bool) -> None:
        """HLV / HLVX: loads into rd as hstatus.SPVP and V=1 say."""

    @abstractmethod
    def hypervisor_store(self, address: Value, value: Value) -> None: ...

    @abstractmethod
    def fp(self, operation: str, rounding: Value, *operands: Value) -> tuple[Value, Value]:
        """(result, flags) of a rounding operation, named as for `core.softfloat.perform`."""


SemanticFunction = Callable[[Semantics], None]
