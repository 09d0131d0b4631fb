/* random_io DEVICE COUNT SEED: so many random reads and writes of 4 to 32 KiB in the first 8 MiB of a block device, past the
 * page cache; every read is compared with what was written there. Then everything is read once more.
 *
 * A write that fails may have done its work or not, so its blocks are taken as they are until they are written again. Ends
 * with `random_io reads R writes W errors E wrong N`.
 */
#include "system.h"

#define BLOCK 4096
#define BLOCKS 2048
#define MOST 8
#define SYNC_EVERY 64
#define AT_FDCWD -100
#define O_RDWR 2
#define O_DIRECT 0x4000

static uint8_t buffer[MOST * BLOCK] __attribute__((aligned(BLOCK)));
static uint32_t written[BLOCKS]; /* number of the write that the block is from; 0: unknown */
static uint64_t reads, writes, errors, wrong, state;
static long device;

static uint64_t mixed(uint64_t value) /* SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators) */
{
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return value ^ value >> 31;
}

static uint64_t next(uint64_t below)
{
    return mixed(state += 0x9e3779b97f4a7c15u) % below;
}

static uint64_t word(uint32_t block, uint32_t number, uint32_t index)
{
    return mixed((uint64_t)block << 40 ^ (uint64_t)number << 10 ^ index);
}

static void write_blocks(uint32_t first, uint32_t count, uint32_t number)
{
    uint64_t *at = (uint64_t *)buffer;
    for (uint32_t block = first; block < first + count; block++)
        for (uint32_t index = 0; index < BLOCK / 8; index++)
            *at++ = word(block, number, index);
    long size = (long)count * BLOCK;
    int done = call(SYS_PWRITE64, device, (long)buffer, size, (long)first * BLOCK, 0, 0) == size;
    for (uint32_t block = first; block < first + count; block++)
        written[block] = done ? number : 0;
    writes++;
    errors += !done;
}

static void read_blocks(uint32_t first, uint32_t count)
{
    const uint64_t *at = (const uint64_t *)buffer;
    long size = (long)count * BLOCK;
    reads++;
    if (call(SYS_PREAD64, device, (long)buffer, size, (long)first * BLOCK, 0, 0) != size) {
        errors++;
        return;
    }
    for (uint32_t block = first; block < first + count; block++, at += BLOCK / 8) {
        uint32_t index = 0;
        while (written[block] && index < BLOCK / 8 && at[index] == word(block, written[block], index))
            index++;
        if (written[block] && index < BLOCK / 8)
            wrong++;
    }
}

static void tell(const char *what, uint64_t value)
{
    print(what);
    print_number(value);
}

static uint64_t number_of(const char *text)
{
    uint64_t value = 0;
    for (; *text >= '0' && *text <= '9'; text++)
        value = value * 10 + (uint64_t)(*text - '0');
    return value;
}

__attribute__((used)) static void begin(const long *stack)
{
    char *const *words = (char *const *)(stack + 1);
    if (stack[0] != 4) {
        print("usage: random_io DEVICE COUNT SEED\n");
        leave(2);
    }
    device = checked(call(SYS_OPENAT, AT_FDCWD, (long)words[1], O_RDWR | O_DIRECT, 0, 0, 0), "open");
    uint64_t count = number_of(words[2]);
    state = number_of(words[3]);
    for (uint32_t number = 1; number <= count; number++) {
        uint32_t size = 1 + (uint32_t)next(MOST), first = (uint32_t)next(BLOCKS - size + 1);
        if (next(2))
            write_blocks(first, size, number);
        else
            read_blocks(first, size);
        if (number % SYNC_EVERY == 0 && call(SYS_FSYNC, device, 0, 0, 0, 0, 0) < 0)
            errors++;
        if (number % 250 == 0)
            tell("\nrandom_io at ", number);
    }
    for (uint32_t first = 0; first < BLOCKS; first += MOST)
        read_blocks(first, MOST);
    tell("\nrandom_io reads ", reads);
    tell(" writes ", writes);
    tell(" errors ", errors);
    tell(" wrong ", wrong);
    print("\n");
    leave(wrong != 0);
}

__asm__(".globl _start\n_start: mv a0, sp\n andi sp, sp, -16\n call begin\n");
