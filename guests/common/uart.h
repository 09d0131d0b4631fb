/* NS16550A serial port. */
#pragma once

#include <stdint.h>

#include "console.h"

extern const struct console_device uart_console;
void uart_init(uint64_t base, uint32_t irq);
