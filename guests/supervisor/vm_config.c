#include "vm_config.h"

#include "csr.h"
#include "hypercall.h"
#include "kernel_file.h"
#include "machine.h"
#include "module.h"
#include "print.h"
#include "string.h"

#define NAME_MAX 32
#define MAX_DEVICES 8
#define CFG_ENTRIES 16 /* the hypervisor reads sixteen, however many are meant */
#define CHUNK (32ul << 20)
#define MAX_VMS 8

enum { CONFIGURE = 0x11, UPLOAD_AGAIN = 9 }; /* a message: function and event */

enum { EMULATED_NET = 4, EMULATED_CONSOLE = 5, EMULATED_MEDIATED_BLOCK = 7, EMULATED_PLIC = 13 };

struct device {
    const char *name;
    uint64_t base, length, irq, type;
    uint64_t cfg[CFG_ENTRIES];
};

struct definition {
    const char *name, *cmdline;
    uint64_t type, kernel_ipa, tree_ipa, ramdisk_ipa;
    uint64_t memory_base, memory_length;
    uint64_t cpu_number, cpu_bitmap, cpu_master;
    unsigned device_count;
    struct device devices[MAX_DEVICES];
};

/* The structure that ADD_VM points to. */
struct add_vm {
    uint64_t name, name_length, type, cmdline, cmdline_length, kernel_ipa, tree_ipa, ramdisk_ipa;
};

/* The sample guest of the user guide. Console and MAC depend on the id, which is not known yet. */
static const struct definition sample = {
    .cmdline = "earlycon=sbi console=hvc1 root=/dev/vda rw audit=0",
    .kernel_ipa = 0x80200000,
    .tree_ipa = 0xa0000000,
    .memory_base = 0x80000000,
    .memory_length = 0x40000000,
    .cpu_number = 3,
    .cpu_bitmap = 0xe,
    .cpu_master = 1,
    .device_count = 4,
    .devices =
        {
            {"plic@c000000", 0xc000000, 0x600000, 1, EMULATED_PLIC, {0}},
            {"virtio_blk@10001000", 0x10001000, 0x1000, 19, EMULATED_MEDIATED_BLOCK, {0, 8192000}},
            {"virtio_net@50000000", 0x50000000, 0x1000, 20, EMULATED_NET, {0x74, 0x56, 0xaa, 0x0f, 0x47, 0xd0}},
            {"virtio_console@40000000", 0x40000000, 0x1000, 21, EMULATED_CONSOLE, {0, 0x40000000}},
        },
};

static struct definition definition;

static void remove_device(unsigned index)
{
    definition.device_count--;
    for (; index < definition.device_count; index++)
        definition.devices[index] = definition.devices[index + 1];
}

static struct device *device_of(uint64_t type)
{
    for (unsigned i = 0; i < definition.device_count; i++)
        if (definition.devices[i].type == type)
            return &definition.devices[i];
    return NULL;
}

static unsigned ones(uint64_t value)
{
    unsigned count = 0;
    for (; value; value &= value - 1)
        count++;
    return count;
}

/* One KEY=VALUE; false when it is none of those that are known. */
static bool change(const char *text)
{
    char key[16];
    unsigned length = 0;
    uint64_t value;
    while (text[length] && text[length] != '=' && length < sizeof key - 1) {
        key[length] = text[length];
        length++;
    }
    key[length] = '\0';
    if (text[length] != '=' || !parse_number(text + length + 1, &value))
        return false;
    struct device *block = device_of(EMULATED_MEDIATED_BLOCK);
    if (!strcmp(key, "type")) {
        definition.type = value;
    } else if (!strcmp(key, "memory")) { /* MiB */
        definition.memory_length = value << 20;
        if (definition.tree_ipa - definition.memory_base + (2ul << 20) > definition.memory_length)
            definition.tree_ipa = definition.memory_base + definition.memory_length - (2ul << 20);
    } else if (!strcmp(key, "tree")) {
        definition.tree_ipa = value;
    } else if (!strcmp(key, "cpus")) { /* bit map of cores */
        definition.cpu_bitmap = value;
        definition.cpu_number = ones(value);
        definition.cpu_master = UINT64_MAX;
    } else if (!strcmp(key, "num")) {
        definition.cpu_number = value;
    } else if (!strcmp(key, "master")) {
        definition.cpu_master = value;
    } else if (!strcmp(key, "disk") && block && value == 0) { /* sectors; 0: no disk */
        remove_device((unsigned)(block - definition.devices));
    } else if (!strcmp(key, "disk") && block) {
        block->cfg[1] = value;
    } else if (!strcmp(key, "start") && block) { /* first sector on the mediated disk */
        block->cfg[0] = value;
    } else if (!strcmp(key, "file")) { /* bytes; a longer file than the kernel ends with zeros */
        kernel_file_extend(value);
    } else {
        return false;
    }
    return true;
}

/* Console and network card that fit the VM with this id. */
static void fit_to_id(uint64_t id)
{
    static char name[NAME_MAX];
    struct device *console = device_of(EMULATED_CONSOLE), *net = device_of(EMULATED_NET);
    uint64_t page = id < 3 ? id : id + 1; /* the third page is the managing VM's network device */
    console->base = console->cfg[1] = 0x40000000 + 0x1000 * page;
    format_to(name, sizeof name, "virtio_console@%lx", console->base);
    console->name = name;
    net->cfg[5] += id;
}

/* The last piece is announced with the size of the whole file, as the original's command line does it. */
static bool upload_kernel(uint64_t id)
{
    uint64_t size = kernel_file_size();
    uint8_t *buffer = kernel_file_buffer(CHUNK);
    for (uint64_t copied = 0; copied < size;) {
        uint64_t left = size - copied, announced = left > CHUNK ? CHUNK : size;
        uint64_t read = left > CHUNK ? CHUNK : left;
        kernel_file_read(copied, buffer, read);
        if (hypercall(id, size, (uint64_t)buffer, copied, announced, 0, 0, CONFIG_KERNEL))
            return false;
        copied += read;
    }
    return true;
}

static uint64_t file_sizes[MAX_VMS]; /* of the kernel of each VM that was made here; 0: none was */
static volatile uint64_t wanted;     /* bit map of VMs whose kernels the hypervisor wants once more */
static volatile bool busy;           /* the upload buffer is in use */

/* A VM starts again and the hypervisor has not kept its kernel: upload it, boot. Interrupts are off. */
static void upload_again(void)
{
    for (uint64_t id = 0; id < MAX_VMS; id++)
        if (wanted >> id & 1) {
            wanted &= ~(1ul << id);
            kernel_file_extend(file_sizes[id]);
            bool good = upload_kernel(id) && !hypercall1(VM_BOOT, id);
            log_line("VM %lu: kernel uploaded again, %s", id, good ? "booted" : "which failed");
        }
}

static void message_arrived(const struct message *message)
{
    if (message->event != UPLOAD_AGAIN || message->vm >= MAX_VMS || !file_sizes[message->vm])
        return;
    wanted |= 1ul << message->vm;
    if (!busy)
        upload_again();
}

/* NULL, or what could not be sent. */
static const char *send(uint64_t id)
{
    if (hypercall(id, definition.memory_base, definition.memory_length, 0, 0, 0, 0, CONFIG_MEMORY))
        return "failed to send vm_memory_region_config_arg";
    if (hypercall(id, definition.cpu_number, definition.cpu_bitmap, definition.cpu_master, 0, 0, 0, CONFIG_CPU))
        return "failed to send vm_cpu_config_arg";
    for (unsigned i = 0; i < definition.device_count; i++) {
        const struct device *device = &definition.devices[i];
        if (hypercall(id, (uint64_t)device->name, device->base, device->length, device->irq, (uint64_t)device->cfg,
                      device->type, CONFIG_DEVICE))
            return "failed to send vm_emulated_device_config_arg";
    }
    if (!upload_kernel(id))
        return "failed to copy kernel image to memory";
    file_sizes[id % MAX_VMS] = kernel_file_size();
    module_listen(CONFIGURE, message_arrived);
    return NULL;
}

/* Makes the VM of `definition`. */
static void configure(void)
{
    const char *missing = kernel_file_open(CHUNK);
    if (missing) {
        printf("Add vm failed: %s\n", missing);
        return;
    }
    printf("Parse VM config successfully, VM name [%s]\n", definition.name);
    struct add_vm add = {
        (uint64_t)definition.name,  strlen(definition.name), definition.type,    (uint64_t)definition.cmdline,
        strlen(definition.cmdline), definition.kernel_ipa,   definition.tree_ipa, definition.ramdisk_ipa,
    };
    int64_t id = hypercall1(CONFIG_ADD_VM, (uint64_t)&add);
    if (id < 0) {
        printf("Add vm failed: config_add_vm failed\n");
        return;
    }
    printf("Send VM [%ld] config successfully\n", id);
    fit_to_id((uint64_t)id);
    const char *reason = send((uint64_t)id);
    if (!reason) {
        printf("Config VM [%ld] successfully\n", id);
        return;
    }
    printf("Config VM [%ld] failed: %s\n", id, reason);
    if (hypercall1(CONFIG_DELETE_VM, (uint64_t)id))
        printf("Failed to delete VM[%ld] config\n", id);
    else
        printf("DELETE VM [%ld] config successfully\n", id);
    printf("Add vm failed: %s\n", reason);
}

bool vm_config(int argc, char **argv)
{
    bool good = true;
    busy = true;
    definition = sample;
    definition.name = argv[0];
    kernel_file_extend(0);
    for (int i = 1; good && i < argc; i++)
        good = change(argv[i]);
    if (good)
        configure();
    uint64_t flags = interrupts_off();
    busy = false;
    upload_again();
    interrupts_restore(flags);
    return good;
}
