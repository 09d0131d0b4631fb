/* Commands that make any environment call, and that show and change any byte of memory. */
#include "console.h"
#include "csr.h"
#include "hypercall.h"
#include "mmio.h"
#include "print.h"
#include "string.h"

enum { A0 = 10, A6 = 16, A7 = 17 };
#define BYTES_A_LINE 32

void fill_registers(uint64_t registers[32])
{
    registers[0] = 0;
    for (uint64_t i = 1; i < 32; i++)
        registers[i] = 0xc0de000000000000ul | i << 40 | i;
}

void print_call(const uint64_t before[32], const uint64_t after[32])
{
    bool any = false;
    printf("a7=%08lx a0=%016lx a1=%016lx changed=", before[A7], after[A0], after[A0 + 1]);
    for (unsigned i = 1; i < 32; i++)
        if (i != A0 && before[i] != after[i]) {
            printf("%sx%u", any ? "," : "", i);
            any = true;
        }
    printf("%s\n", any ? "" : "none");
}

static void call(uint64_t registers[32])
{
    uint64_t after[32];
    uint64_t flags = interrupts_off();
    call_with_registers(registers, after);
    interrupts_restore(flags);
    print_call(registers, after);
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
    uint64_t registers[32];
    fill_registers(registers);
    if (argc < 3 || !parse_number(argv[1], &registers[A7]) || !parse_number(argv[2], &registers[A6]) ||
        !parse_arguments(argc, argv, 3, 6, registers))
        shell_usage(argv);
    else
        call(registers);
}

void hypercall_command(int argc, char **argv)
{
    uint64_t registers[32], type, event;
    fill_registers(registers);
    if (argc < 3 || !parse_number(argv[1], &type) || !parse_number(argv[2], &event) || type > 0xff || event > 0xff ||
        !parse_arguments(argc, argv, 3, 7, registers)) {
        shell_usage(argv);
        return;
    }
    registers[A7] = HYPERCALL(type, event);
    call(registers);
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
