/* Traps that never end, and places where no code is. */
#include "attacks.h"
#include "csr.h"
#include "hart.h"
#include "sbi.h"

void illegal_handler(void);
void ecall_handler(void);

static void trap_to(uint64_t vector)
{
    interrupts_off();
    csr_write(stvec, vector);
    __asm__ volatile(".4byte 0" ::: "memory");
    __asm__ volatile("j ." ::: "memory"); /* should the trap come back after all */
}

void attack_ecalls(void)
{
    for (unsigned i = 0; i < 1000; i++)
        sbi_call(i & 1 ? SBI_BASE : ~0ul, 0, 0, 0, 0);
}

void attack_wfi(void)
{
    uint64_t flags = interrupts_off();
    for (unsigned i = 0; i < 100; i++) {
        timer_set(random_below(2) ? 0 : time_now() + random_below(50));
        __asm__ volatile("wfi");
    }
    interrupts_restore(flags);
}

void attack_trap_to_itself(void)
{
    trap_to((uint64_t)illegal_handler);
}

void attack_trap_to_nowhere(void)
{
    trap_to(0x18000000);
}

void attack_trap_misaligned(void)
{
    trap_to((uint64_t)ecall_handler + 2); /* mode bits 2: reserved */
}

void attack_trap_to_device(void)
{
    trap_to(0xc000000);
}

void attack_jump_to_nowhere(void)
{
    run_instruction(0x00050067, random_argument(), 0); /* jalr x0, 0(a0) */
}
