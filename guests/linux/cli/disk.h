/* A disk image or block device that the daemon serves. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SECTOR 512u

struct disk {
    const char *path;
    int descriptor;
    int direct; /* a second one, past the page cache, for large writes; -1 where the file system has no such thing */
    uint64_t sectors;
    bool read_only, block_device;
    dev_t device; /* with `inode`, what tells it from others */
    ino_t inode;
};

/* Opens and locks it. Gives NULL, or why it cannot be served, as the end of a sentence. `others` are served already. */
const char *disk_open(struct disk *disk, const char *path, const struct disk *const *others, unsigned count);
void disk_close(struct disk *disk);

/* `count` sectors between the disk and memory, all or nothing. Gives NULL, or why it failed. */
const char *disk_read(struct disk *disk, uint64_t sector, uint64_t count, void *to);
const char *disk_write(struct disk *disk, uint64_t sector, uint64_t count, const void *from);
const char *disk_flush(struct disk *disk);

/* As disk_read(), but only when that needs no waiting; false else. */
bool disk_read_at_once(struct disk *disk, uint64_t sector, uint64_t count, void *to);

/* A record lock for this process on a whole file. 0, or the process that has it, or -1 when that is not known. */
pid_t lock_file(int descriptor, bool exclusive);

/* `process 123 (shyper system daemon)`, as far as it is known. */
const char *process_name(pid_t process);
