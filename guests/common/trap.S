/* Trap entry and return, and the call that survives a fault. Register x<n> lies at 8*n of struct trap_frame. */

#define FRAME_PC     (32 * 8)
#define FRAME_STATUS (33 * 8)
#define FRAME_SIZE   (34 * 8)

    .text
    .balign 4
    .globl trap_entry
    .type trap_entry, @function
trap_entry:                         /* stvec, direct mode: runs on the stack of what was interrupted */
    addi    sp, sp, -FRAME_SIZE
    .irp r, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    sd      x\r, (\r * 8)(sp)
    .endr
    addi    t0, sp, FRAME_SIZE
    sd      t0, 16(sp)              /* sp before the trap */
    csrr    t0, sepc
    sd      t0, FRAME_PC(sp)
    csrr    t0, sstatus
    sd      t0, FRAME_STATUS(sp)
    mv      a0, sp
    call    trap_handle
    ld      t0, FRAME_STATUS(sp)
    csrw    sstatus, t0
    ld      t0, FRAME_PC(sp)
    csrw    sepc, t0
    .irp r, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld      x\r, (\r * 8)(sp)
    .endr
    ld      sp, 16(sp)
    sret

/* bool guarded_call(void (*function)(void *), void *argument): false when a fault cut the function short.
   The callee-saved registers wait on the stack; hart->recover_sp (offset 0 of struct hart) says where. */
    .globl guarded_call
    .type guarded_call, @function
guarded_call:
    addi    sp, sp, -112
    sd      ra, 0(sp)
    .irp r, 0,1,2,3,4,5,6,7,8,9,10,11
    sd      s\r, (8 + \r * 8)(sp)
    .endr
    sd      sp, 0(tp)
    mv      t0, a0
    mv      a0, a1
    jalr    t0
    li      a0, 1
    .globl guarded_return
    .type guarded_return, @function
guarded_return:                     /* trap_handle comes here with a0 = 0 and sp = hart->recover_sp */
    sd      zero, 0(tp)
    ld      ra, 0(sp)
    .irp r, 0,1,2,3,4,5,6,7,8,9,10,11
    ld      s\r, (8 + \r * 8)(sp)
    .endr
    addi    sp, sp, 112
    ret
