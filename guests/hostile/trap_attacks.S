/* Trap vectors that make things worse. */

    .text
    .balign 4
    .globl illegal_handler
    .type illegal_handler, @function
illegal_handler:                    /* its first instruction is illegal: it traps to itself for ever */
    .4byte  0

    .balign 4
    .globl ecall_handler
    .type ecall_handler, @function
ecall_handler:                      /* an unknown call from inside the handler, again and again */
    li      a7, -1
    ecall
    j       ecall_handler
