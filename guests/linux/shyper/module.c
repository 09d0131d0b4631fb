// SPDX-License-Identifier: GPL-2.0-only
/* /dev/shyper: the hypervisor's calls and messages for programs of this VM. */
#include <linux/module.h>

#include "driver.h"

static int __init shyper_init(void)
{
    s64 vm_id = own_vm_id();
    int error;

    if (vm_id < 0) {
        warning("there is no hypervisor below this system, or one that is not known");
        return vm_id;
    }
    error = ring_open();
    if (error)
        return error;
    error = node_create();
    if (error) {
        warning("/dev/shyper cannot be made (%d)", error);
        ring_close();
        return error;
    }
    info("/dev/shyper is there; this is VM %lld", vm_id);
    return 0;
}

static void __exit shyper_exit(void)
{
    node_remove();
    ring_close();
    disks_free();
    daemons_free();
    info("/dev/shyper is gone");
}

module_init(shyper_init);
module_exit(shyper_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Interface of a hypervisor with Rust-Shyper's calls, for programs of its VMs");
MODULE_AUTHOR("Shyper-TUI");
