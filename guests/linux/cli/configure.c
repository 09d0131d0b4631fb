/* `vm config FILE`: makes a VM from a configuration file, in the original's order of calls. */
#include "configure.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "driver.h"
#include "kernel_names.h"
#include "log.h"
#include "report.h"
#include "upload.h"
#include "vm_config.h"

#define MODULE "vmm"

/* What is uploaded; a descriptor of -1 where there is nothing. */
struct images {
    struct upload_file kernel, tree, ramdisk;
};

static uint64_t address(const void *of)
{
    return (uint64_t)(uintptr_t)of;
}

/* What the start of a kernel file tells: NULL, or why it would not run. */
static const char *kernel_problem(const struct upload_file *file)
{
    static const struct {
        const char *magic;
        unsigned size;
        const char *problem;
    } kinds[] = {
        {"\x7f" "ELF", 4, "is an ELF file; make a raw image of it: objcopy -O binary FILE IMAGE"},
        {"\x1f\x8b", 2, "is compressed; unpack it first: gunzip < FILE > IMAGE"},
        {"\x28\xb5\x2f\xfd", 4, "is compressed; unpack it first: zstd -d FILE -o IMAGE"},
        {"\xfd" "7zXZ", 5, "is compressed; unpack it first: xz -d < FILE > IMAGE"},
        {"BZh", 3, "is compressed; unpack it first: bunzip2 < FILE > IMAGE"},
        {"\x02\x21\x4c\x18", 4, "is compressed; unpack it first: lz4 -d FILE IMAGE"},
    };
    char start[8] = "";
    ssize_t size = pread(file->descriptor, start, sizeof start, 0);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (size >= (ssize_t)kinds[i].size && !memcmp(start, kinds[i].magic, kinds[i].size))
            return kinds[i].problem;
    return NULL;
}

static void open_image(struct report *report, struct upload_file *file, const struct image_file *named, const char *what)
{
    const char *problem = upload_open(file, named->name);
    if (problem)
        report_error(report, named->offset, "file-missing",
                     "The %s \"%s\" %s. Correct the name; relative names start at the working directory.", what,
                     shortened(named->name), problem);
}

/* Opens every file before anything is sent: a mistake then leaves nothing behind. */
static bool open_images(const struct vm_config *config, struct report *report, struct images *images)
{
    images->kernel.descriptor = images->tree.descriptor = images->ramdisk.descriptor = -1;
    open_image(report, &images->kernel, &config->kernel, "kernel");
    const char *problem = images->kernel.descriptor < 0 ? NULL : kernel_problem(&images->kernel);
    if (problem)
        report_error(report, config->kernel.offset, "not-a-kernel", "The kernel \"%s\" %s.", shortened(config->kernel.name),
                     problem);
    if (*config->tree.name)
        open_image(report, &images->tree, &config->tree, "device tree overlay");
    if (*config->ramdisk.name && (problem = upload_open(&images->ramdisk, config->ramdisk.name)))
        report_warning(report, config->ramdisk.offset, "no-ramdisk", "The ramdisk \"%s\" %s, so the VM gets none.",
                       shortened(config->ramdisk.name), problem);
    return report->errors == 0;
}

static void close_images(struct images *images)
{
    upload_close(&images->kernel);
    upload_close(&images->tree);
    upload_close(&images->ramdisk);
}

/* Steps; each gives NULL, or why it failed */

static const char *refused(const char *what)
{
    return formatted("failed to send vm_%s_config_arg; the hypervisor's log says why", what);
}

static bool add(int driver, const struct vm_config *config, uint64_t *vm_id)
{
    uint32_t id = 0;
    size_t cmdline = strlen(config->cmdline) + 1;
    struct add_vm request = {
        .name = address(config->name),
        .name_length = strlen(config->name) + 1,
        .type = config->type,
        .cmdline = address(config->cmdline),
        .cmdline_length = cmdline < MAX_CMDLINE ? cmdline : MAX_CMDLINE,
        .kernel_load_ipa = config->kernel.ipa,
        .device_tree_load_ipa = config->tree.ipa,
        .ramdisk_load_ipa = config->ramdisk.ipa,
        .id = address(&id),
    };
    bool added = driver_call(driver, ADD_VM, address(&request)) >= 0;
    *vm_id = id;
    return added;
}

static const char *send_memory_and_cpu(int driver, uint64_t vm_id, const struct vm_config *config)
{
    for (unsigned i = 0; i < config->region_count; i++) {
        struct add_region request = {vm_id, config->regions[i].ipa_start, config->regions[i].length};
        if (driver_call(driver, ADD_REGION, address(&request)) < 0)
            return refused("memory_region");
    }
    if (config->has_colors) {
        struct set_colors request = {vm_id, config->color_count, address(config->colors), config->budget, 0};
        if (driver_call(driver, SET_COLORS, address(&request)) < 0)
            return refused("memory_color_budget");
    }
    struct set_cpu cpu = {vm_id, config->cpu_num, config->cpu_bitmap, config->cpu_master, 0};
    return driver_call(driver, SET_CPU, address(&cpu)) < 0 ? refused("cpu") : NULL;
}

/* A mediated disk may come a little later: `shyper system daemon FILE &` goes on to register its disks after the shell has
   its prompt back. */
static bool add_emulated(int driver, const struct add_emulated *request)
{
    const struct timespec pause = {0, 100000000};
    for (unsigned tries = request->type == DEVICE_MEDIATED ? 30 : 1; tries; tries--) {
        if (driver_call(driver, ADD_EMULATED, address(request)) >= 0)
            return true;
        if (tries > 1)
            nanosleep(&pause, NULL);
    }
    return false;
}

static const char *send_emulated(int driver, uint64_t vm_id, const struct vm_config *config)
{
    for (unsigned i = 0; i < config->emulated_count; i++) {
        const struct emulated *device = &config->emulated[i];
        struct add_emulated request = {
            .vm_id = vm_id,
            .name = address(device->name),
            .name_length = strlen(device->name) + 1,
            .base_ipa = device->base_ipa,
            .length = device->length,
            .irq_id = device->irq_id,
            .cfg = address(device->cfg),
            .cfg_length = device->cfg_count,
            .type = device->type,
        };
        if (!add_emulated(driver, &request))
            return formatted("failed to send vm_emulated_device_config_arg of \"%s\"%s", device->name,
                             device->type == DEVICE_MEDIATED
                                 ? "; no mediated disk is free, is `shyper system daemon` running?"
                                 : "; the hypervisor's log says why");
    }
    return NULL;
}

static const char *send_passthrough(int driver, uint64_t vm_id, const struct vm_config *config)
{
    for (unsigned i = 0; i < config->passthrough_count; i++) {
        const struct passthrough *device = &config->passthrough[i];
        struct add_passthrough request = {vm_id, device->base_ipa, device->base_pa, device->length};
        if (driver_call(driver, ADD_PASSTHROUGH, address(&request)) < 0)
            return refused("passthrough_device");
    }
    struct number_list irqs = {vm_id, address(config->irqs), config->irq_count};
    if (irqs.count && driver_call(driver, SET_IRQS, address(&irqs)) < 0)
        return refused("passthrough_irqs");
    struct number_list streams = {vm_id, address(config->streams), config->stream_count};
    if (streams.count && driver_call(driver, SET_STREAMS, address(&streams)) < 0)
        return refused("passthrough_streams_ids");
    return NULL;
}

static const char *send_dtb(int driver, uint64_t vm_id, const struct vm_config *config)
{
    for (unsigned i = 0; i < config->dtb_count; i++) {
        const struct dtb_device *device = &config->dtb[i];
        struct add_dtb_device request = {
            .vm_id = vm_id,
            .name = address(device->name),
            .name_length = strlen(device->name) + 1,
            .type = device->type,
            .irqs = address(device->irqs),
            .irq_count = device->irq_count,
            .ipa = device->ipa,
            .length = device->length,
        };
        if (driver_call(driver, ADD_DTB_DEVICE, address(&request)) < 0)
            return refused("dtb_device");
    }
    return NULL;
}

/* The original's module loads no ramdisks: that is a warning, as the kernel may do without. */
static const char *send_ramdisk(int driver, uint64_t vm_id, const char *name, const struct upload_file *file)
{
    const char *problem = upload_send(driver, UPLOAD_RAMDISK, vm_id, file);
    if (!problem)
        return NULL;
    if (driver_has_extension(driver))
        return formatted("failed to copy ramdisk %s to memory: it %s", name, problem);
    log_warn("The kernel module loads no ramdisks, so VM [%llu] starts without %s", (unsigned long long)vm_id, name);
    return NULL;
}

static const char *send_kernel(int driver, uint64_t vm_id, const char *name, const struct upload_file *file)
{
    const char *problem = upload_send(driver, UPLOAD_KERNEL, vm_id, file);
    return problem ? formatted("failed to copy kernel image %s to memory: it %s", name, problem) : NULL;
}

static const char *send_images(int driver, uint64_t vm_id, const struct vm_config *config, const struct images *images)
{
    const char *problem = NULL;
    if (images->tree.descriptor >= 0 && (problem = upload_send(driver, UPLOAD_TREE, vm_id, &images->tree)))
        return formatted("failed to copy device tree %s to memory: it %s", config->tree.name, problem);
    if (images->ramdisk.descriptor >= 0)
        problem = send_ramdisk(driver, vm_id, config->ramdisk.name, &images->ramdisk);
    return problem ? problem : send_kernel(driver, vm_id, config->kernel.name, &images->kernel);
}

static const char *send_all(int driver, uint64_t vm_id, const struct vm_config *config, const struct images *images,
                            const char *file)
{
    const char *problem = send_memory_and_cpu(driver, vm_id, config);
    if (!problem)
        problem = send_emulated(driver, vm_id, config);
    if (!problem)
        problem = send_passthrough(driver, vm_id, config);
    if (!problem)
        problem = send_dtb(driver, vm_id, config);
    if (!problem)
        problem = send_images(driver, vm_id, config, images);
    if (!problem)
        problem = names_set(driver, vm_id, config->kernel.name, images->ramdisk.descriptor >= 0 ? config->ramdisk.name : NULL,
                            file);
    return problem;
}

static void take_back(int driver, uint64_t vm_id)
{
    struct vm_page page;
    /* The original's module reports failure for a VM without a kernel's name, and yet the hypervisor has deleted it. */
    if (driver_call(driver, DELETE_VM, vm_id) >= 0 || (!driver_vm(driver, &page, vm_id) && driver_list(driver, &page)))
        log_info("DELETE VM [%llu] config successfully", (unsigned long long)vm_id);
    else
        log_error("Failed to delete VM[%llu] config", (unsigned long long)vm_id);
}

static void interrupt(int number)
{
    upload_interrupted = number;
}

/* Ctrl-C and the like end the upload, and take back what there is of the VM. */
static void catch_signals(void)
{
    const struct sigaction action = {.sa_handler = interrupt, .sa_flags = SA_RESTART};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

static int make_vm(const struct vm_config *config, const struct images *images, const char *file)
{
    int driver = driver_open();
    uint64_t vm_id;
    catch_signals();
    if (driver < 0) {
        log_error("Add vm failed: Failed to open " DEVICE_NODE ": %s", driver_problem());
        return FAILED;
    }
    if (!add(driver, config, &vm_id)) {
        struct vm_page page;
        bool full = driver_list(driver, &page) && page.count >= 8;
        log_error("Add vm failed: config_add_vm failed: %s",
                  full ? "8 VMs exist already; remove one with `shyper vm remove`" : "the hypervisor's log says why");
        close(driver);
        return FAILED;
    }
    log_info("Send VM [%llu] config successfully", (unsigned long long)vm_id);
    const char *problem = send_all(driver, vm_id, config, images, file);
    if (problem) {
        log_error("Config VM [%llu] failed: %s", (unsigned long long)vm_id, problem);
        take_back(driver, vm_id);
        log_error("Add vm failed: %s", problem);
    } else {
        log_info("Config VM [%llu] successfully", (unsigned long long)vm_id);
    }
    close(driver);
    return problem ? FAILED : 0;
}

int vm_configure(const struct arguments *arguments)
{
    static struct report report;
    static struct vm_config config;
    struct images images;
    if (!report_read(&report, arguments->argument) || !vm_config_read(&config, &report)) {
        report_show(&report, MODULE, "Add vm failed: ");
        return FAILED;
    }
    bool complete = open_images(&config, &report, &images);
    report_show(&report, MODULE, "Add vm failed: ");
    int status = FAILED;
    if (complete) {
        printf("Parse VM config successfully, VM name [%s]\n", config.name);
        status = make_vm(&config, &images, arguments->argument);
    }
    close_images(&images);
    return status;
}

const char *upload_again(int driver, uint64_t vm_id, const char *kernel, const char *ramdisk)
{
    struct upload_file file;
    const char *problem = NULL;
    if (ramdisk) {
        problem = upload_open(&file, ramdisk);
        if (problem)
            return formatted("the ramdisk %s %s", ramdisk, problem);
        problem = send_ramdisk(driver, vm_id, ramdisk, &file);
        upload_close(&file);
    }
    if (problem)
        return problem;
    problem = upload_open(&file, kernel);
    if (problem)
        return formatted("the kernel %s %s", kernel, problem);
    problem = send_kernel(driver, vm_id, kernel, &file);
    upload_close(&file);
    return problem;
}
