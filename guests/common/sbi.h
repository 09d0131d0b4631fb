/* Supervisor Binary Interface 2.0: calls to the firmware, or to the hypervisor that stands in for it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct sbi_result {
    int64_t error; /* 0, or one of SBI_ERR_* */
    uint64_t value;
};

#define SBI_ERR_NOT_SUPPORTED (-2)

#define SBI_BASE 0x10
#define SBI_TIME 0x54494d45
#define SBI_IPI 0x735049
#define SBI_HSM 0x48534d
#define SBI_SRST 0x53525354
#define SBI_DBCN 0x4442434e

#define SBI_HSM_STARTED 0
#define SBI_HSM_STOPPED 1

struct sbi_result sbi_call(uint64_t extension, uint64_t function, uint64_t a0, uint64_t a1, uint64_t a2);
const char *sbi_error_name(int64_t error);

struct sbi_result sbi_base(uint64_t function); /* 0 version, 1 implementation id, 2 implementation version */
uint64_t sbi_probe(uint64_t extension);
void sbi_set_timer(uint64_t deadline);
void sbi_send_ipi(uint64_t hart);
struct sbi_result sbi_hart_start(uint64_t hart, void (*entry)(void), void *opaque);
void sbi_hart_stop(void); /* returns only when it failed */
struct sbi_result sbi_hart_status(uint64_t hart);
struct sbi_result sbi_power_off(uint64_t reason); /* these two return only when they failed */
struct sbi_result sbi_reboot(void);
size_t sbi_console_write(const char *data, size_t count);
size_t sbi_console_read(char *data, size_t count);
