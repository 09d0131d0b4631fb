#include "steps.h"

#include "print.h"

enum { A0 = 10, A6 = 16, A7 = 17 };

int64_t step(const char *name, uint64_t number, uint64_t a6, const uint64_t *arguments, unsigned count)
{
    struct environment_call call;
    call_prepare(&call);
    for (unsigned i = 0; i < count; i++)
        call.before[A0 + i] = arguments[i];
    call.before[A6] = a6;
    call.before[A7] = number;
    call_make(&call);
    printf("= %s ", name);
    call_print(&call);
    return (int64_t)call.after[A0];
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
        struct environment_call call;
        call_prepare(&call);
        call.before[A7] = HYPERCALL(type, event);
        call_make(&call);
        calls++;
        if (call.after[A0] == UINT64_MAX && call_changed_nothing_but_a0(&call)) {
            refused++;
        } else {
            printf("= %s ", name);
            call_print(&call);
        }
    }
    printf("# %s type=%02lx calls=%u refused=%u\n", name, type, calls, refused);
}
