/* Bad addresses, lengths, numbers: every call fails with the errno that says why, and nothing else happens. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "abi_test.h"

#define KERNEL_ADDRESS 0xffffffff80000000ull

static const unsigned with_structure[] = {
    SHYPER_VM_LIST, SHYPER_VM_ID, SHYPER_VM_CONFIGURATION, SHYPER_OWN_ID, SHYPER_SET_KERNEL_NAME,
    SHYPER_GET_KERNEL_NAME, SHYPER_DISK_APPEND, SHYPER_ADD_VM, SHYPER_SET_CPU, SHYPER_ADD_REGION, SHYPER_ADD_EMULATED,
    SHYPER_ADD_PASSTHROUGH, SHYPER_SET_IRQS, SHYPER_SET_STREAMS, SHYPER_ADD_DTB_DEVICE, SHYPER_UPLOAD_KERNEL,
    SHYPER_SET_COLORS, SHYPER_UPLOAD_DEVICE_TREE, SHYPER_UPLOAD_RAMDISK, SHYPER_NAME_FILE,
};
static const unsigned with_value[] = {
    SHYPER_SYS_REBOOT, SHYPER_SYS_SHUTDOWN, SHYPER_SYS_UPDATE, SHYPER_SYS_TEST, SHYPER_VM_BOOT, SHYPER_VM_SHUTDOWN,
    SHYPER_VM_REBOOT, SHYPER_VM_REMOVE, SHYPER_DISK_DONE, SHYPER_DISK_FAILED, SHYPER_DISK_FEATURES, SHYPER_DISK_DETACH,
    SHYPER_SIGNAL_TO, SHYPER_DELETE_VM,
};
#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool known(unsigned number)
{
    for (unsigned i = 0; i < COUNT(with_structure); i++)
        if (with_structure[i] == number)
            return true;
    for (unsigned i = 0; i < COUNT(with_value); i++)
        if (with_value[i] == number)
            return true;
    return false;
}

static void test_numbers(int driver)
{
    for (unsigned number = 0; number <= 0x2000; number++)
        if (!known(number) && number != 2) /* FIGETBSZ, which any file has */
            expect_at("unknown number", number, call(driver, number, 0), -ENOTTY);
    for (unsigned i = 0; i < COUNT(with_value); i++)
        expect_at("number with more bits", with_value[i], call(driver, with_value[i] | 0x10000, 0), -ENOTTY);
}

static void test_addresses(int driver, uint64_t unmapped)
{
    const uint64_t bad[] = {0, 8, unmapped, unmapped - 4, KERNEL_ADDRESS, UINT64_MAX, UINT64_MAX - 7, 1ull << 63};
    for (unsigned i = 0; i < COUNT(with_structure); i++)
        for (unsigned j = 0; j < COUNT(bad); j++)
            if (bad[j] != unmapped - 4 || with_structure[i] != SHYPER_OWN_ID) /* whose 4 bytes may be there */
                expect_at("bad address", with_structure[i], call(driver, with_structure[i], bad[j]), -EFAULT);
}

static void test_inner_addresses(int driver, uint64_t bad)
{
    uint32_t vm_id = 77;
    char name[] = "name";
    uint64_t ok = address_of(name);
    struct shyper_vm vm = {bad, 4, 0, ok, 4, 0x80200000, 0, 0, address_of(&vm_id)};
    expect("name of a VM", call(driver, SHYPER_ADD_VM, address_of(&vm)), -EFAULT);
    vm.name_addr = ok;
    vm.cmdline_addr = bad;
    expect("command line", call(driver, SHYPER_ADD_VM, address_of(&vm)), -EFAULT);
    vm.cmdline_addr = ok;
    vm.vm_id_addr = bad;
    for (int i = 0; i < 20; i++) /* each time the new VM is deleted again */
        expect("address for the id", call(driver, SHYPER_ADD_VM, address_of(&vm)), -EFAULT);
    vm.vm_id_addr = address_of(&vm_id);
    expect("a VM", call(driver, SHYPER_ADD_VM, address_of(&vm)), 0);
    expect("is the first one", vm_id, 1);

    struct shyper_emulated device = {1, bad, 4, 0x1000, 0x1000, 1, 0, 0, 5};
    expect("name of a device", call(driver, SHYPER_ADD_EMULATED, address_of(&device)), -EFAULT);
    device = (struct shyper_emulated){1, ok, 4, 0x1000, 0x1000, 1, bad, 1, 5};
    expect("settings of a device", call(driver, SHYPER_ADD_EMULATED, address_of(&device)), -EFAULT);
    struct shyper_numbers numbers = {1, bad, 1};
    expect("irqs", call(driver, SHYPER_SET_IRQS, address_of(&numbers)), -EFAULT);
    expect("streams", call(driver, SHYPER_SET_STREAMS, address_of(&numbers)), -EFAULT);
    struct shyper_dtb_device tree_device = {1, bad, 4, 0, 0, 0, 0, 0};
    expect("name of an entry", call(driver, SHYPER_ADD_DTB_DEVICE, address_of(&tree_device)), -EFAULT);
    tree_device = (struct shyper_dtb_device){1, ok, 4, 0, bad, 1, 0, 0};
    expect("irqs of an entry", call(driver, SHYPER_ADD_DTB_DEVICE, address_of(&tree_device)), -EFAULT);
    struct shyper_colors colors = {.vm_id = 1, .color_num = 1, .colors_addr = bad};
    expect("colors", call(driver, SHYPER_SET_COLORS, address_of(&colors)), -EFAULT);
    struct shyper_file_name file = {1, 0, bad, 4};
    expect("file name", call(driver, SHYPER_NAME_FILE, address_of(&file)), -EFAULT);
    struct shyper_configuration text = {0, bad, 100, 0};
    expect("configuration", call(driver, SHYPER_VM_CONFIGURATION, address_of(&text)), -EFAULT);
    struct shyper_kernel_name kernel = {1, "Image"};
    struct shyper_kernel_name_request request = {1, bad};
    expect("kernel name", call(driver, SHYPER_SET_KERNEL_NAME, address_of(&kernel)), 0);
    expect("address for a name", call(driver, SHYPER_GET_KERNEL_NAME, address_of(&request)), -EFAULT);
    expect("delete", call(driver, SHYPER_DELETE_VM, 1), 0);
}

static void test_lengths(int driver)
{
    uint32_t vm_id = 77;
    static char text[4096];
    static uint64_t numbers[2048];
    memset(text, 't', sizeof text);
    const uint64_t too_long[] = {1, 2, 1000, 1ull << 32, 1ull << 60, 1ull << 61, UINT64_MAX - 2000};
    for (unsigned i = 0; i < COUNT(too_long); i++) {
        uint64_t more = too_long[i], at = address_of(text), list = address_of(numbers);
        struct shyper_vm vm = {at, 32 + more, 0, at, 4, 0x80200000, 0, 0, address_of(&vm_id)};
        expect_at("long name", more, call(driver, SHYPER_ADD_VM, address_of(&vm)), -E2BIG);
        vm.name_len = 32;
        vm.cmdline_len = 1024 + more;
        expect_at("long command line", more, call(driver, SHYPER_ADD_VM, address_of(&vm)), -E2BIG);
        struct shyper_emulated device = {1, at, 32 + more, 0x1000, 0x1000, 1, list, 16, 5};
        expect_at("long name of a device", more, call(driver, SHYPER_ADD_EMULATED, address_of(&device)), -E2BIG);
        device.name_len = 4;
        device.cfg_len = 16 + more;
        expect_at("many settings", more, call(driver, SHYPER_ADD_EMULATED, address_of(&device)), -E2BIG);
        struct shyper_numbers irqs = {1, list, 64 + more}, streams = {1, list, 16 + more};
        expect_at("many irqs", more, call(driver, SHYPER_SET_IRQS, address_of(&irqs)), -E2BIG);
        expect_at("many streams", more, call(driver, SHYPER_SET_STREAMS, address_of(&streams)), -E2BIG);
        struct shyper_dtb_device entry = {1, at, 4, 0, list, 64 + more, 0, 0};
        expect_at("many irqs of an entry", more, call(driver, SHYPER_ADD_DTB_DEVICE, address_of(&entry)), -E2BIG);
        struct shyper_colors colors = {.vm_id = 1, .color_num = 1024 + more, .colors_addr = list};
        expect_at("many colors", more, call(driver, SHYPER_SET_COLORS, address_of(&colors)), -E2BIG);
        struct shyper_file_name file = {1, 0, at, 255 + more};
        expect_at("long file name", more, call(driver, SHYPER_NAME_FILE, address_of(&file)), -E2BIG);
    }
    struct shyper_kernel_name kernel = {1, ""}, back = {1, ""};
    memset(kernel.name, 'k', sizeof kernel.name);
    struct shyper_kernel_name_request request = {1, address_of(back.name)};
    expect("a name without NUL", call(driver, SHYPER_SET_KERNEL_NAME, address_of(&kernel)), 0);
    expect("its name", call(driver, SHYPER_GET_KERNEL_NAME, address_of(&request)), 0);
    expect("gets one", back.name[31], '\0');
    kernel.name[0] = '\0';
    expect("an empty name", call(driver, SHYPER_SET_KERNEL_NAME, address_of(&kernel)), -EINVAL);
}

static void test_values(int driver)
{
    const uint64_t indices[] = {0, 1, 15, 16, 63, 64, 65535, 0x10000, UINT64_MAX};
    for (unsigned i = 0; i < COUNT(indices); i++)
        for (unsigned number = SHYPER_DISK_DONE; number <= SHYPER_DISK_DETACH; number++)
            if (known(number))
                expect_at("index of no disk", indices[i], call(driver, number, indices[i]), -ENOENT);
    const uint64_t processes[] = {0, 99999999, UINT32_MAX, (1ull << 32) + (uint64_t)getpid(), UINT64_MAX};
    for (unsigned i = 0; i < COUNT(processes); i++)
        expect_at("no process", processes[i], call(driver, SHYPER_SIGNAL_TO, processes[i]), -ESRCH);
    const uint64_t vms[] = {8, 255, 65535, 1ull << 32, UINT64_MAX};
    for (unsigned i = 0; i < COUNT(vms); i++) {
        expect_at("boot of no VM", vms[i], call(driver, SHYPER_VM_BOOT, vms[i]), -EPERM);
        expect_at("removal of no VM", vms[i], call(driver, SHYPER_VM_REMOVE, vms[i]), -EPERM);
        expect_at("deletion of no VM", vms[i], call(driver, SHYPER_DELETE_VM, vms[i]), -EPERM);
    }
}

static long read_error(int driver, void *buffer, size_t size)
{
    ssize_t result = read(driver, buffer, size);
    return result < 0 ? -errno : result;
}

static void test_reading(int driver, uint64_t unmapped)
{
    char slot[512];
    expect("nothing to read", read_error(driver, slot, 256), 0);
    expect("nothing for more room", read_error(driver, slot, 512), 0);
    expect("no room for a message", read_error(driver, slot, 39), -EINVAL);
    expect("nothing to read to nowhere", read_error(driver, (void *)(uintptr_t)unmapped, 256), 0);
    expect("nothing can be written", write(driver, slot, 256) < 0 ? -errno : 0, -EINVAL);
}

int test_refused(void)
{
    int driver = open_driver();
    uint64_t unmapped = unmapped_address();
    test_numbers(driver);
    test_addresses(driver, unmapped);
    test_inner_addresses(driver, unmapped);
    test_inner_addresses(driver, KERNEL_ADDRESS);
    test_lengths(driver);
    test_values(driver);
    test_reading(driver, unmapped);
    close(driver);
    return summary("refused");
}
