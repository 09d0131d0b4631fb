/* Loads, stores, atomics and floating-point accesses of every width, anywhere, aligned or not. */
#include "attacks.h"
#include "csr.h"
#include "hart.h"
#include "machine.h"

#define FS_INITIAL (1ul << 13)
enum { A0 = 10, A1 = 11 };

static uint32_t load(uint32_t opcode, uint32_t funct3)
{
    return A0 << 15 | funct3 << 12 | A1 << 7 | opcode;
}

static uint32_t store(uint32_t opcode, uint32_t funct3)
{
    return A1 << 20 | A0 << 15 | funct3 << 12 | opcode;
}

static uint32_t atomic(uint32_t funct5, uint32_t funct3)
{
    return funct5 << 27 | A1 << 20 | A0 << 15 | funct3 << 12 | A1 << 7 | 0x2f;
}

static uint32_t some_access(void)
{
    static const uint8_t atomics[] = {0, 1, 4, 8, 12, 16, 20, 24, 28};
    switch (random_below(8)) {
    case 0:
        return atomic(atomics[random_below(sizeof atomics)], 2 + (uint32_t)random_below(2));
    case 1:
        return A0 << 15 | (2 + (uint32_t)random_below(2)) << 12 | A1 << 7 | 2u << 27 | 0x2f; /* lr */
    case 2:
        return atomic(3, 2 + (uint32_t)random_below(2)); /* sc */
    case 3:
        return load(0x07, 2 + (uint32_t)random_below(2)); /* flw, fld */
    case 4:
        return store(0x27, 2 + (uint32_t)random_below(2)); /* fsw, fsd */
    case 5:
        return random_below(2) ? 0x0001410c : 0x0001c10c; /* c.lw a1, 0(a0); c.sw a1, 0(a0); then c.nop */
    case 6:
        return store(0x23, (uint32_t)random_below(4));
    default:
        return load(0x03, (uint32_t)random_below(7));
    }
}

void attack_mmio(void)
{
    csr_set(sstatus, FS_INITIAL);
    uint64_t place = random_argument();
    if (place >= machine.memory[0].base && place < (uint64_t)image_end)
        place = (uint64_t)arena; /* our own code and stacks are no target */
    run_instruction(some_access(), place, random_number());
}

void attack_execute_devices(void)
{
    run_instruction(0x00050067, random_place() & ~1ul, 0); /* jalr x0, 0(a0) */
}
