/* The command tree: `shyper GROUP COMMAND [OPTIONS] [ARGUMENT]`. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct arguments {
    const char *argument; /* the one argument; NULL when it was left out */
    uint64_t vm_id;       /* what it says where it is <VMID> */
    bool force;
};

enum argument_kind { NO_ARGUMENT, ARGUMENT_VM_ID, ARGUMENT_FILE, ARGUMENT_OPTIONAL_FILE };

struct command {
    const char *group, *name, *about;
    enum argument_kind kind;
    const char *argument; /* its name in usage lines, and what it is */
    const char *argument_about;
    const char *force_about; /* NULL: no --force */
    bool display;            /* has --display, which is accepted and ignored */
    int (*run)(const struct arguments *arguments);
};

/* Exit status of a failed operation; wrong usage is 2. */
#define FAILED 1

int vm_list(const struct arguments *arguments);
int vm_boot(const struct arguments *arguments);
int vm_shutdown(const struct arguments *arguments);
int vm_reboot(const struct arguments *arguments);
int vm_remove(const struct arguments *arguments);
int vm_getvmid(const struct arguments *arguments);
int vm_getdefconfig(const struct arguments *arguments);
int vm_delconfig(const struct arguments *arguments);
int vm_configure(const struct arguments *arguments);
int system_reboot(const struct arguments *arguments);
int system_shutdown(const struct arguments *arguments);
int system_update(const struct arguments *arguments);
int system_test(const struct arguments *arguments);
int system_daemon(const struct arguments *arguments);
