/* Flattened device tree reader (Devicetree Specification 0.4, chapter 5). Every offset is checked: a damaged tree
   ends the walk with an error, it never leads outside of the blob. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FDT_MAX_DEPTH 12

struct fdt_property {
    const uint8_t *data; /* NULL: the node does not have it */
    uint32_t length;
};

/* The properties of one node that this program looks at. */
struct fdt_node {
    const char *name; /* with unit address, "uart@10000000" */
    uint32_t address_cells, size_cells; /* of the children */
    uint32_t phandle;
    struct fdt_property compatible, device_type, reg, interrupts, interrupts_extended, status, isa, isa_extensions,
        mmu_type, timebase_frequency, bootargs, ndev, initrd_start, initrd_end;
};

/* Called when all of a node and of its children was read; parent is NULL for the root. */
typedef void fdt_visitor(const struct fdt_node *node, const struct fdt_node *parent, void *context);

/* NULL, or one sentence that says what is wrong with the tree. */
const char *fdt_walk(const void *blob, fdt_visitor *visit, void *context);

uint32_t fdt_cell(const struct fdt_property *property, uint32_t index); /* 0 beyond the end */
uint64_t fdt_number(const struct fdt_property *property); /* of one or two cells, as long as the property is */
/* The index-th pair of `reg` under the parent's cell sizes. */
bool fdt_reg(const struct fdt_node *node, const struct fdt_node *parent, uint32_t index, uint64_t *base,
             uint64_t *length);
bool fdt_has_string(const struct fdt_property *list, const char *text); /* in a string list */
const char *fdt_text(const struct fdt_property *property, const char *otherwise);
