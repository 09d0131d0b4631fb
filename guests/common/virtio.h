/* Virtio over MMIO, version 2 (Virtual I/O Device 1.2, sections 2.7 and 4.2): transport and split queues. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VIRTIO_NET 1
#define VIRTIO_BLOCK 2
#define VIRTIO_CONSOLE 3

#define VIRTIO_F_VERSION_1 (1ul << 32)
#define QUEUE_SIZE 16

struct virtq_descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};

struct virtqueue {
    struct virtq_descriptor descriptors[QUEUE_SIZE] __attribute__((aligned(16)));
    struct {
        uint16_t flags, index, ring[QUEUE_SIZE], used_event;
    } available;
    struct {
        uint16_t flags;
        volatile uint16_t index;
        struct {
            uint32_t id, length;
        } ring[QUEUE_SIZE];
        uint16_t available_event;
    } used __attribute__((aligned(4)));
    uint16_t size, number, taken, free_head, free_count;
    uint64_t registers;
};

struct virtio_device {
    uint64_t base;
    uint32_t irq, id;
    uint64_t features; /* negotiated */
};

/* One buffer of a chain; those the device writes come last. */
struct virtio_buffer {
    void *data;
    uint32_t length;
    bool device_writes;
};

/* 0 when there is no modern device in that slot, otherwise its device id. */
uint32_t virtio_probe(uint64_t base);
/* Reset, features (those of `wanted` the device offers), queues 0..count-1. False when the device refuses. */
bool virtio_open(struct virtio_device *device, uint64_t base, uint32_t irq, uint64_t wanted, struct virtqueue *queues,
                 unsigned count);
void virtio_start(struct virtio_device *device); /* DRIVER_OK */
uint32_t virtio_acknowledge(struct virtio_device *device); /* in the interrupt handler: reads and clears the status */

/* Gives a chain to the device. Returns its head (< QUEUE_SIZE), or -1 when there is no room. */
int virtqueue_add(struct virtqueue *queue, const struct virtio_buffer *buffers, unsigned count);
void virtqueue_notify(struct virtqueue *queue);
/* The driver looks for used chains itself: the device need not interrupt for this queue. */
void virtqueue_quiet(struct virtqueue *queue);
/* Takes back a chain the device is done with: its head, or -1. */
int virtqueue_take(struct virtqueue *queue, uint32_t *length);
