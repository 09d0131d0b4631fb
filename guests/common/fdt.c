#include "fdt.h"

#include "string.h"

#define FDT_MAGIC 0xd00dfeed
#define FDT_MAX_SIZE (2u << 20)

enum { FDT_BEGIN_NODE = 1, FDT_END_NODE = 2, FDT_PROP = 3, FDT_NOP = 4, FDT_END = 9 };

static uint32_t big32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Length of the string at p when it ends before `end`; -1 when it does not. */
static int64_t bounded_length(const uint8_t *p, const uint8_t *end)
{
    for (const uint8_t *q = p; q < end; q++)
        if (!*q)
            return q - p;
    return -1;
}

static void keep_property(struct fdt_node *node, const char *name, struct fdt_property value)
{
    static const struct {
        const char *name;
        size_t offset;
    } wanted[] = {
        {"compatible", offsetof(struct fdt_node, compatible)},
        {"device_type", offsetof(struct fdt_node, device_type)},
        {"reg", offsetof(struct fdt_node, reg)},
        {"interrupts", offsetof(struct fdt_node, interrupts)},
        {"interrupts-extended", offsetof(struct fdt_node, interrupts_extended)},
        {"status", offsetof(struct fdt_node, status)},
        {"riscv,isa", offsetof(struct fdt_node, isa)},
        {"riscv,isa-extensions", offsetof(struct fdt_node, isa_extensions)},
        {"mmu-type", offsetof(struct fdt_node, mmu_type)},
        {"timebase-frequency", offsetof(struct fdt_node, timebase_frequency)},
        {"bootargs", offsetof(struct fdt_node, bootargs)},
        {"riscv,ndev", offsetof(struct fdt_node, ndev)},
        {"linux,initrd-start", offsetof(struct fdt_node, initrd_start)},
        {"linux,initrd-end", offsetof(struct fdt_node, initrd_end)},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        if (!strcmp(name, wanted[i].name)) {
            *(struct fdt_property *)((uint8_t *)node + wanted[i].offset) = value;
            return;
        }
    if (!strcmp(name, "phandle"))
        node->phandle = fdt_cell(&value, 0);
    else if (!strcmp(name, "#address-cells"))
        node->address_cells = fdt_cell(&value, 0);
    else if (!strcmp(name, "#size-cells"))
        node->size_cells = fdt_cell(&value, 0);
}

const char *fdt_walk(const void *blob, fdt_visitor *visit, void *context)
{
    const uint8_t *base = blob;
    if (!base || (uintptr_t)base & 3 || big32(base) != FDT_MAGIC)
        return "no device tree at the address in a1";
    uint32_t total = big32(base + 4), structure = big32(base + 8), strings = big32(base + 12);
    if (total < 40 || total > FDT_MAX_SIZE || structure >= total || strings > total || structure & 3)
        return "the device tree's header is damaged";

    struct fdt_node nodes[FDT_MAX_DEPTH];
    int depth = 0;
    const uint8_t *p = base + structure, *end = base + total;
    while (end - p >= 4) {
        uint32_t token = big32(p);
        p += 4;
        if (token == FDT_NOP)
            continue;
        if (token == FDT_END)
            return depth ? "the device tree ends inside a node" : NULL;
        if (token == FDT_BEGIN_NODE) {
            int64_t length = bounded_length(p, end);
            if (length < 0 || depth == FDT_MAX_DEPTH)
                return "a node of the device tree is damaged or nested too deep";
            nodes[depth++] = (struct fdt_node){.name = (const char *)p, .address_cells = 2, .size_cells = 1};
            p += (length + 4) & ~3;
        } else if (token == FDT_END_NODE && depth) {
            depth--;
            visit(&nodes[depth], depth ? &nodes[depth - 1] : NULL, context);
        } else if (token == FDT_PROP && depth && end - p >= 8) {
            uint32_t length = big32(p), name = big32(p + 4);
            p += 8;
            if (length > (uint64_t)(end - p) || name >= total - strings ||
                bounded_length(base + strings + name, end) < 0)
                return "a property of the device tree is damaged";
            keep_property(&nodes[depth - 1], (const char *)base + strings + name, (struct fdt_property){p, length});
            p += ((uint64_t)length + 3) & ~3ul;
        } else {
            return "the device tree has an unknown token";
        }
    }
    return "the device tree has no end";
}

uint32_t fdt_cell(const struct fdt_property *property, uint32_t index)
{
    return property->data && property->length / 4 > index ? big32(property->data + index * 4) : 0;
}

static uint64_t cells(const struct fdt_property *property, uint32_t first, uint32_t count)
{
    uint64_t value = 0;
    for (uint32_t i = 0; i < count; i++)
        value = value << 32 | fdt_cell(property, first + i);
    return value;
}

uint64_t fdt_number(const struct fdt_property *property)
{
    return property->length > 8 ? 0 : cells(property, 0, property->length / 4);
}

bool fdt_reg(const struct fdt_node *node, const struct fdt_node *parent, uint32_t index, uint64_t *base,
             uint64_t *length)
{
    if (!parent || parent->address_cells > 2 || parent->size_cells > 2)
        return false;
    uint32_t stride = parent->address_cells + parent->size_cells;
    if (!stride || node->reg.length / 4 / stride <= index)
        return false;
    *base = cells(&node->reg, index * stride, parent->address_cells);
    *length = cells(&node->reg, index * stride + parent->address_cells, parent->size_cells);
    return true;
}

bool fdt_has_string(const struct fdt_property *list, const char *text)
{
    size_t length = strlen(text);
    for (uint32_t at = 0; at < list->length;) {
        int64_t here = bounded_length(list->data + at, list->data + list->length);
        if (here < 0)
            return false;
        if ((size_t)here == length && !memcmp(list->data + at, text, length))
            return true;
        at += (uint32_t)here + 1;
    }
    return false;
}

const char *fdt_text(const struct fdt_property *property, const char *otherwise)
{
    bool whole = property->length && property->data[property->length - 1] == '\0';
    return whole ? (const char *)property->data : otherwise;
}
