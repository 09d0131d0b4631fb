"""D extension: double-precision floating point, with its compressed loads and stores (Unprivileged ISA, chapters "D" and "C")."""

from __future__ import annotations

from . import float_bits
from . import float_common as f
from .instruction import compressed, instruction
from .semantics import Semantics


@instruction("fld       fd, imm(rs1)", "imm[11:0] rs1 011 rd 0000111")
def fld(s: Semantics) -> None:
    f.load(s, 64)


@instruction("fsd       fs2, imm(rs1)", "imm[11:5] rs2 rs1 011 imm[4:0] 0100111")
def fsd(s: Semantics) -> None:
    f.store(s, 64)


@instruction("fmadd.d   fd, fs1, fs2, fs3, rm", "rs3 01 rs2 rs1 rm rd 1000011")
def fmadd_d(s: Semantics) -> None:
    f.multiply_add(s, "d")


@instruction("fmsub.d   fd, fs1, fs2, fs3, rm", "rs3 01 rs2 rs1 rm rd 1000111")
def fmsub_d(s: Semantics) -> None:
    f.multiply_add(s, "d", negate_addend=True)


@instruction("fnmsub.d  fd, fs1, fs2, fs3, rm", "rs3 01 rs2 rs1 rm rd 1001011")
def fnmsub_d(s: Semantics) -> None:
    f.multiply_add(s, "d", negate_product=True)


@instruction("fnmadd.d  fd, fs1, fs2, fs3, rm", "rs3 01 rs2 rs1 rm rd 1001111")
def fnmadd_d(s: Semantics) -> None:
    f.multiply_add(s, "d", negate_product=True, negate_addend=True)


@instruction("fadd.d    fd, fs1, fs2, rm", "0000001   rs2 rs1 rm rd 1010011")
def fadd_d(s: Semantics) -> None:
    f.arithmetic(s, "fadd.d")


@instruction("fsub.d    fd, fs1, fs2, rm", "0000101   rs2 rs1 rm rd 1010011")
def fsub_d(s: Semantics) -> None:
    f.arithmetic(s, "fsub.d")


@instruction("fmul.d    fd, fs1, fs2, rm", "0001001   rs2 rs1 rm rd 1010011")
def fmul_d(s: Semantics) -> None:
    f.arithmetic(s, "fmul.d")


@instruction("fdiv.d    fd, fs1, fs2, rm", "0001101   rs2 rs1 rm rd 1010011")
def fdiv_d(s: Semantics) -> None:
    f.arithmetic(s, "fdiv.d")


@instruction("fsqrt.d   fd, fs1, rm", "0101101 00000 rs1 rm rd 1010011")
def fsqrt_d(s: Semantics) -> None:
    f.square_root(s, "d")


@instruction("fsgnj.d   fd, fs1, fs2", "0010001   rs2 rs1 000 rd 1010011")
def fsgnj_d(s: Semantics) -> None:
    f.inject_sign(s, "d", lambda a, b: b)


@instruction("fsgnjn.d  fd, fs1, fs2", "0010001   rs2 rs1 001 rd 1010011")
def fsgnjn_d(s: Semantics) -> None:
    f.inject_sign(s, "d", lambda a, b: ~b)


@instruction("fsgnjx.d  fd, fs1, fs2", "0010001   rs2 rs1 010 rd 1010011")
def fsgnjx_d(s: Semantics) -> None:
    f.inject_sign(s, "d", lambda a, b: a ^ b)


@instruction("fmin.d    fd, fs1, fs2", "0010101   rs2 rs1 000 rd 1010011")
def fmin_d(s: Semantics) -> None:
    f.select(s, float_bits.minimum, "d")


@instruction("fmax.d    fd, fs1, fs2", "0010101   rs2 rs1 001 rd 1010011")
def fmax_d(s: Semantics) -> None:
    f.select(s, float_bits.maximum, "d")


@instruction("fle.d     rd, fs1, fs2", "1010001   rs2 rs1 000 rd 1010011")
def fle_d(s: Semantics) -> None:
    f.compare(s, float_bits.less_equal, "d")


@instruction("flt.d     rd, fs1, fs2", "1010001   rs2 rs1 001 rd 1010011")
def flt_d(s: Semantics) -> None:
    f.compare(s, float_bits.less, "d")


@instruction("feq.d     rd, fs1, fs2", "1010001   rs2 rs1 010 rd 1010011")
def feq_d(s: Semantics) -> None:
    f.compare(s, float_bits.equal, "d")


@instruction("fclass.d  rd, fs1", "1110001 00000 rs1 001 rd 1010011")
def fclass_d(s: Semantics) -> None:
    f.classify(s, "d")


@instruction("fcvt.w.d  rd, fs1, rm", "1100001 00000 rs1 rm rd 1010011")
def fcvt_w_d(s: Semantics) -> None:
    f.to_integer(s, "w", "d")


@instruction("fcvt.wu.d rd, fs1, rm", "1100001 00001 rs1 rm rd 1010011")
def fcvt_wu_d(s: Semantics) -> None:
    f.to_integer(s, "wu", "d")


@instruction("fcvt.l.d  rd, fs1, rm", "1100001 00010 rs1 rm rd 1010011")
def fcvt_l_d(s: Semantics) -> None:
    f.to_integer(s, "l", "d")


@instruction("fcvt.lu.d rd, fs1, rm", "1100001 00011 rs1 rm rd 1010011")
def fcvt_lu_d(s: Semantics) -> None:
    f.to_integer(s, "lu", "d")


@instruction("fcvt.d.w  fd, rs1, rm", "1101001 00000 rs1 rm rd 1010011")
def fcvt_d_w(s: Semantics) -> None:
    f.from_integer(s, "d", "w")


@instruction("fcvt.d.wu fd, rs1, rm", "1101001 00001 rs1 rm rd 1010011")
def fcvt_d_wu(s: Semantics) -> None:
    f.from_integer(s, "d", "wu")


@instruction("fcvt.d.l  fd, rs1, rm", "1101001 00010 rs1 rm rd 1010011")
def fcvt_d_l(s: Semantics) -> None:
    f.from_integer(s, "d", "l")


@instruction("fcvt.d.lu fd, rs1, rm", "1101001 00011 rs1 rm rd 1010011")
def fcvt_d_lu(s: Semantics) -> None:
    f.from_integer(s, "d", "lu")


@instruction("fcvt.s.d  fd, fs1, rm", "0100000 00001 rs1 rm rd 1010011")
def fcvt_s_d(s: Semantics) -> None:
    f.convert(s, "s", "d")


@instruction("fcvt.d.s  fd, fs1, rm", "0100001 00000 rs1 rm rd 1010011")
def fcvt_d_s(s: Semantics) -> None:
    f.convert(s, "d", "s")


@instruction("fmv.x.d   rd, fs1", "1110001 00000 rs1 000 rd 1010011")
def fmv_x_d(s: Semantics) -> None:
    f.enabled(s)
    s.rd = s.read_f(1)


@instruction("fmv.d.x   fd, rs1", "1111001 00000 rs1 000 rd 1010011")
def fmv_d_x(s: Semantics) -> None:
    f.enabled(s)
    s.write_f(s.rs1)


compressed("c.fld     fd, uimm(rs1)", "001 uimm[5:3] rs1' uimm[7:6] rd' 00", fld)
compressed("c.fsd     fs2, uimm(rs1)", "101 uimm[5:3] rs1' uimm[7:6] rs2' 00", fsd)
compressed("c.fldsp   fd, uimm(sp)", "001 uimm[5] rd uimm[4:3|8:6] 10", fld, rs1=2)
compressed("c.fsdsp   fs2, uimm(sp)", "101 uimm[5:3|8:6] rs2 10", fsd, rs1=2)
