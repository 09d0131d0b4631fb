/* The kernel of the VM that the conformance guest makes: notes how it was entered, asks for its id, sleeps.
   It may lie anywhere. */

    .section .rodata
    .balign 8
    .globl payload
payload:
1:  auipc   s0, 0
    sd      a0, 0x100(s0)           /* as entered: hart id and device tree */
    sd      a1, 0x108(s0)
    csrr    t0, satp
    sd      t0, 0x110(s0)
    csrr    t0, sie
    sd      t0, 0x118(s0)
    addi    a0, s0, 0x120
    li      a7, 0x0a000108          /* VM id */
    ecall
    sd      a0, 0x128(s0)
    li      t0, 0x600d
    sd      t0, 0x130(s0)
2:  wfi
    j       2b
    .balign 0x100, 0
    .skip   0x100, 0xaa             /* where the answers go; the file is that long */
    .globl payload_end
payload_end:
