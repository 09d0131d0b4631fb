/* Pointers and numbers: where a call may read and write, and which values of a7 are hypercalls at all. */
#include "machine.h"
#include "print.h"
#include "steps.h"
#include "string.h"

#define LISTED 64 /* bytes shown of a list; with VM 0 alone it has 52 */

static uint8_t pages[3][4096] __attribute__((aligned(4096)));

static void id_at(const char *name, uint8_t *place)
{
    memset(place - 4, UNTOUCHED, 16);
    CALL(name, VM_GET_ID, AT(place));
    show_bytes(name, place - 4, 16);
}

void run_pointers(void)
{
    uint64_t end = machine.memory[0].base + machine.memory[0].length;
    id_at("id aligned", pages[0] + 8);
    id_at("id odd", pages[0] + 17);
    id_at("id across pages", pages[1] - 3);
    memset(pages, UNTOUCHED, sizeof pages);
    CALL("list across pages", VM_LIST, AT(pages[1] - 20));
    show_bytes("list across pages", pages[1] - 20, LISTED);
    memset((uint8_t *)(end - 16), UNTOUCHED, 16);
    CALL("id at the end", VM_GET_ID, end - 8);
    show_bytes("id at the end", (uint8_t *)(end - 16), 16);
    memset((uint8_t *)(end - 16), UNTOUCHED, 16);
    CALL("id over the end", VM_GET_ID, end - 7);
    show_bytes("id over the end", (uint8_t *)(end - 16), 16);
    memset((uint8_t *)(end - 52), UNTOUCHED, 52);
    CALL("list at the end", VM_LIST, end - 52);
    show_bytes("list at the end", (uint8_t *)(end - 52), 52);
    memset((uint8_t *)(end - 52), UNTOUCHED, 52);
    CALL("list over the end", VM_LIST, end - 48);
    show_bytes("list over the end", (uint8_t *)(end - 48), 48);
    static const struct {
        const char *name;
        uint64_t address;
    } bad[] = {
        {"null", 0},
        {"device", 0x10000000},
        {"emulated device", 0x40001000},
        {"interrupt controller", 0xc000000},
        {"hypervisor", 0x80000000},
        {"below", 0x8ffffffc},
        {"top", UINT64_MAX - 7},
        {"wraps", UINT64_MAX - 3},
        {"beyond 2^41", 1ul << 41},
        {"sign", 1ul << 63},
    };
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char name[48];
        format_to(name, sizeof name, "id %s", bad[i].name);
        CALL(name, VM_GET_ID, bad[i].address);
        format_to(name, sizeof name, "list %s", bad[i].name);
        CALL(name, VM_LIST, bad[i].address);
        format_to(name, sizeof name, "add %s", bad[i].name);
        CALL(name, CONFIG_ADD_VM, bad[i].address);
    }
    /* a string may end with the memory, with or without a NUL */
    memcpy((uint8_t *)(end - 5), "last", 5);
    memcpy((uint8_t *)(end - 10), "none", 5);
    uint64_t add[8] = {end - 5, 4, 0, end - 10, 4, 0x80200000, 0, 0};
    CALL("add string at the end", CONFIG_ADD_VM, AT(add));
    memset((uint8_t *)(end - 4), 'x', 4);
    add[0] = end - 4;
    CALL("add string over the end", CONFIG_ADD_VM, AT(add));
    memset(pages, UNTOUCHED, sizeof pages);
    memcpy(pages[1] - 3, "across", 7);
    add[0] = AT(pages[1] - 3);
    memcpy(pages[2] - 24, add, sizeof add);
    CALL("add across pages", CONFIG_ADD_VM, AT(pages[2] - 24));
}

void run_numbers(void)
{
    uint64_t id = 0;
    CALL("plain", 0x0a000108, AT(&id));
    CALL("bits 23..16", 0x0aff0108, AT(&id));
    CALL("bits 23..16 unknown", 0x0a5a0106, AT(&id));
    CALL("type 4", 0x0a000400, 0);
    CALL("type ff", 0x0a00ff08, AT(&id));
    for (uint64_t type = 4; type < 0x100; type++)
        if (type != 0x11)
            sweep("type", type, 0, 0x13);
    SBI("below", 0x09ffffff, 0, AT(&id));
    SBI("above", 0x0b000108, 0, AT(&id));
    SBI("bit 32", 0x10a000108, 0, AT(&id));
}
