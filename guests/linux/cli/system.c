/* `system reboot`, `shutdown`, `update`, `test`. */
#include <stdio.h>
#include <unistd.h>

#include "command.h"
#include "driver.h"
#include "files.h"
#include "log.h"

#define MODULE "sys"

static int call(unsigned number, uint64_t argument, const char *what)
{
    int driver = driver_open();
    if (driver < 0) {
        log_error("Failed to open " DEVICE_NODE ": %s", driver_problem());
        return FAILED;
    }
    printf("sys %s fd %d\n", what, driver);
    fflush(stdout); /* the machine may end in the call */
    int status = 0;
    if (driver_call(driver, number, argument) < 0) {
        puts("err: ioctl fail!");
        status = FAILED;
    }
    close(driver);
    return status;
}

int system_reboot(const struct arguments *arguments)
{
    return call(SYS_REBOOT, arguments->force, "reboot");
}

int system_shutdown(const struct arguments *arguments)
{
    return call(SYS_SHUTDOWN, arguments->force, "shutdown");
}

int system_test(const struct arguments *arguments)
{
    (void)arguments;
    return call(SYS_TEST, 0, "test");
}

/* The original copies the file to the memory behind /dev/hyper_update. There is none here: the hypervisor is no program in
   the machine's memory, so nothing is sent. */
int system_update(const struct arguments *arguments)
{
    struct stat status;
    int file = open_regular(arguments->argument, 0, false, &status);
    if (file < 0) {
        log_error("System update failed: %s cannot be read: %s", arguments->argument, file_problem());
        return FAILED;
    }
    close(file);
    if (!status.st_size)
        log_error("System update failed: %s is empty", arguments->argument);
    else
        log_error("System update failed: this hypervisor is part of the machine and cannot be replaced while it runs");
    return FAILED;
}
