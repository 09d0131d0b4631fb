/* The hostile guest: `attack NAME [MILLISECONDS]` at its prompt, or attack=NAME in its boot arguments. It goes for
   whoever shares the machine with it; a hypervisor has to contain it. */
#include "attacks.h"
#include "console.h"
#include "csr.h"
#include "hart.h"
#include "machine.h"
#include "plic.h"
#include "print.h"
#include "shell.h"
#include "string.h"
#include "virtio.h"
#include "virtio_shell.h"

static const struct attack attacks[] = {
    {"hypercalls", "all numbers, any argument", attack_hypercalls},
    {"mmio", "accesses of every kind and width, anywhere", attack_mmio},
    {"execute-devices", "jumps into devices and to nowhere", attack_execute_devices},
    {"rings", "corrupt virtqueues", attack_rings},
    {"dma", "buffers in memory of others", attack_dma},
    {"notify", "queue notifications without end", attack_notify},
    {"net-flood", "broadcast frames without end", attack_net_flood},
    {"console-flood", "output that nobody can read", attack_console_flood},
    {"heavy-text", "the largest texts", attack_heavy_text},
    {"heavy-disk", "the largest disk requests", attack_heavy_disk},
    {"heavy-frames", "the largest frames, to be cut", attack_heavy_frames},
    {"page-tables", "Sv39 entries that lead out of the VM", attack_page_tables},
    {"satp", "every mode, the root table anywhere", attack_satp},
    {"ipis", "interrupts to all harts, existing or not", attack_ipis},
    {"vplic", "reads and writes all over the controller", attack_vplic},
    {"timers", "deadlines in the past", attack_timers},
    {"timer-stuck", "a timer interrupt that is never cleared", attack_timer_stuck},
    {"sbi", "all extensions, any argument", attack_sbi},
    {"fences", "remote fences of any size", attack_fences},
    {"debug-console", "text from and to anywhere", attack_debug_console},
    {"harts", "harts started anywhere and stopped", attack_harts},
    {"suspend", "every type of suspend", attack_suspend},
    {"reset", "restarts without end", attack_reset},
    {"power-off", "the end", attack_power_off},
    {"ecalls", "calls as fast as possible", attack_ecalls},
    {"wfi", "sleeps for nothing", attack_wfi},
    {"trap-to-itself", "an illegal instruction as trap handler", attack_trap_to_itself},
    {"trap-to-nowhere", "a trap handler where nothing is", attack_trap_to_nowhere},
    {"trap-misaligned", "a reserved mode of stvec", attack_trap_misaligned},
    {"trap-to-device", "a device as trap handler", attack_trap_to_device},
    {"jump-to-nowhere", "code anywhere", attack_jump_to_nowhere},
    {"csrs", "every number, read and written", attack_csrs},
    {"privileged", "instructions of higher modes", attack_privileged},
    {"changing-code", "code that is overwritten while it runs", attack_changing_code},
    {"random-code", "random instructions", attack_random_code},
    {"fresh-code", "pages that are executed once", attack_fresh_code},
    {"page-crossing", "accesses to two pages at once", attack_page_crossing},
    {"odd-floats", "the smallest numbers, every rounding", attack_odd_floats},
    {"full-contexts", "address spaces without end", attack_full_contexts},
    {"own-fences", "a fence for every load", attack_own_fences},
    {"tlb-misses", "a page for every load", attack_tlb_misses},
    {"own-traps", "illegal instructions", attack_own_traps},
    {"faults", "loads from nowhere", attack_faults},
    {"busy", "honest work, for comparison", attack_busy},
    {0},
};

static const struct attack *chosen;
static volatile bool over;
static void round_of(void *unused)
{
    (void)unused;
    chosen->round();
}

static void join(struct hart *hart)
{
    (void)hart;
    while (!over)
        guarded_call(round_of, NULL);
}

/* All harts attack until `deadline`, or until ctrl+c. */
static uint64_t perform(uint64_t deadline)
{
    uint64_t rounds = 0;
    over = false;
    for (unsigned i = 0; i < machine.hart_count; i++)
        if (machine.harts[i].id != this_hart()->id && !hart_start(machine.harts[i].id))
            hart_run(machine.harts[i].id, join);
    for (; time_now() < deadline && !console_interrupted(); rounds++)
        guarded_call(round_of, NULL);
    over = true;
    return rounds;
}

static const struct attack *find(const char *name, size_t length)
{
    for (const struct attack *attack = attacks; attack->name; attack++)
        if (strlen(attack->name) == length && !memcmp(attack->name, name, length))
            return attack;
    return NULL;
}

static void attack(int argc, char **argv)
{
    uint64_t duration = UINT64_MAX;
    chosen = argc > 1 ? find(argv[1], strlen(argv[1])) : NULL;
    if (!chosen || argc > 3 || (argc == 3 && !parse_number(argv[2], &duration))) {
        shell_usage(argv);
        for (const struct attack *one = attacks; one->name; one++)
            printf("  %-16s %s\n", one->name, one->help);
        return;
    }
    uint64_t rounds = perform(duration == UINT64_MAX ? duration : time_now() + milliseconds(duration));
    printf("%s: %lu rounds\n", chosen->name, rounds);
}

static const struct command commands[] = {{"attack", "NAME [MILLISECONDS]", "try to do harm", attack}, {0}};

static void open_console(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < machine.virtio_count; i++)
        if (virtio_probe(machine.virtio[i].base) == VIRTIO_CONSOLE &&
            virtio_shell_open(machine.virtio[i].base, machine.virtio[i].irq))
            return;
}

static const struct attack *asked_for(const char *bootargs)
{
    for (const char *word = bootargs; *word; word++)
        if (starts_with(word, "attack=")) {
            const char *name = word + 7;
            size_t length = 0;
            while (name[length] && name[length] != ' ')
                length++;
            return find(name, length);
        }
    return NULL;
}

void main(uint64_t hart_id, const void *tree)
{
    hart_init(hart_id);
    machine_read_tree(hart_id, tree);
    plic_init();
    timer_init();
    guarded_call(open_console, NULL);
    interrupts_restore(SSTATUS_SIE);
    printf("Shyper-TUI hostile guest (%u harts)\n", machine.hart_count);
    chosen = asked_for(machine.bootargs);
    if (chosen) {
        printf("attack %s\n", chosen->name);
        for (;;)
            perform(UINT64_MAX);
    }
    shell_run("evil# ", commands);
}
