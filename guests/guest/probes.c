#include "probes.h"

#include "console.h"
#include "csr.h"
#include "hart.h"
#include "print.h"
#include "string.h"

const struct command guest_commands[] = {
    {"hart", "start N", "start hart N (SBI HSM)", hart},
    {"hart", "stop [N]", "stop hart N, or all others", hart},
    {"smp", "[N]", "all harts add to one counter", smp},
    {"timer", "N", "N times 10 ms, measured", timer},
    {"blk", "", "size of the block device", blk},
    {"blk", "read SECTOR", "show a sector", blk},
    {"blk", "write SECTOR TEXT...", "text, then zeros, to a sector", blk},
    {"fp", "[ROUNDS]", "do FP registers keep values?", fp},
    {"spin", "MILLISECONDS", "keep this hart busy", spin},
    {"fault", "KIND [ADDRESS]", "load store exec illegal csr", fault},
    {"mmu", "[on|off]", "Sv39 identity map", mmu},
    {0},
};

static bool never(void *unused)
{
    (void)unused;
    return false;
}

void timer(int argc, char **argv)
{
    uint64_t count, shortest = UINT64_MAX, longest = 0, sum = 0, done = 0;
    if (argc != 2 || !parse_number(argv[1], &count) || !count) {
        shell_usage(argv);
        return;
    }
    for (uint64_t last = time_now(); done < count; done++) {
        wait_for(never, NULL, last + milliseconds(10));
        if (console_interrupted())
            break;
        uint64_t now = time_now(), interval = now - last;
        last = now;
        shortest = interval < shortest ? interval : shortest;
        longest = interval > longest ? interval : longest;
        sum += interval;
    }
    if (done)
        printf("%lu intervals of 10000 us: shortest %lu us, mean %lu us, longest %lu us\n", done,
               ticks_to_us(shortest), ticks_to_us(sum / done), ticks_to_us(longest));
}

void spin(int argc, char **argv)
{
    uint64_t duration, rounds = 0;
    if (argc != 2 || !parse_number(argv[1], &duration)) {
        shell_usage(argv);
        return;
    }
    uint64_t end = time_now() + milliseconds(duration);
    while (time_now() < end && !console_interrupted())
        rounds++;
    printf("%lu rounds\n", rounds);
}

#define SSTATUS_FS_INITIAL (1ul << 13)

/* Whoever shares this hart with us has to save and restore them: a hypervisor between VMs. */
void fp(int argc, char **argv)
{
    uint64_t rounds = 20, done = 0, bad_rounds = 0, lost = 0;
    if (argc > 2 || (argc == 2 && !parse_number(argv[1], &rounds))) {
        shell_usage(argv);
        return;
    }
    csr_set(sstatus, SSTATUS_FS_INITIAL);
    for (; done < rounds && !console_interrupted(); done++) {
        uint64_t seed = time_now() << 16;
        float_fill(seed);
        wait_for(never, NULL, time_now() + milliseconds(10));
        uint64_t differences = float_differences(seed);
        bad_rounds += differences != 0;
        lost |= differences;
    }
    printf("%lu of %lu rounds lost registers", bad_rounds, done);
    if (lost)
        printf(" (mask 0x%lx)", lost);
    printf("\n");
}

/* Places without memory or device on the board: what is read, written or run there faults. */
#define NOWHERE 0x18000000ul

void fault(int argc, char **argv)
{
    const char *kind = argc > 1 ? argv[1] : "";
    uint64_t address = NOWHERE;
    if (argc > 3 || (argc == 3 && !parse_number(argv[2], &address))) {
        shell_usage(argv);
        return;
    }
    if (!strcmp(kind, "load"))
        __asm__ volatile("lw t0, 0(%0)" ::"r"(address) : "t0", "memory");
    else if (!strcmp(kind, "store"))
        __asm__ volatile("sw zero, 0(%0)" ::"r"(address) : "memory");
    else if (!strcmp(kind, "exec"))
        ((void (*)(void))address)();
    else if (!strcmp(kind, "illegal"))
        __asm__ volatile(".2byte 0" ::: "memory"); /* the all-zero parcel is defined to be illegal */
    else if (!strcmp(kind, "csr"))
        printf("hgatp 0x%lx\n", csr_read(CSR_HGATP));
    else {
        shell_usage(argv);
        return;
    }
    printf("no fault\n");
}

#define SATP_SV39 (8ul << 60)
#define PTE_LEAF 0xcful /* V R W X A D */

/* The lowest 256 GiB, mapped to themselves by leaves of 1 GiB. */
static uint64_t root_table[512] __attribute__((section(".noinit"), aligned(4096)));

void mmu(int argc, char **argv)
{
    const char *state = argc > 1 ? argv[1] : "";
    if (!strcmp(state, "on")) {
        for (uint64_t i = 0; i < 512; i++)
            root_table[i] = i < 256 ? i << 28 | PTE_LEAF : 0;
        __asm__ volatile("sfence.vma" ::: "memory");
        csr_write(satp, SATP_SV39 | (uint64_t)root_table >> 12);
        __asm__ volatile("sfence.vma" ::: "memory");
    } else if (!strcmp(state, "off")) {
        csr_write(satp, 0);
        __asm__ volatile("sfence.vma" ::: "memory");
    } else if (argc > 1) {
        shell_usage(argv);
        return;
    }
    uint64_t satp = csr_read(satp);
    printf("satp 0x%lx: %s\n", satp, satp ? "Sv39" : "bare");
}
