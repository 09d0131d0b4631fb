#include "string.h"

void *memcpy(void *to, const void *from, size_t count)
{
    uint8_t *d = to;
    const uint8_t *s = from;
    if ((((uintptr_t)d | (uintptr_t)s) & 7) == 0)
        for (; count >= 8; count -= 8, d += 8, s += 8)
            *(uint64_t *)d = *(const uint64_t *)s;
    while (count--)
        *d++ = *s++;
    return to;
}

void *memmove(void *to, const void *from, size_t count)
{
    uint8_t *d = to;
    const uint8_t *s = from;
    if (d <= s || d >= s + count)
        return memcpy(to, from, count);
    while (count--)
        d[count] = s[count];
    return to;
}

void *memset(void *to, int value, size_t count)
{
    uint8_t *d = to;
    uint64_t word = (uint8_t)value * 0x0101010101010101ul;
    for (; count && (uintptr_t)d & 7; count--)
        *d++ = (uint8_t)value;
    for (; count >= 8; count -= 8, d += 8)
        *(uint64_t *)d = word;
    while (count--)
        *d++ = (uint8_t)value;
    return to;
}

int memcmp(const void *a, const void *b, size_t count)
{
    const uint8_t *p = a, *q = b;
    for (; count; count--, p++, q++)
        if (*p != *q)
            return *p - *q;
    return 0;
}

size_t strlen(const char *text)
{
    size_t n = 0;
    while (text[n])
        n++;
    return n;
}

int strcmp(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return (unsigned char)*a - (unsigned char)*b;
}

bool starts_with(const char *text, const char *prefix)
{
    while (*prefix)
        if (*text++ != *prefix++)
            return false;
    return true;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 99;
}

bool parse_number(const char *text, uint64_t *value)
{
    uint64_t base = 10, result = 0;
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
        base = 16, text += 2;
    if (!*text)
        return false;
    for (; *text; text++) {
        uint64_t d = (uint64_t)digit(*text);
        if (d >= base || result > (UINT64_MAX - d) / base)
            return false;
        result = result * base + d;
    }
    *value = result;
    return true;
}

bool parse_ip(const char *text, uint32_t *address)
{
    uint32_t result = 0;
    for (int part = 0; part < 4; part++) {
        uint32_t octet = 0;
        int digits = 0;
        for (; *text >= '0' && *text <= '9' && digits < 3; text++, digits++)
            octet = octet * 10 + (uint32_t)(*text - '0');
        if (!digits || octet > 255 || *text != (part < 3 ? '.' : '\0'))
            return false;
        text++;
        result = result << 8 | octet;
    }
    *address = result;
    return true;
}
