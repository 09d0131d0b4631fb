/* Types 0 and 1: the machine, the VMs. */
#include "print.h"
#include "steps.h"
#include "string.h"

static uint8_t page[4096] __attribute__((aligned(4096)));

static void list(const char *name, size_t shown)
{
    memset(page, UNTOUCHED, sizeof page);
    CALL(name, VM_LIST, AT(page));
    show_bytes(name, page, shown);
}

void run_vms(void)
{
    uint64_t id[2];
    CALL("test", SYS_TEST, 0);
    sweep("system", 0, 5, 0xff); /* 0, 1: reboot and shutdown, 3: update, 4: test */
    CALL("system 2", HYPERCALL(0, 2), 0);
    CALL("update", HYPERCALL(0, 3), 0x1000);
    memset(id, UNTOUCHED, sizeof id);
    CALL("getvmid", VM_GET_ID, AT(id));
    show_bytes("getvmid", id, sizeof id);
    list("list", sizeof page);
    CALL("state 0", VM_STATE, 0);
    CALL("state 5", VM_STATE, 5);
    CALL("state huge", VM_STATE, 1ul << 32);
    CALL("boot 5", VM_BOOT, 5);
    CALL("boot 8", VM_BOOT, 8);
    CALL("boot 0", VM_BOOT, 0);
    CALL("shutdown 5", VM_SHUTDOWN, 5);
    CALL("reboot 5", VM_REBOOT, 5);
    CALL("reboot 5 force", VM_REBOOT, 5 | 1 << 16);
    CALL("remove 0", VM_REMOVE, 0);
    CALL("remove 5", VM_REMOVE, 5);
    sweep("vm 5-7", 1, 5, 7);
    sweep("vm 9-f", 1, 9, 0xf); /* migration and default configurations */
    sweep("vm 11-ff", 1, 0x11, 0xff);
}

/* The VM that `upload` made. */
void run_lifecycle(void)
{
    list("list pending", 8 + 3 * 44);
    CALL("state pending", VM_STATE, 1);
    CALL("boot", VM_BOOT, 1);
    list("list active", 8 + 3 * 44);
    CALL("state active", VM_STATE, 1);
    CALL("boot again", VM_BOOT, 1);
}
