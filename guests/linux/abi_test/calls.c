/* Calls as a command makes them: the life of a VM from its configuration to its removal. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "abi_test.h"

struct vm_entry {
    uint32_t id;
    char name[32];
    uint32_t type, state;
};

static struct {
    uint64_t count;
    struct vm_entry entries[(4096 - 8) / sizeof(struct vm_entry)];
    char rest[(4096 - 8) % sizeof(struct vm_entry)];
} list;
_Static_assert(sizeof list == 4096, "the module writes a page");

enum { PENDING = 1 };

static void test_identity(int driver)
{
    struct {
        uint64_t id, behind;
    } wide = {1, 0xabcd};
    struct {
        uint32_t id, behind;
    } narrow = {1, 0xabcd};
    expect("vm id", call(driver, SHYPER_VM_ID, address_of(&wide)), 0);
    expect("vm id is 0", (long)wide.id, 0);
    expect("8 bytes are written", (long)wide.behind, 0xabcd);
    expect("own id", call(driver, SHYPER_OWN_ID, address_of(&narrow)), 0);
    expect("own id is 0", narrow.id, 0);
    expect("4 bytes are written", narrow.behind, 0xabcd);
    expect("test", call(driver, SHYPER_SYS_TEST, 0), 0);
    expect("update is not there", call(driver, SHYPER_SYS_UPDATE, 4096), -EPERM);
}

static uint32_t add(int driver, const char *name, const char *cmdline)
{
    struct {
        uint32_t id, behind;
    } answer = {99, 0xabcd};
    struct shyper_vm vm = {
        .name_addr = address_of(name),
        .name_len = strlen(name),
        .cmdline_addr = address_of(cmdline),
        .cmdline_len = strlen(cmdline),
        .kernel_load_ipa = 0x80200000,
        .device_tree_load_ipa = 0x80100000,
        .vm_id_addr = address_of(&answer),
    };
    expect(name, call(driver, SHYPER_ADD_VM, address_of(&vm)), 0);
    expect("id has 4 bytes", answer.behind, 0xabcd);
    return answer.id;
}

static void test_pieces(int driver, uint64_t vm_id)
{
    uint64_t numbers[64] = {1, 2, 3}, cfg[16] = {0, 0x40001000};
    struct shyper_region region = {vm_id, 0x80000000, 16 << 20};
    struct shyper_cpu cpu = {.vm_id = vm_id, .num = 1, .bitmap = 2, .master = 1};
    struct shyper_emulated plic = {vm_id, address_of("plic@c000000"), 12, 0xc000000, 0x600000, 1, 0, 0, 13};
    struct shyper_emulated console = {
        vm_id, address_of("virtio_console@40001000"), 23, 0x40001000, 0x1000, 21, address_of(cfg), 16, 5,
    };
    struct shyper_passthrough passthrough = {vm_id, 0x50000000, 0x10001000, 0x1000};
    struct shyper_numbers irqs = {vm_id, address_of(numbers), 64}, streams = {vm_id, address_of(numbers), 16};
    struct shyper_dtb_device tree_device = {vm_id, address_of("serial"), 6, 0, address_of(numbers), 64, 0x1000, 0x1000};
    struct shyper_colors colors = {.vm_id = vm_id, .color_num = 3, .colors_addr = address_of(numbers), .budget = 5};
    expect("region", call(driver, SHYPER_ADD_REGION, address_of(&region)), 0);
    expect("cpu", call(driver, SHYPER_SET_CPU, address_of(&cpu)), 0);
    expect("plic", call(driver, SHYPER_ADD_EMULATED, address_of(&plic)), 0);
    expect("console", call(driver, SHYPER_ADD_EMULATED, address_of(&console)), 0);
    expect("colors", call(driver, SHYPER_SET_COLORS, address_of(&colors)), 0);
    expect("tree device", call(driver, SHYPER_ADD_DTB_DEVICE, address_of(&tree_device)), 0);
    if (vm_id == 1) { /* that one is deleted; these would be in the way of creating it */
        expect("passthrough", call(driver, SHYPER_ADD_PASSTHROUGH, address_of(&passthrough)), 0);
        expect("irqs", call(driver, SHYPER_SET_IRQS, address_of(&irqs)), 0);
        expect("streams", call(driver, SHYPER_SET_STREAMS, address_of(&streams)), 0);
    }
}

static void test_files(int driver, uint64_t vm_id)
{
    uint32_t *buffer = fresh_memory(4096);
    buffer[0] = 0x6f; /* jump to itself */
    struct shyper_upload piece = {vm_id, 4096, physical_address(buffer), 0, 4096};
    char path[255], name[32];
    memset(path, 'p', sizeof path);
    struct shyper_file_name file = {vm_id, 1, address_of(path), sizeof path};
    struct shyper_kernel_name kernel = {vm_id, "Image-of-a-kernel-31-characters"};
    struct shyper_kernel_name_request request = {vm_id, address_of(name)};
    expect("no kernel name yet", call(driver, SHYPER_GET_KERNEL_NAME, address_of(&request)), -ENOENT);
    expect("kernel", call(driver, SHYPER_UPLOAD_KERNEL, address_of(&piece)), 0);
    expect("ramdisk", call(driver, SHYPER_UPLOAD_RAMDISK, address_of(&piece)), 0);
    expect("name of the configuration", call(driver, SHYPER_NAME_FILE, address_of(&file)), 0);
    expect("name of the kernel", call(driver, SHYPER_SET_KERNEL_NAME, address_of(&kernel)), 0);
    expect("its name", call(driver, SHYPER_GET_KERNEL_NAME, address_of(&request)), 0);
    expect("is the same", strcmp(name, kernel.name), 0);
}

static void test_configuration_text(int driver)
{
    char text[4096] = "";
    struct shyper_configuration whole = {0, address_of(text), sizeof text, 0}, part = {0, address_of(text), 4, 0};
    struct shyper_configuration length = {0, 0, 0, 0};
    expect("configuration", call(driver, SHYPER_VM_CONFIGURATION, address_of(&whole)), 0);
    expect("has this length", (long)strlen(text), (long)whole.length);
    expect("begins like JSON", text[0], '{');
    memset(text, '#', sizeof text);
    expect("a part of it", call(driver, SHYPER_VM_CONFIGURATION, address_of(&part)), 0);
    expect("whose length is told as well", (long)part.length, (long)whole.length);
    expect("nothing more is written", text[4], '#');
    expect("its length", call(driver, SHYPER_VM_CONFIGURATION, address_of(&length)), 0);
    expect("is the same", (long)length.length, (long)whole.length);
}

int test_calls(void)
{
    int driver = open_driver();
    char cmdline[1024];
    memset(cmdline, 'c', sizeof cmdline);
    cmdline[sizeof cmdline - 1] = '\0';
    test_identity(driver);
    expect("first VM", add(driver, "deleted", cmdline), 1);
    test_pieces(driver, 1);
    expect("delete", call(driver, SHYPER_DELETE_VM, 1), 0);
    expect("it is gone", call(driver, SHYPER_DELETE_VM, 1), -EPERM);

    expect("the id is free again", add(driver, "kept", cmdline), 1);
    expect("second VM", add(driver, "a-name-with-31-characters-in-it", "console=hvc0"), 2);
    test_pieces(driver, 2);
    test_files(driver, 2);
    test_configuration_text(driver);
    expect("list", call(driver, SHYPER_VM_LIST, address_of(&list)), 0);
    expect("three VMs", (long)list.count, 3);
    expect("VM 2", list.entries[2].id, 2);
    expect("its name", strcmp(list.entries[2].name, "a-name-with-31-characters-in-it"), 0);
    expect("its state", list.entries[2].state, PENDING);
    expect("boot", call(driver, SHYPER_VM_BOOT, 2), 0);
    expect("no VM 5", call(driver, SHYPER_VM_BOOT, 5), -EPERM);
    expect("reboot", call(driver, SHYPER_VM_REBOOT, 2 | 1 << 16), 0);
    expect("shutdown", call(driver, SHYPER_VM_SHUTDOWN, 2 | 1 << 16), 0);
    expect("remove", call(driver, SHYPER_VM_REMOVE, 2), 0);
    struct shyper_kernel_name_request request = {2, address_of(cmdline)};
    expect("its kernel's name is forgotten", call(driver, SHYPER_GET_KERNEL_NAME, address_of(&request)), -ENOENT);
    expect("remove what is not there", call(driver, SHYPER_VM_REMOVE, 5), -EPERM);
    expect("delete the other", call(driver, SHYPER_DELETE_VM, 1), 0);
    close(driver);
    return summary("calls");
}
