/* Virtqueues that no driver would make, and devices told to reach memory that is not ours. */
#include "attacks.h"
#include "console.h"
#include "machine.h"
#include "mmio.h"
#include "string.h"
#include "virtio.h"
#include "virtio_net.h"

enum {
    DEVICE_FEATURES = 0x010,
    DEVICE_FEATURES_SEL = 0x014,
    DRIVER_FEATURES = 0x020,
    DRIVER_FEATURES_SEL = 0x024,
    QUEUE_SEL = 0x030,
    QUEUE_NUM = 0x038,
    QUEUE_READY = 0x044,
    QUEUE_NOTIFY = 0x050,
    STATUS = 0x070,
    QUEUE_DESC = 0x080,
    QUEUE_DRIVER = 0x090,
    QUEUE_DEVICE = 0x0a0,
};
enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4 };
#define SIZE 16u

/* The arena's pages: descriptor table, available ring, used ring, indirect table, a buffer. */
static struct virtq_descriptor *const table = (struct virtq_descriptor *)(void *)arena;
static uint16_t *const available = (uint16_t *)(void *)(arena + 0x1000);
static uint8_t *const used = arena + 0x2000;
static struct virtq_descriptor *const indirect = (struct virtq_descriptor *)(void *)(arena + 0x3000);
static uint8_t *const buffer = arena + 0x4000;

static uint64_t some_device(void)
{
    return machine.virtio_count ? machine.virtio[random_below(machine.virtio_count)].base : 0;
}

static void negotiate(uint64_t base)
{
    mmio_write32(base + STATUS, 0);
    mmio_write32(base + STATUS, 3);
    for (uint32_t half = 0; half < 2; half++) {
        mmio_write32(base + DEVICE_FEATURES_SEL, half);
        mmio_write32(base + DRIVER_FEATURES_SEL, half);
        uint32_t chosen = mmio_read32(base + DEVICE_FEATURES);
        mmio_write32(base + DRIVER_FEATURES, random_below(4) ? chosen : chosen & (uint32_t)random_number());
    }
    mmio_write32(base + STATUS, 11);
}

static void write_address(uint64_t reg, uint64_t address)
{
    mmio_write32(reg, (uint32_t)address);
    mmio_write32(reg + 4, (uint32_t)(address >> 32));
}

static void set_up(uint64_t base, uint32_t queue, uint32_t size, bool honest)
{
    mmio_write32(base + QUEUE_SEL, queue);
    mmio_write32(base + QUEUE_NUM, size);
    write_address(base + QUEUE_DESC, honest ? (uint64_t)table : random_argument() & ~15ul);
    write_address(base + QUEUE_DRIVER, honest ? (uint64_t)available : random_argument() & ~1ul);
    write_address(base + QUEUE_DEVICE, honest ? (uint64_t)used : random_argument() & ~3ul);
    mmio_write32(base + QUEUE_READY, 1);
}

static uint32_t some_queue_size(void)
{
    static const uint32_t sizes[] = {0, 1, 3, 255, 256, 512, 1024, 32768, 65535, 65536, 0xffffffff};
    return random_below(3) ? SIZE : sizes[random_below(sizeof sizes / sizeof sizes[0])];
}

static void some_descriptor(struct virtq_descriptor *descriptor)
{
    descriptor->address = random_below(2) ? (uint64_t)buffer + random_below(0x4000) : random_argument();
    descriptor->length = random_below(2) ? (uint32_t)random_below(2048) : (uint32_t)random_number();
    descriptor->flags = random_below(8) ? (uint16_t)random_below(8) : (uint16_t)random_number();
    descriptor->next = (uint16_t)random_below(random_below(8) ? SIZE : 65536); /* loops are easily met */
    if (descriptor->flags & DESC_INDIRECT) {
        descriptor->address = random_below(4) ? (uint64_t)indirect : descriptor->address;
        descriptor->length = random_below(4) ? 16 * SIZE : descriptor->length;
    }
}

void attack_rings(void)
{
    uint64_t base = some_device();
    uint32_t queue = (uint32_t)random_below(random_below(8) ? 4 : 70000);
    if (!base)
        return;
    negotiate(base);
    for (unsigned i = 0; i < SIZE; i++) {
        some_descriptor(&table[i]);
        some_descriptor(&indirect[i]);
    }
    memset(used, 0, 256);
    for (unsigned i = 0; i < SIZE; i++)
        available[2 + i] = (uint16_t)random_below(random_below(8) ? SIZE : 65536);
    available[0] = (uint16_t)random_below(2);
    available[1] = (uint16_t)(random_below(4) ? random_below(SIZE + 2) : random_number());
    set_up(base, queue, some_queue_size(), random_below(4));
    mmio_write32(base + STATUS, 15);
    for (unsigned i = 0; i < 3; i++) {
        mmio_write32(base + QUEUE_NOTIFY, queue);
        available[1] = (uint16_t)(available[1] + random_below(SIZE)); /* the index goes on, or jumps */
    }
    mmio_write32(base + STATUS, random_below(2) ? 0 : (uint32_t)random_number());
}

/* A well-formed request to a disk, a frame, console text: with buffers in memory of others. */
void attack_dma(void)
{
    uint64_t base = some_device(), target = random_argument();
    if (!base)
        return;
    uint32_t id = virtio_probe(base), queue = id == VIRTIO_BLOCK ? 0 : (uint32_t)random_below(2);
    negotiate(base);
    memset(used, 0, 256);
    uint32_t *header = (uint32_t *)(void *)buffer;
    header[0] = (uint32_t)random_below(2); /* 0 reads into the target, 1 writes the target to the disk */
    header[1] = 0;
    header[2] = (uint32_t)random_below(16);
    header[3] = 0;
    uint16_t write = header[0] ? 0 : DESC_WRITE;
    if (id == VIRTIO_BLOCK) {
        table[0] = (struct virtq_descriptor){(uint64_t)buffer, 16, DESC_NEXT, 1};
        table[1] = (struct virtq_descriptor){target, 512, DESC_NEXT | write, 2};
        table[2] = (struct virtq_descriptor){(uint64_t)buffer + 64, 1, DESC_WRITE, 0};
    } else {
        table[0] = (struct virtq_descriptor){target, 1514, queue ? 0 : DESC_WRITE, 0};
    }
    available[0] = 0;
    available[1] = 1;
    available[2] = 0;
    set_up(base, queue, SIZE, random_below(8));
    mmio_write32(base + STATUS, 15);
    mmio_write32(base + QUEUE_NOTIFY, queue);
}

void attack_notify(void)
{
    for (unsigned i = 0; i < machine.virtio_count; i++)
        for (uint32_t queue = 0; queue < 4; queue++)
            mmio_write32(machine.virtio[i].base + QUEUE_NOTIFY, queue);
}

void attack_net_flood(void)
{
    static uint8_t frame[1514];
    if (!net_device_present())
        for (unsigned i = 0; i < machine.virtio_count; i++)
            if (virtio_probe(machine.virtio[i].base) == VIRTIO_NET)
                net_device_open(machine.virtio[i].base, machine.virtio[i].irq);
    memset(frame, random_below(4) ? 0xff : (int)random_number(), 6);
    memcpy(frame + 6, net_device_mac(), 6);
    if (!random_below(8))
        frame[11] = (uint8_t)random_number(); /* as if others had sent it */
    for (unsigned i = 12; i < 64; i++)
        frame[i] = (uint8_t)random_number();
    net_device_send(frame, random_below(4) ? 64 : sizeof frame);
}

/* More than anyone reads. */
void attack_console_flood(void)
{
    console_write_raw((const char *)arena, 1 + random_below(4096));
}
