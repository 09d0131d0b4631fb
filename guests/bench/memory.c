/* Memory loops: copies by bytes, halfwords, words and doublewords, fills, strlen, strcmp. */
#include "bench.h"

const char program_name[] = "memory";

#define ITERATIONS 5500
#define BYTES 65536

static uint64_t first[BYTES / 8], second[BYTES / 8];
static char text[BYTES];

#define DEFINE_COPY(type)                                                                                              \
    static NOINLINE void copy_##type(type *to, const type *from, size_t count)                                        \
    {                                                                                                                  \
        for (size_t i = 0; i < count; i++)                                                                             \
            to[i] = from[i];                                                                                           \
    }

DEFINE_COPY(uint8_t)
DEFINE_COPY(uint16_t)
DEFINE_COPY(uint32_t)
DEFINE_COPY(uint64_t)

static NOINLINE void fill(uint64_t *to, uint64_t value, size_t count)
{
    while (count--)
        *to++ = value;
}

static NOINLINE size_t length(const char *string)
{
    const char *at = string;
    while (*at)
        at++;
    return (size_t)(at - string);
}

static NOINLINE int compare(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a - *b;
}

uint64_t program(void)
{
    uint64_t random = 3, result = 0;
    for (size_t i = 0; i < BYTES / 8; i++)
        first[i] = (uint64_t)next_random(&random) << 32 | next_random(&random);
    for (size_t i = 0; i < BYTES - 1; i++)
        text[i] = (char)('a' + i % 26);
    text[BYTES / 2 - 1] = '\0';
    for (size_t round = 0; round < ITERATIONS; round++) {
        copy_uint64_t(second, first, BYTES / 8);
        copy_uint64_t(first + (round & 3), second, BYTES / 8 - 3);
        copy_uint32_t((uint32_t *)second + (round & 1), (uint32_t *)first, 4096);
        copy_uint16_t((uint16_t *)second + 9000, (uint16_t *)first + (round & 7), 4096);
        copy_uint8_t((uint8_t *)text + BYTES / 2, (uint8_t *)text + (round & 31), 8192);
        fill(second + 6000, round, 1024);
        result += length(text + (round & 63));
        result += (uint64_t)compare(text, text + 26 * (round & 15));
        result = result * 3 + first[round & 8191] + second[(round * 7) & 8191];
    }
    return result;
}
