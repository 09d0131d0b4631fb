#include "driver.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"

int driver_open(void)
{
    return open(DEVICE_NODE, O_RDWR | O_CLOEXEC | O_NONBLOCK);
}

const char *driver_problem(void)
{
    if (errno == ENOENT)
        return "it does not exist; load the kernel module first: insmod shyper_riscv64.ko";
    if (errno == EACCES || errno == EPERM)
        return "permission denied; run this as root";
    return strerror(errno);
}

long driver_call(int driver, unsigned number, uint64_t argument)
{
    return syscall(SYS_ioctl, driver, (long)number, argument);
}

bool driver_list(int driver, struct vm_page *page)
{
    memset(page, 0, sizeof *page);
    if (driver_call(driver, VM_LIST, (uintptr_t)page) < 0)
        return false;
    if (page->count > 16)
        page->count = 16;
    return true;
}

const struct vm_entry *driver_vm(int driver, struct vm_page *page, uint64_t vm_id)
{
    if (!driver_list(driver, page))
        return NULL;
    for (uint64_t i = 0; i < page->count; i++)
        if (page->entries[i].id == vm_id)
            return &page->entries[i];
    return NULL;
}

bool driver_has_extension(int driver)
{
    char text[16];
    struct config_text request = {.buffer = (uintptr_t)text, .size = sizeof text};
    return driver_call(driver, VM_GET_CONFIG, (uintptr_t)&request) >= 0;
}
