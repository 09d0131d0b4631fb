/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/* What a program sees of /dev/shyper: the numbers and structures of its ioctl calls, and the messages of read().
 *
 * A number is type << 8 | event of the hypercall behind it; 0x10xx are the driver's own. An argument is a value or the
 * address of a structure. Numbers and structures are Rust-Shyper's; those marked "extension" are not.
 */
#ifndef SHYPER_ABI_H
#define SHYPER_ABI_H

#include <linux/types.h>

#define SHYPER_SYS_REBOOT 0x0000
#define SHYPER_SYS_SHUTDOWN 0x0001
#define SHYPER_SYS_UPDATE 0x0003 /* value: size */
#define SHYPER_SYS_TEST 0x0004

#define SHYPER_VM_LIST 0x0100 /* a page: __u64 count, then 44 bytes for each VM */
#define SHYPER_VM_BOOT 0x0102 /* value: VM id */
#define SHYPER_VM_SHUTDOWN 0x0103 /* value: VM id, 1 << 16 to force it */
#define SHYPER_VM_REBOOT 0x0104 /* the same */
#define SHYPER_VM_ID 0x0108 /* __u64: the caller's */
#define SHYPER_VM_CONFIGURATION 0x0109 /* struct shyper_configuration; extension */
#define SHYPER_VM_REMOVE 0x0110 /* value: VM id */

#define SHYPER_DISK_DONE 0x0331 /* value: index of the disk whose request is done */
#define SHYPER_DISK_FAILED 0x0333 /* value: index; an I/O error; extension */
#define SHYPER_DISK_FEATURES 0x0334 /* value: index | features << 16; returns those in force; extension */
#define SHYPER_DISK_DETACH 0x0335 /* value: index; the disk has no daemon any more; extension */

#define SHYPER_SIGNAL_TO 0x1002 /* value: process that gets SIGUSR1 when read() has a message for it */
#define SHYPER_OWN_ID 0x1004 /* __u32: the VM id */
#define SHYPER_SET_KERNEL_NAME 0x1005 /* struct shyper_kernel_name */
#define SHYPER_GET_KERNEL_NAME 0x1006 /* struct shyper_kernel_name_request */
#define SHYPER_DISK_APPEND 0x1010 /* struct shyper_disk, which is written back */

#define SHYPER_ADD_VM 0x1100 /* struct shyper_vm */
#define SHYPER_DELETE_VM 0x1101 /* value: VM id */
#define SHYPER_SET_CPU 0x1102 /* struct shyper_cpu */
#define SHYPER_ADD_REGION 0x1103 /* struct shyper_region */
#define SHYPER_ADD_EMULATED 0x1104 /* struct shyper_emulated */
#define SHYPER_ADD_PASSTHROUGH 0x1105 /* struct shyper_passthrough */
#define SHYPER_SET_IRQS 0x1106 /* struct shyper_numbers, at most 64 */
#define SHYPER_SET_STREAMS 0x1107 /* struct shyper_numbers, at most 16 */
#define SHYPER_ADD_DTB_DEVICE 0x1108 /* struct shyper_dtb_device */
#define SHYPER_UPLOAD_KERNEL 0x1109 /* struct shyper_upload */
#define SHYPER_SET_COLORS 0x110a /* struct shyper_colors */
#define SHYPER_UPLOAD_DEVICE_TREE 0x110b /* struct shyper_upload */
#define SHYPER_UPLOAD_RAMDISK 0x110c /* struct shyper_upload; extension */
#define SHYPER_NAME_FILE 0x110d /* struct shyper_file_name; extension */

#define SHYPER_NAME_SIZE 32 /* names of VMs and devices */
#define SHYPER_CMDLINE_SIZE 1024
#define SHYPER_CFG_ENTRIES 16
#define SHYPER_MAX_IRQS 64
#define SHYPER_MAX_STREAMS 16
#define SHYPER_MAX_COLORS 1024
#define SHYPER_FILE_NAME_SIZE 255

/* Addresses in these structures are the caller's, except for cache_ipa of an upload. Strings need no NUL. */

struct shyper_configuration {
    __u64 vm_id, buffer, size;
    __u64 length; /* out: of the whole text, which may be more than `size` */
};

struct shyper_vm {
    __u64 name_addr, name_len, vm_type, cmdline_addr, cmdline_len;
    __u64 kernel_load_ipa, device_tree_load_ipa, ramdisk_load_ipa;
    __u64 vm_id_addr; /* of the __u32 that gets the new VM's id */
};

struct shyper_cpu {
    __u64 vm_id;
    __u32 num, bitmap;
    __s32 master; /* core of the first vCPU, -1: none in particular */
    __u32 reserved;
};

struct shyper_region {
    __u64 vm_id, ipa_start, length;
};

struct shyper_emulated {
    __u64 vm_id, name_addr, name_len, base_ipa, length, irq_id, cfg_addr, cfg_len, emu_type;
};

struct shyper_passthrough {
    __u64 vm_id, base_ipa, base_pa, length;
};

struct shyper_numbers {
    __u64 vm_id, addr, count; /* of __u64 */
};

struct shyper_dtb_device {
    __u64 vm_id, name_addr, name_len, dev_type, irq_addr, irq_count, region_ipa, region_len;
};

/* A piece of a file. `cache_ipa`: physical address of its bytes, which follow each other. */
struct shyper_upload {
    __u64 vm_id, img_size, cache_ipa, load_offset, load_size;
};

struct shyper_colors {
    __u64 vm_id, color_num, colors_addr;
    __u32 budget, reserved;
};

struct shyper_file_name {
    __u64 vm_id, kind; /* 0 kernel, 1 configuration, 2 ramdisk */
    __u64 name_addr, name_len;
};

struct shyper_kernel_name {
    __u64 vm_id;
    char name[SHYPER_NAME_SIZE];
};

struct shyper_kernel_name_request {
    __u64 vm_id, name_addr; /* of SHYPER_NAME_SIZE bytes */
};

/* A mediated disk. Transfers go through the cache: memory of the daemon, which stays where it is while the disk is
 * registered. `index` is the daemon's own number for the disk. */
struct shyper_disk {
    char name[32], path[32];
    __u64 block_num; /* sectors of 512 bytes */
    __u64 dma_block_max; /* sectors of one request at most */
    __u64 cache_size;
    __u16 index;
    __u8 pcache, reserved[5];
    __u64 cache_va;
    __u64 cache_ipa; /* out: guest-physical address of the cache's first byte */
    __u64 cache_pa; /* out: its machine-physical address */
};

#define SHYPER_FEATURE_FLUSH 1 /* flushes come as requests */

enum { SHYPER_READ, SHYPER_WRITE, SHYPER_FLUSH };

#define SHYPER_MESSAGE_SIZE 256

/* What read() gives: one message of SHYPER_MESSAGE_SIZE bytes, or nothing when none waits. */
struct shyper_message {
    __u64 function, event;
    union {
        struct { /* 3, 0x20: a request for a disk */
            __u16 index, reserved;
            __u32 type;
            __u64 sector, count;
        } request;
        __u64 vm_id; /* 0x11, 9: upload this VM's kernel again, then boot it */
    };
};

#endif
