/* Type 2: the ring of messages, one interrupt each. This VM asks itself to reboot, which is such a message. */
#include "csr.h"
#include "hart.h"
#include "plic.h"
#include "print.h"
#include "steps.h"
#include "string.h"

#define SLOTS 8

static uint8_t ring[SLOTS][512] __attribute__((aligned(4096)));
static uint8_t received[SLOTS][4096] __attribute__((aligned(4096)));
static uint64_t receive_pages[SLOTS];
static uint8_t taken[64][24];
static unsigned count;
static uint64_t awaited;

/* Slots are used in turn; what was read is overwritten, so that a message in a wrong slot shows. */
static void message_arrived(void *unused)
{
    (void)unused;
    if (count < sizeof taken / sizeof taken[0])
        memcpy(taken[count], ring[count % SLOTS], sizeof taken[0]);
    memset(ring[count % SLOTS], UNTOUCHED, 24);
    count++;
}

static bool arrived(void *unused)
{
    (void)unused;
    return count >= awaited;
}

static void request(unsigned requests)
{
    for (unsigned i = 0; i < requests; i++)
        hypercall1(VM_REBOOT, 0);
}

static void wait_for_messages(const char *name, unsigned more)
{
    awaited += more;
    wait_for(arrived, NULL, time_now() + milliseconds(100));
    printf("# %s messages=%u\n", name, count);
}

/* The beginning of every slot, and a little more than a message has. */
static void show_slots(const char *name)
{
    for (unsigned i = 0; i < SLOTS; i++)
        show_bytes(name, ring[i], 32);
}

static void show_taken(unsigned from)
{
    for (unsigned i = from; i < count && i < sizeof taken / sizeof taken[0]; i++) {
        char name[24];
        format_to(name, sizeof name, "message-%u", i);
        show_bytes(name, taken[i], sizeof taken[0]);
    }
}

void run_messages(void)
{
    static const uint64_t kinds[] = {3, 4, 0, 1, 2, 5};
    uint64_t flags;
    for (unsigned i = 0; i < SLOTS; i++)
        receive_pages[i] = AT(received[i]);
    memset(ring, UNTOUCHED, sizeof ring);
    plic_enable(machine.hypervisor_irq, "hypervisor", message_arrived, NULL);
    CALL("queue receive 0", MESSAGE_QUEUE, 0, AT(ring));
    CALL("queue ring 0", MESSAGE_QUEUE, AT(receive_pages), 0);
    CALL("queue ring beyond", MESSAGE_QUEUE, AT(receive_pages),
         machine.memory[0].base + machine.memory[0].length - 2048);
    CALL("queue", MESSAGE_QUEUE, AT(receive_pages), AT(ring));
    count = 0;
    awaited = 0;
    for (unsigned i = 0; i < 10; i++) { /* one at a time, around the ring */
        request(1);
        wait_for_messages("one", 1);
    }
    flags = interrupts_off();
    request(6); /* they wait in the page */
    show_slots("page");
    interrupts_restore(flags);
    wait_for_messages("six", 6);
    flags = interrupts_off();
    request(20); /* more than the page holds */
    interrupts_restore(flags);
    wait_for_messages("twenty", 20);
    show_taken(0);
    show_slots("ring");
    CALL("queue again", MESSAGE_QUEUE, AT(receive_pages), AT(ring)); /* starts at offset 0 again */
    request(1);
    show_bytes("first", ring, 24);
    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        CALL("share", SHARE_MEMORY, kinds[i], 256ul << 20);
    sweep("ivc 1-6", 2, 1, 6);
    sweep("ivc 8-ff", 2, 8, 0xff);
}
