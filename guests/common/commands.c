/* The commands that both systems have. */
#include "console.h"
#include "csr.h"
#include "hart.h"
#include "hypercall.h"
#include "mmio.h"
#include "net.h"
#include "plic.h"
#include "print.h"
#include "sbi.h"
#include "shell.h"
#include "string.h"

static void cpu(int argc, char **argv)
{
    static const char *const states[] = {"started",      "stopped",         "start pending", "stop pending",
                                         "suspended", "suspend pending", "resume pending"};
    (void)argc, (void)argv;
    struct sbi_result version = sbi_base(0), implementation = sbi_base(1);
    printf("isa      %s\nmmu      %s\n", machine.isa, machine.mmu_type);
    printf("sbi      %lu.%lu, implementation %lu\n", version.value >> 24, version.value & 0xffffff,
           implementation.value);
    printf("timer    %lu Hz, %s\n", machine.timebase, timer_is_sstc() ? "stimecmp (Sstc)" : "SBI");
    for (unsigned i = 0; i < machine.hart_count; i++) {
        uint64_t id = machine.harts[i].id;
        struct sbi_result status = sbi_hart_status(id);
        printf("hart %lu   %s%s\n", id,
               status.error               ? sbi_error_name(status.error)
               : status.value < 7 ? states[status.value]
                                          : "in an unknown state",
               id == this_hart()->id ? ", runs this shell" : "");
    }
}

static void mem(int argc, char **argv)
{
    (void)argc, (void)argv;
    for (unsigned i = 0; i < machine.memory_count; i++)
        printf("ram      0x%lx - 0x%lx  %lu MiB\n", machine.memory[i].base,
               machine.memory[i].base + machine.memory[i].length, machine.memory[i].length >> 20);
    printf("image    0x%lx - 0x%lx  %lu KiB\n", (uint64_t)image_start, (uint64_t)image_end,
           (uint64_t)(image_end - image_start) >> 10);
    printf("dtb      0x%lx%s%s\n", (uint64_t)machine.tree, machine.tree_error ? "  " : "",
           machine.tree_error ? machine.tree_error : "");
    printf("bootargs %s\n", machine.bootargs);
}

static void irq(int argc, char **argv)
{
    (void)argc, (void)argv;
    printf("source  name             count\n");
    plic_show();
    struct hart *hart = this_hart();
    printf(" timer  %-16s %lu\n", "hart timer", hart->timer_interrupts);
    printf("  soft  %-16s %lu\n", "IPI", hart->software_interrupts);
    printf("   ext  %-16s %lu\n", "PLIC", hart->external_interrupts);
}

static void net(int argc, char **argv)
{
    (void)argc, (void)argv;
    net_show();
}

static void ping(int argc, char **argv)
{
    uint32_t address;
    uint64_t count = 3;
    if (argc < 2 || argc > 3 || !parse_ip(argv[1], &address) || (argc == 3 && !parse_number(argv[2], &count)))
        shell_usage(argv);
    else
        net_ping(address, (unsigned)count);
}

static void peek(int argc, char **argv)
{
    uint64_t address, count = 1;
    if (argc < 2 || argc > 3 || !parse_number(argv[1], &address) || (argc == 3 && !parse_number(argv[2], &count))) {
        shell_usage(argv);
        return;
    }
    for (uint64_t i = 0; i < count && !console_interrupted(); i++, address += 4)
        printf("0x%lx: 0x%08x\n", address, mmio_read32(address));
}

static void poke(int argc, char **argv)
{
    uint64_t address, value;
    if (argc != 3 || !parse_number(argv[1], &address) || !parse_number(argv[2], &value) || value > UINT32_MAX)
        shell_usage(argv);
    else
        mmio_write32(address, (uint32_t)value);
}

static void echo(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        printf("%s%s", i > 1 ? " " : "", argv[i]);
    printf("\n");
}

static void flood(int argc, char **argv)
{
    uint64_t lines, i = 0;
    if (argc != 2 || !parse_number(argv[1], &lines)) {
        shell_usage(argv);
        return;
    }
    for (; i < lines && !console_interrupted(); i++)
        printf("line %lu of %lu: the quick brown fox jumps over the lazy dog\n", i + 1, lines);
    if (i < lines)
        printf("interrupted\n");
}

static void uptime(int argc, char **argv)
{
    (void)argc, (void)argv;
    uint64_t now = time_now(), microseconds = ticks_to_us(now);
    printf("up %lu.%03lu s (time %lu at %lu Hz)\n", microseconds / 1000000, microseconds / 1000 % 1000, now,
           machine.timebase);
}

static void show_log(int argc, char **argv)
{
    (void)argc, (void)argv;
    log_show();
}

static void power_off(int argc, char **argv)
{
    (void)argc, (void)argv;
    printf("power off\n");
    printf("poweroff: SBI says %s\n", sbi_error_name(sbi_power_off(0).error));
}

static void reboot(int argc, char **argv)
{
    (void)argc, (void)argv;
    printf("reboot\n");
    printf("reboot: SBI says %s\n", sbi_error_name(sbi_reboot().error));
}

const struct command common_commands[] = {
    {"cpu", "", "harts and their states", cpu},
    {"mem", "", "memory, image, boot arguments", mem},
    {"irq", "", "interrupt counts", irq},
    {"net", "", "network address, counters", net},
    {"ping", "IP [COUNT]", "ICMP echo", ping},
    {"peek", "ADDRESS [COUNT]", "read 32-bit words", peek},
    {"poke", "ADDRESS VALUE", "write a 32-bit word", poke},
    {"dump", "ADDRESS LENGTH", "show bytes", dump_command},
    {"store", "ADDRESS HEX...", "write bytes, two digits each", store_command},
    {"ecall", "A7 A6 [A0...A5]", "environment call; shows registers", ecall_command},
    {"hypercall", "TYPE EVENT [A0...A6]", "hypercall; shows registers", hypercall_command},
    {"echo", "TEXT...", "print the text", echo},
    {"flood", "LINES", "print that many lines", flood},
    {"uptime", "", "the time CSR", uptime},
    {"log", "", "events since the start", show_log},
    {"poweroff", "", "power this system off", power_off},
    {"reboot", "", "start this system again", reboot},
    {0},
};
