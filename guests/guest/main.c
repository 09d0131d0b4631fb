/* The guest: the embedded system of a guest VM, with a shell to poke each part of the machine it finds in its tree. */
#include "console.h"
#include "hart.h"
#include "machine.h"
#include "module.h"
#include "plic.h"
#include "print.h"
#include "probes.h"
#include "shell.h"
#include "uart.h"
#include "virtio.h"
#include "virtio_block.h"
#include "virtio_net.h"
#include "virtio_shell.h"

static bool console_present;

static void open_devices(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < machine.virtio_count; i++) {
        uint64_t base = machine.virtio[i].base;
        uint32_t irq = machine.virtio[i].irq, id = virtio_probe(base);
        if (id == VIRTIO_CONSOLE && !console_present)
            console_present = virtio_shell_open(base, irq);
        else if (id == VIRTIO_BLOCK && !block_present())
            block_open(base, irq);
        else if (id == VIRTIO_NET && !net_device_present())
            net_device_open(base, irq);
    }
}

void main(uint64_t hart_id, const void *tree)
{
    hart_init(hart_id);
    log_line("started on hart %lu", hart_id);
    machine_read_tree(hart_id, tree);
    log_line("%s", machine.tree_error ? machine.tree_error : "device tree read");
    plic_init();
    timer_init();
    bool devices_fine = guarded_call(open_devices, NULL);
    if (!console_present && machine.uart_base) {
        uart_init(machine.uart_base, machine.uart_irq);
        console_select(&uart_console);
    }
    printf("Shyper-TUI guest (%u hart%s, %lu MiB, %s)\n", machine.hart_count,
           machine.hart_count == 1 ? "" : "s", machine.memory[0].length >> 20, console_name());
    if (machine.tree_error)
        printf("%s\n", machine.tree_error);
    if (!devices_fine)
        fault_show(&this_hart()->fault);
    if (machine.hypervisor_irq)
        module_load();
    printf("Type help for the commands.\n");
    log_line("ready");
    shell_run("gvm# ", guest_commands);
}
