/* What the kernel module behind /dev/shyper understands: numbers and structures of its ioctl calls.
 *
 * A number is type << 8 | event of the hypercall behind it. Those marked "extension" are of this project's module; the
 * original's refuses them.
 */
#pragma once

#include <stdint.h>

#define DEVICE_NODE "/dev/shyper"

enum {
    SYS_REBOOT = 0x0000,
    SYS_SHUTDOWN = 0x0001,
    SYS_UPDATE = 0x0003,
    SYS_TEST = 0x0004,
    VM_LIST = 0x0100,     /* struct vm_page */
    VM_BOOT = 0x0102,     /* value */
    VM_SHUTDOWN = 0x0103, /* value: VM id, 1 << 16 for force */
    VM_REBOOT = 0x0104,   /* the same */
    VM_GET_ID = 0x0108,   /* uint64_t */
    VM_GET_CONFIG = 0x0109, /* struct config_text; extension */
    VM_REMOVE = 0x0110,     /* value */
    DISK_DONE = 0x0331,     /* value: index */
    DISK_FAILED = 0x0333,   /* value: index; extension */
    DISK_ABILITIES = 0x0334, /* value: index | abilities << 16, gives those in force; extension */
    DISK_DETACH = 0x0335,    /* value: index; extension */
    SIGNAL_TO = 0x1002,      /* value: process that gets SIGUSR1 */
    OWN_VM_ID = 0x1004,      /* uint32_t */
    SET_KERNEL_NAME = 0x1005, /* struct kernel_name */
    GET_KERNEL_NAME = 0x1006, /* struct kernel_name_request */
    DISK_APPEND = 0x1010,     /* struct disk_descriptor */
    ADD_VM = 0x1100,          /* struct add_vm */
    DELETE_VM = 0x1101,       /* value */
    SET_CPU = 0x1102,
    ADD_REGION = 0x1103,
    ADD_EMULATED = 0x1104,
    ADD_PASSTHROUGH = 0x1105,
    SET_IRQS = 0x1106,
    SET_STREAMS = 0x1107,
    ADD_DTB_DEVICE = 0x1108,
    UPLOAD_KERNEL = 0x1109, /* struct upload */
    SET_COLORS = 0x110a,
    UPLOAD_TREE = 0x110b,    /* struct upload */
    UPLOAD_RAMDISK = 0x110c, /* struct upload; extension */
    SET_FILE_NAME = 0x110d,  /* struct file_name; extension */
};

#define FORCE (1u << 16)

/* VM list */

enum { VM_INACTIVE, VM_PENDING, VM_ACTIVE };

struct vm_entry {
    uint32_t id;
    char name[32];
    uint32_t type, state;
};

struct vm_page {
    uint64_t count;
    struct vm_entry entries[16];
    char rest[4096 - 8 - 16 * 44];
};
_Static_assert(sizeof(struct vm_page) == 4096, "the module copies a page");

struct config_text {
    uint64_t vm_id, buffer, size, length; /* length: of the whole text */
};

/* Configuration; addresses are those of this process */

struct add_vm {
    uint64_t name, name_length, type, cmdline, cmdline_length;
    uint64_t kernel_load_ipa, device_tree_load_ipa, ramdisk_load_ipa;
    uint64_t id; /* address of the uint32_t that gets the id */
};

struct set_cpu {
    uint64_t vm_id;
    uint32_t num, bitmap;
    int32_t master;
    uint32_t padding;
};

struct add_region {
    uint64_t vm_id, ipa_start, length;
};

struct add_emulated {
    uint64_t vm_id, name, name_length, base_ipa, length, irq_id, cfg, cfg_length, type;
};

struct add_passthrough {
    uint64_t vm_id, base_ipa, base_pa, length;
};

struct number_list {
    uint64_t vm_id, numbers, count;
};

struct add_dtb_device {
    uint64_t vm_id, name, name_length, type, irqs, irq_count, ipa, length;
};

struct set_colors {
    uint64_t vm_id, count, colors;
    uint32_t budget, padding;
};

struct upload {
    uint64_t vm_id, file_size, buffer_ipa, offset, size;
};

struct kernel_name {
    uint64_t vm_id;
    char name[32];
};

struct kernel_name_request {
    uint64_t vm_id, name; /* address of 32 bytes */
};

enum { NAME_OF_KERNEL, NAME_OF_CONFIG, NAME_OF_RAMDISK };

struct file_name {
    uint64_t vm_id, kind, name, length; /* at most 255 bytes */
};

/* Mediated disks */

struct disk_descriptor {
    char name[32], path[32];
    uint64_t sectors, transfer_sectors, cache_size;
    uint16_t index;
    uint8_t page_cache, padding[5];
    uint64_t cache_va, cache_ipa, cache_pa;
};
_Static_assert(sizeof(struct disk_descriptor) == 120, "the module copies 120 bytes");

#define WANTS_FLUSH 1u /* ability: flush requests are delivered like reads and writes */

enum { REQUEST_READ, REQUEST_WRITE, REQUEST_FLUSH };

/* What read() of the device gives: one message in a slot of 256 bytes */
#define MESSAGE_SIZE 256
#define FROM_DISK 3, 0x20
#define FROM_LOADER 0x11, 9

struct message {
    uint64_t kind, event;
    union {
        struct {
            uint16_t index, padding;
            uint32_t type;
            uint64_t sector, count;
        } disk;
        uint64_t vm_id; /* please upload this VM's kernel again, and boot it */
    };
    char rest[MESSAGE_SIZE - 40];
};
_Static_assert(sizeof(struct message) == MESSAGE_SIZE, "a slot");
