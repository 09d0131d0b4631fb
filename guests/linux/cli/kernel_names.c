#include "kernel_names.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "driver.h"
#include "files.h"
#include "folder.h"
#include "log.h"

#define MODULE "kernel_names"
#define MODULE_HOLDS 31  /* bytes of a name */
#define DISPLAYED 255

void folder_make(void)
{
    mkdir("/run", 0755);
    mkdir(FOLDER, 0755);
}

static const char *link_name(uint64_t vm_id, const char *what)
{
    return formatted(FOLDER "/vm%llu.%s", (unsigned long long)vm_id, what);
}

/* Whether the link is there afterwards; `path` NULL removes an earlier VM's. */
static bool leave(const char *name, const char *path)
{
    unlink(name);
    return path && !symlink(absolute(path), name);
}

/* For display only, so modules that do not know it may refuse. */
static void tell(int driver, uint64_t vm_id, unsigned kind, const char *name)
{
    size_t length = strlen(name);
    if (length > DISPLAYED) { /* its end tells more than its start */
        name += length - DISPLAYED;
        length = DISPLAYED;
    }
    struct file_name request = {vm_id, kind, (uintptr_t)name, length};
    driver_call(driver, SET_FILE_NAME, (uintptr_t)&request);
}

const char *names_set(int driver, uint64_t vm_id, const char *kernel, const char *ramdisk, const char *config)
{
    struct kernel_name request = {.vm_id = vm_id};
    const char *link = link_name(vm_id, "kernel"), *name = kernel;
    folder_make();
    bool left = leave(link, kernel);
    leave(link_name(vm_id, "ramdisk"), ramdisk);
    if (strlen(name) > MODULE_HOLDS && left)
        name = link;
    memcpy(request.name, name, strnlen(name, MODULE_HOLDS));
    if (driver_call(driver, SET_KERNEL_NAME, (uintptr_t)&request) < 0)
        return "Failed to set kernel image name";
    tell(driver, vm_id, NAME_OF_KERNEL, kernel);
    tell(driver, vm_id, NAME_OF_CONFIG, config);
    if (ramdisk)
        tell(driver, vm_id, NAME_OF_RAMDISK, ramdisk);
    return NULL;
}

/* What a link leads to, NULL when there is none. */
static char *target(const char *link)
{
    char path[4096];
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size <= 0)
        return NULL;
    path[size] = '\0';
    return formatted("%s", path);
}

static bool has_end(const char *path, const char *end)
{
    size_t size = strlen(path), wanted = strlen(end);
    return size >= wanted && !strcmp(path + size - wanted, end);
}

void names_get(int driver, uint64_t vm_id, const char **kernel, const char **ramdisk)
{
    char name[32 + 1] = "";
    struct kernel_name_request request = {vm_id, (uintptr_t)name};
    *kernel = *ramdisk = NULL;
    if (driver_call(driver, GET_KERNEL_NAME, (uintptr_t)&request) < 0 || !name[0])
        return;
    const char *link = link_name(vm_id, "kernel");
    char *path = target(link);
    if (path && (!strcmp(name, link) || has_end(path, name))) { /* not those of an earlier VM of that number */
        *kernel = path;
        *ramdisk = target(link_name(vm_id, "ramdisk"));
    } else {
        *kernel = formatted("%s", name);
    }
}
