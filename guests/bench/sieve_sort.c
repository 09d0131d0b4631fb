/* Sieve of Eratosthenes over 2 MB and quicksort of 200000 numbers: strided stores, branches that cannot be guessed. */
#include "bench.h"

const char program_name[] = "sieve_sort";

#define ITERATIONS 12
#define LIMIT 2000000
#define NUMBERS 200000

static uint8_t composite[LIMIT];
static int32_t numbers[NUMBERS];

static NOINLINE uint64_t count_primes(uint32_t limit)
{
    uint64_t primes = 0;
    for (uint32_t i = 0; i < limit; i++)
        composite[i] = 0;
    for (uint32_t i = 2; i < limit; i++) {
        if (composite[i])
            continue;
        primes++;
        for (uint64_t multiple = 2ul * i; multiple < limit; multiple += i)
            composite[multiple] = 1;
    }
    return primes;
}

/* Hoare's partition; recursion into the smaller part only. */
static NOINLINE void quicksort(int32_t *low, int32_t *high)
{
    while (low < high) {
        int32_t pivot = low[(high - low) / 2], *left = low, *right = high;
        while (left <= right) {
            while (*left < pivot)
                left++;
            while (*right > pivot)
                right--;
            if (left <= right) {
                int32_t swap = *left;
                *left++ = *right;
                *right-- = swap;
            }
        }
        if (right - low < high - left) {
            quicksort(low, right);
            low = left;
        } else {
            quicksort(left, high);
            high = right;
        }
    }
}

uint64_t program(void)
{
    uint64_t random = 2, result = 0;
    for (uint32_t round = 0; round < ITERATIONS; round++) {
        result = result * 31 + count_primes(LIMIT - round);
        for (int i = 0; i < NUMBERS; i++)
            numbers[i] = (int32_t)next_random(&random);
        quicksort(numbers, numbers + NUMBERS - 1);
        for (int i = 1; i < NUMBERS; i++)
            if (numbers[i - 1] > numbers[i])
                return 0; /* not sorted */
        result = result * 31 + (uint64_t)numbers[round * 1000];
    }
    return result;
}
