#include "plic.h"

#include <stddef.h>

#include "machine.h"
#include "mmio.h"
#include "print.h"

#define PRIORITY(source) (machine.plic_base + 4ul * (source))
#define ENABLE(source) (machine.plic_base + 0x2000 + 0x80ul * machine.plic_context + 4ul * ((source) / 32))
#define THRESHOLD (machine.plic_base + 0x200000 + 0x1000ul * machine.plic_context)
#define CLAIM (THRESHOLD + 4)

static struct {
    const char *name;
    void (*handler)(void *);
    void *argument;
    uint64_t count;
} sources[PLIC_MAX_SOURCE + 1];
static uint64_t unexpected;

void plic_init(void)
{
    if (machine.plic_base)
        mmio_write32(THRESHOLD, 0);
}

void plic_enable(uint32_t source, const char *name, void (*handler)(void *), void *argument)
{
    if (!machine.plic_base || !source || source > PLIC_MAX_SOURCE)
        return;
    sources[source].name = name;
    sources[source].handler = handler;
    sources[source].argument = argument;
    mmio_write32(PRIORITY(source), 1);
    mmio_write32(ENABLE(source), mmio_read32(ENABLE(source)) | 1u << source % 32);
}

void plic_handle(void)
{
    uint32_t source;
    while ((source = mmio_read32(CLAIM)) != 0) {
        if (source <= PLIC_MAX_SOURCE && sources[source].handler) {
            sources[source].count++;
            sources[source].handler(sources[source].argument);
        } else {
            unexpected++;
        }
        mmio_write32(CLAIM, source);
    }
}

void plic_show(void)
{
    for (uint32_t i = 1; i <= PLIC_MAX_SOURCE; i++)
        if (sources[i].handler)
            printf("%6u  %-16s %lu\n", i, sources[i].name, sources[i].count);
    if (unexpected)
        printf("     ?  %-16s %lu\n", "unexpected", unexpected);
}
