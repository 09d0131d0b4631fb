/* Page tables that lead out of the VM, and modes of satp that do not exist. */
#include "attacks.h"
#include "csr.h"
#include "hart.h"
#include "machine.h"

#define PTE_LEAF 0xcful /* V R W X A D */
#define PTE_POINTER 0x1ul
#define SATP_SV39 (8ul << 60)
#define GIB (1ul << 30)

static uint64_t roots[MAX_HARTS][512] __attribute__((aligned(4096)));
static uint64_t tables[MAX_HARTS][512] __attribute__((aligned(4096)));

static uint64_t *own(uint64_t (*of)[512])
{
    return of[this_hart()->id % MAX_HARTS];
}

static void sfence(void)
{
    __asm__ volatile("sfence.vma" ::: "memory");
}

/* Our own memory stays mapped where it is; entries 8 to 63 of the root lead to wherever. */
static void prepare(void)
{
    uint64_t *root = own(roots), *table = own(tables);
    for (uint64_t i = 0; i < 512; i++) {
        root[i] = i < 8 ? i << 28 | PTE_LEAF : 0;
        uint64_t frame = random_place() >> 12;
        table[i] = frame << 10 | (random_below(4) ? PTE_LEAF : random_below(256));
    }
    for (uint64_t i = 8; i < 64; i++)
        switch (random_below(4)) {
        case 0:
            root[i] = (random_place() >> 30) << 28 | PTE_LEAF; /* any GiB there is */
            break;
        case 1:
            root[i] = (uint64_t)table >> 12 << 10 | PTE_POINTER;
            break;
        case 2:
            root[i] = random_place() >> 12 << 10 | PTE_POINTER; /* a table that is not ours */
            break;
        default:
            root[i] = random_number();
        }
}

void attack_page_tables(void)
{
    if (!own(roots)[0] || !random_below(8))
        prepare();
    sfence();
    csr_write(satp, SATP_SV39 | (uint64_t)own(roots) >> 12);
    for (unsigned i = 0; i < 8; i++) {
        uint64_t address = (8 + random_below(56)) * GIB + (random_number() & (GIB - 8));
        run_instruction(random_below(2) ? 0x00053583 : 0x00b53023, address, random_number()); /* ld, sd */
    }
    run_instruction(0x00050067, (8 + random_below(56)) * GIB, 0); /* jalr x0, 0(a0) */
    csr_write(satp, 0);
    sfence();
}

/* Every mode, with the root table anywhere. When it takes effect nothing is mapped any more, not even the trap
   handler: this hart is lost. */
void attack_satp(void)
{
    uint64_t mode = random_below(16), root = random_place() >> 12;
    csr_write(satp, mode << 60 | (random_below(65536) << 44) | (root & ((1ul << 44) - 1)));
    csr_write(satp, 0);
}
