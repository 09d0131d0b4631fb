// SPDX-License-Identifier: GPL-2.0-only
/* Who gets the messages of the hypervisor.
 *
 * A request for a disk goes to the process that registered it. The other messages go to any process that asked for
 * signals. read() gives a process one of its messages at a time, whichever file it reads from, and 0 bytes when none is
 * left; other processes take nothing away. A process that asked for it is signalled when a message comes, and again
 * when it has read one and more are left: signals that are pending count as one, and a daemon may read once for each.
 */
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/kfifo.h>
#include <linux/poll.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#include "driver.h"

#define MAX_LISTENERS 64
#define MAX_MESSAGES 64

static struct pid *listeners[MAX_LISTENERS]; /* processes that get SIGUSR1, the last to ask first; NULL behind them */
static DEFINE_KFIFO(messages, struct shyper_message, MAX_MESSAGES); /* for any of them */
static DEFINE_SPINLOCK(lock); /* both */
static DECLARE_WAIT_QUEUE_HEAD(readers);

static bool is_listener(const struct pid *process)
{
    for (unsigned int i = 0; i < MAX_LISTENERS && listeners[i]; i++)
        if (listeners[i] == process)
            return true;
    return false;
}

static bool has_ended(struct pid *process)
{
    const struct task_struct *task;
    bool ended;

    rcu_read_lock();
    task = pid_task(process, PIDTYPE_TGID);
    ended = !task || task->exit_state;
    rcu_read_unlock();
    return ended;
}

/* Put a process in front; those that have ended leave, and the oldest when there are too many. */
static void add_listener(struct pid *process)
{
    struct pid *leaving[MAX_LISTENERS], *old[MAX_LISTENERS];
    unsigned int leave = 0, stay = 1;

    spin_lock_irq(&lock);
    memcpy(old, listeners, sizeof(old));
    memset(listeners, 0, sizeof(listeners));
    listeners[0] = process;
    for (unsigned int i = 0; i < MAX_LISTENERS && old[i]; i++) {
        if (old[i] == process || has_ended(old[i]) || stay == MAX_LISTENERS)
            leaving[leave++] = old[i];
        else
            listeners[stay++] = old[i];
    }
    spin_unlock_irq(&lock);
    while (leave)
        put_pid(leaving[--leave]);
}

static bool message_waits(const struct file *file, const struct pid *process)
{
    unsigned long flags;
    bool found;

    spin_lock_irqsave(&lock, flags);
    found = !kfifo_is_empty(&messages) && is_listener(process);
    spin_unlock_irqrestore(&lock, flags);
    return found || disk_request_waits(file, process);
}

static void signal_if_waiting(struct pid *process)
{
    unsigned long flags;
    bool listens;

    if (!message_waits(NULL, process))
        return;
    spin_lock_irqsave(&lock, flags);
    listens = is_listener(process);
    spin_unlock_irqrestore(&lock, flags);
    if (listens)
        kill_pid(process, SIGUSR1, 1);
}

void daemons_announce_requests(void)
{
    unsigned long flags;

    spin_lock_irqsave(&lock, flags);
    for (unsigned int i = 0; i < MAX_LISTENERS && listeners[i]; i++)
        if (disk_request_waits(NULL, listeners[i]))
            kill_pid(listeners[i], SIGUSR1, 1);
    spin_unlock_irqrestore(&lock, flags);
    wake_up_interruptible(&readers);
}

void daemons_deliver(const struct shyper_message *message)
{
    unsigned long flags;
    bool kept;

    spin_lock_irqsave(&lock, flags);
    kept = kfifo_put(&messages, *message);
    for (unsigned int i = 0; i < MAX_LISTENERS && listeners[i]; i++)
        if (!has_ended(listeners[i])) { /* one is enough */
            kill_pid(listeners[i], SIGUSR1, 1);
            break;
        }
    spin_unlock_irqrestore(&lock, flags);
    if (!kept)
        pr_warn_ratelimited("[Shyper MOD WARNING] nobody reads messages; one is lost\n");
    wake_up_interruptible(&readers);
}

static bool next_message(const struct pid *process, struct shyper_message *message)
{
    bool found;

    spin_lock_irq(&lock);
    found = is_listener(process) && kfifo_peek(&messages, message);
    spin_unlock_irq(&lock);
    return found;
}

/* A message is taken when the reader has it, so a bad address costs nothing. */
static ssize_t read_one(struct file *file, char __user *buffer, size_t size)
{
    struct {
        struct shyper_message message;
        char rest[SHYPER_MESSAGE_SIZE - sizeof(struct shyper_message)];
    } slot = {};
    bool from_disk = false;

    if (!next_message(task_tgid(current), &slot.message)) {
        from_disk = disk_request_next(file, task_tgid(current), &slot.message);
        if (!from_disk)
            return 0;
    }
    if (copy_to_user(buffer, &slot, size))
        return -EFAULT;
    if (from_disk) {
        disk_request_taken();
    } else {
        spin_lock_irq(&lock);
        kfifo_skip(&messages);
        spin_unlock_irq(&lock);
    }
    return size;
}

ssize_t daemon_read(struct file *file, char __user *buffer, size_t size, loff_t *position)
{
    ssize_t result;

    if (size < sizeof(struct shyper_message))
        return -EINVAL;
    disks_lock(); /* one reader at a time, and no disk comes or goes meanwhile */
    result = read_one(file, buffer, min_t(size_t, size, SHYPER_MESSAGE_SIZE));
    disks_unlock();
    if (result > 0)
        signal_if_waiting(task_tgid(current));
    return result;
}

__poll_t daemon_poll(struct file *file, struct poll_table_struct *table)
{
    poll_wait(file, &readers, table);
    return message_waits(file, task_tgid(current)) ? EPOLLIN | EPOLLRDNORM : 0;
}

static long signal_to(struct file *file, unsigned long number)
{
    struct pid *named = number <= INT_MAX ? find_get_pid((int)number) : NULL;
    struct pid *process = NULL;
    struct task_struct *task;

    rcu_read_lock();
    task = named ? pid_task(named, PIDTYPE_PID) : NULL;
    if (task)
        process = get_pid(task_tgid(task)); /* a thread stands for its process */
    rcu_read_unlock();
    put_pid(named);
    if (!process)
        return -ESRCH;
    add_listener(process);
    signal_if_waiting(process);
    return 0;
}

void daemons_free(void)
{
    for (unsigned int i = 0; i < MAX_LISTENERS && listeners[i]; i++)
        put_pid(listeners[i]);
}

const struct call daemon_calls[] = {
    {SHYPER_SIGNAL_TO, signal_to},
    {},
};
