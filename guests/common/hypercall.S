/* Environment calls: the plain one, and one that shows what became of every register. */

    .text
    .globl hypercall
    .type hypercall, @function
hypercall:                          /* a0..a6 arguments, a7 number: as the C calling convention passes eight integers */
    ecall
    ret

#define FRAME_OUT   (15 * 8)
#define FRAME_T0    (16 * 8)
#define FRAME_SIZE  (18 * 8)

    .globl call_with_registers
    .type call_with_registers, @function
call_with_registers:                /* a0 = 32 values to load, a1 = where 32 values go */
    addi    sp, sp, -FRAME_SIZE
    sd      ra, 0(sp)
    sd      gp, 8(sp)
    sd      tp, 16(sp)
    .irp r, 0,1,2,3,4,5,6,7,8,9,10,11
    sd      s\r, (24 + \r * 8)(sp)
    .endr
    sd      a1, FRAME_OUT(sp)
    csrw    sscratch, sp
    mv      x31, a0
    .irp r, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld      x\r, (\r * 8)(x31)
    .endr
    ecall
    csrrw   sp, sscratch, sp        /* the frame again; sscratch holds x2 as the call left it */
    sd      t0, FRAME_T0(sp)
    ld      t0, FRAME_OUT(sp)
    .irp r, 1,3,4,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    sd      x\r, (\r * 8)(t0)
    .endr
    csrr    t1, sscratch
    sd      t1, 16(t0)
    ld      t1, FRAME_T0(sp)
    sd      t1, 40(t0)
    sd      zero, 0(t0)
    ld      ra, 0(sp)
    ld      gp, 8(sp)
    ld      tp, 16(sp)
    .irp r, 0,1,2,3,4,5,6,7,8,9,10,11
    ld      s\r, (24 + \r * 8)(sp)
    .endr
    addi    sp, sp, FRAME_SIZE
    ret
