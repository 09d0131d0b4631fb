#include "shyper.h"

#include <stdbool.h>
#include <stdint.h>

#include "daemon.h"
#include "hypercall.h"
#include "print.h"
#include "sbi.h"
#include "string.h"
#include "vm_config.h"

#define PAGE 4096

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

static const char *const states[] = {"Inactive", "Pending", "Active"};

/* Says what went wrong; true when nothing did. */
static bool perform(const char *what, uint64_t number, uint64_t argument)
{
    int64_t result = hypercall1(number, argument);
    if (result == SBI_ERR_NOT_SUPPORTED)
        printf("shyper: no hypervisor answers: %s (hypercall 0x%08lx) is not supported here\n", what, number);
    else if (result)
        printf("shyper: %s failed (hypercall 0x%08lx returned %ld)\n", what, number, result);
    return result == 0;
}

static const char *name_of(uint64_t value, const char *const *names, uint32_t count, const char *otherwise)
{
    return value < count ? names[value] : otherwise;
}

static void vm_list(void)
{
    static const char *const types[] = {"Linux", "Bare Metal App", "FreeRTOS"};
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

static void vm_state(uint64_t vm)
{
    int64_t state = hypercall1(VM_STATE, vm);
    if (state < 0)
        printf("shyper: vm state failed (hypercall 0x%08lx returned %ld)\n", VM_STATE, state);
    else
        printf("VM [%lu] is %s\n", vm, name_of((uint64_t)state, states, 3, "in an illegal state"));
}

static void system_command(const char *action, char **argv)
{
    static const struct {
        const char *action, *what;
        uint64_t number;
    } actions[] = {
        {"test", "system test", SYS_TEST},
        {"reboot", "system reboot", SYS_REBOOT},
        {"shutdown", "system shutdown", SYS_SHUTDOWN},
    };
    for (unsigned i = 0; i < sizeof actions / sizeof actions[0]; i++)
        if (!strcmp(action, actions[i].action)) {
            if (perform(actions[i].what, actions[i].number, 0))
                printf("sys %s ok\n", action);
            return;
        }
    shell_usage(argv);
}

/* Commands with the id of a VM, some of them with --force, which is bit 16 of the argument. */
static const struct {
    const char *action, *what;
    uint64_t number;
    bool may_force;
} vm_actions[] = {
    {"boot", "vm boot", VM_BOOT, false},
    {"shutdown", "vm shutdown", VM_SHUTDOWN, true},
    {"reboot", "vm reboot", VM_REBOOT, true},
    {"remove", "vm remove", VM_REMOVE, false},
    {"delconfig", "vm delconfig", CONFIG_DELETE_VM, false},
};

static bool vm_command(int argc, char **argv)
{
    const char *action = argv[2];
    uint64_t vm;
    if (!strcmp(action, "config"))
        return argc > 3 && vm_config(argc - 3, argv + 3);
    if (argc == 3 && !strcmp(action, "list")) {
        vm_list();
        return true;
    }
    if (argc == 3 && !strcmp(action, "getvmid")) {
        vm_get_id();
        return true;
    }
    bool force = argc == 5 && (!strcmp(argv[4], "-f") || !strcmp(argv[4], "--force"));
    if ((argc != 4 && !force) || !parse_number(argv[3], &vm) || vm > 0xffff)
        return false;
    if (!strcmp(action, "state") && !force) {
        vm_state(vm);
        return true;
    }
    for (unsigned i = 0; i < sizeof vm_actions / sizeof vm_actions[0]; i++)
        if (!strcmp(action, vm_actions[i].action) && (!force || vm_actions[i].may_force)) {
            perform(vm_actions[i].what, vm_actions[i].number, vm | (uint64_t)force << 16);
            return true;
        }
    return false;
}

void shyper_command(int argc, char **argv)
{
    const char *group = argc > 2 ? argv[1] : "";
    if (!strcmp(group, "system") && !strcmp(argv[2], "daemon")) {
        if (!daemon_command(argc - 3, argv + 3))
            shell_usage(argv);
    } else if (!strcmp(group, "system") && argc == 3)
        system_command(argv[2], argv);
    else if (strcmp(group, "vm") || !vm_command(argc, argv))
        shell_usage(argv);
}
