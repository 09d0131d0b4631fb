/* The few string functions a freestanding program needs (the compiler itself calls mem*). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *to, const void *from, size_t count);
void *memmove(void *to, const void *from, size_t count);
void *memset(void *to, int value, size_t count);
int memcmp(const void *a, const void *b, size_t count);
size_t strlen(const char *text);
int strcmp(const char *a, const char *b);
bool starts_with(const char *text, const char *prefix);

/* A whole word as a number: decimal, or hexadecimal after 0x. False (and *value untouched) for anything else. */
bool parse_number(const char *text, uint64_t *value);
/* a.b.c.d in host order: 10.0.0.1 is 0x0a000001. */
bool parse_ip(const char *text, uint32_t *address);
