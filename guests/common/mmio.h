/* Device registers. Plain lw/sw/lbu/sb: a hypervisor that emulates a device has to decode nothing else. */
#pragma once

#include <stdint.h>

static inline uint32_t mmio_read32(uintptr_t address)
{
    uint32_t value;
    __asm__ volatile("lw %0, 0(%1)" : "=r"(value) : "r"(address) : "memory");
    return value;
}

static inline void mmio_write32(uintptr_t address, uint32_t value)
{
    __asm__ volatile("sw %0, 0(%1)" ::"r"(value), "r"(address) : "memory");
}

static inline uint8_t mmio_read8(uintptr_t address)
{
    uint8_t value;
    __asm__ volatile("lbu %0, 0(%1)" : "=r"(value) : "r"(address) : "memory");
    return value;
}

static inline void mmio_write8(uintptr_t address, uint8_t value)
{
    __asm__ volatile("sb %0, 0(%1)" ::"r"(value), "r"(address) : "memory");
}

/* Memory shared with a device: what was written before is seen before what comes after. */
static inline void io_fence(void)
{
    __asm__ volatile("fence iorw, iorw" ::: "memory");
}
