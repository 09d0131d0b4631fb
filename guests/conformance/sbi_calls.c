/* The supervisor binary interface, every function with good and with bad arguments. */
#include "csr.h"
#include "hart.h"
#include "print.h"
#include "sbi.h"
#include "steps.h"

#define RFENCE 0x52464e43

static const struct {
    const char *name;
    uint64_t extension;
} extensions[] = {
    {"BASE", 0x10},          {"TIME", SBI_TIME},     {"sPI", SBI_IPI},       {"RFNC", RFENCE},
    {"HSM", SBI_HSM},        {"SRST", SBI_SRST},     {"DBCN", SBI_DBCN},     {"legacy 0", 0},
    {"legacy 1", 1},         {"legacy 2", 2},        {"legacy 3", 3},        {"legacy 4", 4},
    {"legacy 5", 5},         {"legacy 6", 6},        {"legacy 7", 7},        {"legacy 8", 8},
    {"PMU", 0x504d55},       {"SUSP", 0x53555350},   {"CPPC", 0x43505043},   {"NACL", 0x4e41434c},
    {"STA", 0x535441},       {"SSE", 0x535345},      {"FWFT", 0x46574654},   {"unknown", 0x12345678},
    {"64 bits", 1ul << 32 | 0x10},
};

static bool timer_came(void *before)
{
    return this_hart()->timer_interrupts > *(uint64_t *)before;
}

static bool software_came(void *before)
{
    return this_hart()->software_interrupts > *(uint64_t *)before;
}

/* SBI 0.1: results in a0 alone, hart masks in memory. */
static void legacy_calls(uint64_t self)
{
    static uint64_t mask;
    uint64_t seen = this_hart()->timer_interrupts;
    SBI("legacy timer", 0, 0, time_now());
    wait_for(timer_came, &seen, UINT64_MAX);
    printf("# legacy timer interrupts=%lu\n", this_hart()->timer_interrupts - seen);
    SBI("legacy timer never", 0, 0, UINT64_MAX);
    mask = 1ul << self;
    seen = this_hart()->software_interrupts;
    SBI("legacy ipi", 4, 0, AT(&mask));
    wait_for(software_came, &seen, UINT64_MAX);
    SBI("legacy clear", 3, 0, 0);
    SBI("legacy fence", 5, 0, AT(&mask));
    SBI("legacy sfence", 6, 0, AT(&mask), 0, 0x1000);
    SBI("legacy sfence asid", 7, 0, AT(&mask), 0, 0x1000, 0);
}

void run_sbi(void)
{
    static char text[] = "[debug console]", input[16];
    uint64_t count = machine.hart_count, all = (1ul << count) - 1, self = machine.boot_hart, seen;
    char name[48];

    for (uint64_t function = 0; function < 8; function++) {
        if (function == 3)
            continue;
        format_to(name, sizeof name, "base %lu", function);
        SBI(name, SBI_BASE, function, 0);
    }
    for (unsigned i = 0; i < sizeof extensions / sizeof extensions[0]; i++) {
        format_to(name, sizeof name, "probe %s", extensions[i].name);
        SBI(name, SBI_BASE, 3, extensions[i].extension);
    }

    seen = this_hart()->timer_interrupts;
    SBI("time", SBI_TIME, 0, time_now());
    wait_for(timer_came, &seen, UINT64_MAX);
    printf("# timer interrupts=%lu\n", this_hart()->timer_interrupts - seen);
    SBI("time never", SBI_TIME, 0, UINT64_MAX);
    SBI("time 1", SBI_TIME, 1, 0);

    seen = this_hart()->software_interrupts;
    SBI("ipi self", SBI_IPI, 0, 1, self);
    wait_for(software_came, &seen, UINT64_MAX);
    SBI("ipi all", SBI_IPI, 0, 0, UINT64_MAX);
    wait_for(software_came, &seen, time_now() + milliseconds(10));
    SBI("ipi nobody", SBI_IPI, 0, 0, 0);
    SBI("ipi beyond", SBI_IPI, 0, 1, count);
    SBI("ipi too many", SBI_IPI, 0, all << 1 | 1, 0);
    SBI("ipi base 64", SBI_IPI, 0, 1, 64);
    SBI("ipi 1", SBI_IPI, 1, 1, 0);

    for (uint64_t function = 0; function < 8; function++) {
        format_to(name, sizeof name, "rfence %lu", function);
        SBI(name, RFENCE, function, 1, self, 0, 0x1000, 0);
        format_to(name, sizeof name, "rfence %lu all", function);
        SBI(name, RFENCE, function, 0, UINT64_MAX, 0, 0x1000, 0);
        format_to(name, sizeof name, "rfence %lu beyond", function);
        SBI(name, RFENCE, function, 1, count, 0, 0x1000, 0);
    }

    for (uint64_t hart = 0; hart <= count; hart++) {
        format_to(name, sizeof name, "status %lu", hart);
        SBI(name, SBI_HSM, 2, hart);
    }
    SBI("status huge", SBI_HSM, 2, 1ul << 40);
    SBI("start self", SBI_HSM, 0, self, machine.memory[0].base, 0);
    SBI("start beyond", SBI_HSM, 0, count, machine.memory[0].base, 0);
    SBI("start bad address", SBI_HSM, 0, count > 1 ? 1 : self, 0x10000000, 0);
    SBI("suspend reserved", SBI_HSM, 3, 1, 0, 0);
    SBI("suspend platform", SBI_HSM, 3, 0x10000000, 0, 0);
    SBI("suspend 64 bits", SBI_HSM, 3, 1ul << 32, 0, 0);
    SBI("suspend bad address", SBI_HSM, 3, 0x80000000, 0x10000000, 0);
    sbi_send_ipi(self);
    uint64_t flags = interrupts_off(); /* pending: a suspended hart resumes at once */
    sbi_send_ipi(self);
    SBI("suspend", SBI_HSM, 3, 0, 0, 0);
    interrupts_restore(flags | SSTATUS_SIE);
    SBI("hsm 4", SBI_HSM, 4, 0);

    SBI("reset type", SBI_SRST, 0, 3, 0);
    SBI("reset type 64 bits", SBI_SRST, 0, 1ul << 32, 0);
    SBI("reset vendor type", SBI_SRST, 0, 0xf0000000, 0);
    SBI("reset reason", SBI_SRST, 0, 0, 2);
    SBI("reset reason 64 bits", SBI_SRST, 0, 0, 1ul << 32);
    SBI("reset 1", SBI_SRST, 1, 0, 0);

    SBI("console write", SBI_DBCN, 0, sizeof text - 1, AT(text), 0);
    SBI("console write nothing", SBI_DBCN, 0, 0, AT(text), 0);
    SBI("console write nowhere", SBI_DBCN, 0, 16, 0x80000000 - 16, 0);
    SBI("console write high", SBI_DBCN, 0, 16, AT(text), 1);
    SBI("console read", SBI_DBCN, 1, sizeof input, AT(input), 0);
    SBI("console read nowhere", SBI_DBCN, 1, 16, 0x80000000 - 16, 0);
    SBI("console byte", SBI_DBCN, 2, '!');
    SBI("console 3", SBI_DBCN, 3, 0);
    SBI("putchar", 1, 0, '?');
    SBI("getchar", 2, 0, 0);
    legacy_calls(self);
    SBI("unknown", 0x12345678, 0, 0);
    SBI("CPPC", 0x43505043, 0, 0);
    SBI("NACL", 0x4e41434c, 0, 0);
    SBI("STA", 0x535441, 0, 0, 0, 0);
}
