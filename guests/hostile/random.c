#include "attacks.h"
#include "hart.h"
#include "machine.h"

uint8_t arena[64 << 10] __attribute__((section(".noinit"), aligned(4096)));
static uint64_t state[MAX_HARTS];

uint64_t random_number(void)
{
    uint64_t id = this_hart()->id % MAX_HARTS, x = state[id];
    if (!x)
        x = 0x9e3779b97f4a7c15ul * (id + 1);
    x ^= x << 13; /* xorshift64 */
    x ^= x >> 7;
    x ^= x << 17;
    return state[id] = x;
}

uint64_t random_below(uint64_t limit)
{
    return random_number() % limit;
}

static uint64_t some_device(void)
{
    uint64_t which = random_below(machine.virtio_count + 2u);
    if (which < machine.virtio_count)
        return machine.virtio[which].base + random_below(0x240);
    return machine.plic_base + (random_below(2) ? random_below(0x4000) : random_below(0x600000));
}

uint64_t random_place(void)
{
    static const uint64_t edges[] = {
        0,          0x1000,     0x100000,    0x101000,         0x2000000,        0xc000000,          0xc201004,
        0x10000000, 0x40001000, 0x40003000,  0x80000000,       0x8fffffff,       0x90000000,         0x91000000,
        0xc0000000, 0xfffffff8, 0x100000000, 0x180000000,      0x18fffff000,     0x200000000,        0x7ffffffff8,
        1ul << 39,  1ul << 41,  1ul << 55,   (1ul << 56) - 64, 1ul << 62, 0xffffffc000000000ul, 0xfffffffffffff000ul,
    };
    uint64_t end = machine.memory[0].base + machine.memory[0].length;
    switch (random_below(8)) {
    case 0:
    case 1:
        return some_device();
    case 2:
    case 3:
        return edges[random_below(sizeof edges / sizeof edges[0])] + random_below(32);
    case 4:
        return end - 16 + random_below(32);
    case 5:
        return (uint64_t)arena + random_below(sizeof arena);
    case 6:
        return end + random_below(1ul << 36);
    default:
        return random_number() >> random_below(64);
    }
}

uint64_t random_argument(void)
{
    switch (random_below(4)) {
    case 0:
        return random_below(16);
    case 1:
        return -random_below(3);
    default: {
        uint64_t place = random_place();
        bool own = place >= (uint64_t)image_start && place < (uint64_t)image_end;
        bool arena_too = place >= (uint64_t)arena && place < (uint64_t)arena + sizeof arena;
        return own && !arena_too ? (uint64_t)arena : place;
    }
    }
}
