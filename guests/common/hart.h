/* Harts, traps, time and waiting. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "machine.h"

struct fault {
    uint64_t cause, pc, value; /* scause, sepc, stval */
};

struct hart {
    uint64_t recover_sp; /* guarded_call's stack, 0 outside of it; offset 0 is known to trap.S */
    uint64_t stack_top;  /* offset 8 is known to start.S */
    uint64_t id;
    struct fault fault; /* the last one that guarded_call survived */
    uint64_t timer_interrupts, software_interrupts, external_interrupts;
    void (*volatile work)(struct hart *); /* what hart_run gave it; NULL when idle */
    volatile bool stop_asked;
    volatile uint64_t result;
};

struct trap_frame {
    uint64_t x[32]; /* x[0] unused */
    uint64_t pc, status;
};

extern struct hart harts[MAX_HARTS]; /* by hart id */

static inline struct hart *this_hart(void)
{
    struct hart *hart;
    __asm__("mv %0, tp" : "=r"(hart));
    return hart;
}

void hart_init(uint64_t id); /* boot hart: tp, trap vector, interrupts on */
/* Runs function(argument); a fault inside ends it, is kept in this_hart()->fault, and gives false. */
bool guarded_call(void (*function)(void *), void *argument);
void fault_show(const struct fault *fault);

/* Timer of this hart: one interrupt when time reaches deadline. */
void timer_init(void);
void timer_set(uint64_t deadline);
bool timer_is_sstc(void);

/* Sleeps (wfi) until condition(argument) is true, or deadline passed, or ctrl+c came. Says whether it is true. */
bool wait_for(bool (*condition)(void *), void *argument, uint64_t deadline);
static inline uint64_t milliseconds(uint64_t n)
{
    return n * machine.timebase / 1000;
}

/* Other harts. */
int64_t hart_start(uint64_t id); /* an SBI error */
void hart_run(uint64_t id, void (*work)(struct hart *));
