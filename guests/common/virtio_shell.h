/* The shell on a virtio console. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Opens the console at `base` and makes it the one that carries the shell. */
bool virtio_shell_open(uint64_t base, uint32_t irq);
