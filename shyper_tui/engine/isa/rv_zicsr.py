"""Zicsr: control and status register instructions (Unprivileged ISA, chapter "Zicsr").

The CSRs themselves are in `engine.hart.csr`. Their reads have no side effects, so a read that the specification lets one skip
is done all the same.
"""

from __future__ import annotations

from .instruction import instruction
from .semantics import Semantics
from .value import Value

MIP = 0x344


def _access(s: Semantics, operation: str, source: Value) -> None:
    writes = s.const(1) if operation == "w" else (s.rs1_index != 0).zext()
    number = s.call("csr_check", s.imm, writes)
    with s.if_(number.slt(0), False):
        with s.if_(number == -22):
            s.virtual_instruction()
        s.illegal()
    old = s.call("csr_read", number, s.now)
    # in mip, the interrupt lines are seen but are not what set and clear work on
    stored = old if operation == "w" else old & ~((number == MIP).select(s.get("lines"), 0) & ~s.get("mip_soft"))
    changed = {"w": lambda: source, "s": lambda: stored | source, "c": lambda: stored & ~source}[operation]()
    with s.if_(writes == 0):
        s.rd = old
    with s.else_():
        # rd may be rs1: the write above must not be seen by `changed`
        effect = s.call("csr_write", number, changed, s.now)
        s.rd = old
        with s.if_(effect != 0):
            s.set("pc", s.next_pc)
            s.resume()


@instruction("csrrw  rd, csr, rs1", "csr[11:0] rs1 001 rd 1110011")
def csrrw(s: Semantics) -> None:
    _access(s, "w", s.rs1)


@instruction("csrrs  rd, csr, rs1", "csr[11:0] rs1 010 rd 1110011")
def csrrs(s: Semantics) -> None:
    _access(s, "s", s.rs1)


@instruction("csrrc  rd, csr, rs1", "csr[11:0] rs1 011 rd 1110011")
def csrrc(s: Semantics) -> None:
    _access(s, "c", s.rs1)


@instruction("csrrwi rd, csr, zimm", "csr[11:0] rs1 101 rd 1110011")
def csrrwi(s: Semantics) -> None:
    _access(s, "w", s.rs1_index)


@instruction("csrrsi rd, csr, zimm", "csr[11:0] rs1 110 rd 1110011")
def csrrsi(s: Semantics) -> None:
    _access(s, "s", s.rs1_index)


@instruction("csrrci rd, csr, zimm", "csr[11:0] rs1 111 rd 1110011")
def csrrci(s: Semantics) -> None:
    _access(s, "c", s.rs1_index)
