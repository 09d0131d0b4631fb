/* What a guest VM may not do: manage. Arguments are such that each call would have an effect if VM 0 made it. */
#include "machine.h"
#include "print.h"
#include "steps.h"
#include "string.h"

static uint8_t page[4096] __attribute__((aligned(4096)));
static uint64_t pages[8];

void run_refused(void)
{
    uint64_t id[2];
    memset(id, UNTOUCHED, sizeof id);
    CALL("getvmid", VM_GET_ID, AT(id));
    show_bytes("getvmid", id, sizeof id);
    uint64_t add[8] = {AT("intruder"), 8, 0, AT(""), 0, 0x80200000, 0, 0};
    memset(page, UNTOUCHED, sizeof page);
    CALL("reboot system", SYS_REBOOT, 0);
    CALL("shutdown system", SYS_SHUTDOWN, 0);
    CALL("update", HYPERCALL(0, 3), 0);
    CALL("test", SYS_TEST, 0);
    CALL("list", VM_LIST, AT(page));
    show_bytes("list", page, 64);
    CALL("state", VM_STATE, 0);
    CALL("boot", VM_BOOT, 2);
    CALL("shutdown", VM_SHUTDOWN, 0);
    CALL("reboot", VM_REBOOT, 0);
    CALL("reboot force", VM_REBOOT, 1 << 16);
    CALL("remove", VM_REMOVE, 2);
    CALL("append", DISK_APPEND, 0, AT(page));
    CALL("done", DISK_DONE, AT(page));
    CALL("add", CONFIG_ADD_VM, AT(add));
    CALL("delete", CONFIG_DELETE_VM, 2);
    CALL("cpu", CONFIG_CPU, 2, 1, 2, 1);
    CALL("memory", CONFIG_MEMORY, 2, 0x80000000, 0x200000);
    CALL7("device", CONFIG_DEVICE, 13, 2, AT("plic"), 0xc000000, 0x600000, 0, AT(page));
    CALL("region", CONFIG_PASSTHROUGH, 2, 0x50000000, 0x10004000, 0x1000);
    CALL("irqs", CONFIG_IRQS, 2, AT(page), 1);
    CALL("streams", CONFIG_STREAMS, 2, AT(page), 1);
    CALL7("dtb", CONFIG_DTB_DEVICE, 0x1000, 2, AT("dtb"), 0, AT(page), 1, 0x1000);
    CALL("kernel", CONFIG_KERNEL, 2, 16, AT(page), 0, 16);
    CALL("colors", CONFIG_COLORS, 2, 1, AT(page), 1);
    CALL("tree", CONFIG_TREE, 2, 16, AT(page), 0, 16);
    sweep("unknown", 5, 0, 7);
    /* these two are open to every VM */
    CALL("queue", MESSAGE_QUEUE, AT(pages), AT(page));
    CALL("share", SHARE_MEMORY, 0, 0x1000);
}
