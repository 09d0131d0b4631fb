"""M extension: integer multiplication and division (Unprivileged ISA, chapter "M")."""

from __future__ import annotations

from .instruction import instruction
from .semantics import Semantics
from .value import Value


@instruction("mul    rd, rs1, rs2", "0000001 rs2 rs1 000 rd 0110011")
def mul(s: Semantics) -> None:
    s.rd = s.rs1 * s.rs2


@instruction("mulh   rd, rs1, rs2", "0000001 rs2 rs1 001 rd 0110011")
def mulh(s: Semantics) -> None:
    s.rd = _high(s.rs1.sext(128) * s.rs2.sext(128))


@instruction("mulhsu rd, rs1, rs2", "0000001 rs2 rs1 010 rd 0110011")
def mulhsu(s: Semantics) -> None:
    s.rd = _high(s.rs1.sext(128) * s.rs2.zext(128))


@instruction("mulhu  rd, rs1, rs2", "0000001 rs2 rs1 011 rd 0110011")
def mulhu(s: Semantics) -> None:
    s.rd = _high(s.rs1.zext(128) * s.rs2.zext(128))


@instruction("div    rd, rs1, rs2", "0000001 rs2 rs1 100 rd 0110011")
def div(s: Semantics) -> None:
    s.rd = _signed_quotient(s.rs1, s.rs2)


@instruction("divu   rd, rs1, rs2", "0000001 rs2 rs1 101 rd 0110011")
def divu(s: Semantics) -> None:
    s.rd = _unsigned_quotient(s.rs1, s.rs2)


@instruction("rem    rd, rs1, rs2", "0000001 rs2 rs1 110 rd 0110011")
def rem(s: Semantics) -> None:
    s.rd = _signed_remainder(s.rs1, s.rs2)


@instruction("remu   rd, rs1, rs2", "0000001 rs2 rs1 111 rd 0110011")
def remu(s: Semantics) -> None:
    s.rd = _unsigned_remainder(s.rs1, s.rs2)


@instruction("mulw   rd, rs1, rs2", "0000001 rs2 rs1 000 rd 0111011")
def mulw(s: Semantics) -> None:
    s.rd = (s.rs1 * s.rs2).sext32()


@instruction("divw   rd, rs1, rs2", "0000001 rs2 rs1 100 rd 0111011")
def divw(s: Semantics) -> None:
    s.rd = _signed_quotient(s.rs1.trunc(32), s.rs2.trunc(32)).sext()


@instruction("divuw  rd, rs1, rs2", "0000001 rs2 rs1 101 rd 0111011")
def divuw(s: Semantics) -> None:
    s.rd = _unsigned_quotient(s.rs1.trunc(32), s.rs2.trunc(32)).sext()


@instruction("remw   rd, rs1, rs2", "0000001 rs2 rs1 110 rd 0111011")
def remw(s: Semantics) -> None:
    s.rd = _signed_remainder(s.rs1.trunc(32), s.rs2.trunc(32)).sext()


@instruction("remuw  rd, rs1, rs2", "0000001 rs2 rs1 111 rd 0111011")
def remuw(s: Semantics) -> None:
    s.rd = _unsigned_remainder(s.rs1.trunc(32), s.rs2.trunc(32)).sext()


def _high(product: Value) -> Value:
    return (product >> 64).trunc(64)


def _guarded(a: Value, b: Value) -> tuple[Value, Value, Value]:
    """(divisor is zero, quotient overflows, a divisor that the host can divide by)."""
    zero = b == 0
    overflow = (a == 1 << (a.width - 1)) & (b == (1 << b.width) - 1)
    return zero, overflow, (zero | overflow).select(1, b)


def _signed_quotient(a: Value, b: Value) -> Value:
    zero, overflow, divisor = _guarded(a, b)
    return zero.select((1 << a.width) - 1, overflow.select(a, a.sdiv(divisor)))


def _signed_remainder(a: Value, b: Value) -> Value:
    zero, overflow, divisor = _guarded(a, b)
    return zero.select(a, overflow.select(0, a.srem(divisor)))


def _unsigned_quotient(a: Value, b: Value) -> Value:
    zero = b == 0
    return zero.select((1 << a.width) - 1, a.udiv(zero.select(1, b)))


def _unsigned_remainder(a: Value, b: Value) -> Value:
    zero = b == 0
    return zero.select(a, a.urem(zero.select(1, b)))
