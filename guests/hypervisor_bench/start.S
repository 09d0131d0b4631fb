/* Start in S-mode, the call stub, and the kernel of the guest VM whose memory is to be full. */

    .section .text.start, "ax"
    .globl _start
    .type _start, @function
_start:
    csrw    sie, zero
    la      t0, trap
    csrw    stvec, t0
    la      sp, stack_top
    la      t0, bss_start
    la      t1, bss_end
1:  bgeu    t0, t1, 2f
    sd      zero, 0(t0)
    addi    t0, t0, 8
    j       1b
2:  call    main
3:  wfi
    j       3b

    .balign 4
trap:                               /* nothing here traps on purpose */
    csrr    a0, scause
    csrr    a1, sepc
    csrr    a2, stval
    la      sp, stack_top
    call    trapped
    j       3b

    .text
    .globl call
    .type call, @function
call:                               /* (a0...a6, number): the number is in a7 already */
    ecall
    ret

    .globl filler, filler_end
    .type filler, @function
filler:                             /* position-independent; writes to every page of its 1 GiB, then powers off */
    auipc   t0, 0                   /* begins at the start of its RAM */
    li      t1, 1 << 30
    add     t1, t0, t1
    li      t2, 4096
    add     t0, t0, t2              /* not over itself */
1:  sd      t0, 0(t0)
    add     t0, t0, t2
    bltu    t0, t1, 1b
    li      a7, 0x53525354          /* SBI system reset: shutdown */
    li      a6, 0
    li      a0, 0
    li      a1, 0
    ecall
2:  j       2b
filler_end:

    .section .noinit, "aw", @nobits
    .balign 16
    .skip   16384
stack_top:
