#include "steps.h"

#include "csr.h"
#include "print.h"

enum { A0 = 10, A6 = 16, A7 = 17 };

static void call(uint64_t number, uint64_t a6, const uint64_t *arguments, unsigned count, uint64_t before[32],
                 uint64_t after[32])
{
    fill_registers(before);
    for (unsigned i = 0; i < count; i++)
        before[A0 + i] = arguments[i];
    before[A6] = a6;
    before[A7] = number;
    uint64_t flags = interrupts_off();
    call_with_registers(before, after);
    interrupts_restore(flags);
}

int64_t step(const char *name, uint64_t number, uint64_t a6, const uint64_t *arguments, unsigned count)
{
    uint64_t before[32], after[32];
    call(number, a6, arguments, count, before, after);
    printf("= %s ", name);
    print_call(before, after);
    return (int64_t)after[A0];
}

void show_bytes(const char *name, const void *data, size_t count)
{
    const uint8_t *bytes = data;
    for (size_t at = 0; at < count; at += 64) {
        printf(": %s ", name);
        for (size_t i = at; i < count && i < at + 64; i++)
            printf("%02x", bytes[i]);
        printf("\n");
    }
}

void sweep(const char *name, uint64_t type, uint64_t first, uint64_t last)
{
    unsigned calls = 0, refused = 0;
    for (uint64_t event = first; event <= last; event++) {
        uint64_t before[32], after[32];
        call(HYPERCALL(type, event), 0, NULL, 0, before, after);
        bool good = after[A0] == UINT64_MAX;
        for (unsigned i = 1; i < 32; i++)
            good = good && (i == A0 || before[i] == after[i]);
        calls++;
        refused += good;
        if (!good) {
            printf("= %s ", name);
            print_call(before, after);
        }
    }
    printf("# %s type=%02lx calls=%u refused=%u\n", name, type, calls, refused);
}
