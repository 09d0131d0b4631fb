#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "files.h"
#include "log.h"

#define LARGE ((size_t)64 << 10) /* bytes */

pid_t lock_file(int descriptor, bool exclusive)
{
    struct flock lock = {.l_type = exclusive ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET};
    if (!fcntl(descriptor, F_SETLK, &lock))
        return 0;
    if (errno != EAGAIN && errno != EACCES)
        return 0; /* a file system without locks */
    if (fcntl(descriptor, F_GETLK, &lock) || lock.l_type == F_UNLCK || lock.l_pid <= 0)
        return -1;
    return lock.l_pid;
}

const char *process_name(pid_t process)
{
    char line[128] = "";
    if (process <= 0)
        return "another process";
    int file = open(formatted("/proc/%d/cmdline", process), O_RDONLY | O_CLOEXEC);
    ssize_t size = file < 0 ? 0 : read(file, line, sizeof line - 1);
    if (file >= 0)
        close(file);
    while (size > 0 && !line[size - 1])
        size--;
    for (ssize_t i = 0; i < size; i++)
        if (!line[i])
            line[i] = ' ';
    return size > 0 ? formatted("process %d (%s)", process, line) : formatted("process %d", process);
}

static const char *same_as(const struct disk *disk, const struct disk *const *others, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (others[i]->device == disk->device && others[i]->inode == disk->inode)
            return others[i]->path;
    return NULL;
}

/* Sectors, and whether a part of one is left over. */
static bool measure(struct disk *disk, const struct stat *status)
{
    uint64_t bytes = (uint64_t)status->st_size;
    if (disk->block_device && ioctl(disk->descriptor, BLKGETSIZE64, &bytes))
        bytes = 0;
    disk->sectors = bytes / SECTOR;
    return bytes % SECTOR;
}

static const char *open_for_writing(struct disk *disk, struct stat *status)
{
    /* O_EXCL: the kernel refuses a device that is mounted, or in use by a driver of its own */
    int exclusive = disk->block_device ? O_EXCL : 0;
    disk->descriptor = open_regular(disk->path, O_RDWR | exclusive, true, status);
    if (disk->descriptor < 0 && (errno == EACCES || errno == EROFS || errno == EPERM || errno == ETXTBSY)) {
        disk->read_only = true;
        disk->descriptor = open_regular(disk->path, O_RDONLY | exclusive, true, status);
    }
    if (disk->descriptor < 0)
        return errno == EBUSY ? "it is mounted or otherwise in use here; unmount it first" : file_problem();
    int read_only = 0;
    if (disk->block_device && !ioctl(disk->descriptor, BLKROGET, &read_only) && read_only)
        disk->read_only = true;
    if (!disk->block_device && !(status->st_mode & 0222)) /* for root, too, who may write to any file */
        disk->read_only = true;
    return NULL;
}

/* Another descriptor of the same file, found through the first: the name may mean another file by now. */
static void open_direct(struct disk *disk)
{
    const char *same = formatted("/proc/self/fd/%d", disk->descriptor);
    disk->direct = open(same, (disk->read_only ? O_RDONLY : O_RDWR) | O_DIRECT | O_CLOEXEC);
}

const char *disk_open(struct disk *disk, const char *path, const struct disk *const *others, unsigned count)
{
    struct stat status;
    memset(disk, 0, sizeof *disk);
    disk->path = path;
    disk->descriptor = disk->direct = -1;
    if (stat(path, &status))
        return formatted("%s", errno == ENOENT ? "there is no such file" : strerror(errno));
    disk->block_device = S_ISBLK(status.st_mode);
    disk->device = disk->block_device ? status.st_rdev : status.st_dev;
    disk->inode = disk->block_device ? 0 : status.st_ino;
    /* Before it is opened: closing a second descriptor would give up the lock of the first. */
    const char *same = same_as(disk, others, count);
    if (same)
        return formatted("it is the same image as %s; two guests would destroy it", same);
    const char *problem = open_for_writing(disk, &status);
    if (problem)
        return problem;
    pid_t holder = lock_file(disk->descriptor, !disk->read_only);
    if (holder) {
        problem = formatted("it is in use by %s; two writers would destroy it", process_name(holder));
    } else {
        bool rest = measure(disk, &status);
        if (disk->sectors && rest)
            log_line(LEVEL_WARN, "daemon", "%s: its last %llu bytes are no whole sector and are not used", path,
                     (unsigned long long)status.st_size % SECTOR);
        if (disk->sectors) {
            open_direct(disk);
            return NULL;
        }
        problem = "it has not even one sector of 512 bytes; make it larger, for example: truncate -s 64M FILE";
    }
    disk_close(disk);
    return problem;
}

void disk_close(struct disk *disk)
{
    if (disk->descriptor >= 0)
        close(disk->descriptor);
    if (disk->direct >= 0)
        close(disk->direct);
    disk->descriptor = disk->direct = -1;
}

/* Large writes go past the page cache, which costs a system more than half of the time: a journal's transaction for each
   page. The kernel keeps both views of the file the same. */
static int descriptor_for_writing(const struct disk *disk, size_t size)
{
    return disk->direct >= 0 && size >= LARGE ? disk->direct : disk->descriptor;
}

static const char *range_problem(const struct disk *disk, uint64_t sector, uint64_t count)
{
    return sector > disk->sectors || count > disk->sectors - sector ? "beyond the end of the disk" : NULL;
}

const char *disk_read(struct disk *disk, uint64_t sector, uint64_t count, void *to)
{
    const char *problem = range_problem(disk, sector, count);
    for (size_t done = 0, size = problem ? 0 : count * SECTOR; done < size;) {
        ssize_t moved = pread(disk->descriptor, (char *)to + done, size - done, (off_t)(sector * SECTOR + done));
        if (moved < 0 && errno == EINTR)
            continue;
        if (moved <= 0)
            return moved ? strerror(errno) : "the file has become shorter";
        done += (size_t)moved;
    }
    return problem;
}

bool disk_read_at_once(struct disk *disk, uint64_t sector, uint64_t count, void *to)
{
    struct iovec piece = {to, count * SECTOR};
    if (range_problem(disk, sector, count))
        return false;
    return preadv2(disk->descriptor, &piece, 1, (off_t)(sector * SECTOR), RWF_NOWAIT) == (ssize_t)piece.iov_len;
}

const char *disk_write(struct disk *disk, uint64_t sector, uint64_t count, const void *from)
{
    const char *problem = range_problem(disk, sector, count);
    if (!problem && disk->read_only)
        return "the disk is read-only";
    for (size_t done = 0, size = problem ? 0 : count * SECTOR; done < size;) {
        ssize_t moved = pwrite(descriptor_for_writing(disk, size - done), (const char *)from + done, size - done, (off_t)(sector * SECTOR + done));
        if (moved < 0 && errno == EINTR)
            continue;
        if (moved <= 0)
            return moved ? strerror(errno) : "nothing could be written";
        done += (size_t)moved;
    }
    return problem;
}

const char *disk_flush(struct disk *disk)
{
    if (disk->read_only)
        return NULL;
    while (fdatasync(disk->descriptor))
        if (errno != EINTR)
            return strerror(errno);
    return NULL;
}
