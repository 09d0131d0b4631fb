#include "shyper.h"

#include <stdbool.h>

#include "csr.h"
#include "machine.h"
#include "plic.h"
#include "print.h"
#include "sbi.h"
#include "shell.h"
#include "string.h"

/* a7 of a hypercall: 0x0A00, type, event. Arguments in a0..., the result in a0 alone. */
#define HYPERCALL(type, event) (0x0a000000ul | (type) << 8 | (event))
#define SYS_TEST HYPERCALL(0, 4)
#define VM_LIST HYPERCALL(1, 0)
#define VM_BOOT HYPERCALL(1, 2)
#define VM_REBOOT HYPERCALL(1, 4)
#define VM_GET_ID HYPERCALL(1, 8)
#define VM_REMOVE HYPERCALL(1, 16)
#define MESSAGE_QUEUE HYPERCALL(2, 0)

#define PAGE 4096
#define MESSAGE_SIZE 512

struct vm_entry {
    uint32_t id;
    char name[32];
    uint32_t type, state;
};
_Static_assert(sizeof(struct vm_entry) == 44, "the hypervisor writes entries of 44 bytes");

static struct {
    uint64_t count;
    struct vm_entry entries[(PAGE - 8) / sizeof(struct vm_entry)];
    uint8_t rest[(PAGE - 8) % sizeof(struct vm_entry)];
} list __attribute__((section(".noinit"), aligned(PAGE)));
_Static_assert(sizeof list == PAGE, "the list is one page");

static struct {
    uint64_t function, event, vm;
    uint8_t rest[MESSAGE_SIZE - 24];
} messages[PAGE / MESSAGE_SIZE] __attribute__((section(".noinit"), aligned(PAGE)));
static uint64_t receive_pages[8];
static unsigned next_message;

static int64_t hypercall(uint64_t number, uint64_t a0, uint64_t a1)
{
    return sbi_call(number, 0, a0, a1, 0).error;
}

/* Says what went wrong; true when nothing did. */
static bool succeeded(const char *what, uint64_t number, int64_t result)
{
    if (result == SBI_ERR_NOT_SUPPORTED)
        printf("shyper: no hypervisor answers: %s (hypercall 0x%08lx) is not supported here\n", what, number);
    else if (result)
        printf("shyper: %s failed (hypercall 0x%08lx returned %ld)\n", what, number, result);
    return result == 0;
}

static bool perform(const char *what, uint64_t number, uint64_t argument)
{
    return succeeded(what, number, hypercall(number, argument, 0));
}

/* One message for each interrupt; the slots are used in turn. */
static void message_arrived(void *unused)
{
    (void)unused;
    uint64_t function = messages[next_message].function, event = messages[next_message].event,
             vm = messages[next_message].vm;
    next_message = (next_message + 1) % (PAGE / MESSAGE_SIZE);
    log_line("hypervisor message: function 0x%lx, event %lu, vm %lu", function, event, vm);
    if (function == 1 && event == 3)
        sbi_power_off(0);
    else if (function == 1 && event == 4)
        sbi_reboot();
}

void shyper_init(void)
{
    uint64_t id = UINT64_MAX;
    if (hypercall(VM_GET_ID, (uint64_t)&id, 0)) {
        log_line("no hypervisor: the hypercall for the VM id failed");
        return;
    }
    log_line("under the hypervisor as VM %lu", id);
    plic_enable(machine.hypervisor_irq, "hypervisor", message_arrived, NULL);
    if (hypercall(MESSAGE_QUEUE, (uint64_t)receive_pages, (uint64_t)messages))
        log_line("the hypervisor refused the message page");
}

static const char *name_of(uint32_t value, const char *const *names, uint32_t count, const char *otherwise)
{
    return value < count ? names[value] : otherwise;
}

static void vm_list(void)
{
    static const char *const types[] = {"Linux", "Bare Metal App", "FreeRTOS"};
    static const char *const states[] = {"Inactive", "Pending", "Active"};
    list.count = 0;
    if (!perform("vm list", VM_LIST, (uint64_t)&list))
        return;
    uint64_t most = sizeof list.entries / sizeof list.entries[0];
    for (uint64_t i = 0; i < list.count && i < most; i++) {
        const struct vm_entry *entry = &list.entries[i];
        char name[sizeof entry->name + 1];
        memcpy(name, entry->name, sizeof entry->name);
        name[sizeof entry->name] = '\0';
        printf("----------vm[%lu]----------\n", i);
        printf("vm id [%u] name: %s type: %u\n\n", entry->id, name, entry->type);
        printf("vm type: %s\n", name_of(entry->type, types, 3, "illegal type"));
        printf("vm state: %s\n", name_of(entry->state, states, 3, "illegal state"));
    }
}

static void vm_get_id(void)
{
    uint64_t id = UINT64_MAX;
    if (perform("vm getvmid", VM_GET_ID, (uint64_t)&id))
        printf("Current VM id is %lu\n", id);
}

void shyper_command(int argc, char **argv)
{
    const char *group = argc > 1 ? argv[1] : "", *action = argc > 2 ? argv[2] : "";
    bool force = argc == 5 && (!strcmp(argv[4], "-f") || !strcmp(argv[4], "--force"));
    uint64_t vm = 0;
    bool has_vm = (argc == 4 || force) && parse_number(argv[3], &vm) && vm <= 0xffff;

    if (!strcmp(group, "system") && !strcmp(action, "test") && argc == 3) {
        if (perform("system test", SYS_TEST, 0))
            printf("sys test ok\n");
    } else if (strcmp(group, "vm")) {
        shell_usage(argv);
    } else if (!strcmp(action, "list") && argc == 3) {
        vm_list();
    } else if (!strcmp(action, "getvmid") && argc == 3) {
        vm_get_id();
    } else if (!strcmp(action, "boot") && has_vm && !force) {
        perform("vm boot", VM_BOOT, vm);
    } else if (!strcmp(action, "remove") && has_vm && !force) {
        perform("vm remove", VM_REMOVE, vm);
    } else if (!strcmp(action, "reboot") && has_vm) {
        perform("vm reboot", VM_REBOOT, vm | (uint64_t)force << 16);
    } else {
        shell_usage(argv);
    }
}
