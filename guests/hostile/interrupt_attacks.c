/* Interrupts without end: of other harts, of the timer, of the controller. */
#include "attacks.h"
#include "csr.h"
#include "hart.h"
#include "machine.h"
#include "mmio.h"
#include "sbi.h"

#define PLIC_LENGTH 0x600000

void attack_ipis(void)
{
    static const uint64_t bases[] = {0, 0, 0, 1, 63, 64, ~0ul, 1ul << 63};
    sbi_call(SBI_IPI, 0, random_below(2) ? ~0ul : random_below(256), bases[random_below(8)], 0);
    sbi_call(SBI_IPI, 0, (1ul << machine.hart_count) - 1, 0, 0);
}

void attack_vplic(void)
{
    static const uint32_t offsets[] = {0, 0x1000, 0x2000, 0x2080, 0x2180, 0x200000, 0x200004, 0x201000, 0x201004,
                                       0x203004};
    uint64_t offset = random_below(2) ? offsets[random_below(10)] + 4 * random_below(8) : random_below(PLIC_LENGTH);
    uint64_t address = machine.plic_base + (offset & ~3ul);
    if (random_below(2))
        mmio_write32(address, random_below(2) ? 0xffffffff : (uint32_t)random_number());
    else
        mmio_read32(address);
    for (uint64_t source = 1; !random_below(64) && source < 64; source++) { /* everything on */
        mmio_write32(machine.plic_base + 4 * source, 7);
        mmio_write32(machine.plic_base + 0x2080 + source / 32 * 4, 0xffffffff);
    }
}

void attack_timers(void)
{
    uint64_t past[] = {0, 1, time_now(), time_now() - 1, time_now() + 1, ~0ul - 1};
    uint64_t deadline = past[random_below(6)];
    if (random_below(2))
        sbi_set_timer(deadline);
    else
        timer_set(deadline);
}

static void return_at_once(void)
{
    __asm__ volatile(".balign 4\n1: sret\n" ::: "memory");
}

/* The handler leaves the interrupt pending: it is taken again and again. */
void attack_timer_stuck(void)
{
    csr_write(stvec, ((uint64_t)return_at_once + 3) & ~3ul);
    csr_set(sstatus, SSTATUS_SIE);
    for (;;)
        timer_set(0);
}
