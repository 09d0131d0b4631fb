/* A daemon that serves files, in several ways:

   once      as Rust-Shyper's: one read of a newly opened /dev/shyper for each signal
   poll      no signals: poll() and read() on one file
   (else)    for each signal, all messages there are

   flush     asks for flushes
   badread   reads each message to an address that it does not have, too
   bad=N     requests with sector N fail

   Each request is printed. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi_test.h"

#define CACHE (64u << 10)
#define MAX_FILES 32

static struct {
    int file;
    uint8_t *cache;
} disks[MAX_FILES];
static uint64_t bad_sector = UINT64_MAX;
static bool bad_reads;

static bool transfer(const struct shyper_message *message)
{
    int file = disks[message->request.index].file;
    uint8_t *cache = disks[message->request.index].cache;
    uint64_t first = message->request.sector;
    size_t size = message->request.count * 512;
    off_t at = (off_t)(first * 512);
    if (bad_sector - first < message->request.count)
        return false;
    switch (message->request.type) {
    case SHYPER_READ:
        return pread(file, cache, size, at) == (ssize_t)size;
    case SHYPER_WRITE:
        return pwrite(file, cache, size, at) == (ssize_t)size;
    case SHYPER_FLUSH:
        return fsync(file) == 0;
    }
    return false;
}

/* Reads and serves a message; false when there is none. */
static bool serve(int driver)
{
    union {
        struct shyper_message message;
        char bytes[SHYPER_MESSAGE_SIZE];
    } slot;
    if (bad_reads && read(driver, NULL, sizeof slot) != 0 && errno != EFAULT)
        printf("FAIL a bad address gives %d\n", errno);
    ssize_t length = read(driver, &slot, sizeof slot);
    if (length == 0)
        return false;
    if (length != sizeof slot) {
        printf("FAIL read gives %zd, %d\n", length, errno);
        exit(1);
    }
    const struct shyper_message *message = &slot.message;
    if (message->function == 0x11) {
        printf("upload vm %llu\n", message->vm_id);
        return true;
    }
    bool good = transfer(message);
    printf("disk %u type %u sector %llu count %llu%s\n", message->request.index, message->request.type,
           message->request.sector, message->request.count, good ? "" : " failed");
    long result = call(driver, good ? SHYPER_DISK_DONE : SHYPER_DISK_FAILED, message->request.index);
    if (result)
        printf("FAIL the answer is refused: %ld\n", result);
    return true;
}

static void add(int driver, unsigned index, const char *path, bool flushes)
{
    int file = open(path, O_RDWR | O_CLOEXEC);
    off_t size = file < 0 ? -1 : lseek(file, 0, SEEK_END);
    if (size < 0) {
        perror(path);
        exit(1);
    }
    disks[index].file = file;
    disks[index].cache = fresh_memory(CACHE);
    struct shyper_disk disk = disk_descriptor(index, path, (uint64_t)size / 512, disks[index].cache, CACHE);
    long result = call(driver, SHYPER_DISK_APPEND, address_of(&disk));
    if (result) {
        printf("FAIL %s is refused: %ld\n", path, result);
        exit(1);
    }
    if (flushes && call(driver, SHYPER_DISK_FEATURES, index | SHYPER_FEATURE_FLUSH << 16) != 1)
        printf("FAIL no flushes\n");
}

static void serve_by_signals(int driver, const sigset_t *signals, bool once)
{
    int number;
    for (;;) {
        sigwait(signals, &number);
        if (once) {
            int fresh = open_driver();
            if (!serve(fresh))
                printf("nothing to read\n");
            close(fresh);
        } else {
            while (serve(driver))
                continue;
        }
    }
}

static void serve_by_poll(int driver)
{
    struct pollfd wanted = {driver, POLLIN, 0};
    for (;;) {
        if (poll(&wanted, 1, -1) == 1 && !serve(driver))
            printf("FAIL poll tells of a message that is not there\n");
    }
}

int run_daemon(int argc, char **argv)
{
    bool once = false, polls = false, flushes = false;
    unsigned count = 0;
    sigset_t signals;
    setvbuf(stdout, NULL, _IOLBF, 0);
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    for (int i = 0; i < argc; i++) {
        once |= !strcmp(argv[i], "once");
        polls |= !strcmp(argv[i], "poll");
        flushes |= !strcmp(argv[i], "flush");
        bad_reads |= !strcmp(argv[i], "badread");
        if (!strncmp(argv[i], "bad=", 4))
            bad_sector = strtoull(argv[i] + 4, NULL, 10);
    }
    int driver = open_driver();
    if (!polls && call(driver, SHYPER_SIGNAL_TO, (uint64_t)getpid()))
        printf("FAIL no signals\n");
    for (int i = 0; i < argc && count < MAX_FILES; i++)
        if (argv[i][0] == '/')
            add(driver, count++, argv[i], flushes);
    printf("serving %u disks\n", count);
    if (polls)
        serve_by_poll(driver);
    serve_by_signals(driver, &signals, once);
    return 0;
}
