#include "console.h"
#include "print.h"
#include "probes.h"
#include "string.h"
#include "virtio_block.h"

static uint8_t sector_data[SECTOR_SIZE];

static char printable(uint8_t c)
{
    return c >= ' ' && c < 0x7f ? (char)c : '.';
}

/* 16 bytes a line; lines that repeat the one before show as one star. */
static void dump(const uint8_t *data)
{
    bool starred = false;
    for (unsigned at = 0; at < SECTOR_SIZE; at += 16, data += 16) {
        if (at && !memcmp(data, data - 16, 16)) {
            if (!starred)
                printf("*\n");
            starred = true;
            continue;
        }
        starred = false;
        printf("%03x ", at);
        for (unsigned i = 0; i < 16; i++)
            printf(" %02x", data[i]);
        printf("  |");
        for (unsigned i = 0; i < 16; i++)
            printf("%c", printable(data[i]));
        printf("|\n");
    }
    printf("%03x\n", SECTOR_SIZE);
}

void blk(int argc, char **argv)
{
    uint64_t sector;
    const char *action = argc > 1 ? argv[1] : "", *problem;
    bool write = !strcmp(action, "write");
    if (!block_present()) {
        printf("blk: no block device\n");
    } else if (argc == 1) {
        printf("%lu sectors of %u bytes, %lu KiB\n", block_capacity(), SECTOR_SIZE, block_capacity() / 2);
    } else if (!((write && argc > 3) || (!strcmp(action, "read") && argc == 3)) || !parse_number(argv[2], &sector)) {
        shell_usage(argv);
    } else if (sector >= block_capacity()) {
        printf("blk: sector %lu is beyond the end (%lu sectors)\n", sector, block_capacity());
    } else {
        memset(sector_data, 0, SECTOR_SIZE);
        for (int i = 3, used = 0; i < argc; i++) { /* the shell's line is shorter than a sector */
            if (i > 3)
                sector_data[used++] = ' ';
            memcpy(sector_data + used, argv[i], strlen(argv[i]));
            used += (int)strlen(argv[i]);
        }
        problem = block_transfer(sector, sector_data, write);
        if (problem)
            printf("blk: %s of sector %lu: %s\n", action, sector, problem);
        else if (write)
            printf("sector %lu written\n", sector);
        else
            dump(sector_data);
    }
}
