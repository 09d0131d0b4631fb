"""C extension for RV64: 16-bit encodings of base instructions (Unprivileged ISA, chapter "C").

Only reserved encodings are excluded; HINTs execute as what they are spelled. C.FLD and its kin are in `rv_d`.
"""

from __future__ import annotations

from . import rv_i as i
from . import rv_privileged as p
from .instruction import compressed

compressed("c.addi4spn rd, sp, uimm", "000 nzuimm[5:4|9:6|2|3] rd' 00", i.addi, rs1=2)
compressed("c.lw rd, uimm(rs1)", "010 uimm[5:3] rs1' uimm[2|6] rd' 00", i.lw)
compressed("c.ld rd, uimm(rs1)", "011 uimm[5:3] rs1' uimm[7:6] rd' 00", i.ld)
compressed("c.sw rs2, uimm(rs1)", "110 uimm[5:3] rs1' uimm[2|6] rs2' 00", i.sw)
compressed("c.sd rs2, uimm(rs1)", "111 uimm[5:3] rs1' uimm[7:6] rs2' 00", i.sd)

compressed("c.addi rd, imm", "000 imm[5] rds1 imm[4:0] 01", i.addi)
compressed("c.addiw rd, imm", "001 imm[5] rds1≠0 imm[4:0] 01", i.addiw)
compressed("c.li rd, imm", "010 imm[5] rd imm[4:0] 01", i.addi, rs1=0)
compressed("c.addi16sp sp, imm", "011 nzimm[9] 00010 nzimm[4|6|8:7|5] 01", i.addi, rd=2, rs1=2)
compressed("c.lui rd, imm", "011 nzimm[17] rd≠2 nzimm[16:12] 01", i.lui)
compressed("c.srli rd, shamt", "100 shamt[5] 00 rds1' shamt[4:0] 01", i.srli)
compressed("c.srai rd, shamt", "100 shamt[5] 01 rds1' shamt[4:0] 01", i.srai)
compressed("c.andi rd, imm", "100 imm[5] 10 rds1' imm[4:0] 01", i.andi)
compressed("c.sub rd, rs2", "100 0 11 rds1' 00 rs2' 01", i.sub)
compressed("c.xor rd, rs2", "100 0 11 rds1' 01 rs2' 01", i.xor)
compressed("c.or rd, rs2", "100 0 11 rds1' 10 rs2' 01", i.or_)
compressed("c.and rd, rs2", "100 0 11 rds1' 11 rs2' 01", i.and_)
compressed("c.subw rd, rs2", "100 1 11 rds1' 00 rs2' 01", i.subw)
compressed("c.addw rd, rs2", "100 1 11 rds1' 01 rs2' 01", i.addw)
compressed("c.j target", "101 imm[11|4|9:8|10|6|7|3:1|5] 01", i.jal, rd=0)
compressed("c.beqz rs1, target", "110 imm[8|4:3] rs1' imm[7:6|2:1|5] 01", i.beq, rs2=0)
compressed("c.bnez rs1, target", "111 imm[8|4:3] rs1' imm[7:6|2:1|5] 01", i.bne, rs2=0)

compressed("c.slli rd, shamt", "000 shamt[5] rds1 shamt[4:0] 10", i.slli)
compressed("c.lwsp rd, uimm(sp)", "010 uimm[5] rd≠0 uimm[4:2|7:6] 10", i.lw, rs1=2)
compressed("c.ldsp rd, uimm(sp)", "011 uimm[5] rd≠0 uimm[4:3|8:6] 10", i.ld, rs1=2)
compressed("c.jr rs1", "100 0 rs1≠0 00000 10", i.jalr, rd=0)
compressed("c.mv rd, rs2", "100 0 rd rs2≠0 10", i.add, rs1=0)
compressed("c.ebreak", "100 1 00000 00000 10", p.ebreak)
compressed("c.jalr rs1", "100 1 rs1≠0 00000 10", i.jalr, rd=1)
compressed("c.add rd, rs2", "100 1 rds1 rs2≠0 10", i.add)
compressed("c.swsp rs2, uimm(sp)", "110 uimm[5:2|7:6] rs2 10", i.sw, rs1=2)
compressed("c.sdsp rs2, uimm(sp)", "111 uimm[5:3|8:6] rs2 10", i.sd, rs1=2)
