/* The Supervisor Binary Interface, used by someone who has not read it. */
#include "attacks.h"
#include "csr.h"
#include "hart.h"
#include "hypercall.h"
#include "machine.h"
#include "sbi.h"

#define SBI_RFENCE 0x52464e43

void attack_sbi(void)
{
    static const uint64_t extensions[] = {0,        1,       2,        3,        4,        5,          6,
                                          7,        9,       SBI_BASE, SBI_TIME, SBI_IPI,  SBI_RFENCE, SBI_DBCN,
                                          0x504d55, 0x53555350, 0x43505043, 0x4e41434c, 0x535441};
    uint64_t before[32], after[32];
    fill_registers(before);
    for (unsigned i = 10; i < 16; i++)
        before[i] = random_argument();
    before[16] = random_below(8) ? random_below(10) : random_argument();
    before[17] = random_below(8) ? extensions[random_below(sizeof extensions / sizeof extensions[0])] : random_number();
    if (before[17] != SBI_SRST && before[17] != 8) /* those would end the attack */
        call_with_registers(before, after);
}

void attack_fences(void)
{
    uint64_t before[32], after[32];
    fill_registers(before);
    before[10] = random_below(2) ? (1ul << machine.hart_count) - 1 : random_number();
    before[11] = random_below(2) ? 0 : ~0ul;
    before[12] = random_below(2) ? 0 : random_number();
    before[13] = random_below(2) ? ~0ul : random_number(); /* the size */
    before[14] = random_number();
    before[16] = random_below(7);
    before[17] = SBI_RFENCE;
    call_with_registers(before, after);
}

void attack_debug_console(void)
{
    uint64_t size = random_below(2) ? random_below(64) : random_number() >> random_below(64);
    sbi_call(SBI_DBCN, random_below(4), size, random_argument(), random_below(4) ? 0 : random_number());
    sbi_call(1, 0, random_number(), 0, 0); /* legacy console_putchar */
}

void attack_harts(void)
{
    uint64_t id = random_below(random_below(8) ? machine.hart_count + 1 : 1ul << 40);
    if (id == this_hart()->id)
        id++;
    sbi_call(SBI_HSM, 0, id, random_argument(), random_number());
    sbi_call(SBI_HSM, 2, id, 0, 0);
    if (this_hart()->id != machine.boot_hart && !random_below(16))
        sbi_call(SBI_HSM, 1, 0, 0, 0);
}

void attack_suspend(void)
{
    static const uint64_t types[] = {0, 0, 0, 1, 0x0fffffff, 0x10000000, 0x80000001, 0xffffffff, 1ul << 32, ~0ul};
    uint64_t flags = interrupts_off(); /* or the timer's interrupt comes before the call */
    timer_set(time_now() + random_below(100));
    sbi_call(SBI_HSM, 3, types[random_below(10)], random_argument(), random_number());
    interrupts_restore(flags);
}

void attack_reset(void)
{
    sbi_call(SBI_SRST, 0, random_below(8) ? 1 + random_below(2) : random_argument(), random_below(2), 0);
}

void attack_power_off(void)
{
    sbi_call(SBI_SRST, 0, 0, random_below(2), 0);
    sbi_call(8, 0, 0, 0, 0); /* legacy shutdown */
}
