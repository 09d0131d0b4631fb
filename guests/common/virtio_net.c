#include "virtio_net.h"

#include "csr.h"
#include "mmio.h"
#include "plic.h"
#include "print.h"
#include "string.h"
#include "virtio.h"

#define VIRTIO_NET_F_MAC (1ul << 5)
#define VIRTIO_NET_F_STATUS (1ul << 16)
#define HEADER_SIZE 12 /* struct virtio_net_hdr with num_buffers, all zero here: no offloads */
#define BUFFER_SIZE 1536
enum { CONFIG_MAC = 0x100, CONFIG_STATUS = 0x106 };

static struct virtio_device device;
static struct virtqueue queues[2]; /* receive, transmit */
static uint8_t buffers[2][QUEUE_SIZE][BUFFER_SIZE] __attribute__((section(".noinit"), aligned(8)));
static uint8_t mac[6];
static bool present;
static struct net_counters counters;

static void give_receive_buffer(int index)
{
    struct virtio_buffer buffer = {buffers[0][index], BUFFER_SIZE, true};
    virtqueue_add(&queues[0], &buffer, 1);
}

static void net_interrupt(void *unused)
{
    (void)unused;
    virtio_acknowledge(&device);
    uint32_t length;
    int head;
    bool any = false;
    while ((head = virtqueue_take(&queues[0], &length)) >= 0) {
        if (length > HEADER_SIZE && length <= BUFFER_SIZE) {
            counters.received++;
            net_receive(buffers[0][head] + HEADER_SIZE, length - HEADER_SIZE);
        }
        give_receive_buffer(head);
        any = true;
    }
    if (any)
        virtqueue_notify(&queues[0]);
}

bool net_device_open(uint64_t base, uint32_t irq)
{
    if (!virtio_open(&device, base, irq, VIRTIO_NET_F_MAC | VIRTIO_NET_F_STATUS, queues, 2)) {
        log_line("virtio net at 0x%lx: the device refused", base);
        return false;
    }
    for (unsigned i = 0; i < sizeof mac; i++)
        mac[i] = mmio_read8(base + CONFIG_MAC + i);
    for (int i = 0; i < queues[0].size; i++)
        give_receive_buffer(i);
    virtqueue_quiet(&queues[1]);
    plic_enable(irq, "virtio net", net_interrupt, NULL);
    virtio_start(&device);
    virtqueue_notify(&queues[0]);
    present = true;
    log_line("virtio net at 0x%lx, irq %u", base, irq);
    return true;
}

bool net_device_present(void)
{
    return present;
}

const uint8_t *net_device_mac(void)
{
    return mac;
}

bool net_device_link(void)
{
    return !(device.features & VIRTIO_NET_F_STATUS) || mmio_read8(device.base + CONFIG_STATUS) & 1;
}

const struct net_counters *net_device_counters(void)
{
    return &counters;
}

void net_device_send(const uint8_t *frame, size_t length)
{
    uint64_t flags = interrupts_off();
    uint32_t unused;
    while (virtqueue_take(&queues[1], &unused) >= 0)
        ;
    if (present && queues[1].free_count && length <= FRAME_MAX) {
        uint8_t *copy = buffers[1][queues[1].free_head];
        memset(copy, 0, HEADER_SIZE);
        memcpy(copy + HEADER_SIZE, frame, length);
        struct virtio_buffer buffer = {copy, (uint32_t)(HEADER_SIZE + length), false};
        virtqueue_add(&queues[1], &buffer, 1);
        virtqueue_notify(&queues[1]);
        counters.sent++;
    } else {
        counters.dropped++;
    }
    interrupts_restore(flags);
}
