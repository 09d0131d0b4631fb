#include "abi_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096

static unsigned checks, failures;

int open_driver(void)
{
    int driver = open(DEVICE, O_RDWR | O_CLOEXEC);
    if (driver < 0) {
        perror(DEVICE);
        exit(1);
    }
    return driver;
}

long call(int driver, unsigned number, uint64_t argument)
{
    long result = syscall(SYS_ioctl, driver, (unsigned long)number, argument);
    return result < 0 ? -errno : result;
}

void expect(const char *what, long got, long wanted)
{
    checks++;
    if (got != wanted) {
        failures++;
        printf("FAIL %s: %ld instead of %ld\n", what, got, wanted);
    }
}

int summary(const char *name)
{
    printf("%s: %u checks, %u failures\n", name, checks, failures);
    return failures != 0;
}

void *fresh_memory(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    memset(memory, 0, size);
    return memory;
}

uint64_t unmapped_address(void)
{
    void *memory = fresh_memory(PAGE);
    munmap(memory, PAGE);
    return address_of(memory);
}

uint64_t address_of(const void *pointer)
{
    return (uintptr_t)pointer;
}

uint64_t physical_address(const void *pointer)
{
    uint64_t entry = 0, at = address_of(pointer);
    int map = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (pread(map, &entry, sizeof entry, (off_t)(at / PAGE * sizeof entry)) != sizeof entry) {
        perror("pagemap");
        exit(1);
    }
    close(map);
    return (entry & ((1ull << 55) - 1)) * PAGE + at % PAGE;
}

struct shyper_disk disk_descriptor(unsigned index, const char *path, uint64_t sectors, void *cache, size_t size)
{
    struct shyper_disk disk = {
        .block_num = sectors,
        .dma_block_max = size / 512,
        .cache_size = size,
        .index = (uint16_t)index,
        .cache_va = address_of(cache),
        .cache_ipa = physical_address(cache),
    };
    snprintf(disk.name, sizeof disk.name, "MEDBLK%u", index);
    snprintf(disk.path, sizeof disk.path, "%s", path);
    return disk;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "calls"))
        return test_calls();
    if (!strcmp(what, "refused"))
        return test_refused();
    if (!strcmp(what, "disks"))
        return test_disks();
    if (!strcmp(what, "daemon"))
        return run_daemon(argc - 2, argv + 2);
    fprintf(stderr, "usage: abi_test calls | refused | disks | daemon ...\n");
    return 2;
}
