#include "module.h"

#include "hypercall.h"
#include "machine.h"
#include "plic.h"
#include "print.h"
#include "sbi.h"
#include "string.h"

#define PAGE 4096
#define SLOTS (PAGE / sizeof(struct message))
#define FUNCTIONS 0x20

enum { MANAGE = 1, MANAGE_POWER_OFF = 3, MANAGE_REBOOT = 4 };

static struct message messages[SLOTS] __attribute__((section(".noinit"), aligned(PAGE)));
_Static_assert(sizeof messages == PAGE, "the ring is one page of eight slots");
static uint8_t received[8][PAGE] __attribute__((section(".noinit"), aligned(PAGE)));
static uint64_t receive_pages[8]; /* guest-physical addresses of `received` */
static uint64_t vm_id __attribute__((aligned(8)));

static bool loaded;
static unsigned next_slot;
static uint64_t message_count;
static void (*listeners[FUNCTIONS])(const struct message *);

/* What the module asks to share, in its order: kind and size. */
static const struct {
    uint64_t kind, size;
} shares[] = {{3, 4ul << 30}, {4, 4ul << 30}, {0, 256ul << 20}, {1, 256ul << 20}, {2, 256ul << 20}, {5, 128ul << 20}};

static void manage(const struct message *message)
{
    if (message->event == MANAGE_POWER_OFF)
        sbi_power_off(0);
    else if (message->event == MANAGE_REBOOT)
        sbi_reboot();
}

/* One message for each interrupt; the slots are used in turn. */
static void message_arrived(void *unused)
{
    (void)unused;
    if (!loaded)
        return;
    const struct message *message = &messages[next_slot];
    log_line("hypervisor message in slot %u: function 0x%lx, event 0x%lx, vm %lu", next_slot, message->function,
             message->event, message->vm);
    next_slot = (next_slot + 1) % SLOTS;
    message_count++;
    if (message->function < FUNCTIONS && listeners[message->function])
        listeners[message->function](message);
}

void module_listen(uint64_t function, void (*listener)(const struct message *message))
{
    if (function < FUNCTIONS)
        listeners[function] = listener;
}

bool module_loaded(void)
{
    return loaded;
}

bool module_load(void)
{
    vm_id = UINT64_MAX;
    int64_t error = hypercall1(VM_GET_ID, (uint64_t)&vm_id);
    if (error) {
        log_line("no hypervisor: the hypercall for the VM id returned %ld", error);
        return false;
    }
    log_line("under the hypervisor as VM %lu", vm_id);
    next_slot = 0;
    loaded = true;
    module_listen(MANAGE, manage);
    plic_enable(machine.hypervisor_irq, "hypervisor", message_arrived, NULL);
    for (unsigned i = 0; i < 8; i++)
        receive_pages[i] = (uint64_t)received[i];
    error = hypercall((uint64_t)receive_pages, (uint64_t)messages, 0, 0, 0, 0, 0, MESSAGE_QUEUE);
    if (error)
        log_line("the hypervisor refused the message page: %ld", error);
    for (unsigned i = 0; i < sizeof shares / sizeof shares[0]; i++) {
        int64_t base = hypercall(shares[i].kind, shares[i].size, 0, 0, 0, 0, 0, SHARE_MEMORY);
        if (base)
            log_line("shared memory %lu of %lu MiB: base 0x%lx", shares[i].kind, shares[i].size >> 20, base);
    }
    return error == 0;
}

void module_unload(void)
{
    loaded = false;
}

void module_command(int argc, char **argv)
{
    if (argc != 1) {
        shell_usage(argv);
    } else if (!strcmp(argv[0], "messages")) {
        printf("%lu messages of the hypervisor, next slot %u, irq %u\n", message_count, next_slot,
               machine.hypervisor_irq);
    } else if (!strcmp(argv[0], "rmmod")) {
        if (!loaded)
            printf("rmmod: the module is not loaded\n");
        module_unload();
    } else if (loaded) {
        printf("insmod: the module is loaded already\n");
    } else if (!module_load()) {
        printf("insmod: the module found no hypervisor, or was refused (see log)\n");
    }
}
