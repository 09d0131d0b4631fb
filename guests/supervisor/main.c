/* The supervisor: the managing VM's embedded system, with Rust-Shyper's commands on a serial console. */
#include "console.h"
#include "hart.h"
#include "machine.h"
#include "module.h"
#include "net.h"
#include "plic.h"
#include "print.h"
#include "sbi.h"
#include "shell.h"
#include "shyper.h"
#include "string.h"
#include "uart.h"
#include "virtio_console.h"
#include "virtio_net.h"

#define MAX_PEERS 7         /* the managing VM has a console for each guest */
#define BACKLOG 4096        /* bytes of a guest's console kept while nobody looks; a power of two */
#define LEAVE (']' & 0x1f) /* ctrl+] */

struct peer {
    struct virtio_console console; /* first: `received` gets this pointer */
    unsigned head, tail;           /* of the backlog, free running */
};

static struct peer peers[MAX_PEERS];
static char backlog[MAX_PEERS][BACKLOG] __attribute__((section(".noinit")));
static unsigned peer_count;

/* From the interrupt handler. The oldest bytes go when the backlog is full. */
static void peer_received(struct virtio_console *console, const char *data, size_t count)
{
    struct peer *peer = (struct peer *)console;
    for (size_t i = 0; i < count; i++)
        backlog[peer - peers][peer->head++ % BACKLOG] = data[i];
    if (peer->head - peer->tail > BACKLOG)
        peer->tail = peer->head - BACKLOG;
}

static bool something_to_do(void *argument)
{
    struct peer *peer = argument;
    return peer->head != peer->tail || console_has_input(NULL);
}

static void attach(struct peer *peer)
{
    for (;;) {
        if (!wait_for(something_to_do, peer, UINT64_MAX))
            console_clear_interrupt(); /* ctrl+c is for the guest here */
        while (peer->head != peer->tail) {
            char *from = &backlog[peer - peers][peer->tail % BACKLOG];
            unsigned whole = BACKLOG - peer->tail % BACKLOG, waiting = peer->head - peer->tail;
            unsigned count = waiting < whole ? waiting : whole;
            console_write_raw(from, count);
            peer->tail += count;
        }
        for (int c; (c = console_read()) >= 0;) {
            char byte = (char)c;
            if (c == LEAVE)
                return;
            virtio_console_send(&peer->console, &byte, 1);
        }
    }
}

static void console_command(int argc, char **argv)
{
    uint64_t number;
    if (argc != 2 || !parse_number(argv[1], &number)) {
        shell_usage(argv);
    } else if (!number || number > peer_count) {
        printf("console: there are %u consoles, numbered from 1\n", peer_count);
    } else {
        printf("[console of VM %lu; ctrl+] leaves]\n", number);
        attach(&peers[number - 1]);
        printf("\n[left the console of VM %lu]\n", number);
    }
}

static const struct command commands[] = {
    {"insmod", "", "load the hypervisor's kernel module", module_command},
    {"rmmod", "", "unload it", module_command},
    {"messages", "", "messages of the hypervisor so far", module_command},
    {"shyper", "vm list", "the VMs of the hypervisor", shyper_command},
    {"shyper", "vm config NAME [KEY=N...]", "a new VM, kernel: the ramdisk", shyper_command},
    {"shyper", "vm boot N", "start VM N", shyper_command},
    {"shyper", "vm shutdown N [--force]", "power VM N off", shyper_command},
    {"shyper", "vm reboot N [--force]", "start VM N again", shyper_command},
    {"shyper", "vm remove N", "stop VM N and free it", shyper_command},
    {"shyper", "vm delconfig N", "take a configuration back", shyper_command},
    {"shyper", "vm state N", "what VM N does", shyper_command},
    {"shyper", "vm getvmid", "the id of this VM", shyper_command},
    {"shyper", "system daemon [N...|hold|go]", "RAM disks of N sectors for guests", shyper_command},
    {"shyper", "system test|reboot|shutdown", "the whole machine", shyper_command},
    {"console", "N", "console of VM N", console_command},
    {0},
};

/* Devices lie in ascending order of address: the hypervisor's (0x4000_0000 and up) after the board's own slots.
   The consoles are numbered in that order; of several network devices the last is the one of the virtual switch. */
static void open_devices(void *unused)
{
    (void)unused;
    unsigned net = machine.virtio_count;
    for (unsigned i = 0; i < machine.virtio_count; i++) {
        uint64_t base = machine.virtio[i].base;
        uint32_t id = virtio_probe(base);
        if (id == VIRTIO_CONSOLE && peer_count < MAX_PEERS)
            peer_count += virtio_console_open(&peers[peer_count].console, base, machine.virtio[i].irq, peer_received);
        else if (id == VIRTIO_NET)
            net = i;
    }
    if (net < machine.virtio_count)
        net_device_open(machine.virtio[net].base, machine.virtio[net].irq);
}

void main(uint64_t hart_id, const void *tree)
{
    hart_init(hart_id);
    log_line("started on hart %lu", hart_id);
    machine_read_tree(hart_id, tree);
    log_line("%s", machine.tree_error ? machine.tree_error : "device tree read");
    plic_init();
    if (machine.uart_base) {
        uart_init(machine.uart_base, machine.uart_irq);
        console_select(&uart_console);
    }
    printf("Shyper-TUI supervisor (hart %lu, %lu MiB, %s)\n", hart_id, machine.memory[0].length >> 20,
           console_name());
    if (machine.tree_error)
        printf("%s\n", machine.tree_error);
    timer_init();
    if (!guarded_call(open_devices, NULL))
        fault_show(&this_hart()->fault);
    module_load();
    printf("Type help for the commands.\n");
    log_line("ready");
    shell_run("mvm# ", commands);
}
