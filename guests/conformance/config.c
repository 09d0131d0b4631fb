/* Type 0x11: definitions, pieces of kernels; type 3: disks of a daemon. */
#include "print.h"
#include "steps.h"
#include "string.h"

#define KERNEL 0x80200000ul
#define TREE 0x80800000ul

extern const uint8_t payload[], payload_end[];

struct add_vm {
    uint64_t name, name_length, type, cmdline, cmdline_length, kernel, tree, ramdisk;
};

static uint8_t page[4096] __attribute__((aligned(4096)));
static uint64_t settings[16], irqs[64];
static const char overlay[] = "not really a device tree, only bytes";

static int64_t add(const char *step_name, const char *name, const char *cmdline, uint64_t type)
{
    struct add_vm add = {AT(name), 3, type, AT(cmdline), 2, KERNEL, TREE, 0}; /* the lengths do not count */
    return CALL(step_name, CONFIG_ADD_VM, AT(&add));
}

static void list(const char *name)
{
    memset(page, UNTOUCHED, sizeof page);
    CALL(name, VM_LIST, AT(page));
    show_bytes(name, page, 8 + 8 * 44 + 8);
}

static int64_t device(const char *step_name, uint64_t vm, const char *name, uint64_t base, uint64_t length,
                      uint64_t irq, uint64_t first, uint64_t second, uint64_t type)
{
    memset(settings, 0, sizeof settings);
    settings[0] = first;
    settings[1] = second;
    return CALL7(step_name, CONFIG_DEVICE, type, vm, AT(name), base, length, irq, AT(settings));
}

/* Definitions without a VM: every call of the type, and what it refuses. VMs 1..3 stay configured. */
void run_config(void)
{
    static const char name[] = "guest-os-1\0garbage", cmdline[] = "console=hvc0 root=/dev/vda\0more";
    static const char long_name[] = "abcdefghijklmnopqrstuvwxyz-123456789";
    uint64_t nowhere = 0x80000000;

    add("add", name, cmdline, 0);
    add("add bare", "bare", "", 1);
    add("add long", long_name, cmdline, 0);
    list("list added");
    CALL("add bad struct", CONFIG_ADD_VM, nowhere);
    add("add bad name", (const char *)nowhere, cmdline, 0);
    add("add bad cmdline", name, (const char *)nowhere, 0);

    CALL("memory", CONFIG_MEMORY, 1, 0x80000000, 16 << 20);
    CALL("memory 2", CONFIG_MEMORY, 1, 0xc0000000, 0x200000);
    CALL("memory unknown", CONFIG_MEMORY, 6, 0x80000000, 16 << 20);
    CALL("cpu", CONFIG_CPU, 1, 2, 0xf6, 2);
    CALL("cpu bare", CONFIG_CPU, 2, 8, 0x4, 3);
    CALL("cpu long", CONFIG_CPU, 3, 1, 0xe, (uint64_t)-1);
    CALL("cpu unknown", CONFIG_CPU, 6, 1, 2, 1);
    for (unsigned i = 0; i < 16; i++)
        settings[i] = 0x1111111111111111ul * i;
    CALL7("device", CONFIG_DEVICE, 5, 1, AT("virtio_console@40001000"), 0x40001000, 0x1000, 21, AT(settings));
    device("device plic", 1, "plic@c000000", 0xc000000, 0x600000, 0, 0, 0, 13);
    device("device unknown", 6, "plic@c000000", 0xc000000, 0x600000, 0, 0, 0, 13);
    CALL7("device bad name", CONFIG_DEVICE, 5, 1, nowhere, 0x40001000, 0x1000, 21, AT(settings));
    CALL7("device bad settings", CONFIG_DEVICE, 5, 1, AT(name), 0x40001000, 0x1000, 21, nowhere);
    device("device no disk", 1, "virtio_blk@10001000", 0x10001000, 0x1000, 19, 0, 8192, 7);
    CALL("region", CONFIG_PASSTHROUGH, 1, 0x50000000, 0x10004000, 0x1000);
    CALL("region unknown", CONFIG_PASSTHROUGH, 6, 0x50000000, 0x10004000, 0x1000);
    irqs[0] = 40;
    irqs[1] = 41;
    CALL("irqs", CONFIG_IRQS, 1, AT(irqs), 2);
    CALL("irqs bad", CONFIG_IRQS, 1, nowhere, 2);
    CALL("irqs too many", CONFIG_IRQS, 1, AT(irqs), 1ul << 40);
    CALL("irqs unknown", CONFIG_IRQS, 6, AT(irqs), 2);
    CALL("streams", CONFIG_STREAMS, 1, AT(irqs), 1);
    CALL("streams bad", CONFIG_STREAMS, 1, nowhere, 1);
    CALL7("dtb", CONFIG_DTB_DEVICE, 0x1000, 1, AT("serial@1000"), 0, AT(irqs), 2, 0x1000);
    CALL7("dtb bad name", CONFIG_DTB_DEVICE, 0x1000, 1, nowhere, 0, AT(irqs), 2, 0x1000);
    CALL7("dtb bad irqs", CONFIG_DTB_DEVICE, 0x1000, 1, AT("serial@1000"), 0, nowhere, 2, 0x1000);
    CALL("colors", CONFIG_COLORS, 1, 2, AT(irqs), 4096);
    CALL("colors unknown", CONFIG_COLORS, 6, 2, AT(irqs), 4096);
    CALL("tree 1", CONFIG_TREE, 1, sizeof overlay, AT(overlay), 0, 20);
    CALL("tree 2", CONFIG_TREE, 1, sizeof overlay, AT(overlay + 20), 20, sizeof overlay);
    CALL("tree bad", CONFIG_TREE, 1, sizeof overlay, nowhere, 0, sizeof overlay);
    CALL("tree unknown", CONFIG_TREE, 6, sizeof overlay, AT(overlay), 0, sizeof overlay);
    CALL("kernel unknown", CONFIG_KERNEL, 6, 0x200, AT(payload), 0, 0x200);
    CALL("kernel bad", CONFIG_KERNEL, 1, 0x200, nowhere, 0, 0x200);
    sweep("config c-ff", 0x11, 0xc, 0xff);

    for (unsigned i = 0; i < 5; i++) /* 4, 5, 6, 7, and then all eight ids are given */
        add("add more", "more", "", 0);
    CALL("delete", CONFIG_DELETE_VM, 5);
    add("add lowest free", "again", "", 0);
    for (uint64_t id = 4; id < 8; id++)
        CALL("delete more", CONFIG_DELETE_VM, id);
    CALL("delete unknown", CONFIG_DELETE_VM, 7);
    CALL("delete 0", CONFIG_DELETE_VM, 0);
    list("list kept");
}

/* VM 1, from nothing to its kernel, which the last of three pieces announces with the size of the whole file. */
void run_upload(void)
{
    uint64_t size = (uint64_t)(payload_end - payload);
    for (uint64_t id = 1; id < 8; id++)
        hypercall1(CONFIG_DELETE_VM, id);
    add("add", "payload", "none", 0);
    CALL("memory", CONFIG_MEMORY, 1, 0x80000000, 16 << 20);
    CALL("cpu", CONFIG_CPU, 1, 1, 2, (uint64_t)-1);
    device("plic", 1, "plic@c000000", 0xc000000, 0x600000, 0, 0, 0, 13);
    device("console", 1, "virtio_console@40001000", 0x40001000, 0x1000, 21, 0, 0x40001000, 5);
    CALL("piece 1", CONFIG_KERNEL, 1, size, AT(payload), 0, 100);
    CALL("state created", VM_STATE, 1);
    CALL("piece 2", CONFIG_KERNEL, 1, size, AT(payload + 100), 100, 50);
    memcpy(page, payload + 150, size - 150);
    memset(page + size - 150, UNTOUCHED, sizeof page - (size - 150)); /* behind the file: must not be copied */
    CALL("piece 3", CONFIG_KERNEL, 1, size, AT(page), 150, size);
    CALL("memory late", CONFIG_MEMORY, 1, 0xd0000000, 16 << 20);
    CALL("beyond", CONFIG_KERNEL, 1, 64ul << 20, AT(payload), 32ul << 20, 100);
    add("add odd", "odd", "", 0);
    CALL("odd memory", CONFIG_MEMORY, 2, 0x80000000, 16 << 20);
    CALL("odd cpu", CONFIG_CPU, 2, 1, 4, (uint64_t)-1);
    int64_t accepted = device("odd device", 2, "sre", 0x8000000, 0x1000, 0, 0, 0, 9); /* no such device exists here */
    CALL(accepted ? "odd kernel (device refused)" : "odd kernel", CONFIG_KERNEL, 2, size, AT(payload), 0, size);
    CALL("odd delete", CONFIG_DELETE_VM, 2);
    show_bytes("payload", payload, size);
}

/* Two disks of a daemon, and the VMs that get them: by order, not by id. */
static struct {
    uint64_t requests;
    struct {
        char name[32], path[32];
        uint64_t sectors, dma_sectors, cache_size;
        uint16_t index;
        bool page_cache;
        uint64_t cache_va, cache_ipa, cache_pa;
    } descriptor;
    uint32_t type;
    uint64_t sector, count;
    uint8_t rest[4096 - 152];
} disks[2] __attribute__((aligned(4096)));
_Static_assert(sizeof disks[0] == 4096 && offsetof(__typeof__(disks[0]), type) == 128, "the disk page");

static uint8_t caches[2][8192] __attribute__((aligned(4096)));

void run_mediated(void)
{
    for (unsigned i = 0; i < 2; i++) {
        memset(&disks[i], UNTOUCHED, sizeof disks[i]);
        format_to(disks[i].descriptor.name, 32, "MEDBLK%u", i);
        format_to(disks[i].descriptor.path, 32, "/root/disk%u.img", i);
        disks[i].requests = 5;
        disks[i].descriptor.sectors = 8192;
        disks[i].descriptor.dma_sectors = sizeof caches[i] / 512;
        disks[i].descriptor.cache_size = sizeof caches[i];
        disks[i].descriptor.index = (uint16_t)i;
        disks[i].descriptor.cache_va = 0x3f00000000ul;
        disks[i].descriptor.cache_ipa = AT(caches[i]);
        show_bytes(i ? "page 1 before" : "page 0 before", &disks[i], 256);
    }
    for (uint64_t id = 1; id < 8; id++)
        hypercall1(CONFIG_DELETE_VM, id);
    add("add 1", "first", "", 0);
    add("add 2", "second", "", 0);
    device("no disk", 1, "virtio_blk@10001000", 0x10001000, 0x1000, 19, 0, 64, 7);
    CALL("append bad page", DISK_APPEND, 0, 0x80000000);
    CALL("append 0", DISK_APPEND, 0, AT(&disks[0]));
    show_bytes("page 0", &disks[0], 256);
    device("disk for 2", 2, "virtio_blk@10001000", 0x10001000, 0x1000, 19, 0, 64, 7);
    device("none for 1", 1, "virtio_blk@10001000", 0x10001000, 0x1000, 19, 0, 64, 7);
    CALL("append 1", DISK_APPEND, 1, AT(&disks[1]));
    show_bytes("page 1", &disks[1], 256);
    device("disk for 1", 1, "virtio_blk@10001000", 0x10001000, 0x1000, 19, 0, 64, 7);
    CALL("done without request", DISK_DONE, AT(&disks[0]));
    CALL("done unknown", DISK_DONE, AT(page));
    CALL("done nowhere", DISK_DONE, 0);
    sweep("mediated 0-2f", 3, 0, 0x2f);
    sweep("mediated 32-ff", 3, 0x32, 0xff);
    CALL("delete 2", CONFIG_DELETE_VM, 2);
    add("add 2 again", "third", "", 0);
    device("disk for 2 again", 2, "virtio_blk@10001000", 0x10001000, 0x1000, 19, 0, 64, 7);
}
