/* Platform-level interrupt controller (RISC-V PLIC specification 1.0): the boot hart's S-mode context. */
#pragma once

#include <stdint.h>

#define PLIC_MAX_SOURCE 127

void plic_init(void);
/* Calls handler(argument) whenever the source interrupts. Sources out of range are ignored. */
void plic_enable(uint32_t source, const char *name, void (*handler)(void *), void *argument);
void plic_handle(void); /* from the trap handler */
void plic_show(void);   /* counts per source */
