// SPDX-License-Identifier: GPL-2.0-only
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>

#include "driver.h"

static long device_ioctl(struct file *file, unsigned int number, unsigned long argument)
{
    static const struct call *const tables[] = {
        control_calls, configuration_calls, kernel_name_calls, disk_calls, daemon_calls,
    };

    for (unsigned int i = 0; i < ARRAY_SIZE(tables); i++)
        for (const struct call *call = tables[i]; call->perform; call++)
            if (call->number == number)
                return call->perform(file, argument);
    return -ENOTTY;
}

static int device_release(struct inode *inode, struct file *file)
{
    disks_release(file);
    return 0;
}

static const struct file_operations operations = {
    .owner = THIS_MODULE, /* the module stays while a file is open, thus while disks are registered */
    .read = daemon_read,
    .poll = daemon_poll,
    .unlocked_ioctl = device_ioctl,
    .compat_ioctl = compat_ptr_ioctl,
    .release = device_release,
    .llseek = noop_llseek,
};

static struct miscdevice device = {
    .minor = MISC_DYNAMIC_MINOR,
    .name = "shyper",
    .fops = &operations,
    .mode = 0600,
};

int node_create(void)
{
    return misc_register(&device);
}

void node_remove(void)
{
    misc_deregister(&device);
}
