/* Memory of which the hypervisor knows where it is: locked, with the guest-physical address of each page. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct buffer {
    unsigned char *memory;
    size_t size;
};

/* `size` bytes, a multiple of 4 KiB: of a huge page of 2 MiB when there is one, else of normal pages. Gives NULL, or why not. */
const char *buffer_create(struct buffer *buffer, size_t size);
void buffer_free(struct buffer *buffer);

/* The guest-physical address of the byte at `offset`, and how many bytes, at most `size`, follow it there without a gap. The
   address is 0 when it cannot be known. */
uint64_t buffer_address(const struct buffer *buffer, size_t offset, size_t size, size_t *length);
