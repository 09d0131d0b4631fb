/* Supervisor-level CSRs (Privileged ISA, "Supervisor-Level ISA"). */
#pragma once

#include <stdint.h>

#define SSTATUS_SIE (1ul << 1)

#define SIE_SSIE (1ul << 1)
#define SIE_STIE (1ul << 5)
#define SIE_SEIE (1ul << 9)

#define SCAUSE_INTERRUPT (1ul << 63)

#define CSR_STIMECMP 0x14d /* Sstc; by number, so that an assembler without Sstc takes it */
#define CSR_HGATP 0x680

#define csr_string_(x) #x
#define csr_string(x) csr_string_(x)

#define csr_read(name)                                                                                                 \
    ({                                                                                                                 \
        uint64_t value_;                                                                                               \
        __asm__ volatile("csrr %0, " csr_string(name) : "=r"(value_)::"memory");                                       \
        value_;                                                                                                        \
    })
#define csr_write(name, value) __asm__ volatile("csrw " csr_string(name) ", %0" ::"r"((uint64_t)(value)) : "memory")
#define csr_set(name, bits) __asm__ volatile("csrs " csr_string(name) ", %0" ::"r"((uint64_t)(bits)) : "memory")
#define csr_clear(name, bits) __asm__ volatile("csrc " csr_string(name) ", %0" ::"r"((uint64_t)(bits)) : "memory")

static inline uint64_t time_now(void)
{
    return csr_read(time);
}

/* Interrupts off; gives what to hand to interrupts_restore. */
static inline uint64_t interrupts_off(void)
{
    uint64_t previous;
    __asm__ volatile("csrrci %0, sstatus, 2" : "=r"(previous)::"memory");
    return previous & SSTATUS_SIE;
}

static inline void interrupts_restore(uint64_t previous)
{
    csr_set(sstatus, previous);
}
