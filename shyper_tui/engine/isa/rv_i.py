"""RV64I base integer instructions (Unprivileged ISA, chapter "RV64I Base Integer Instruction Set"), with FENCE."""

from __future__ import annotations

from .instruction import instruction
from .semantics import Semantics
from .value import Value


@instruction("lui    rd, imm", "imm[31:12] rd 0110111")
def lui(s: Semantics) -> None:
    s.rd = s.imm


@instruction("auipc  rd, imm", "imm[31:12] rd 0010111")
def auipc(s: Semantics) -> None:
    s.rd = s.pc + s.imm


@instruction("jal    rd, target", "imm[20|10:1|11|19:12] rd 1101111")
def jal(s: Semantics) -> None:
    s.rd = s.next_pc
    s.jump_relative()


@instruction("jalr   rd, imm(rs1)", "imm[11:0] rs1 000 rd 1100111")
def jalr(s: Semantics) -> None:
    target = (s.rs1 + s.imm) & ~1
    s.rd = s.next_pc
    s.jump(target)


@instruction("beq    rs1, rs2, target", "imm[12|10:5] rs2 rs1 000 imm[4:1|11] 1100011")
def beq(s: Semantics) -> None:
    s.branch_if(s.rs1 == s.rs2)


@instruction("bne    rs1, rs2, target", "imm[12|10:5] rs2 rs1 001 imm[4:1|11] 1100011")
def bne(s: Semantics) -> None:
    s.branch_if(s.rs1 != s.rs2)


@instruction("blt    rs1, rs2, target", "imm[12|10:5] rs2 rs1 100 imm[4:1|11] 1100011")
def blt(s: Semantics) -> None:
    s.branch_if(s.rs1.slt(s.rs2))


@instruction("bge    rs1, rs2, target", "imm[12|10:5] rs2 rs1 101 imm[4:1|11] 1100011")
def bge(s: Semantics) -> None:
    s.branch_if(s.rs1.sge(s.rs2))


@instruction("bltu   rs1, rs2, target", "imm[12|10:5] rs2 rs1 110 imm[4:1|11] 1100011")
def bltu(s: Semantics) -> None:
    s.branch_if(s.rs1.ult(s.rs2))


@instruction("bgeu   rs1, rs2, target", "imm[12|10:5] rs2 rs1 111 imm[4:1|11] 1100011")
def bgeu(s: Semantics) -> None:
    s.branch_if(s.rs1.uge(s.rs2))


@instruction("lb     rd, imm(rs1)", "imm[11:0] rs1 000 rd 0000011")
def lb(s: Semantics) -> None:
    s.rd = s.load(s.rs1 + s.imm, 8, signed=True).sext()


@instruction("lh     rd, imm(rs1)", "imm[11:0] rs1 001 rd 0000011")
def lh(s: Semantics) -> None:
    s.rd = s.load(s.rs1 + s.imm, 16, signed=True).sext()


@instruction("lw     rd, imm(rs1)", "imm[11:0] rs1 010 rd 0000011")
def lw(s: Semantics) -> None:
    s.rd = s.load(s.rs1 + s.imm, 32, signed=True).sext()


@instruction("ld     rd, imm(rs1)", "imm[11:0] rs1 011 rd 0000011")
def ld(s: Semantics) -> None:
    s.rd = s.load(s.rs1 + s.imm, 64)


@instruction("lbu    rd, imm(rs1)", "imm[11:0] rs1 100 rd 0000011")
def lbu(s: Semantics) -> None:
    s.rd = s.load(s.rs1 + s.imm, 8).zext()


@instruction("lhu    rd, imm(rs1)", "imm[11:0] rs1 101 rd 0000011")
def lhu(s: Semantics) -> None:
    s.rd = s.load(s.rs1 + s.imm, 16).zext()


@instruction("lwu    rd, imm(rs1)", "imm[11:0] rs1 110 rd 0000011")
def lwu(s: Semantics) -> None:
    s.rd = s.load(s.rs1 + s.imm, 32).zext()


@instruction("sb     rs2, imm(rs1)", "imm[11:5] rs2 rs1 000 imm[4:0] 0100011")
def sb(s: Semantics) -> None:
    s.store(s.rs1 + s.imm, s.rs2.trunc(8))


@instruction("sh     rs2, imm(rs1)", "imm[11:5] rs2 rs1 001 imm[4:0] 0100011")
def sh(s: Semantics) -> None:
    s.store(s.rs1 + s.imm, s.rs2.trunc(16))


@instruction("sw     rs2, imm(rs1)", "imm[11:5] rs2 rs1 010 imm[4:0] 0100011")
def sw(s: Semantics) -> None:
    s.store(s.rs1 + s.imm, s.rs2.trunc(32))


@instruction("sd     rs2, imm(rs1)", "imm[11:5] rs2 rs1 011 imm[4:0] 0100011")
def sd(s: Semantics) -> None:
    s.store(s.rs1 + s.imm, s.rs2)


@instruction("addi   rd, rs1, imm", "imm[11:0] rs1 000 rd 0010011")
def addi(s: Semantics) -> None:
    s.rd = s.rs1 + s.imm


@instruction("slti   rd, rs1, imm", "imm[11:0] rs1 010 rd 0010011")
def slti(s: Semantics) -> None:
    s.rd = s.rs1.slt(s.imm).zext()


@instruction("sltiu  rd, rs1, imm", "imm[11:0] rs1 011 rd 0010011")
def sltiu(s: Semantics) -> None:
    s.rd = s.rs1.ult(s.imm).zext()


@instruction("xori   rd, rs1, imm", "imm[11:0] rs1 100 rd 0010011")
def xori(s: Semantics) -> None:
    s.rd = s.rs1 ^ s.imm


@instruction("ori    rd, rs1, imm", "imm[11:0] rs1 110 rd 0010011")
def ori(s: Semantics) -> None:
    s.rd = s.rs1 | s.imm


@instruction("andi   rd, rs1, imm", "imm[11:0] rs1 111 rd 0010011")
def andi(s: Semantics) -> None:
    s.rd = s.rs1 & s.imm


@instruction("slli   rd, rs1, shamt", "000000 shamt[5:0] rs1 001 rd 0010011")
def slli(s: Semantics) -> None:
    s.rd = s.rs1 << s.imm


@instruction("srli   rd, rs1, shamt", "000000 shamt[5:0] rs1 101 rd 0010011")
def srli(s: Semantics) -> None:
    s.rd = s.rs1 >> s.imm


@instruction("srai   rd, rs1, shamt", "010000 shamt[5:0] rs1 101 rd 0010011")
def srai(s: Semantics) -> None:
    s.rd = s.rs1.sra(s.imm)


@instruction("add    rd, rs1, rs2", "0000000 rs2 rs1 000 rd 0110011")
def add(s: Semantics) -> None:
    s.rd = s.rs1 + s.rs2


@instruction("sub    rd, rs1, rs2", "0100000 rs2 rs1 000 rd 0110011")
def sub(s: Semantics) -> None:
    s.rd = s.rs1 - s.rs2


@instruction("sll    rd, rs1, rs2", "0000000 rs2 rs1 001 rd 0110011")
def sll(s: Semantics) -> None:
    s.rd = s.rs1 << (s.rs2 & 63)


@instruction("slt    rd, rs1, rs2", "0000000 rs2 rs1 010 rd 0110011")
def slt(s: Semantics) -> None:
    s.rd = s.rs1.slt(s.rs2).zext()


@instruction("sltu   rd, rs1, rs2", "0000000 rs2 rs1 011 rd 0110011")
def sltu(s: Semantics) -> None:
    s.rd = s.rs1.ult(s.rs2).zext()


@instruction("xor    rd, rs1, rs2", "0000000 rs2 rs1 100 rd 0110011")
def xor(s: Semantics) -> None:
    s.rd = s.rs1 ^ s.rs2


@instruction("srl    rd, rs1, rs2", "0000000 rs2 rs1 101 rd 0110011")
def srl(s: Semantics) -> None:
    s.rd = s.rs1 >> (s.rs2 & 63)


@instruction("sra    rd, rs1, rs2", "0100000 rs2 rs1 101 rd 0110011")
def sra(s: Semantics) -> None:
    s.rd = s.rs1.sra(s.rs2 & 63)


@instruction("or     rd, rs1, rs2", "0000000 rs2 rs1 110 rd 0110011")
def or_(s: Semantics) -> None:
    s.rd = s.rs1 | s.rs2


@instruction("and    rd, rs1, rs2", "0000000 rs2 rs1 111 rd 0110011")
def and_(s: Semantics) -> None:
    s.rd = s.rs1 & s.rs2


@instruction("addiw  rd, rs1, imm", "imm[11:0] rs1 000 rd 0011011")
def addiw(s: Semantics) -> None:
    s.rd = (s.rs1 + s.imm).sext32()


@instruction("slliw  rd, rs1, shamt", "0000000 shamt[4:0] rs1 001 rd 0011011")
def slliw(s: Semantics) -> None:
    s.rd = (_word(s.rs1) << _word(s.imm)).sext()


@instruction("srliw  rd, rs1, shamt", "0000000 shamt[4:0] rs1 101 rd 0011011")
def srliw(s: Semantics) -> None:
    s.rd = (_word(s.rs1) >> _word(s.imm)).sext()


@instruction("sraiw  rd, rs1, shamt", "0100000 shamt[4:0] rs1 101 rd 0011011")
def sraiw(s: Semantics) -> None:
    s.rd = _word(s.rs1).sra(_word(s.imm)).sext()


@instruction("addw   rd, rs1, rs2", "0000000 rs2 rs1 000 rd 0111011")
def addw(s: Semantics) -> None:
    s.rd = (s.rs1 + s.rs2).sext32()


@instruction("subw   rd, rs1, rs2", "0100000 rs2 rs1 000 rd 0111011")
def subw(s: Semantics) -> None:
    s.rd = (s.rs1 - s.rs2).sext32()


@instruction("sllw   rd, rs1, rs2", "0000000 rs2 rs1 001 rd 0111011")
def sllw(s: Semantics) -> None:
    s.rd = (_word(s.rs1) << (_word(s.rs2) & 31)).sext()


@instruction("srlw   rd, rs1, rs2", "0000000 rs2 rs1 101 rd 0111011")
def srlw(s: Semantics) -> None:
    s.rd = (_word(s.rs1) >> (_word(s.rs2) & 31)).sext()


@instruction("sraw   rd, rs1, rs2", "0100000 rs2 rs1 101 rd 0111011")
def sraw(s: Semantics) -> None:
    s.rd = _word(s.rs1).sra(_word(s.rs2) & 31).sext()


@instruction("fence", "------------ ----- 000 ----- 0001111")
def fence(s: Semantics) -> None:
    """Orders memory accesses: nothing to do, harts take turns in one thread and their accesses are in program order."""


def _word(value: Value) -> Value:
    return value.trunc(32)
