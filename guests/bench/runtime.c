/* Output, the end, and the page tables of the MMU variant. */
#include "bench.h"

#define UART ((volatile uint8_t *)0x10000000)
#define FINISHER ((volatile uint32_t *)0x100000)
#define FINISH_PASS 0x5555
#define FINISH_FAIL 0x3333

void *memcpy(void *to, const void *from, size_t count) /* the compiler calls these two for large assignments */
{
    for (size_t i = 0; i < count; i++)
        ((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
    return to;
}

void *memset(void *to, int value, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ((uint8_t *)to)[i] = (uint8_t)value;
    return to;
}

static void print(const char *text)
{
    while (*text)
        *UART = (uint8_t)*text++;
}

static void print_hex(uint64_t value)
{
    for (int shift = 60; shift >= 0; shift -= 4)
        *UART = (uint8_t) "0123456789abcdef"[value >> shift & 15];
}

/* NAME checksum HEX, then the machine stops. */
void run_program(void)
{
    uint64_t result = program();
    print(program_name);
    print(" checksum ");
    print_hex(result);
    print("\n");
    *FINISHER = FINISH_PASS;
}

void trapped(uint64_t cause, uint64_t pc, uint64_t value)
{
    print(program_name);
    print(" trap: mcause ");
    print_hex(cause);
    print(" mepc ");
    print_hex(pc);
    print(" mtval ");
    print_hex(value);
    print("\n");
    *FINISHER = FINISH_FAIL;
}

#ifdef MMU
#define RAM 0x80000000ul
#define SUPER_PAGES 8 /* 16 MiB of RAM in pages of 4 KiB */
#define ENTRIES 512
#define SATP_SV39 (8ul << 60)
#define PTE_TABLE 0x01ul
#define PTE_LEAF 0xcful /* V R W X A D */

static uint64_t root[ENTRIES] __attribute__((aligned(4096)));
static uint64_t middle[ENTRIES] __attribute__((aligned(4096)));
static uint64_t leaves[SUPER_PAGES][ENTRIES] __attribute__((aligned(4096)));

static uint64_t entry(uint64_t address, uint64_t flags)
{
    return address >> 12 << 10 | flags;
}

/* Sv39 identity map: the devices by one leaf of 1 GiB, RAM by pages of 4 KiB. Gives the value for satp. */
uint64_t page_tables(void)
{
    root[0] = entry(0, PTE_LEAF);
    root[RAM >> 30] = entry((uint64_t)middle, PTE_TABLE);
    for (uint64_t i = 0; i < SUPER_PAGES; i++) {
        middle[i] = entry((uint64_t)leaves[i], PTE_TABLE);
        for (uint64_t j = 0; j < ENTRIES; j++)
            leaves[i][j] = entry(RAM + (i << 21) + (j << 12), PTE_LEAF);
    }
    return SATP_SV39 | (uint64_t)root >> 12;
}
#endif
