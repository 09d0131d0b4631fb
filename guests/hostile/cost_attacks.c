/* Instructions that cost the host far more than others, and work as a neighbour does it, to compare with. */
#include "attacks.h"
#include "csr.h"
#include "hart.h"
#include "machine.h"

#define PAGE 4096ul
#define FS_INITIAL (1ul << 13)
#define PTE_LEAF 0xcful /* V R W X A D, not global */
#define SATP_SV39 (8ul << 60)
#define SPACES 64ul

/* The first page behind our image. */
static uint64_t behind_us(void)
{
    return ((uint64_t)image_end + PAGE - 1) & -PAGE;
}

static uint64_t end_of_memory(void)
{
    return machine.memory[0].base + machine.memory[0].length;
}

/* Pages that are executed once each, one after the other, and again when all have been: an instruction in every page. */
void attack_fresh_code(void)
{
    static bool filled;
    uint64_t begin = behind_us(), end = end_of_memory() - 64 * PAGE;
    for (uint64_t page = begin; !filled && page < end; page += PAGE)
        *(volatile uint32_t *)page = RETURN;
    filled = true;
    __asm__ volatile("fence.i" ::: "memory");
    for (uint64_t page = begin; page < end; page += PAGE)
        ((void (*)(void))page)();
}

/* Loads and stores that lie in two pages. */
void attack_page_crossing(void)
{
    volatile uint64_t *place = (volatile uint64_t *)(behind_us() + PAGE - 4);
    for (unsigned i = 0; i < 1000; i++)
        *place = *place + i;
}

/* Floating-point operations on the smallest numbers there are, in every rounding mode. */
void attack_odd_floats(void)
{
    csr_set(sstatus, FS_INITIAL);
    for (unsigned i = 0; i < 1000; i++)
        __asm__ volatile(".option push\n.option arch, +f, +d\n"
                         "li t0, 3\n fmv.d.x ft0, t0\n li t0, 0x0010000000000001\n fmv.d.x ft1, t0\n"
                         "fmul.d ft2, ft0, ft1, rup\n fdiv.d ft3, ft0, ft1, rdn\n fsqrt.d ft4, ft0, rmm\n"
                         "fmadd.d ft5, ft0, ft1, ft0, rmm\n fcvt.s.d ft6, ft1, rmm\n"
                         ".option pop" ::: "t0", "memory");
}

static uint64_t map_of(void)
{
    static uint64_t root[512] __attribute__((aligned(4096)));
    for (uint64_t i = 0; i < 8; i++)
        root[i] = i << 28 | PTE_LEAF;
    return SATP_SV39 | (uint64_t)root >> 12;
}

/* Address space after address space, something in the TLB of each, then all of it is forgotten. */
void attack_full_contexts(void)
{
    uint64_t map = map_of(), place = behind_us();
    for (uint64_t space = 0; space < SPACES; space++) {
        csr_write(satp, map | space << 44);
        *(volatile uint64_t *)place;
        csr_set(sstatus, 1 << 18); /* SUM: a context of its own */
        *(volatile uint64_t *)place;
        csr_clear(sstatus, 1 << 18);
    }
    __asm__ volatile("sfence.vma" ::: "memory");
    csr_write(satp, 0);
}

/* A fence for every load. */
void attack_own_fences(void)
{
    uint64_t place = behind_us();
    csr_write(satp, map_of());
    for (unsigned i = 0; i < 1000; i++) {
        __asm__ volatile("sfence.vma" ::: "memory");
        *(volatile uint64_t *)place;
    }
    csr_write(satp, 0);
}

/* Loads of which none finds its translation. */
void attack_tlb_misses(void)
{
    uint64_t begin = behind_us(), end = end_of_memory() - 64 * PAGE;
    for (uint64_t page = begin; page < end; page += PAGE)
        *(volatile uint64_t *)page;
}

/* Illegal instructions: each goes to our own trap handler. */
void attack_own_traps(void)
{
    for (unsigned i = 0; i < 100; i++)
        run_instruction(0, 0, 0);
}

/* Loads from nowhere: the hypervisor keeps a record of each. */
void attack_faults(void)
{
    for (unsigned i = 0; i < 100; i++)
        run_instruction(0x00053583, 0x18000000 + 8 * i, 0); /* ld a1, 0(a0) */
}

/* No harm at all: what a neighbour does. s11 counts its work, so that it can be seen from outside; it never ends. */
void attack_busy(void)
{
    interrupts_off();
    __asm__ volatile("li s11, 0\n mv t0, %0\n"
                     "1: li t1, 256\n mv t2, t0\n"
                     "2: ld t3, 0(t2)\n add t3, t3, s11\n sd t3, 0(t2)\n addi t2, t2, 64\n addi t1, t1, -1\n"
                     "bnez t1, 2b\n addi s11, s11, 1\n j 1b" ::"r"(behind_us())
                     : "memory");
}
