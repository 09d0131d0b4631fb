/* A VM's configuration file: the original's JSON, with comments. */
#pragma once

#include "report.h"
#include <stdint.h>

#define MAX_NAME 31 /* bytes of a VM's or device's name: the hypervisor holds 32 with the NUL */
#define MAX_CMDLINE 1024
#define MAX_REGIONS 64
#define MAX_EMULATED 16
#define MAX_PASSTHROUGH 128
#define MAX_DTB 16
#define MAX_CFG 16
#define MAX_IRQS 64
#define MAX_STREAMS 16
#define MAX_COLORS 1024

enum { DEVICE_MEDIATED = 7, DEVICE_PLIC = 13, DEVICE_APLIC = 14 };

struct region {
    uint64_t ipa_start, length;
};

struct emulated {
    const char *name;
    uint64_t base_ipa, length, irq_id, cfg[MAX_CFG];
    unsigned cfg_count, type;
};

struct passthrough {
    uint64_t base_pa, base_ipa, length;
};

struct dtb_device {
    const char *name;
    unsigned type, irq_count;
    uint64_t irqs[MAX_IRQS], ipa, length;
};

struct image_file {
    const char *name; /* "" for none */
    uint64_t ipa;
    size_t offset; /* where the file names it */
};

struct vm_config {
    const char *name, *cmdline;
    unsigned type;
    struct image_file kernel, tree, ramdisk;
    uint32_t cpu_num, cpu_bitmap;
    int32_t cpu_master;
    struct region regions[MAX_REGIONS];
    unsigned region_count;
    struct emulated emulated[MAX_EMULATED];
    unsigned emulated_count;
    struct passthrough passthrough[MAX_PASSTHROUGH];
    unsigned passthrough_count;
    uint64_t irqs[MAX_IRQS], streams[MAX_STREAMS]; /* of all passthrough devices */
    unsigned irq_count, stream_count;
    struct dtb_device dtb[MAX_DTB];
    unsigned dtb_count;
    bool has_colors; /* colors or budget are given */
    uint64_t colors[MAX_COLORS];
    unsigned color_count;
    uint32_t budget;
};

/* Reads the file's text in `report`; false after errors, which are findings. Files that it names are not looked at. */
bool vm_config_read(struct vm_config *config, struct report *report);
