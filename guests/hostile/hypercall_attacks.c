/* Every hypercall with every kind of argument: only those for everyone may succeed. */
#include "attacks.h"
#include "hypercall.h"

void attack_hypercalls(void)
{
    static const uint8_t types[] = {0, 1, 2, 3, 4, 0x11, 0x12, 0xff};
    uint64_t before[32], after[32];
    fill_registers(before);
    for (unsigned i = 10; i < 17; i++)
        before[i] = random_argument();
    uint64_t type = random_below(8) ? types[random_below(sizeof types)] : random_below(256);
    uint64_t event = random_below(4) ? random_below(0x18) : random_below(256);
    before[17] = HYPERCALL(type, event) | (random_below(8) ? 0 : random_below(256) << 16);
    call_with_registers(before, after);
}
