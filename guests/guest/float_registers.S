/* The 32 floating-point registers, filled with a pattern and compared with it. The rest of the guest never uses them. */

    .option arch, +f, +d
    .text
    .globl float_fill
    .type float_fill, @function
float_fill:                         /* a0 = seed: register f<n> := seed + n */
    .irp r, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    addi    t0, a0, \r
    fmv.d.x f\r, t0
    .endr
    ret

    .globl float_differences
    .type float_differences, @function
float_differences:                  /* a0 = seed; gives a mask with a bit for each register that differs */
    li      a1, 0
    .irp r, 31,30,29,28,27,26,25,24,23,22,21,20,19,18,17,16,15,14,13,12,11,10,9,8,7,6,5,4,3,2,1,0
    addi    t0, a0, \r
    fmv.x.d t1, f\r
    xor     t0, t0, t1
    snez    t0, t0
    slli    a1, a1, 1
    or      a1, a1, t0
    .endr
    mv      a0, a1
    ret
