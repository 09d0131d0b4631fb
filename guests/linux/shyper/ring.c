// SPDX-License-Identifier: GPL-2.0-only
/* Messages of the hypervisor: a page of eight slots, which it fills in turn, and an interrupt for each.
 *
 * There are no indices in the page, and a receiver that counts interrupts loses step for ever when two merge. So slots
 * are marked as empty when they have been read, and an interrupt takes whatever is there, from the slot that is next.
 */
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/of.h>
#include <linux/of_irq.h>
#include <linux/reboot.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "driver.h"
#include "hypercall.h"

#define SLOTS 8
#define EMPTY U64_MAX

struct slot {
    u64 function, event, vm_id;
    u8 rest[512 - 3 * sizeof(u64)];
};
static_assert(SLOTS * sizeof(struct slot) == PAGE_SIZE);

static struct slot *ring; /* one page */
static unsigned int next_slot;
static unsigned int irq;

static void handle(u64 function, u64 event, u64 vm_id)
{
    if (function == MEDIATED) {
        daemons_announce_requests();
    } else if (function == MANAGE && event == MANAGE_POWER_OFF) {
        info("the hypervisor asks this system to power off");
        orderly_poweroff(true);
    } else if (function == MANAGE && event == MANAGE_REBOOT) {
        info("the hypervisor asks this system to reboot");
        orderly_reboot();
    } else if (function == CONFIGURE && event == CONFIGURE_UPLOAD_KERNEL) {
        daemons_deliver(&(struct shyper_message){.function = function, .event = event, .vm_id = vm_id});
    } else {
        pr_info_ratelimited("[Shyper MOD INFO] unknown message %#llx, %#llx\n", function, event);
    }
}

/* The oldest message, or NULL. Both words: where the hypervisor runs beside this core it may be writing the slot. */
static struct slot *oldest(void)
{
    for (unsigned int i = 0; i < SLOTS; i++) {
        struct slot *slot = &ring[(next_slot + i) % SLOTS];

        if (smp_load_acquire(&slot->function) != EMPTY && smp_load_acquire(&slot->event) != EMPTY)
            return slot;
    }
    return NULL;
}

static irqreturn_t interrupt(int number, void *device)
{
    struct slot *slot;

    for (slot = oldest(); slot; slot = oldest()) {
        u64 function = slot->function, event = slot->event, vm_id = slot->vm_id;

        memset(slot, 0xff, sizeof(*slot));
        next_slot = (slot - ring + 1) % SLOTS;
        handle(function, event, vm_id);
    }
    return IRQ_HANDLED;
}

static unsigned int find_irq(void)
{
    struct device_node *node = of_find_node_by_path("/soc/vm_service") ?: of_find_node_by_path("/vm_service");
    unsigned int found = node ? irq_of_parse_and_map(node, 0) : 0;

    of_node_put(node);
    return found;
}

/* Nobody shares memory or receives data of other VMs here; the calls are those that Rust-Shyper's module makes. */
static void announce_areas(void)
{
    static const struct {
        u64 kind, size;
    } areas[] = {
        {3, 4ull << 30}, {4, 4ull << 30}, {0, 256ull << 20}, {1, 256ull << 20}, {2, 256ull << 20}, {5, 128ull << 20},
    };

    for (unsigned int i = 0; i < ARRAY_SIZE(areas); i++)
        ask(HYPERCALL_SHARE_MEMORY, areas[i].kind, areas[i].size);
}

/* The hypervisor has the addresses of both pages for good: they are not freed when the module goes. */
int ring_open(void)
{
    u64 *receive_pages;
    int error;

    irq = find_irq();
    if (!irq) {
        warning("the device tree has no vm_service, so messages of the hypervisor do not arrive");
        return 0;
    }
    ring = kmalloc(PAGE_SIZE, GFP_KERNEL);
    receive_pages = kzalloc(PAGE_SIZE, GFP_KERNEL);
    if (!ring || !receive_pages) {
        error = -ENOMEM;
        goto free;
    }
    memset(ring, 0xff, PAGE_SIZE);
    error = request_irq(irq, interrupt, 0, "shyper", NULL);
    if (error) {
        warning("interrupt %u is not available (%d)", irq, error);
        goto free;
    }
    error = tell(HYPERCALL_MESSAGE_RING, virt_to_phys(receive_pages), virt_to_phys(ring));
    if (error) {
        warning("the hypervisor refuses the page for its messages");
        free_irq(irq, NULL);
        goto free;
    }
    info("messages of the hypervisor arrive by interrupt %u", irq);
    announce_areas();
    return 0;

free:
    kfree(receive_pages);
    kfree(ring);
    return error;
}

void ring_close(void)
{
    if (irq) {
        free_irq(irq, NULL);
        irq_dispose_mapping(irq);
    }
}
