/* Registering disks: many, again, by two processes, with bad caches. Nobody asks for their sectors. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi_test.h"

#define CACHE (64u << 10)
#define MANY 20
#define ALL 64 /* places for disks */

static long append(int driver, unsigned index, const char *path, void *cache, size_t size)
{
    struct shyper_disk disk = disk_descriptor(index, path, 1000, cache, size);
    return call(driver, SHYPER_DISK_APPEND, address_of(&disk));
}

static void test_descriptor(int driver)
{
    void *cache = fresh_memory(CACHE);
    struct shyper_disk disk = disk_descriptor(3, "/a/path/of/31/characters/xxxxxxx", 1000, cache, CACHE);
    disk.cache_ipa = 0x1234; /* the driver knows better */
    expect("a disk", call(driver, SHYPER_DISK_APPEND, address_of(&disk)), 0);
    expect("guest-physical address", disk.cache_ipa == physical_address(cache), 1);
    expect("machine-physical address", disk.cache_pa == disk.cache_ipa, 1);
    expect("the rest as it was", disk.block_num == 1000 && disk.index == 3 && disk.cache_size == CACHE, 1);
    expect("flushes are delivered", call(driver, SHYPER_DISK_FEATURES, 3 | SHYPER_FEATURE_FLUSH << 16), 1);
    expect("other features are not", call(driver, SHYPER_DISK_FEATURES, 3 | 0xfffe << 16), 0);
    expect("done without a request", call(driver, SHYPER_DISK_DONE, 3), -EPERM);
    expect("failed without a request", call(driver, SHYPER_DISK_FAILED, 3), -EPERM);
    expect("detach", call(driver, SHYPER_DISK_DETACH, 3), 0);
    expect("it is gone", call(driver, SHYPER_DISK_DETACH, 3), -ENOENT);
    munmap(cache, CACHE);
}

static void test_bad_caches(int driver)
{
    void *cache = fresh_memory(CACHE), *constant = fresh_memory(CACHE);
    struct shyper_disk disk = disk_descriptor(0, "/bad", 1000, cache, CACHE), bad = disk;
    bad.cache_va = 0;
    expect("no cache", call(driver, SHYPER_DISK_APPEND, address_of(&bad)), -EINVAL);
    bad.cache_va = unmapped_address();
    expect("a cache nowhere", call(driver, SHYPER_DISK_APPEND, address_of(&bad)), -EFAULT);
    bad.cache_va = UINT64_MAX - 4096;
    expect("a cache in the kernel", call(driver, SHYPER_DISK_APPEND, address_of(&bad)), -EFAULT);
    bad = disk;
    bad.cache_size = 0;
    expect("an empty cache", call(driver, SHYPER_DISK_APPEND, address_of(&bad)), -EINVAL);
    bad.cache_size = UINT64_MAX - 100;
    expect("a cache larger than all", call(driver, SHYPER_DISK_APPEND, address_of(&bad)), -EINVAL);
    bad.cache_size = 512ull << 20; /* behind it there is nothing */
    expect("a cache that ends early", call(driver, SHYPER_DISK_APPEND, address_of(&bad)), -EFAULT);
    bad = disk;
    bad.block_num = 0;
    expect("no sectors", call(driver, SHYPER_DISK_APPEND, address_of(&bad)), -EPERM);
    bad = disk;
    mprotect(constant, CACHE, PROT_READ);
    bad.cache_va = address_of(constant);
    expect("a cache that is read only", call(driver, SHYPER_DISK_APPEND, address_of(&bad)), -EFAULT);
    munmap((char *)cache + CACHE / 2, CACHE / 2);
    expect("a cache with a hole", call(driver, SHYPER_DISK_APPEND, address_of(&disk)), -EFAULT);
    expect("no disk has come of it", call(driver, SHYPER_DISK_DETACH, 0), -ENOENT);
    munmap(cache, CACHE / 2);
    munmap(constant, CACHE);
}

static void test_many(int driver)
{
    char path[32];
    void *cache = fresh_memory(ALL * 4096);
    for (int again = 0; again < 3; again++)
        for (unsigned i = 0; i < MANY; i++) {
            snprintf(path, sizeof path, "/many/%u", i);
            expect_at("disk", i, append(driver, i, path, (char *)cache + 4096 * i, 4096), 0);
        }
    for (unsigned i = MANY; i < ALL; i++) {
        snprintf(path, sizeof path, "/many/%u", i);
        expect_at("disk", i, append(driver, i, path, (char *)cache + 4096 * i, 4096), 0);
    }
    expect("one too many", append(driver, 1000, "/many/1000", cache, 4096), -ENOSPC);
    for (unsigned i = 0; i < ALL; i++)
        expect_at("features of disk", i, call(driver, SHYPER_DISK_FEATURES, i | 1 << 16), 1);
    expect("another disk with a number that is taken", append(driver, 7, "/another", cache, 4096), -ENOSPC);
    expect("place for one", call(driver, SHYPER_DISK_DETACH, 1), 0);
    expect("another disk with a number that is taken", append(driver, 7, "/another", cache, 4096), 0);
    for (unsigned i = 0; i < ALL; i++)
        expect_at("detach", i, call(driver, SHYPER_DISK_DETACH, i), i == 1 ? -ENOENT : 0);
    munmap(cache, ALL * 4096);
}

static void in_another_process(void (*what)(int driver))
{
    pid_t child = fork();
    int status = 0;
    if (!child) {
        what(open_driver());
        exit(summary("another process"));
    }
    waitpid(child, &status, 0);
    expect("the other process", status, 0);
}

static void with_the_same_number(int driver)
{
    expect("no disk of its own", call(driver, SHYPER_DISK_DETACH, 0), -ENOENT);
    expect("the same number", append(driver, 0, "/other", fresh_memory(CACHE), CACHE), 0);
    expect("its disk", call(driver, SHYPER_DISK_FEATURES, 0), 0);
}

static void takes_over(int driver)
{
    expect("the same disk", append(driver, 0, "/mine", fresh_memory(CACHE), CACHE), 0);
}

static void test_two_processes(int driver)
{
    void *cache = fresh_memory(CACHE);
    expect("a disk", append(driver, 0, "/mine", cache, CACHE), 0);
    expect("no disk has more than 16 bits", call(driver, SHYPER_DISK_DETACH, 0x10000), -ENOENT);
    in_another_process(with_the_same_number);
    expect("is not touched by others", call(driver, SHYPER_DISK_FEATURES, 0), 0);
    in_another_process(takes_over);
    expect("until one takes it over", call(driver, SHYPER_DISK_FEATURES, 0), -ENOENT);
    expect("a disk", append(driver, 0, "/mine", cache, CACHE), 0);

    int second = open_driver();
    expect("any file of the process", call(second, SHYPER_DISK_FEATURES, 0), 0);
    close(second);
    expect("is as good as the first", call(driver, SHYPER_DISK_FEATURES, 0), 0);
    munmap(cache, CACHE);
}

int test_disks(void)
{
    int driver = open_driver();
    test_descriptor(driver);
    test_bad_caches(driver);
    test_many(driver);
    test_two_processes(driver);
    close(driver);
    int other = open_driver();
    expect("closing the file detaches", call(other, SHYPER_DISK_DETACH, 0), -ENOENT);
    return summary("disks");
}
