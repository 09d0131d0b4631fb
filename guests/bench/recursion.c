/* Calls and returns: Fibonacci numbers, Ackermann's and Takeuchi's functions, calls through a pointer. */
#include "bench.h"

const char program_name[] = "recursion";

static NOINLINE uint64_t fibonacci(uint64_t n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static NOINLINE uint64_t ackermann(uint64_t m, uint64_t n)
{
    if (!m)
        return n + 1;
    return ackermann(m - 1, n ? ackermann(m, n - 1) : 1);
}

static NOINLINE int takeuchi(int x, int y, int z)
{
    return y >= x ? z : takeuchi(takeuchi(x - 1, y, z), takeuchi(y - 1, z, x), takeuchi(z - 1, x, y));
}

/* Visits the nodes of a complete binary tree of that depth, each by a call through the pointer. */
static NOINLINE uint64_t walk(unsigned depth, uint64_t node, uint64_t (*visit)(uint64_t))
{
    uint64_t here = visit(node);
    return depth ? here + walk(depth - 1, 2 * node, visit) + walk(depth - 1, 2 * node + 1, visit) : here;
}

static uint64_t fold(uint64_t node)
{
    return (node ^ node >> 7) & 0xff;
}

uint64_t program(void)
{
    uint64_t result = fibonacci(36);
    for (int i = 0; i < 10; i++)
        result = result * 31 + ackermann(3, 7);
    for (int i = 0; i < 20; i++)
        result = result * 31 + (uint64_t)takeuchi(18, 12, 6);
    for (int i = 0; i < 10; i++)
        result = result * 31 + walk(18, 1, fold);
    return result;
}
