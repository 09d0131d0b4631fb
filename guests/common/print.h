/* Formatted output. Conversions: %s %c %d %u %x %%, with l, a width, - and 0. */
#pragma once

#include <stdarg.h>
#include <stddef.h>

#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

void printf(const char *format, ...) PRINTF_LIKE(1, 2); /* to the console */
/* Into a buffer of `size` bytes, always terminated; gives the number of characters stored. */
size_t format_to(char *buffer, size_t size, const char *format, ...) PRINTF_LIKE(3, 4);

/* The log: a ring of short lines for `log`; never prints, so interrupt handlers may use it. */
void log_line(const char *format, ...) PRINTF_LIKE(1, 2);
void log_show(void);
