/* Bare-metal start in M-mode. With MMU defined the program runs in S-mode behind the page tables of runtime.c. */

    .section .text.start, "ax"
    .globl _start
    .type _start, @function
_start:
    csrr    t0, mhartid
    bnez    t0, park                /* one hart runs the program */
    la      t0, trap
    csrw    mtvec, t0
    csrw    mie, zero
    li      t0, 1 << 13             /* mstatus.FS = Initial: the FPU may be used */
    csrs    mstatus, t0
    la      sp, stack_top
    la      t0, bss_start
    la      t1, bss_end
1:  bgeu    t0, t1, 2f
    sd      zero, 0(t0)
    addi    t0, t0, 8
    j       1b
2:
#ifdef MMU
    li      t0, -1                  /* PMP entry 0: NAPOT over everything, RWX for S-mode */
    csrw    pmpaddr0, t0
    li      t0, 0x1f
    csrw    pmpcfg0, t0
    call    page_tables             /* a0 = satp */
    csrw    satp, a0
    sfence.vma
    li      t0, 3 << 11             /* mstatus.MPP = S */
    csrc    mstatus, t0
    li      t0, 1 << 11
    csrs    mstatus, t0
    la      t0, supervisor
    csrw    mepc, t0
    mret
supervisor:
#endif
    call    run_program
    j       park                    /* the finisher may take a moment */

    .balign 4
trap:                               /* nothing here traps on purpose */
    csrr    a0, mcause
    csrr    a1, mepc
    csrr    a2, mtval
    la      sp, stack_top
    call    trapped
park:
    wfi
    j       park

    .section .noinit, "aw", @nobits
    .balign 16
    .skip   65536
stack_top:
