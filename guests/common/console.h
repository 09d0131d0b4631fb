/* The console: whatever device carries the shell. Drivers hand over what was typed, from their interrupt handlers. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct console_device {
    const char *name;
    void (*write)(const char *data, size_t count);
    size_t (*poll)(char *data, size_t count); /* for a device without interrupts; otherwise NULL */
};

void console_select(const struct console_device *device);
const char *console_name(void);
void console_write(const char *data, size_t count); /* \n becomes \r\n */
void console_write_raw(const char *data, size_t count);
void console_receive(char c);
int console_read(void);        /* -1 when nothing was typed */
char console_wait(void);       /* sleeps until something is typed */
bool console_has_input(void *unused);
bool console_interrupted(void); /* ctrl+c came since console_clear_interrupt */
void console_clear_interrupt(void);
void console_poll(void);
uint64_t console_poll_deadline(void); /* when console_poll has to be called next; UINT64_MAX: never */

extern const struct console_device sbi_console;
