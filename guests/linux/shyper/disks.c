// SPDX-License-Identifier: GPL-2.0-only
/* Mediated disks, which a daemon serves.
 *
 * A disk has a page that the hypervisor writes to: a request, and `nreq`, which tells that it waits. A daemon that
 * reads the request takes 1 away. So the pages themselves are the queue: a request stays where it is until a daemon
 * has it, whatever becomes of signals and daemons.
 *
 * The hypervisor also writes to the daemon's cache. Its pages are pinned from the registration until the hypervisor has
 * heard that the daemon is gone, which it hears when the file is released through which the disk was registered: at the
 * latest when the daemon's process ends, however that happens. A disk registered again, by whichever process, has its
 * old page, and the daemon that had it before has it no more.
 */
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "driver.h"
#include "hypercall.h"

#define MAX_DISKS 64 /* as many as the hypervisor has room for */
#define MAX_CACHE (1ull << 30)

struct disk_page {
    atomic64_t nreq; /* requests that the hypervisor has added and no daemon has taken */
    struct shyper_disk descriptor;
    struct {
        u32 type, reserved;
        u64 sector, count;
    } request;
};
static_assert(sizeof(struct shyper_disk) == 120 && offsetof(struct disk_page, request) == 128);

struct disk {
    struct disk_page *page; /* of PAGE_SIZE bytes; NULL: never used */
    const struct file *file; /* through which the disk was registered; NULL: it has no daemon */
    struct pid *daemon;
    u16 index; /* the daemon's own number for it */
    struct page **cache; /* pinned */
    unsigned long cache_pages;
};

static struct disk disks[MAX_DISKS];
static struct disk *offered; /* the disk whose request disk_request_next() gave last */
static DEFINE_MUTEX(registrations); /* changes of `disks`, and calls about them */
static DEFINE_SPINLOCK(owners); /* `file`, `daemon` and `index`, which the interrupt looks at, too */

void disks_lock(void)
{
    mutex_lock(&registrations);
}

void disks_unlock(void)
{
    mutex_unlock(&registrations);
}

/* Processes that have inherited the file serve its disks as well. */
static bool belongs_to(const struct disk *disk, const struct file *file, const struct pid *process)
{
    return disk->file && (disk->file == file || disk->daemon == process);
}

static bool waits(const struct disk *disk)
{
    return disk->file && atomic64_read(&disk->page->nreq) > 0;
}

bool disk_request_waits(const struct file *file, const struct pid *process)
{
    unsigned long flags;
    bool found = false;

    spin_lock_irqsave(&owners, flags);
    for (unsigned int i = 0; i < MAX_DISKS && !found; i++)
        found = waits(&disks[i]) && belongs_to(&disks[i], file, process);
    spin_unlock_irqrestore(&owners, flags);
    return found;
}

bool disk_request_next(const struct file *file, const struct pid *process, struct shyper_message *message)
{
    unsigned int first = offered ? offered - disks + 1 : 0; /* each disk in its turn */

    for (unsigned int i = 0; i < MAX_DISKS; i++) {
        struct disk *disk = &disks[(first + i) % MAX_DISKS];

        if (!waits(disk) || !belongs_to(disk, file, process))
            continue;
        smp_rmb(); /* the request is there before it is counted */
        *message = (struct shyper_message){
            .function = MEDIATED,
            .event = MEDIATED_REQUEST,
            .request.index = disk->index,
            .request.type = READ_ONCE(disk->page->request.type),
            .request.sector = READ_ONCE(disk->page->request.sector),
            .request.count = READ_ONCE(disk->page->request.count),
        };
        offered = disk;
        return true;
    }
    return false;
}

void disk_request_taken(void)
{
    atomic64_dec_if_positive(&offered->page->nreq);
}

static void set_owner(struct disk *disk, const struct file *file, struct pid *daemon, u16 index)
{
    struct pid *before = disk->daemon;
    unsigned long flags;

    spin_lock_irqsave(&owners, flags);
    disk->file = file;
    disk->daemon = get_pid(daemon);
    disk->index = index;
    spin_unlock_irqrestore(&owners, flags);
    put_pid(before);
}

static void unpin(struct disk *disk)
{
    if (disk->cache) {
        unpin_user_pages_dirty_lock(disk->cache, disk->cache_pages, true);
        kvfree(disk->cache);
        disk->cache = NULL;
    }
}

/* The disk has no daemon any more. Its cache stays pinned when the hypervisor may write to it nevertheless. */
static long detach(struct disk *disk)
{
    long error;

    set_owner(disk, NULL, NULL, 0);
    error = tell(HYPERCALL_DISK_DETACH, virt_to_phys(disk->page));
    if (error)
        warning("disk %s: the hypervisor does not let go of its cache", disk->page->descriptor.name);
    else
        unpin(disk);
    return error;
}

/* Pins the cache that a descriptor names, and tells where its first byte is. */
static long pin(struct shyper_disk *descriptor, struct disk *disk)
{
    unsigned long offset = offset_in_page(descriptor->cache_va);
    long pinned;

    if (!descriptor->cache_va || !descriptor->cache_size || descriptor->cache_size > MAX_CACHE)
        return -EINVAL;
    if (!access_ok(u64_to_user_ptr(descriptor->cache_va), descriptor->cache_size))
        return -EFAULT;
    disk->cache_pages = DIV_ROUND_UP(offset + descriptor->cache_size, PAGE_SIZE);
    disk->cache = kvmalloc_array(disk->cache_pages, sizeof(*disk->cache), GFP_KERNEL);
    if (!disk->cache)
        return -ENOMEM;
    for (unsigned long done = 0; done < disk->cache_pages; done += pinned) {
        pinned = pin_user_pages_fast(descriptor->cache_va - offset + done * PAGE_SIZE, disk->cache_pages - done,
                                     FOLL_WRITE | FOLL_LONGTERM, disk->cache + done);
        if (pinned <= 0) {
            disk->cache_pages = done;
            unpin(disk);
            return pinned ?: -EFAULT;
        }
    }
    descriptor->cache_ipa = page_to_phys(disk->cache[0]) + offset;
    return 0;
}

/* The disk of this name and path, else one that was never used, else one that has no daemon; NULL when all have one. */
static struct disk *find_place(const struct shyper_disk *descriptor)
{
    struct disk *unused = NULL, *abandoned = NULL;

    for (unsigned int i = 0; i < MAX_DISKS; i++) {
        struct disk *disk = &disks[i];

        if (!disk->page)
            unused = unused ?: disk;
        else if (!strcmp(disk->page->descriptor.name, descriptor->name) &&
                 !strcmp(disk->page->descriptor.path, descriptor->path))
            return disk;
        else if (!disk->file && !disk->cache)
            abandoned = abandoned ?: disk;
    }
    return unused ?: abandoned;
}

static struct disk *find_disk(const struct file *file, unsigned long index)
{
    for (unsigned int i = 0; i < MAX_DISKS; i++)
        if (disks[i].index == index && belongs_to(&disks[i], file, task_tgid(current)))
            return &disks[i];
    return NULL;
}

/* `cache` has the pinned pages, which belong to the disk when this succeeds. */
static long append(struct file *file, const struct shyper_disk *descriptor, const struct disk *cache)
{
    struct disk *disk = find_place(descriptor), *same_number = find_disk(file, descriptor->index);
    long error;

    if (!disk)
        return -ENOSPC;
    if (!disk->page)
        disk->page = kzalloc(PAGE_SIZE, GFP_KERNEL);
    if (!disk->page)
        return -ENOMEM;
    if (same_number && same_number != disk)
        detach(same_number);
    if (disk->file)
        detach(disk);
    memset(disk->page, 0, PAGE_SIZE);
    disk->page->descriptor = *descriptor;
    set_owner(disk, file, task_tgid(current), descriptor->index); /* a request may come before the call returns */
    error = tell(HYPERCALL_DISK_APPEND, 0, virt_to_phys(disk->page));
    if (error) {
        set_owner(disk, NULL, NULL, 0);
        return error;
    }
    unpin(disk); /* the cache of before, when the hypervisor had not let go of it: it has another now */
    disk->cache = cache->cache;
    disk->cache_pages = cache->cache_pages;
    info("disk %s (%s): %llu sectors, served by process %d", descriptor->name, descriptor->path, descriptor->block_num,
         task_tgid_nr(current));
    return 0;
}

static long append_disk(struct file *file, unsigned long address)
{
    struct shyper_disk __user *user = (void __user *)address;
    struct shyper_disk descriptor;
    struct disk cache = {};
    long error;

    if (copy_from_user(&descriptor, user, sizeof(descriptor)))
        return -EFAULT;
    descriptor.name[sizeof(descriptor.name) - 1] = '\0';
    descriptor.path[sizeof(descriptor.path) - 1] = '\0';
    error = pin(&descriptor, &cache);
    if (error)
        return error;
    mutex_lock(&registrations);
    error = append(file, &descriptor, &cache);
    if (error) {
        unpin(&cache);
    } else {
        struct disk *disk = find_disk(file, descriptor.index);

        if (copy_to_user(user, &disk->page->descriptor, sizeof(descriptor))) {
            detach(disk);
            error = -EFAULT;
        }
    }
    mutex_unlock(&registrations);
    return error;
}

/* A call about a disk of the caller, which the hypervisor knows by its page. */
static long ask_about(struct file *file, u16 number, unsigned long index, u64 value)
{
    const struct disk *disk;
    long result = -ENOENT;

    mutex_lock(&registrations);
    disk = find_disk(file, index);
    if (disk)
        result = ask(number, virt_to_phys(disk->page), value);
    mutex_unlock(&registrations);
    return disk && result < 0 ? -EPERM : result;
}

static long request_done(struct file *file, unsigned long index)
{
    return ask_about(file, SHYPER_DISK_DONE, index, 0);
}

static long request_failed(struct file *file, unsigned long index)
{
    return ask_about(file, SHYPER_DISK_FAILED, index, 0);
}

static long set_features(struct file *file, unsigned long index_and_features)
{
    return ask_about(file, SHYPER_DISK_FEATURES, (u16)index_and_features, index_and_features >> 16);
}

static long detach_disk(struct file *file, unsigned long index)
{
    struct disk *disk;
    long error = -ENOENT;

    mutex_lock(&registrations);
    disk = find_disk(file, index);
    if (disk)
        error = detach(disk);
    mutex_unlock(&registrations);
    return error;
}

void disks_release(const struct file *file)
{
    mutex_lock(&registrations);
    for (unsigned int i = 0; i < MAX_DISKS; i++)
        if (disks[i].file == file)
            detach(&disks[i]);
    mutex_unlock(&registrations);
}

/* No file is open any more, so no disk has a daemon. What the hypervisor has not let go of is lost. */
void disks_free(void)
{
    for (unsigned int i = 0; i < MAX_DISKS; i++)
        if (!disks[i].cache)
            kfree(disks[i].page);
}

const struct call disk_calls[] = {
    {SHYPER_DISK_APPEND, append_disk},
    {SHYPER_DISK_DONE, request_done},
    {SHYPER_DISK_FAILED, request_failed},
    {SHYPER_DISK_FEATURES, set_features},
    {SHYPER_DISK_DETACH, detach_disk},
    {},
};
