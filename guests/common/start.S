/* Entry points of a guest: the boot hart at _start, the other harts (SBI HSM hart_start) at hart_entry. S-mode. */

    .section .text.start, "ax"
    .globl _start
    .type _start, @function
_start:                             /* a0 = hart id, a1 = address of the device tree (SBI boot protocol) */
    csrw    sie, zero
    la      t0, bss_start
    la      t1, bss_end
1:  bgeu    t0, t1, 2f
    sd      zero, 0(t0)
    addi    t0, t0, 8
    j       1b
2:  la      sp, boot_stack_top
    call    main
3:  wfi                             /* main does not return; an interrupt must not run past the end */
    j       3b

    .text
    .globl hart_entry
    .type hart_entry, @function
hart_entry:                         /* a0 = hart id, a1 = struct hart *, given to hart_start as its opaque value */
    csrw    sie, zero
    ld      sp, 8(a1)               /* hart->stack_top */
    mv      a0, a1
    call    hart_main
4:  wfi
    j       4b

    .section .noinit, "aw", @nobits
    .balign 16
boot_stack:
    .skip   16384
boot_stack_top:
