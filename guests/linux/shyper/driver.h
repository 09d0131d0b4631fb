/* SPDX-License-Identifier: GPL-2.0-only */
/* The parts of the driver, and what each does for the others. */
#ifndef SHYPER_DRIVER_H
#define SHYPER_DRIVER_H

#include <linux/fs.h>
#include <linux/pid.h>
#include <linux/types.h>

#include "abi.h"

#undef pr_fmt
#define pr_fmt(fmt) fmt
#define info(fmt, ...) pr_info("[Shyper MOD INFO] " fmt "\n", ##__VA_ARGS__)
#define warning(fmt, ...) pr_warn("[Shyper MOD WARNING] " fmt "\n", ##__VA_ARGS__)

/* One number of ioctl(). The result is 0, a value, or a negative errno: -EFAULT for an address that the caller does
 * not have, -E2BIG for more than there is room for, -EPERM when the hypervisor refuses. */
struct call {
    unsigned int number;
    long (*perform)(struct file *file, unsigned long argument);
};

/* device.c: /dev/shyper */
int node_create(void);
void node_remove(void);

/* control.c, configuration.c: the tables of calls, which end with a call without a function */
extern const struct call control_calls[], configuration_calls[];

/* The VM id of this system, or a negative errno when there is no hypervisor. */
s64 own_vm_id(void);

/* kernel_names.c: names of VMs' kernels, for whoever loads them again */
extern const struct call kernel_name_calls[];
void kernel_name_forget(u64 vm_id);
/* Tell the hypervisor the name of a VM's file. */
long name_file(u64 vm_id, u64 kind, char *name);

/* disks.c: mediated disks */
extern const struct call disk_calls[];
/* Whether a request waits for this reader. Any context. */
bool disk_request_waits(const struct file *file, const struct pid *process);
/* The next such request; it waits on until disk_request_taken(). Both between disks_lock() and disks_unlock(). */
bool disk_request_next(const struct file *file, const struct pid *process, struct shyper_message *message);
void disk_request_taken(void);
void disks_lock(void);
void disks_unlock(void);
/* The file is closed for good: its disks have no daemon any more. */
void disks_release(const struct file *file);
/* The module goes. */
void disks_free(void);

/* daemons.c: who reads messages */
extern const struct call daemon_calls[];
ssize_t daemon_read(struct file *file, char __user *buffer, size_t size, loff_t *position);
__poll_t daemon_poll(struct file *file, struct poll_table_struct *table);
/* Requests may wait in the pages of disks. From the interrupt. */
void daemons_announce_requests(void);
/* A message for any daemon. From the interrupt. */
void daemons_deliver(const struct shyper_message *message);
void daemons_free(void);

/* ring.c: messages of the hypervisor */
int ring_open(void);
void ring_close(void);

/* user_memory.c: copies of the caller's memory where the hypervisor can read them, physically contiguous. To be freed
 * with kfree(); an ERR_PTR when that fails. */
char *copy_text(u64 address, u64 length, u64 most);
u64 *copy_numbers(u64 address, u64 count, u64 most);
void *copy_structure(unsigned long address, size_t size);

#endif
