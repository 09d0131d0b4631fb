#include "sbi.h"

struct sbi_result sbi_call(uint64_t extension, uint64_t function, uint64_t a0, uint64_t a1, uint64_t a2)
{
    register uint64_t r0 __asm__("a0") = a0;
    register uint64_t r1 __asm__("a1") = a1;
    register uint64_t r2 __asm__("a2") = a2;
    register uint64_t r6 __asm__("a6") = function;
    register uint64_t r7 __asm__("a7") = extension;
    __asm__ volatile("ecall" : "+r"(r0), "+r"(r1) : "r"(r2), "r"(r6), "r"(r7) : "memory");
    return (struct sbi_result){(int64_t)r0, r1};
}

const char *sbi_error_name(int64_t error)
{
    static const char *const names[] = {
        "success",         "failed",           "not supported",   "invalid parameter", "denied",
        "invalid address", "already available", "already started", "already stopped",   "no shared memory",
    };
    return error <= 0 && error > -10 ? names[-error] : "unknown error";
}

struct sbi_result sbi_base(uint64_t function)
{
    return sbi_call(SBI_BASE, function, 0, 0, 0);
}

uint64_t sbi_probe(uint64_t extension)
{
    struct sbi_result result = sbi_call(SBI_BASE, 3, extension, 0, 0);
    return result.error ? 0 : result.value;
}

void sbi_set_timer(uint64_t deadline)
{
    sbi_call(SBI_TIME, 0, deadline, 0, 0);
}

void sbi_send_ipi(uint64_t hart)
{
    sbi_call(SBI_IPI, 0, 1, hart, 0);
}

struct sbi_result sbi_hart_start(uint64_t hart, void (*entry)(void), void *opaque)
{
    return sbi_call(SBI_HSM, 0, hart, (uint64_t)entry, (uint64_t)opaque);
}

void sbi_hart_stop(void)
{
    sbi_call(SBI_HSM, 1, 0, 0, 0);
}

struct sbi_result sbi_hart_status(uint64_t hart)
{
    return sbi_call(SBI_HSM, 2, hart, 0, 0);
}

struct sbi_result sbi_power_off(uint64_t reason)
{
    return sbi_call(SBI_SRST, 0, 0, reason, 0);
}

struct sbi_result sbi_reboot(void)
{
    return sbi_call(SBI_SRST, 0, 1, 0, 0); /* cold reboot */
}

size_t sbi_console_write(const char *data, size_t count)
{
    struct sbi_result result = sbi_call(SBI_DBCN, 0, count, (uint64_t)data, 0);
    return result.error ? 0 : result.value;
}

size_t sbi_console_read(char *data, size_t count)
{
    struct sbi_result result = sbi_call(SBI_DBCN, 1, count, (uint64_t)data, 0);
    return result.error ? 0 : result.value;
}
