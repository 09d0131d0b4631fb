// SPDX-License-Identifier: GPL-2.0-only
/* The machine, and the life of VMs. */
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/io.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "driver.h"
#include "hypercall.h"

#define MAX_CONFIGURATION (1u << 20)

static long reboot(struct file *file, unsigned long argument)
{
    return tell(SHYPER_SYS_REBOOT);
}

static long shutdown(struct file *file, unsigned long argument)
{
    return tell(SHYPER_SYS_SHUTDOWN);
}

static long test(struct file *file, unsigned long argument)
{
    return tell(SHYPER_SYS_TEST);
}

static long update(struct file *file, unsigned long size)
{
    return tell(SHYPER_SYS_UPDATE, size);
}

static long list(struct file *file, unsigned long address)
{
    void *page __free(kfree) = kzalloc(PAGE_SIZE, GFP_KERNEL);
    long error;

    if (!page)
        return -ENOMEM;
    error = tell(HYPERCALL_LIST, virt_to_phys(page));
    if (error)
        return error;
    return copy_to_user((void __user *)address, page, PAGE_SIZE) ? -EFAULT : 0;
}

static long boot(struct file *file, unsigned long vm_id)
{
    return tell(SHYPER_VM_BOOT, vm_id);
}

static long shutdown_vm(struct file *file, unsigned long vm_and_force)
{
    return tell(SHYPER_VM_SHUTDOWN, vm_and_force);
}

static long reboot_vm(struct file *file, unsigned long vm_and_force)
{
    return tell(SHYPER_VM_REBOOT, vm_and_force);
}

static long remove(struct file *file, unsigned long vm_id)
{
    long error = tell(SHYPER_VM_REMOVE, vm_id);

    if (!error)
        kernel_name_forget(vm_id);
    return error;
}

s64 own_vm_id(void)
{
    u64 *vm_id __free(kfree) = kzalloc(sizeof(*vm_id), GFP_KERNEL);

    if (!vm_id)
        return -ENOMEM;
    if (ask(HYPERCALL_VM_ID, virt_to_phys(vm_id)))
        return -ENODEV;
    return *vm_id;
}

static long get_vm_id(struct file *file, unsigned long address)
{
    s64 vm_id = own_vm_id();

    if (vm_id < 0)
        return vm_id;
    return put_user((u64)vm_id, (u64 __user *)address);
}

static long get_own_id(struct file *file, unsigned long address)
{
    s64 vm_id = own_vm_id();

    if (vm_id < 0)
        return vm_id;
    return put_user((u32)vm_id, (u32 __user *)address);
}

static long get_configuration(struct file *file, unsigned long address)
{
    struct shyper_configuration __user *user = (void __user *)address;
    struct shyper_configuration request;
    char *text __free(kfree) = NULL;
    long length;
    u64 size;

    if (copy_from_user(&request, user, sizeof(request)))
        return -EFAULT;
    length = ask(HYPERCALL_CONFIGURATION, request.vm_id); /* how long is it? */
    if (length < 0)
        return -EPERM;
    size = min3(request.size, (u64)length, (u64)MAX_CONFIGURATION);
    if (size) {
        text = kzalloc(size, GFP_KERNEL);
        if (!text)
            return -ENOMEM;
        length = ask(HYPERCALL_CONFIGURATION, request.vm_id, virt_to_phys(text), size);
        if (length < 0)
            return -EPERM;
        if (copy_to_user(u64_to_user_ptr(request.buffer), text, min(size, (u64)length)))
            return -EFAULT;
    }
    return put_user((u64)length, &user->length);
}

const struct call control_calls[] = {
    {SHYPER_SYS_REBOOT, reboot},
    {SHYPER_SYS_SHUTDOWN, shutdown},
    {SHYPER_SYS_UPDATE, update},
    {SHYPER_SYS_TEST, test},
    {SHYPER_VM_LIST, list},
    {SHYPER_VM_BOOT, boot},
    {SHYPER_VM_SHUTDOWN, shutdown_vm},
    {SHYPER_VM_REBOOT, reboot_vm},
    {SHYPER_VM_ID, get_vm_id},
    {SHYPER_VM_CONFIGURATION, get_configuration},
    {SHYPER_VM_REMOVE, remove},
    {SHYPER_OWN_ID, get_own_id},
    {},
};
