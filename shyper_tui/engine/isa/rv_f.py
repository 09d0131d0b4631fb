"""F extension: single-precision floating point (Unprivileged ISA, chapter "F").

Disassemblers leave rm out when it is DYN.
"""

from __future__ import annotations

from . import float_bits
from . import float_common as f
from .instruction import instruction
from .semantics import Semantics


@instruction("flw       fd, imm(rs1)", "imm[11:0] rs1 010 rd 0000111")
def flw(s: Semantics) -> None:
    f.load(s, 32)


@instruction("fsw       fs2, imm(rs1)", "imm[11:5] rs2 rs1 010 imm[4:0] 0100111")
def fsw(s: Semantics) -> None:
    f.store(s, 32)


@instruction("fmadd.s   fd, fs1, fs2, fs3, rm", "rs3 00 rs2 rs1 rm rd 1000011")
def fmadd_s(s: Semantics) -> None:
    f.multiply_add(s, "s")


@instruction("fmsub.s   fd, fs1, fs2, fs3, rm", "rs3 00 rs2 rs1 rm rd 1000111")
def fmsub_s(s: Semantics) -> None:
    f.multiply_add(s, "s", negate_addend=True)


@instruction("fnmsub.s  fd, fs1, fs2, fs3, rm", "rs3 00 rs2 rs1 rm rd 1001011")
def fnmsub_s(s: Semantics) -> None:
    f.multiply_add(s, "s", negate_product=True)


@instruction("fnmadd.s  fd, fs1, fs2, fs3, rm", "rs3 00 rs2 rs1 rm rd 1001111")
def fnmadd_s(s: Semantics) -> None:
    f.multiply_add(s, "s", negate_product=True, negate_addend=True)


@instruction("fadd.s    fd, fs1, fs2, rm", "0000000   rs2 rs1 rm rd 1010011")
def fadd_s(s: Semantics) -> None:
    f.arithmetic(s, "fadd.s")


@instruction("fsub.s    fd, fs1, fs2, rm", "0000100   rs2 rs1 rm rd 1010011")
def fsub_s(s: Semantics) -> None:
    f.arithmetic(s, "fsub.s")


@instruction("fmul.s    fd, fs1, fs2, rm", "0001000   rs2 rs1 rm rd 1010011")
def fmul_s(s: Semantics) -> None:
    f.arithmetic(s, "fmul.s")


@instruction("fdiv.s    fd, fs1, fs2, rm", "0001100   rs2 rs1 rm rd 1010011")
def fdiv_s(s: Semantics) -> None:
    f.arithmetic(s, "fdiv.s")


@instruction("fsqrt.s   fd, fs1, rm", "0101100 00000 rs1 rm rd 1010011")
def fsqrt_s(s: Semantics) -> None:
    f.square_root(s, "s")


@instruction("fsgnj.s   fd, fs1, fs2", "0010000   rs2 rs1 000 rd 1010011")
def fsgnj_s(s: Semantics) -> None:
    f.inject_sign(s, "s", lambda a, b: b)


@instruction("fsgnjn.s  fd, fs1, fs2", "0010000   rs2 rs1 001 rd 1010011")
def fsgnjn_s(s: Semantics) -> None:
    f.inject_sign(s, "s", lambda a, b: ~b)


@instruction("fsgnjx.s  fd, fs1, fs2", "0010000   rs2 rs1 010 rd 1010011")
def fsgnjx_s(s: Semantics) -> None:
    f.inject_sign(s, "s", lambda a, b: a ^ b)


@instruction("fmin.s    fd, fs1, fs2", "0010100   rs2 rs1 000 rd 1010011")
def fmin_s(s: Semantics) -> None:
    f.select(s, float_bits.minimum, "s")


@instruction("fmax.s    fd, fs1, fs2", "0010100   rs2 rs1 001 rd 1010011")
def fmax_s(s: Semantics) -> None:
    f.select(s, float_bits.maximum, "s")


@instruction("fle.s     rd, fs1, fs2", "1010000   rs2 rs1 000 rd 1010011")
def fle_s(s: Semantics) -> None:
    f.compare(s, float_bits.less_equal, "s")


@instruction("flt.s     rd, fs1, fs2", "1010000   rs2 rs1 001 rd 1010011")
def flt_s(s: Semantics) -> None:
    f.compare(s, float_bits.less, "s")


@instruction("feq.s     rd, fs1, fs2", "1010000   rs2 rs1 010 rd 1010011")
def feq_s(s: Semantics) -> None:
    f.compare(s, float_bits.equal, "s")


@instruction("fclass.s  rd, fs1", "1110000 00000 rs1 001 rd 1010011")
def fclass_s(s: Semantics) -> None:
    f.classify(s, "s")


@instruction("fcvt.w.s  rd, fs1, rm", "1100000 00000 rs1 rm rd 1010011")
def fcvt_w_s(s: Semantics) -> None:
    f.to_integer(s, "w", "s")


@instruction("fcvt.wu.s rd, fs1, rm", "1100000 00001 rs1 rm rd 1010011")
def fcvt_wu_s(s: Semantics) -> None:
    f.to_integer(s, "wu", "s")


@instruction("fcvt.l.s  rd, fs1, rm", "1100000 00010 rs1 rm rd 1010011")
def fcvt_l_s(s: Semantics) -> None:
    f.to_integer(s, "l", "s")


@instruction("fcvt.lu.s rd, fs1, rm", "1100000 00011 rs1 rm rd 1010011")
def fcvt_lu_s(s: Semantics) -> None:
    f.to_integer(s, "lu", "s")


@instruction("fcvt.s.w  fd, rs1, rm", "1101000 00000 rs1 rm rd 1010011")
def fcvt_s_w(s: Semantics) -> None:
    f.from_integer(s, "s", "w")


@instruction("fcvt.s.wu fd, rs1, rm", "1101000 00001 rs1 rm rd 1010011")
def fcvt_s_wu(s: Semantics) -> None:
    f.from_integer(s, "s", "wu")


@instruction("fcvt.s.l  fd, rs1, rm", "1101000 00010 rs1 rm rd 1010011")
def fcvt_s_l(s: Semantics) -> None:
    f.from_integer(s, "s", "l")


@instruction("fcvt.s.lu fd, rs1, rm", "1101000 00011 rs1 rm rd 1010011")
def fcvt_s_lu(s: Semantics) -> None:
    f.from_integer(s, "s", "lu")


@instruction("fmv.x.w   rd, fs1", "1110000 00000 rs1 000 rd 1010011")
def fmv_x_w(s: Semantics) -> None:
    """Moves the bits as they are, boxed or not."""
    f.enabled(s)
    s.rd = s.read_f(1).sext32()


@instruction("fmv.w.x   fd, rs1", "1111000 00000 rs1 000 rd 1010011")
def fmv_w_x(s: Semantics) -> None:
    f.enabled(s)
    s.write_f(float_bits.box(s.rs1.trunc(32)))
