/* `vm list`, `boot`, `shutdown`, `reboot`, `remove`, `getvmid`, `getdefconfig`, `delconfig`. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "driver.h"
#include "log.h"

#define MODULE "vmm"
#define LONGEST_CONFIG (1u << 20)

typedef unsigned long long number;

static int opened(void)
{
    int driver = driver_open();
    if (driver < 0)
        log_error("Failed to open " DEVICE_NODE ": %s", driver_problem());
    return driver;
}

/* What can be seen from here of why a VM's call was refused. */
static const char *reason(int driver, uint64_t vm_id, bool running)
{
    struct vm_page page;
    const struct vm_entry *vm = driver_vm(driver, &page, vm_id);
    if (!vm)
        return formatted("there is no VM %llu; `shyper vm list` shows which there are", (number)vm_id);
    if (running && vm->state == VM_ACTIVE)
        return formatted("VM %llu runs already", (number)vm_id);
    if (!running && vm->state != VM_ACTIVE)
        return formatted("VM %llu does not run", (number)vm_id);
    return "the hypervisor's log says why";
}

static int refused(int driver, const char *what, uint64_t vm_id, bool running)
{
    log_error("err: ioctl fail! VM %llu was not %s: %s", (number)vm_id, what, reason(driver, vm_id, running));
    return FAILED;
}

int vm_list(const struct arguments *arguments)
{
    static const char *const types[] = {"Linux", "Bare Metal App", "FreeRTOS"};
    static const char *const states[] = {"Inactive", "Pending", "Active"};
    struct vm_page page;
    (void)arguments;
    int driver = opened();
    if (driver < 0)
        return FAILED;
    bool listed = driver_list(driver, &page);
    close(driver);
    if (!listed) {
        log_error("err: ioctl fail! The VMs cannot be listed");
        return FAILED;
    }
    for (uint64_t i = 0; i < page.count; i++) {
        struct vm_entry *vm = &page.entries[i];
        char name[sizeof vm->name + 1] = "";
        memcpy(name, vm->name, sizeof vm->name);
        make_visible(name);
        printf("----------vm[%llu]----------\n", (number)i);
        printf("vm id [%u] name: %s type: %u\n\n", vm->id, name, vm->type);
        printf("vm type: %s\n", vm->type < 3 ? types[vm->type] : "illegal type");
        printf("vm state: %s\n", vm->state < 3 ? states[vm->state] : "illegal state");
    }
    return 0;
}

int vm_boot(const struct arguments *arguments)
{
    int driver = opened(), status = 0;
    if (driver < 0)
        return FAILED;
    if (driver_call(driver, VM_BOOT, arguments->vm_id) < 0)
        status = refused(driver, "booted", arguments->vm_id, true);
    close(driver);
    return status;
}

static int control(const struct arguments *arguments, unsigned call, const char *done)
{
    int driver = opened(), status = 0;
    if (driver < 0)
        return FAILED;
    if (driver_call(driver, call, arguments->vm_id | (arguments->force ? FORCE : 0)) < 0)
        status = refused(driver, done, arguments->vm_id, false);
    close(driver);
    return status;
}

int vm_shutdown(const struct arguments *arguments)
{
    return control(arguments, VM_SHUTDOWN, "shut down");
}

int vm_reboot(const struct arguments *arguments)
{
    return control(arguments, VM_REBOOT, "rebooted");
}

int vm_remove(const struct arguments *arguments)
{
    struct vm_page page;
    int driver = opened(), status = 0;
    if (driver < 0)
        return FAILED;
    uint64_t vm_id = arguments->vm_id;
    if (!driver_vm(driver, &page, vm_id)) {
        status = refused(driver, "removed", vm_id, false);
    } else if (vm_id == 0) {
        log_error("err: ioctl fail! VM 0 was not removed: it is the managing VM");
        status = FAILED;
    } else if (driver_call(driver, VM_REMOVE, vm_id) < 0 && driver_vm(driver, &page, vm_id)) {
        /* The original's module reports failure, too, when it did not configure the VM, which is gone nevertheless. */
        log_error("err: ioctl fail! VM %llu was not removed: the hypervisor's log says why", (number)vm_id);
        status = FAILED;
    }
    close(driver);
    return status;
}

int vm_getvmid(const struct arguments *arguments)
{
    uint64_t vm_id = 0;
    (void)arguments;
    int driver = opened();
    if (driver < 0)
        return FAILED;
    bool known = driver_call(driver, VM_GET_ID, (uintptr_t)&vm_id) >= 0;
    close(driver);
    if (!known) {
        log_error("err: ioctl fail! The VM's id cannot be had");
        return FAILED;
    }
    log_info("Current VM id is %llu", (number)vm_id);
    return 0;
}

int vm_getdefconfig(const struct arguments *arguments)
{
    int driver = opened(), status = FAILED;
    if (driver < 0)
        return FAILED;
    uint64_t size = 64u << 10;
    for (bool again = true; again;) {
        char *text = allocate(size);
        struct config_text request = {arguments->vm_id, (uintptr_t)text, size, 0};
        again = false;
        if (driver_call(driver, VM_GET_CONFIG, (uintptr_t)&request) < 0) {
            const char *why = driver_has_extension(driver) ? reason(driver, arguments->vm_id, true)
                                                           : "the kernel module does not know this call";
            log_error("err: ioctl fail! There is no configuration of VM %llu: %s", (number)arguments->vm_id, why);
        } else if (request.length > size && size < LONGEST_CONFIG) {
            size = LONGEST_CONFIG;
            again = true;
        } else if (request.length > size) {
            log_error("The configuration of VM %llu has %llu bytes, which is too much", (number)arguments->vm_id,
                      (number)request.length);
        } else {
            fwrite(text, 1, request.length, stdout);
            if (request.length && text[request.length - 1] != '\n')
                putchar('\n');
            status = 0;
        }
        free(text);
    }
    close(driver);
    return status;
}

int vm_delconfig(const struct arguments *arguments)
{
    struct vm_page page;
    uint64_t vm_id = arguments->vm_id;
    int driver = opened();
    if (driver < 0)
        return FAILED;
    const struct vm_entry *vm = driver_vm(driver, &page, vm_id);
    const char *problem = NULL;
    if (!vm)
        problem = reason(driver, vm_id, false);
    else if (vm_id == 0)
        problem = "it is the managing VM";
    else if (vm->state == VM_ACTIVE && !arguments->force)
        problem = "it runs; shut it down first, or use --force";
    else if (driver_call(driver, DELETE_VM, vm_id) < 0 && driver_vm(driver, &page, vm_id))
        problem = "the hypervisor's log says why";
    close(driver);
    if (problem) {
        log_error("Failed to delete VM[%llu] config: %s", (number)vm_id, problem);
        return FAILED;
    }
    log_info("DELETE VM [%llu] config successfully", (number)vm_id);
    return 0;
}
