#include "hart.h"

#include "console.h"
#include "csr.h"
#include "plic.h"
#include "print.h"
#include "sbi.h"

#define SECONDARY_STACK 4096

struct hart harts[MAX_HARTS];
static uint8_t stacks[MAX_HARTS][SECONDARY_STACK] __attribute__((section(".noinit"), aligned(16)));
static bool sstc;

void trap_entry(void);
void hart_entry(void);
void guarded_return(void);
void hart_main(struct hart *hart);
void trap_handle(struct trap_frame *frame);

static void hart_begin(struct hart *hart)
{
    __asm__ volatile("mv tp, %0" ::"r"(hart));
    csr_write(stvec, trap_entry);
    csr_write(sie, SIE_SSIE | SIE_STIE | SIE_SEIE);
}

void hart_init(uint64_t id)
{
    for (unsigned i = 0; i < MAX_HARTS; i++) {
        harts[i].id = i;
        harts[i].stack_top = (uint64_t)stacks[i] + SECONDARY_STACK;
    }
    hart_begin(&harts[id % MAX_HARTS]);
    harts[id % MAX_HARTS].id = id;
}

/* A started hart: waits for software interrupts, does the work it is given, stops when it is asked. */
void hart_main(struct hart *hart)
{
    hart_begin(hart);
    while (!hart->stop_asked) {
        interrupts_off(); /* between the look and the wfi no IPI may be lost */
        if (!hart->work && !hart->stop_asked)
            __asm__ volatile("wfi");
        interrupts_restore(SSTATUS_SIE);
        if (hart->work) {
            hart->work(hart);
            hart->work = NULL;
            sbi_send_ipi(machine.boot_hart); /* ends the wait_for of the one who asked */
        }
    }
    interrupts_off();
    hart->stop_asked = false;
    sbi_hart_stop();
}

int64_t hart_start(uint64_t id)
{
    struct hart *hart = &harts[id % MAX_HARTS];
    hart->stop_asked = false;
    hart->work = NULL;
    return sbi_hart_start(id, hart_entry, hart).error;
}

void hart_run(uint64_t id, void (*work)(struct hart *))
{
    harts[id % MAX_HARTS].work = work;
    __asm__ volatile("fence rw, rw" ::: "memory");
    sbi_send_ipi(id);
}

static void write_stimecmp(void *deadline)
{
    csr_write(CSR_STIMECMP, *(uint64_t *)deadline);
}

void timer_init(void)
{
    uint64_t never = UINT64_MAX;
    /* The tree may promise Sstc where a hypervisor does not give it: then the first write traps. */
    sstc = machine.has_sstc && guarded_call(write_stimecmp, &never);
    if (!sstc)
        sbi_set_timer(never);
}

void timer_set(uint64_t deadline)
{
    if (sstc)
        csr_write(CSR_STIMECMP, deadline);
    else
        sbi_set_timer(deadline);
}

bool timer_is_sstc(void)
{
    return sstc;
}

bool wait_for(bool (*condition)(void *), void *argument, uint64_t deadline)
{
    bool timed = deadline != UINT64_MAX, met;
    for (;;) {
        uint64_t flags = interrupts_off();
        met = condition(argument);
        bool over = met || console_interrupted() || time_now() >= deadline;
        if (!over) {
            uint64_t wake = console_poll_deadline();
            if (timed || wake != UINT64_MAX)
                timer_set(wake < deadline ? wake : deadline);
            __asm__ volatile("wfi"); /* wakes on a pending interrupt although SIE is 0; it is taken below */
        }
        interrupts_restore(flags | SSTATUS_SIE);
        if (over)
            break;
        console_poll();
    }
    if (timed)
        timer_set(UINT64_MAX);
    return met;
}

static const char *cause_name(uint64_t cause)
{
    static const char *const names[] = {
        [0] = "instruction address misaligned", [1] = "instruction access fault", [2] = "illegal instruction",
        [3] = "breakpoint",                     [4] = "load address misaligned",  [5] = "load access fault",
        [6] = "store address misaligned",       [7] = "store access fault",       [8] = "environment call from U",
        [9] = "environment call from S",        [12] = "instruction page fault",  [13] = "load page fault",
        [15] = "store page fault",              [22] = "virtual instruction",
    };
    return cause < sizeof names / sizeof names[0] && names[cause] ? names[cause] : "unknown cause";
}

void fault_show(const struct fault *fault)
{
    printf("fault: %s (scause %lu), sepc 0x%lx, stval 0x%lx\n", cause_name(fault->cause), fault->cause, fault->pc,
           fault->value);
}

static void unexpected_trap(const struct trap_frame *frame, const struct fault *fault)
{
    static const char *const names[32] = {"zero", "ra", "sp", "gp", "tp",  "t0",  "t1", "t2", "s0", "s1", "a0",
                                          "a1",   "a2", "a3", "a4", "a5",  "a6",  "a7", "s2", "s3", "s4", "s5",
                                          "s6",   "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6"};
    printf("\npanic: trap outside of a command on hart %lu\n", this_hart()->id);
    fault_show(fault);
    for (int i = 1; i < 32; i++)
        printf("%4s %016lx%s", names[i], frame->x[i], i % 4 == 3 ? "\n" : "  ");
    sbi_power_off(1); /* reason: system failure */
    for (;;)
        __asm__ volatile("wfi");
}

void trap_handle(struct trap_frame *frame)
{
    struct hart *hart = this_hart();
    uint64_t cause = csr_read(scause);
    switch (cause) {
    case SCAUSE_INTERRUPT | 1:
        hart->software_interrupts++;
        csr_clear(sip, SIE_SSIE);
        return;
    case SCAUSE_INTERRUPT | 5:
        hart->timer_interrupts++;
        timer_set(UINT64_MAX);
        return;
    case SCAUSE_INTERRUPT | 9:
        hart->external_interrupts++;
        plic_handle();
        return;
    }
    struct fault fault = {cause, frame->pc, csr_read(stval)};
    if (!hart->recover_sp)
        unexpected_trap(frame, &fault);
    hart->fault = fault;
    frame->pc = (uint64_t)guarded_return;
    frame->x[2] = hart->recover_sp;
    frame->x[10] = 0;
}
