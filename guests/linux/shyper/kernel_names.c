// SPDX-License-Identifier: GPL-2.0-only
/* Names of VMs' kernels. A VM that begins again needs its kernel once more; whoever uploads it asks for its name. */
#include <linux/cleanup.h>
#include <linux/io.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "driver.h"
#include "hypercall.h"

#define MAX_NAMES 64
#define KERNEL 0 /* kind of a file */

static struct shyper_kernel_name names[MAX_NAMES]; /* unused: an empty name */
static DEFINE_MUTEX(names_lock);

static struct shyper_kernel_name *find_name(u64 vm_id)
{
    for (unsigned int i = 0; i < MAX_NAMES; i++)
        if (names[i].name[0] && names[i].vm_id == vm_id)
            return &names[i];
    return NULL;
}

static struct shyper_kernel_name *find_unused_name(void)
{
    for (unsigned int i = 0; i < MAX_NAMES; i++)
        if (!names[i].name[0])
            return &names[i];
    return NULL;
}

void kernel_name_forget(u64 vm_id)
{
    struct shyper_kernel_name *found;

    mutex_lock(&names_lock);
    found = find_name(vm_id);
    if (found)
        found->name[0] = '\0';
    mutex_unlock(&names_lock);
}

long name_file(u64 vm_id, u64 kind, char *name)
{
    return tell(HYPERCALL_NAME_FILE, vm_id, kind, virt_to_phys(name));
}

static long set_kernel_name(struct file *file, unsigned long address)
{
    struct shyper_kernel_name *request __free(kfree) = copy_structure(address, sizeof(*request));
    struct shyper_kernel_name *found;

    if (IS_ERR(request))
        return PTR_ERR(request);
    request->name[SHYPER_NAME_SIZE - 1] = '\0';
    if (!request->name[0])
        return -EINVAL;
    mutex_lock(&names_lock);
    found = find_name(request->vm_id) ?: find_unused_name();
    if (found)
        *found = *request;
    mutex_unlock(&names_lock);
    if (!found)
        return -ENOSPC;
    name_file(request->vm_id, KERNEL, request->name); /* for display only: Rust-Shyper does not know this call */
    return 0;
}

static long get_kernel_name(struct file *file, unsigned long address)
{
    struct shyper_kernel_name_request request;
    char name[SHYPER_NAME_SIZE] = "";
    const struct shyper_kernel_name *found;

    if (copy_from_user(&request, (void __user *)address, sizeof(request)))
        return -EFAULT;
    mutex_lock(&names_lock);
    found = find_name(request.vm_id);
    if (found)
        memcpy(name, found->name, sizeof(name));
    mutex_unlock(&names_lock);
    if (!found)
        return -ENOENT;
    return copy_to_user(u64_to_user_ptr(request.name_addr), name, sizeof(name)) ? -EFAULT : 0;
}

const struct call kernel_name_calls[] = {
    {SHYPER_SET_KERNEL_NAME, set_kernel_name},
    {SHYPER_GET_KERNEL_NAME, get_kernel_name},
    {},
};
