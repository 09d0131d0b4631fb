/* Commands that make any environment call, and that show and change any byte of memory. */
#include "console.h"
#include "csr.h"
#include "hypercall.h"
#include "mmio.h"
#include "print.h"
#include "string.h"

enum { A0 = 10, A6 = 16, A7 = 17 };
#define BYTES_A_LINE 32

static const char *const csr_names[CALL_CSRS] = {"sstatus", "sie", "stvec", "sepc", "scause", "stval", "satp"};

static void read_csrs(uint64_t values[CALL_CSRS])
{
    values[0] = csr_read(sstatus);
    values[1] = csr_read(sie);
    values[2] = csr_read(stvec);
    values[3] = csr_read(sepc);
    values[4] = csr_read(scause);
    values[5] = csr_read(stval);
    values[6] = csr_read(satp);
}

void fill_registers(uint64_t registers[32])
{
    registers[0] = 0;
    for (uint64_t i = 1; i < 32; i++)
        registers[i] = 0xc0de000000000000ul | i << 40 | i;
}

void call_prepare(struct environment_call *call)
{
    fill_registers(call->before);
}

void call_make(struct environment_call *call)
{
    uint64_t flags = interrupts_off();
    read_csrs(call->csrs_before);
    call_with_registers(call->before, call->after);
    read_csrs(call->csrs_after);
    interrupts_restore(flags);
}

bool call_changed_nothing_but_a0(const struct environment_call *call)
{
    bool same = true;
    for (unsigned i = 1; i < 32; i++)
        same = same && (i == A0 || call->before[i] == call->after[i]);
    for (unsigned i = 0; i < CALL_CSRS; i++)
        same = same && call->csrs_before[i] == call->csrs_after[i];
    return same;
}

void call_print(const struct environment_call *call)
{
    const char *separator = "";
    printf("a7=%08lx a0=%016lx a1=%016lx changed=", call->before[A7], call->after[A0], call->after[A0 + 1]);
    for (unsigned i = 1; i < 32; i++)
        if (i != A0 && call->before[i] != call->after[i]) {
            printf("%sx%u", separator, i);
            separator = ",";
        }
    for (unsigned i = 0; i < CALL_CSRS; i++)
        if (call->csrs_before[i] != call->csrs_after[i]) {
            printf("%s%s", separator, csr_names[i]);
            separator = ",";
        }
    printf("%s\n", *separator ? "" : "none");
}

/* argv[first] and the following go to registers a0, a1, ...; false when one is no number. */
static bool parse_arguments(int argc, char **argv, int first, int most, uint64_t registers[32])
{
    bool good = argc - first <= most;
    for (int i = first; good && i < argc; i++)
        good = parse_number(argv[i], &registers[A0 + i - first]);
    return good;
}

void ecall_command(int argc, char **argv)
{
    struct environment_call call;
    call_prepare(&call);
    if (argc < 3 || !parse_number(argv[1], &call.before[A7]) || !parse_number(argv[2], &call.before[A6]) ||
        !parse_arguments(argc, argv, 3, 6, call.before)) {
        shell_usage(argv);
        return;
    }
    call_make(&call);
    call_print(&call);
}

void hypercall_command(int argc, char **argv)
{
    struct environment_call call;
    uint64_t type, event;
    call_prepare(&call);
    if (argc < 3 || !parse_number(argv[1], &type) || !parse_number(argv[2], &event) || type > 0xff || event > 0xff ||
        !parse_arguments(argc, argv, 3, 7, call.before)) {
        shell_usage(argv);
        return;
    }
    call.before[A7] = HYPERCALL(type, event);
    call_make(&call);
    call_print(&call);
}

void dump_command(int argc, char **argv)
{
    uint64_t address, length;
    if (argc != 3 || !parse_number(argv[1], &address) || !parse_number(argv[2], &length)) {
        shell_usage(argv);
        return;
    }
    for (uint64_t at = 0; at < length && !console_interrupted(); at += BYTES_A_LINE) {
        printf("%lx:", address + at);
        for (uint64_t i = at; i < length && i < at + BYTES_A_LINE; i++)
            printf("%s%02x", i % 8 ? "" : " ", mmio_read8(address + i));
        printf("\n");
    }
}

void store_command(int argc, char **argv)
{
    uint64_t address, value;
    bool good = argc > 2 && parse_number(argv[1], &address);
    /* twice: nothing is stored unless all of it is well-formed */
    for (int storing = 0; good && storing < 2; storing++)
        for (int i = 2, at = 0; good && i < argc; i++)
            for (const char *p = argv[i]; good && *p; p += 2, at++) {
                char digits[] = {'0', 'x', p[0], p[1], '\0'};
                good = p[1] && parse_number(digits, &value);
                if (storing && good)
                    mmio_write8(address + (uint64_t)at, (uint8_t)value);
            }
    if (!good)
        shell_usage(argv);
}
