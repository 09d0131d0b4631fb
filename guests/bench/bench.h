/* What a bench program consists of. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NOINLINE __attribute__((noinline))

extern const char program_name[];
/* Does the work and gives a checksum over its results: equal on every machine that computes right. */
uint64_t program(void);

/* Linear congruential generator of Knuth's MMIX. */
static inline uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}
