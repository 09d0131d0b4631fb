/* The file that `shyper vm config` uploads: the boot loader's ramdisk, a raw kernel or an ELF file, which becomes raw. */
#pragma once

#include <stdint.h>

/* NULL, or one sentence that says why there is no kernel or no room for a buffer of that many bytes. */
const char *kernel_file_open(uint64_t buffer_size);
uint64_t kernel_file_size(void);
/* The file counts as that many bytes, zeros behind its own; smaller values than its size change nothing. */
void kernel_file_extend(uint64_t size);
/* `count` bytes at `offset` of the raw file. */
void kernel_file_read(uint64_t offset, uint8_t *to, uint64_t count);
/* Memory for pieces of the file, in none of the places that are in use. */
uint8_t *kernel_file_buffer(uint64_t size);
