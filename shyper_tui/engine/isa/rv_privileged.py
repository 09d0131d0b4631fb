"""System instructions: environment calls, trap returns, WFI, SFENCE.VMA (Privileged ISA, "Supervisor-Level ISA" and "Machine-Level ISA").

Which exception a refused instruction raises follows "Trap Cause Codes" of the hypervisor extension: virtual-instruction when
V=1 and HS-mode would have been allowed, else illegal-instruction.
"""

from __future__ import annotations

from .instruction import instruction
from .semantics import Semantics
from .value import Value

# mstatus
TVM, TW, TSR = 20, 21, 22
# hstatus
HU, VTVM, VTW, VTSR = 9, 20, 21, 22


def user(s: Semantics) -> Value:
    """The hart is in U or VU."""
    return s.get("prv") == 0


def machine(s: Semantics) -> Value:
    return s.get("prv") == 3


def virtual(s: Semantics) -> Value:
    """V=1."""
    return s.get("virt") != 0


def not_in_user_mode(s: Semantics) -> None:
    """Refuses U (illegal) and VU (virtual-instruction)."""
    with s.if_(user(s), False):
        with s.if_(virtual(s)):
            s.virtual_instruction()
        s.illegal()


def refused_by(s: Semantics, mstatus_bit: int, hstatus_bit: int) -> None:
    """Traps S-mode accesses: HS by mstatus, VS by hstatus."""
    with s.if_(s.get("prv") == 1):
        with s.if_(virtual(s)):
            with s.if_(s.get("hstatus").bit(hstatus_bit), False):
                s.virtual_instruction()
        with s.else_():
            with s.if_(s.get("mstatus").bit(mstatus_bit), False):
                s.illegal()


@instruction("ecall", "000000000000 00000 000 00000 1110011")
def ecall(s: Semantics) -> None:
    privilege = s.get("prv")
    # 8 from U and VU, 9 from HS, 10 from VS, 11 from M
    s.trap((privilege + 8) + (privilege == 1).zext() * s.get("virt"), 0)


@instruction("ebreak", "000000000001 00000 000 00000 1110011")
def ebreak(s: Semantics) -> None:
    s.trap(3, s.pc)


@instruction("mret", "001100000010 00000 000 00000 1110011")
def mret(s: Semantics) -> None:
    with s.if_(~machine(s), False):
        s.illegal()
    s.call("mret")
    s.resume()


@instruction("sret", "000100000010 00000 000 00000 1110011")
def sret(s: Semantics) -> None:
    not_in_user_mode(s)
    refused_by(s, TSR, VTSR)
    s.call("sret")
    s.resume()


@instruction("wfi", "000100000101 00000 000 00000 1110011")
def wfi(s: Semantics) -> None:
    with s.if_(~machine(s)):
        with s.if_(s.get("mstatus").bit(TW), False):
            s.illegal()
        with s.if_(virtual(s)):
            with s.if_(user(s) | s.get("hstatus").bit(VTW), False):
                s.virtual_instruction()
        with s.if_(user(s), False):
            s.illegal()
    s.wait_for_interrupt()


def fence_operands(s: Semantics) -> Value:
    """Bit 0: rs1 is given; bit 1: rs2 is given."""
    return (s.rs1_index != 0).zext() | ((s.rs2_index != 0).zext() << 1)


@instruction("sfence.vma rs1, rs2", "0001001 rs2 rs1 000 00000 1110011")
def sfence_vma(s: Semantics) -> None:
    not_in_user_mode(s)
    refused_by(s, TVM, VTVM)
    s.call("sfence_vma", s.rs1, s.rs2, fence_operands(s))
    s.set("pc", s.next_pc)
    s.resume()
