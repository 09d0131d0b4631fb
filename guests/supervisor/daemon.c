#include "daemon.h"

#include <stddef.h>
#include <stdint.h>

#include "csr.h"
#include "hypercall.h"
#include "machine.h"
#include "module.h"
#include "print.h"
#include "string.h"

#define PAGE 4096
#define SECTOR 512
#define MAX_DISKS 8
#define MAX_SECTORS (1ul << 17)
#define CACHE_SIZE (64ul << 10)
#define LABELLED 4096 /* sectors that begin with their number */
#define TREE_ROOM (2ul << 20)

enum { MEDIATED = 3 };
enum { REQUEST_READ = 0, REQUEST_WRITE = 1 };

/* What module and hypervisor share of a disk: one page. */
struct disk_page {
    volatile uint64_t nreq; /* requests that the hypervisor has added and nobody has taken */
    struct {
        char name[32], path[32];
        uint64_t block_num, dma_block_max, cache_size;
        uint16_t index;
        bool pcache;
        uint64_t cache_va, cache_ipa, cache_pa;
    } descriptor;
    struct {
        uint32_t type;
        uint64_t sector, count;
    } request;
    uint8_t rest[PAGE - 152];
};
_Static_assert(sizeof(struct disk_page) == PAGE, "the page is one page");
_Static_assert(offsetof(struct disk_page, descriptor.cache_pa) == 120, "the descriptor has 120 bytes");
_Static_assert(offsetof(struct disk_page, request) == 128, "the request follows the descriptor");

static struct disk_page pages[MAX_DISKS] __attribute__((section(".noinit"), aligned(PAGE)));
static struct {
    uint8_t *cache, *store;
    uint64_t reads, writes, failures;
    uint64_t taken; /* requests that were taken from the page and not answered yet */
} disks[MAX_DISKS];
static unsigned disk_count;
static uint64_t lowest; /* address of the memory taken last; it is taken from the end of RAM downwards */
static bool held;       /* the daemon does not answer */

/* Memory that nothing else is in, or NULL. */
static uint8_t *take_memory(uint64_t size)
{
    const uint64_t used[][2] = {
        {(uint64_t)image_start, (uint64_t)(image_end - image_start)},
        {(uint64_t)machine.tree, TREE_ROOM},
        {machine.ramdisk_base, machine.ramdisk_length},
    };
    uint64_t base = machine.memory[0].base;
    if (!lowest)
        lowest = base + machine.memory[0].length;
    uint64_t start = (lowest - size) & ~(PAGE - 1ul);
    if (size > lowest - base)
        return NULL;
    for (unsigned i = 0; i < sizeof used / sizeof used[0]; i++)
        if (start < used[i][0] + used[i][1] && used[i][0] < start + size)
            return NULL;
    lowest = start;
    return (uint8_t *)start;
}

/* The daemon: moves the data and says so. Sectors that the disk does not have are not touched: there is no way to say
   that a request has failed. */
static void serve(unsigned number)
{
    const struct disk_page *page = &pages[number];
    uint64_t sector = page->request.sector, count = page->request.count;
    if (count > page->descriptor.dma_block_max)
        count = page->descriptor.dma_block_max;
    if (sector > page->descriptor.block_num || count > page->descriptor.block_num - sector) {
        disks[number].failures++;
        count = 0;
    }
    uint8_t *store = disks[number].store + sector * SECTOR;
    if (page->request.type == REQUEST_WRITE) {
        memcpy(store, disks[number].cache, count * SECTOR);
        disks[number].writes++;
    } else {
        memcpy(disks[number].cache, store, count * SECTOR);
        disks[number].reads++;
    }
    disks[number].taken--;
    int64_t error = hypercall1(DISK_DONE, (uint64_t)page);
    if (error)
        log_line("disk %u: done was answered with %ld", number, error);
}

static void serve_all(void)
{
    for (unsigned i = 0; i < disk_count; i++)
        while (disks[i].taken && !held)
            serve(i);
}

/* The module: any message of this kind means that requests wait in some of the pages. From the interrupt handler. */
static void requests_wait(const struct message *message)
{
    (void)message;
    for (unsigned i = 0; i < disk_count; i++)
        while (pages[i].nreq) {
            pages[i].nreq--;
            disks[i].taken++;
            log_line("disk %u: type %u, sector %lu, count %lu", i, pages[i].request.type, pages[i].request.sector,
                     pages[i].request.count);
        }
    serve_all();
}

static bool append(uint64_t sectors)
{
    unsigned number = disk_count;
    uint8_t *cache = take_memory(CACHE_SIZE), *store = take_memory(sectors * SECTOR);
    if (!cache || !store) {
        printf("daemon: no memory for %lu sectors\n", sectors);
        return false;
    }
    for (uint64_t i = 0; i < sectors && i < LABELLED; i++) /* the memory is fresh, so all else is zero */
        format_to((char *)store + i * SECTOR, 64, "MEDBLK%u sector %lu", number, i);
    struct disk_page *page = &pages[number];
    memset(page, 0, sizeof *page);
    format_to(page->descriptor.name, sizeof page->descriptor.name, "MEDBLK%u", number);
    format_to(page->descriptor.path, sizeof page->descriptor.path, "ram%u", number);
    page->descriptor.block_num = sectors;
    page->descriptor.dma_block_max = CACHE_SIZE / SECTOR;
    page->descriptor.cache_size = CACHE_SIZE;
    page->descriptor.index = (uint16_t)number;
    page->descriptor.cache_va = page->descriptor.cache_ipa = (uint64_t)cache;
    disks[number].cache = cache;
    disks[number].store = store;
    disk_count++; /* a request may come before the call returns */
    int64_t error = hypercall(0, (uint64_t)page, 0, 0, 0, 0, 0, DISK_APPEND);
    if (error) {
        disk_count--;
        printf("daemon: disk %u was refused (%ld)\n", number, error);
        return false;
    }
    printf("disk %u (%s): %lu sectors, cache at 0x%lx, physical 0x%lx\n", number, page->descriptor.name, sectors,
           page->descriptor.cache_ipa, page->descriptor.cache_pa);
    return true;
}

static void show(void)
{
    printf("%u mediated disks%s\n", disk_count, held ? ", the daemon does not answer" : "");
    for (unsigned i = 0; i < disk_count; i++)
        printf("%s: %lu sectors, %lu reads, %lu writes, %lu out of range, %lu not answered\n",
               pages[i].descriptor.name, pages[i].descriptor.block_num, disks[i].reads, disks[i].writes,
               disks[i].failures, disks[i].taken);
}

static bool hold(bool on)
{
    uint64_t flags = interrupts_off();
    held = on;
    serve_all();
    interrupts_restore(flags);
    return true;
}

bool daemon_command(int argc, char **argv)
{
    uint64_t sectors[MAX_DISKS];
    if (!argc) {
        show();
        return true;
    }
    if (argc == 1 && !strcmp(argv[0], "hold"))
        return hold(true);
    if (argc == 1 && !strcmp(argv[0], "go"))
        return hold(false);
    if (argc > (int)(MAX_DISKS - disk_count)) {
        printf("daemon: there can be %u disks\n", MAX_DISKS);
        return true;
    }
    for (int i = 0; i < argc; i++)
        if (!parse_number(argv[i], &sectors[i]) || !sectors[i] || sectors[i] > MAX_SECTORS)
            return false;
    if (!module_loaded()) {
        printf("daemon: the module is not loaded (insmod)\n");
        return true;
    }
    module_listen(MEDIATED, requests_wait);
    for (int i = 0; i < argc; i++)
        if (!append(sectors[i]))
            break;
    return true;
}
