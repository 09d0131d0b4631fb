#include "machine.h"

#include "fdt.h"
#include "hart.h"
#include "string.h"

struct machine machine = {
    .timebase = 10000000, .isa = "unknown", .mmu_type = "none", .bootargs = "", .plic_sources = 63};

/* interrupts-extended of the PLIC: its entries name harts that may come later in the tree. */
static struct fdt_property plic_outputs;

static void add_memory(const struct fdt_node *node, const struct fdt_node *parent)
{
    uint64_t base, length;
    for (uint32_t i = 0; machine.memory_count < MAX_MEMORY && fdt_reg(node, parent, i, &base, &length); i++) {
        machine.memory[machine.memory_count].base = base;
        machine.memory[machine.memory_count++].length = length;
    }
}

static void add_hart(const struct fdt_node *node)
{
    uint64_t id = fdt_cell(&node->reg, 0);
    if (id == machine.boot_hart) {
        machine.isa = fdt_text(&node->isa, machine.isa);
        machine.mmu_type = fdt_text(&node->mmu_type, machine.mmu_type);
        machine.has_sstc = fdt_has_string(&node->isa_extensions, "sstc");
        for (const char *p = machine.isa; *p; p++)
            if (starts_with(p, "_sstc") && (p[5] == '_' || p[5] == '\0'))
                machine.has_sstc = true;
    }
    /* The node of its interrupt controller came first and took a slot: see add_intc. */
    for (unsigned i = 0; i < machine.hart_count; i++)
        if (machine.harts[i].id == id)
            return;
    if (machine.hart_count < MAX_HARTS)
        machine.harts[machine.hart_count++].id = id;
}

static void add_intc(const struct fdt_node *node, const struct fdt_node *cpu)
{
    if (machine.hart_count == MAX_HARTS)
        return;
    machine.harts[machine.hart_count].id = fdt_cell(&cpu->reg, 0);
    machine.harts[machine.hart_count++].intc = node->phandle;
}

static void add_virtio(uint64_t base, uint32_t irq)
{
    if (machine.virtio_count == MAX_VIRTIO)
        return;
    unsigned i = machine.virtio_count++;
    for (; i && machine.virtio[i - 1].base > base; i--)
        machine.virtio[i] = machine.virtio[i - 1];
    machine.virtio[i].base = base;
    machine.virtio[i].irq = irq;
}

static void visit(const struct fdt_node *node, const struct fdt_node *parent, void *context)
{
    (void)context;
    uint64_t base, length;
    if (fdt_has_string(&node->compatible, "riscv,cpu-intc") && parent) {
        add_intc(node, parent);
    } else if (fdt_has_string(&node->device_type, "cpu")) {
        add_hart(node);
    } else if (fdt_has_string(&node->device_type, "memory")) {
        add_memory(node, parent);
    } else if (!strcmp(node->name, "cpus") && node->timebase_frequency.length >= 4) {
        machine.timebase = fdt_cell(&node->timebase_frequency, 0);
    } else if (!strcmp(node->name, "chosen")) {
        machine.bootargs = fdt_text(&node->bootargs, "");
        uint64_t end = fdt_number(&node->initrd_end);
        machine.ramdisk_base = fdt_number(&node->initrd_start);
        machine.ramdisk_length = end > machine.ramdisk_base ? end - machine.ramdisk_base : 0;
    } else if (fdt_has_string(&node->compatible, "shyper")) {
        machine.hypervisor_irq = fdt_cell(&node->interrupts, 0);
    } else if (fdt_reg(node, parent, 0, &base, &length)) {
        if (fdt_has_string(&node->compatible, "virtio,mmio")) {
            add_virtio(base, fdt_cell(&node->interrupts, 0));
        } else if (fdt_has_string(&node->compatible, "sifive,plic-1.0.0") ||
                   fdt_has_string(&node->compatible, "riscv,plic0")) {
            machine.plic_base = base;
            machine.plic_sources = fdt_cell(&node->ndev, 0);
            plic_outputs = node->interrupts_extended;
        } else if (fdt_has_string(&node->compatible, "ns16550a") && !machine.uart_base) {
            machine.uart_base = base;
            machine.uart_irq = fdt_cell(&node->interrupts, 0);
        }
    }
}

/* Contexts are numbered by their place in interrupts-extended; 9 is the S-mode external interrupt. */
static uint32_t find_context(void)
{
    for (unsigned h = 0; h < machine.hart_count; h++)
        for (uint32_t i = 0; machine.harts[h].id == machine.boot_hart && i < plic_outputs.length / 8; i++)
            if (fdt_cell(&plic_outputs, 2 * i) == machine.harts[h].intc && fdt_cell(&plic_outputs, 2 * i + 1) == 9)
                return i;
    return (uint32_t)machine.boot_hart * 2 + 1;
}

/* The nodes of a tree may come in any order; people expect hart 0 first. */
static void sort_harts(void)
{
    for (unsigned i = 1; i < machine.hart_count; i++)
        for (unsigned j = i; j && machine.harts[j - 1].id > machine.harts[j].id; j--) {
            __typeof__(machine.harts[0]) swap = machine.harts[j];
            machine.harts[j] = machine.harts[j - 1];
            machine.harts[j - 1] = swap;
        }
}

static void walk(void *unused)
{
    (void)unused;
    machine.tree_error = fdt_walk(machine.tree, visit, NULL);
}

void machine_read_tree(uint64_t boot_hart, const void *tree)
{
    machine.boot_hart = boot_hart;
    machine.tree = tree;
    if (!guarded_call(walk, NULL))
        machine.tree_error = "no memory at the address of the device tree in a1";
    if (!machine.timebase)
        machine.timebase = 10000000;
    sort_harts();
    machine.plic_context = find_context();
}

uint64_t ticks_to_us(uint64_t ticks)
{
    return ticks / machine.timebase * 1000000 + ticks % machine.timebase * 1000000 / machine.timebase;
}
