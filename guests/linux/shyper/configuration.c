// SPDX-License-Identifier: GPL-2.0-only
/* The configuration of a VM, piece by piece, and its files. */
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/io.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "driver.h"
#include "hypercall.h"

static long add_vm(struct file *file, unsigned long address)
{
    struct shyper_vm *vm __free(kfree) = copy_structure(address, sizeof(*vm));
    char *name __free(kfree) = NULL;
    char *cmdline __free(kfree) = NULL;
    u32 __user *vm_id_at;
    long vm_id;

    if (IS_ERR(vm))
        return PTR_ERR(vm);
    name = copy_text(vm->name_addr, vm->name_len, SHYPER_NAME_SIZE);
    if (IS_ERR(name))
        return PTR_ERR(name);
    cmdline = copy_text(vm->cmdline_addr, vm->cmdline_len, SHYPER_CMDLINE_SIZE);
    if (IS_ERR(cmdline))
        return PTR_ERR(cmdline);
    vm_id_at = u64_to_user_ptr(vm->vm_id_addr);
    vm->name_addr = virt_to_phys(name);
    vm->cmdline_addr = virt_to_phys(cmdline);
    vm->vm_id_addr = 0;
    vm_id = ask(SHYPER_ADD_VM, virt_to_phys(vm));
    if (vm_id < 0)
        return -EPERM;
    kernel_name_forget(vm_id);
    if (put_user((u32)vm_id, vm_id_at)) { /* nobody would know it */
        ask(HYPERCALL_DELETE_VM, vm_id);
        return -EFAULT;
    }
    return 0;
}

static long delete_vm(struct file *file, unsigned long vm_id)
{
    long error = tell(SHYPER_DELETE_VM, vm_id);

    if (!error)
        kernel_name_forget(vm_id);
    return error;
}

static long set_cpu(struct file *file, unsigned long address)
{
    struct shyper_cpu cpu;

    if (copy_from_user(&cpu, (void __user *)address, offsetof(struct shyper_cpu, reserved)))
        return -EFAULT;
    return tell(SHYPER_SET_CPU, cpu.vm_id, cpu.num, cpu.bitmap, (s64)cpu.master);
}

static long add_region(struct file *file, unsigned long address)
{
    struct shyper_region region;

    if (copy_from_user(&region, (void __user *)address, sizeof(region)))
        return -EFAULT;
    return tell(SHYPER_ADD_REGION, region.vm_id, region.ipa_start, region.length);
}

static long add_emulated(struct file *file, unsigned long address)
{
    struct shyper_emulated device;
    char *name __free(kfree) = NULL;
    u64 *cfg __free(kfree) = NULL;

    if (copy_from_user(&device, (void __user *)address, sizeof(device)))
        return -EFAULT;
    name = copy_text(device.name_addr, device.name_len, SHYPER_NAME_SIZE);
    if (IS_ERR(name))
        return PTR_ERR(name);
    cfg = copy_numbers(device.cfg_addr, device.cfg_len, SHYPER_CFG_ENTRIES);
    if (IS_ERR(cfg))
        return PTR_ERR(cfg);
    return tell(SHYPER_ADD_EMULATED, device.vm_id, virt_to_phys(name), device.base_ipa, device.length, device.irq_id,
                virt_to_phys(cfg), device.emu_type);
}

static long add_passthrough(struct file *file, unsigned long address)
{
    struct shyper_passthrough region;

    if (copy_from_user(&region, (void __user *)address, sizeof(region)))
        return -EFAULT;
    return tell(SHYPER_ADD_PASSTHROUGH, region.vm_id, region.base_ipa, region.base_pa, region.length);
}

static long send_numbers(u16 number, unsigned long address, u64 most)
{
    struct shyper_numbers list;
    u64 *numbers __free(kfree) = NULL;

    if (copy_from_user(&list, (void __user *)address, sizeof(list)))
        return -EFAULT;
    numbers = copy_numbers(list.addr, list.count, most);
    if (IS_ERR(numbers))
        return PTR_ERR(numbers);
    return tell(number, list.vm_id, virt_to_phys(numbers), list.count);
}

static long set_irqs(struct file *file, unsigned long address)
{
    return send_numbers(SHYPER_SET_IRQS, address, SHYPER_MAX_IRQS);
}

static long set_streams(struct file *file, unsigned long address)
{
    return send_numbers(SHYPER_SET_STREAMS, address, SHYPER_MAX_STREAMS);
}

static long add_dtb_device(struct file *file, unsigned long address)
{
    struct shyper_dtb_device device;
    char *name __free(kfree) = NULL;
    u64 *irqs __free(kfree) = NULL;

    if (copy_from_user(&device, (void __user *)address, sizeof(device)))
        return -EFAULT;
    name = copy_text(device.name_addr, device.name_len, SHYPER_NAME_SIZE);
    if (IS_ERR(name))
        return PTR_ERR(name);
    irqs = copy_numbers(device.irq_addr, device.irq_count, SHYPER_MAX_IRQS);
    if (IS_ERR(irqs))
        return PTR_ERR(irqs);
    return tell(SHYPER_ADD_DTB_DEVICE, device.vm_id, virt_to_phys(name), device.dev_type, virt_to_phys(irqs),
                device.irq_count, device.region_ipa, device.region_len);
}

static long send_piece(u16 number, unsigned long address)
{
    struct shyper_upload piece;

    if (copy_from_user(&piece, (void __user *)address, sizeof(piece)))
        return -EFAULT;
    return tell(number, piece.vm_id, piece.img_size, piece.cache_ipa, piece.load_offset, piece.load_size);
}

static long upload_kernel(struct file *file, unsigned long address)
{
    return send_piece(SHYPER_UPLOAD_KERNEL, address);
}

static long upload_device_tree(struct file *file, unsigned long address)
{
    return send_piece(SHYPER_UPLOAD_DEVICE_TREE, address);
}

static long upload_ramdisk(struct file *file, unsigned long address)
{
    return send_piece(SHYPER_UPLOAD_RAMDISK, address);
}

static long set_colors(struct file *file, unsigned long address)
{
    struct shyper_colors request;
    u64 *colors __free(kfree) = NULL;

    if (copy_from_user(&request, (void __user *)address, offsetof(struct shyper_colors, reserved)))
        return -EFAULT;
    colors = copy_numbers(request.colors_addr, request.color_num, SHYPER_MAX_COLORS);
    if (IS_ERR(colors))
        return PTR_ERR(colors);
    return tell(SHYPER_SET_COLORS, request.vm_id, request.color_num, virt_to_phys(colors), request.budget);
}

static long name_users_file(struct file *file, unsigned long address)
{
    struct shyper_file_name request;
    char *name __free(kfree) = NULL;

    if (copy_from_user(&request, (void __user *)address, sizeof(request)))
        return -EFAULT;
    name = copy_text(request.name_addr, request.name_len, SHYPER_FILE_NAME_SIZE);
    if (IS_ERR(name))
        return PTR_ERR(name);
    return name_file(request.vm_id, request.kind, name);
}

const struct call configuration_calls[] = {
    {SHYPER_ADD_VM, add_vm},
    {SHYPER_DELETE_VM, delete_vm},
    {SHYPER_SET_CPU, set_cpu},
    {SHYPER_ADD_REGION, add_region},
    {SHYPER_ADD_EMULATED, add_emulated},
    {SHYPER_ADD_PASSTHROUGH, add_passthrough},
    {SHYPER_SET_IRQS, set_irqs},
    {SHYPER_SET_STREAMS, set_streams},
    {SHYPER_ADD_DTB_DEVICE, add_dtb_device},
    {SHYPER_UPLOAD_KERNEL, upload_kernel},
    {SHYPER_SET_COLORS, set_colors},
    {SHYPER_UPLOAD_DEVICE_TREE, upload_device_tree},
    {SHYPER_UPLOAD_RAMDISK, upload_ramdisk},
    {SHYPER_NAME_FILE, name_users_file},
    {},
};
