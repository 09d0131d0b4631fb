"""H extension instructions: HLV, HLVX, HSV, HFENCE (Privileged ISA, "Hypervisor Instructions")."""

from __future__ import annotations

from .instruction import instruction
from .rv_privileged import HU, TVM, fence_operands, user, virtual
from .semantics import Semantics


def _access_allowed(s: Semantics) -> None:
    """HLV and HSV: M and HS always, U when hstatus.HU."""
    with s.if_(virtual(s), False):
        s.virtual_instruction()
    with s.if_(user(s) & ~s.get("hstatus").bit(HU), False):
        s.illegal()


def _load(name: str, funct7: str, rs2: str, width: int, *, signed: bool, execute: bool = False) -> None:
    @instruction(f"{name} rd, (rs1)", f"{funct7} {rs2} rs1 100 rd 1110011")
    def load(s: Semantics) -> None:
        _access_allowed(s)
        s.hypervisor_load(s.rs1, width, signed=signed, execute=execute)


def _store(name: str, funct7: str, width: int) -> None:
    @instruction(f"{name} rs2, (rs1)", f"{funct7} rs2 rs1 100 00000 1110011")
    def store(s: Semantics) -> None:
        _access_allowed(s)
        s.hypervisor_store(s.rs1, s.rs2.trunc(width))


_load("hlv.b", "0110000", "00000", 8, signed=True)
_load("hlv.bu", "0110000", "00001", 8, signed=False)
_load("hlv.h", "0110010", "00000", 16, signed=True)
_load("hlv.hu", "0110010", "00001", 16, signed=False)
_load("hlvx.hu", "0110010", "00011", 16, signed=False, execute=True)
_load("hlv.w", "0110100", "00000", 32, signed=True)
_load("hlv.wu", "0110100", "00001", 32, signed=False)
_load("hlvx.wu", "0110100", "00011", 32, signed=False, execute=True)
_load("hlv.d", "0110110", "00000", 64, signed=False)
_store("hsv.b", "0110001", 8)
_store("hsv.h", "0110011", 16)
_store("hsv.w", "0110101", 32)
_store("hsv.d", "0110111", 64)


def _fence_allowed(s: Semantics) -> None:
    with s.if_(virtual(s), False):
        s.virtual_instruction()
    with s.if_(user(s), False):
        s.illegal()


@instruction("hfence.vvma rs1, rs2", "0010001 rs2 rs1 000 00000 1110011")
def hfence_vvma(s: Semantics) -> None:
    _fence_allowed(s)
    s.call("hfence_vvma", s.rs1, s.rs2, fence_operands(s))
    s.set("pc", s.next_pc)
    s.resume()


@instruction("hfence.gvma rs1, rs2", "0110001 rs2 rs1 000 00000 1110011")
def hfence_gvma(s: Semantics) -> None:
    _fence_allowed(s)
    with s.if_((s.get("prv") == 1) & s.get("mstatus").bit(TVM), False):
        s.illegal()
    s.call("hfence_gvma", s.rs1, s.rs2, fence_operands(s))
    s.set("pc", s.next_pc)
    s.resume()
