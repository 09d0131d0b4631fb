/* What the device tree says about this machine, and the harts. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_HARTS 8
#define MAX_VIRTIO 24
#define MAX_MEMORY 4

struct machine {
    const char *tree_error; /* NULL, or why nothing could be read */
    const void *tree;
    uint64_t boot_hart;
    uint64_t timebase; /* ticks of the time CSR in a second */
    const char *isa, *mmu_type, *bootargs;
    bool has_sstc;
    unsigned hart_count;
    struct {
        uint64_t id;
        uint32_t intc; /* phandle of its local interrupt controller */
    } harts[MAX_HARTS];
    unsigned memory_count;
    struct {
        uint64_t base, length;
    } memory[MAX_MEMORY];
    uint64_t ramdisk_base, ramdisk_length; /* the boot loader's file; length 0: there is none */
    uint64_t plic_base;
    uint32_t plic_sources, plic_context; /* the boot hart's S-mode context */
    uint64_t uart_base;
    uint32_t uart_irq;
    unsigned virtio_count; /* in ascending order of address */
    struct {
        uint64_t base;
        uint32_t irq;
    } virtio[MAX_VIRTIO];
    uint32_t hypervisor_irq; /* of node vm_service; 0 when there is none */
};

extern struct machine machine;
extern const char image_start[], image_end[]; /* linker script */

void machine_read_tree(uint64_t boot_hart, const void *tree);
uint64_t ticks_to_us(uint64_t ticks);
