/* Correct requests of the largest size there is: what takes the hypervisor long while the guest only waits. */
#include "attacks.h"
#include "machine.h"
#include "mmio.h"
#include "sbi.h"
#include "string.h"
#include "virtio.h"

#define HEAVY (1u << 20)
#define VIRTIO_NET_F_CSUM (1ul << 0)
#define VIRTIO_NET_F_MAC (1ul << 5)
#define VIRTIO_NET_F_HOST_TSO4 (1ul << 11)

/* Behind our image, in memory that nothing else uses. */
static uint8_t *heavy(void)
{
    return (uint8_t *)(((uint64_t)image_end + 0xffffff) & ~0xfffffful);
}

void attack_heavy_text(void)
{
    sbi_call(SBI_DBCN, 0, 16 * HEAVY, (uint64_t)heavy(), 0);
}

static uint64_t find(uint32_t id)
{
    for (unsigned i = 0; i < machine.virtio_count; i++)
        if (virtio_probe(machine.virtio[i].base) == id)
            return machine.virtio[i].base;
    return 0;
}

/* Gives a chain to the device and takes back what is done. */
static void request(struct virtqueue *queue, const struct virtio_buffer *buffers, unsigned count)
{
    uint32_t length;
    while (virtqueue_take(queue, &length) >= 0)
        ;
    if (virtqueue_add(queue, buffers, count) >= 0)
        virtqueue_notify(queue);
}

void attack_heavy_disk(void)
{
    static struct virtio_device device;
    static struct virtqueue queue;
    static struct {
        uint32_t type, reserved;
        uint64_t sector;
    } header;
    static uint8_t status;
    uint64_t base = find(VIRTIO_BLOCK);
    if (!device.base && base && virtio_open(&device, base, 0, 0, &queue, 1))
        virtio_start(&device);
    header.type = (uint32_t)random_below(2);
    struct virtio_buffer buffers[] = {
        {&header, sizeof header, false}, {heavy(), 4 * HEAVY, header.type == 0}, {&status, 1, true}};
    if (device.base)
        request(&queue, buffers, 3);
}

/* Frames of 64 KiB that somebody has to cut: to a neighbour that takes no large ones. */
void attack_heavy_frames(void)
{
    static struct virtio_device device;
    static struct virtqueue queues[2];
    static const uint8_t head[] = {
        1,    4,    66,   0,    0x40, 0,    34,   0,    16,   0,    0,    0, /* checksum, TSO IPv4, segments of 64 */
        0x74, 0x56, 0xaa, 0x0f, 0x47, 0xd3, 0x74, 0x56, 0xaa, 0x0f, 0x47, 0xd1, 0x08, 0x00, /* Ethernet */
        0x45, 0x00, 0xff, 0xf0, 0,    0,    0,    0,    0x40, 0x06, 0,    0, 10, 0, 0, 2, 10, 0, 0, 4, /* IPv4 */
        0,    1,    0,    1,    0,    0,    0,    0,    0,    0,    0,    0,    0x50, 0x10, 1, 0, 0, 0, 0, 0, /* TCP */
    };
    uint64_t base = find(VIRTIO_NET), wanted = VIRTIO_NET_F_CSUM | VIRTIO_NET_F_MAC | VIRTIO_NET_F_HOST_TSO4;
    if (!device.base && base && virtio_open(&device, base, 0, wanted, queues, 2))
        virtio_start(&device);
    uint8_t *frame = heavy();
    memcpy(frame, head, sizeof head);
    frame[1] = random_below(2) ? 1 : 4; /* TSO for IPv4, or for IPv6 */
    struct virtio_buffer buffer = {frame, 65500, false};
    if (device.base)
        request(&queues[1], &buffer, 1);
}
