/* Virtio block device (Virtual I/O Device 1.2, section 5.2); one, read and written a sector at a time. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SECTOR_SIZE 512

bool block_open(uint64_t base, uint32_t irq);
bool block_present(void);
uint64_t block_capacity(void); /* in sectors */
/* NULL, or what went wrong. */
const char *block_transfer(uint64_t sector, uint8_t *data, bool write);
