#include "buffer.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define HUGE ((size_t)2 << 20)
#define HUGE_2MB (21 << 26) /* MAP_HUGE_2MB of <linux/mman.h> */
#define PRESENT (1ull << 63)
#define FRAME ((1ull << 55) - 1) /* Linux, admin-guide/mm/pagemap.rst */

static void *map(size_t size, int flags)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

/* Normal pages: at a multiple of 2 MiB, so that the kernel may take a transparent huge page for them. */
static unsigned char *map_normal(size_t size)
{
    unsigned char *memory = map(size + HUGE, 0);
    if (!memory)
        return NULL;
    size_t before = -(uintptr_t)memory % HUGE;
    if (before)
        munmap(memory, before);
    munmap(memory + before + size, HUGE - before);
    memory += before;
    madvise(memory, size, MADV_HUGEPAGE);
    return memory;
}

const char *buffer_create(struct buffer *buffer, size_t size)
{
    buffer->size = size;
    buffer->memory = size == HUGE ? map(size, MAP_HUGETLB | HUGE_2MB) : NULL;
    if (!buffer->memory)
        buffer->memory = map_normal(size);
    if (!buffer->memory)
        return "there is not enough memory";
    madvise(buffer->memory, size, MADV_DONTFORK);
    memset(buffer->memory, 0, size);   /* every page is there now, ... */
    mlock(buffer->memory, size);       /* ... and stays; without swap it does so anyway */
    size_t length;
    if (!buffer_address(buffer, 0, PAGE, &length)) {
        buffer_free(buffer);
        return "the addresses of memory cannot be read from /proc/self/pagemap; run this as root, with /proc mounted";
    }
    return NULL;
}

void buffer_free(struct buffer *buffer)
{
    munmap(buffer->memory, buffer->size);
    buffer->memory = NULL;
}

uint64_t buffer_address(const struct buffer *buffer, size_t offset, size_t size, size_t *length)
{
    static int pagemap = -1;
    uint64_t entries[HUGE / PAGE], first = 0;
    size_t start = offset / PAGE, count = (offset % PAGE + size + PAGE - 1) / PAGE, wanted = count * sizeof *entries;
    *length = 0;
    if (pagemap < 0)
        pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    off_t where = (off_t)(((uintptr_t)buffer->memory / PAGE + start) * sizeof *entries);
    if (count > HUGE / PAGE || pread(pagemap, entries, wanted, where) != (ssize_t)wanted)
        return 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t address = (entries[i] & FRAME) * PAGE;
        if (!(entries[i] & PRESENT) || !address || (i && address != first + i * PAGE))
            break;
        if (!i)
            first = address;
        *length = (i + 1) * PAGE - offset % PAGE;
    }
    if (*length > size)
        *length = size;
    return first ? first + offset % PAGE : 0;
}
