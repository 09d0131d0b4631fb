#include "virtio.h"

#include "mmio.h"
#include "print.h"

enum {
    MAGIC = 0x000,
    VERSION = 0x004,
    DEVICE_ID = 0x008,
    DEVICE_FEATURES = 0x010,
    DEVICE_FEATURES_SEL = 0x014,
    DRIVER_FEATURES = 0x020,
    DRIVER_FEATURES_SEL = 0x024,
    QUEUE_SEL = 0x030,
    QUEUE_NUM_MAX = 0x034,
    QUEUE_NUM = 0x038,
    QUEUE_READY = 0x044,
    QUEUE_NOTIFY = 0x050,
    INTERRUPT_STATUS = 0x060,
    INTERRUPT_ACK = 0x064,
    STATUS = 0x070,
    QUEUE_DESC = 0x080,
    QUEUE_DRIVER = 0x090,
    QUEUE_DEVICE = 0x0a0,
};

enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8, FAILED = 128 };
enum { DESC_NEXT = 1, DESC_WRITE = 2 };
enum { AVAILABLE_NO_INTERRUPT = 1 };

uint32_t virtio_probe(uint64_t base)
{
    if (mmio_read32(base + MAGIC) != 0x74726976)
        return 0;
    uint32_t version = mmio_read32(base + VERSION), id = mmio_read32(base + DEVICE_ID);
    if (id && version != 2)
        log_line("virtio device %u at 0x%lx: version %u is not supported, only 2", id, base, version);
    return version == 2 ? id : 0;
}

static void write_address(uint64_t reg, const volatile void *memory)
{
    mmio_write32(reg, (uint32_t)(uintptr_t)memory); /* low half first: some devices act on the high one */
    mmio_write32(reg + 4, (uint32_t)((uintptr_t)memory >> 32));
}

static bool open_queue(uint64_t base, unsigned number, struct virtqueue *queue)
{
    mmio_write32(base + QUEUE_SEL, number);
    uint32_t max = mmio_read32(base + QUEUE_NUM_MAX);
    if (!max)
        return false;
    queue->size = max < QUEUE_SIZE ? (uint16_t)max : QUEUE_SIZE;
    queue->number = (uint16_t)number;
    queue->registers = base;
    queue->taken = queue->available.index = queue->used.index = 0;
    queue->free_head = 0;
    queue->free_count = queue->size;
    for (uint16_t i = 0; i < queue->size; i++)
        queue->descriptors[i].next = i + 1;
    mmio_write32(base + QUEUE_NUM, queue->size);
    write_address(base + QUEUE_DESC, queue->descriptors);
    write_address(base + QUEUE_DRIVER, &queue->available);
    write_address(base + QUEUE_DEVICE, &queue->used);
    io_fence();
    mmio_write32(base + QUEUE_READY, 1);
    return true;
}

bool virtio_open(struct virtio_device *device, uint64_t base, uint32_t irq, uint64_t wanted, struct virtqueue *queues,
                 unsigned count)
{
    device->base = base;
    device->irq = irq;
    device->id = virtio_probe(base);
    mmio_write32(base + STATUS, 0);
    mmio_write32(base + STATUS, ACKNOWLEDGE);
    mmio_write32(base + STATUS, ACKNOWLEDGE | DRIVER);
    mmio_write32(base + DEVICE_FEATURES_SEL, 0);
    uint64_t offered = mmio_read32(base + DEVICE_FEATURES);
    mmio_write32(base + DEVICE_FEATURES_SEL, 1);
    offered |= (uint64_t)mmio_read32(base + DEVICE_FEATURES) << 32;
    device->features = offered & (wanted | VIRTIO_F_VERSION_1);
    mmio_write32(base + DRIVER_FEATURES_SEL, 0);
    mmio_write32(base + DRIVER_FEATURES, (uint32_t)device->features);
    mmio_write32(base + DRIVER_FEATURES_SEL, 1);
    mmio_write32(base + DRIVER_FEATURES, (uint32_t)(device->features >> 32));
    mmio_write32(base + STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
    bool good = offered & VIRTIO_F_VERSION_1 && mmio_read32(base + STATUS) & FEATURES_OK;
    for (unsigned i = 0; good && i < count; i++)
        good = open_queue(base, i, &queues[i]);
    if (!good)
        mmio_write32(base + STATUS, FAILED);
    return good;
}

void virtio_start(struct virtio_device *device)
{
    mmio_write32(device->base + STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

uint32_t virtio_acknowledge(struct virtio_device *device)
{
    uint32_t status = mmio_read32(device->base + INTERRUPT_STATUS);
    mmio_write32(device->base + INTERRUPT_ACK, status);
    return status;
}

int virtqueue_add(struct virtqueue *queue, const struct virtio_buffer *buffers, unsigned count)
{
    if (!count || queue->free_count < count)
        return -1;
    uint16_t head = queue->free_head, at = head, last = head;
    for (unsigned i = 0; i < count; i++) {
        struct virtq_descriptor *descriptor = &queue->descriptors[at];
        descriptor->address = (uint64_t)(uintptr_t)buffers[i].data;
        descriptor->length = buffers[i].length;
        descriptor->flags = DESC_NEXT | (buffers[i].device_writes ? DESC_WRITE : 0);
        last = at;
        at = descriptor->next;
    }
    queue->descriptors[last].flags &= (uint16_t)~DESC_NEXT;
    queue->free_head = at;
    queue->free_count -= (uint16_t)count;
    queue->available.ring[queue->available.index % queue->size] = head;
    io_fence(); /* the ring entry before the index */
    queue->available.index++;
    return head;
}

void virtqueue_notify(struct virtqueue *queue)
{
    io_fence();
    mmio_write32(queue->registers + QUEUE_NOTIFY, queue->number);
}

void virtqueue_quiet(struct virtqueue *queue)
{
    queue->available.flags = AVAILABLE_NO_INTERRUPT;
}

int virtqueue_take(struct virtqueue *queue, uint32_t *length)
{
    if (queue->taken == queue->used.index)
        return -1;
    io_fence(); /* the index before the ring entry */
    uint32_t head = queue->used.ring[queue->taken % queue->size].id;
    *length = queue->used.ring[queue->taken % queue->size].length;
    queue->taken++;
    if (head >= queue->size)
        return -1;
    uint16_t last = (uint16_t)head;
    queue->free_count++;
    while (queue->descriptors[last].flags & DESC_NEXT) {
        last = queue->descriptors[last].next;
        queue->free_count++;
    }
    queue->descriptors[last].next = queue->free_head;
    queue->free_head = (uint16_t)head;
    return (int)head;
}
