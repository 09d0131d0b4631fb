/* Instructions a guest has no business with, and code that changes all the time. */
#include "attacks.h"
#include "csr.h"
#include "hart.h"

enum { A0 = 10, A1 = 11, CSRRW = 1, CSRRS = 2, CSRRC = 3 };
#define WFI 0x10500073

static uint32_t csr_instruction(uint32_t number, uint32_t funct3, uint32_t rs1)
{
    return number << 20 | rs1 << 15 | funct3 << 12 | A1 << 7 | 0x73;
}

/* What the attack itself lives on: sstatus, sie, stvec, sscratch, sepc, satp are written with what they hold. */
static bool vital(uint32_t number)
{
    return number == 0x100 || number == 0x104 || number == 0x105 || number == 0x141 || number == 0x180;
}

/* Every CSR number: read, written with its own value and, where that does not hurt, with anything. */
void attack_csrs(void)
{
    static uint32_t next;
    uint32_t number = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED) & 0xfff;
    run_instruction(csr_instruction(number, CSRRS, 0), 0, 0);
    run_instruction(csr_instruction(number, CSRRC, A0), 0, 0);
    if (!vital(number))
        run_instruction(csr_instruction(number, CSRRW, A0), random_number(), 0);
}

void attack_privileged(void)
{
    static const uint32_t words[] = {
        0x30200073, /* mret */
        0x10200073, /* sret */
        0x70200073, /* mnret */
        0x7b200073, /* dret */
        0x22000073, /* hfence.vvma x0, x0 */
        0x62000073, /* hfence.gvma x0, x0 */
        0x22b50073, /* hfence.vvma a0, a1 */
        0x62b50073, /* hfence.gvma a0, a1 */
        0x600545f3, /* hlv.b a1, (a0) */
        0x640545f3, /* hlv.h */
        0x643545f3, /* hlvx.hu */
        0x680545f3, /* hlv.w */
        0x683545f3, /* hlvx.wu */
        0x6c0545f3, /* hlv.d */
        0x62b54073, /* hsv.b a1, (a0) */
        0x6eb54073, /* hsv.d */
        0x16b50073, /* sinval.vma a0, a1 */
        0x18000073, /* sfence.w.inval */
        0x26b50073, /* hinval.vvma */
        0x66b50073, /* hinval.gvma */
        0x12b50073, /* sfence.vma a0, a1 */
        WFI,
        0x0000100f, /* fence.i */
        0x00100073, /* ebreak */
        0x0005200f, /* cbo.inval (a0) */
        0x0045200f, /* cbo.zero (a0) */
        0x0015200f, /* cbo.clean (a0) */
    };
    uint32_t word = words[random_below(sizeof words / sizeof words[0])];
    interrupts_off(); /* the timer's must come after the wfi, and none may change sepc and SPP */
    if (word == WFI)
        timer_set(time_now() + 10);
    csr_write(sepc, (uint64_t)code_buffer() + 4); /* should sret work, it comes back to us */
    csr_set(sstatus, 1 << 8);
    run_instruction(word, random_argument(), random_number());
    interrupts_restore(SSTATUS_SIE);
}

/* Code that is overwritten as fast as it runs, with and without FENCE.I. */
void attack_changing_code(void)
{
    uint32_t *code = code_buffer();
    for (unsigned turn = 0; turn < 16; turn++) {
        unsigned count = 1 + (unsigned)random_below(CODE_WORDS - 2);
        for (unsigned i = 0; i < count; i++)
            code[i] = (uint32_t)random_below(4096) << 20 | A0 << 15 | A0 << 7 | 0x13; /* addi a0, a0, anything */
        code[count] = RETURN;
        if (random_below(2))
            __asm__ volatile("fence.i" ::: "memory");
        run_code();
    }
}

/* Anything at all. It destroys the guest sooner or later. */
void attack_random_code(void)
{
    uint32_t *code = code_buffer();
    for (unsigned i = 0; i < CODE_WORDS - 1; i++)
        code[i] = (uint32_t)random_number();
    code[CODE_WORDS - 1] = RETURN;
    run_code();
}
