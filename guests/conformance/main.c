/* The conformance guest: makes every hypercall and every SBI call, as the managing VM or as a guest VM, and prints what
   came of it. `run NAME` does one group of calls; a test reads the lines and compares them with the contract. */
#include "console.h"
#include "hart.h"
#include "plic.h"
#include "print.h"
#include "shell.h"
#include "steps.h"
#include "string.h"
#include "uart.h"
#include "virtio.h"
#include "virtio_shell.h"

static const struct {
    const char *name;
    void (*run)(void);
} groups[] = {
    {"vms", run_vms},           {"messages", run_messages}, {"config", run_config},     {"upload", run_upload},
    {"lifecycle", run_lifecycle}, {"mediated", run_mediated}, {"pointers", run_pointers}, {"numbers", run_numbers},
    {"sbi", run_sbi},           {"harts", run_harts},       {"refused", run_refused},
};

static void run(int argc, char **argv)
{
    for (unsigned i = 0; argc == 2 && i < sizeof groups / sizeof groups[0]; i++)
        if (!strcmp(argv[1], groups[i].name)) {
            groups[i].run();
            return;
        }
    shell_usage(argv);
}

static const struct command commands[] = {
    {"run", "GROUP", "one group of calls", run},
    {0},
};

static void open_console(void *unused)
{
    (void)unused;
    if (machine.uart_base) {
        uart_init(machine.uart_base, machine.uart_irq);
        console_select(&uart_console);
        return;
    }
    for (unsigned i = 0; i < machine.virtio_count; i++)
        if (virtio_probe(machine.virtio[i].base) == VIRTIO_CONSOLE &&
            virtio_shell_open(machine.virtio[i].base, machine.virtio[i].irq))
            return;
}

void main(uint64_t hart_id, const void *tree)
{
    hart_init(hart_id);
    machine_read_tree(hart_id, tree);
    plic_init();
    timer_init();
    if (!guarded_call(open_console, NULL))
        fault_show(&this_hart()->fault);
    printf("Shyper-TUI conformance guest (%u harts, %s)\n", machine.hart_count, console_name());
    if (machine.tree_error)
        printf("%s\n", machine.tree_error);
    shell_run("test# ", commands);
}
