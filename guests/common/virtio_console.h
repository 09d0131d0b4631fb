/* Virtio console, port 0 (Virtual I/O Device 1.2, section 5.3). */
#pragma once

#include "console.h"
#include "virtio.h"

#define CONSOLE_BUFFER 256

struct virtio_console {
    struct virtio_device device;
    struct virtqueue queues[2]; /* receive, transmit */
    uint8_t *receive_buffers, *transmit_buffers; /* QUEUE_SIZE of CONSOLE_BUFFER bytes each, never cleared */
    void (*received)(struct virtio_console *console, const char *data, size_t count);
    uint64_t bytes_received, bytes_sent, bytes_dropped;
};

/* `received` is called from the interrupt handler. */
bool virtio_console_open(struct virtio_console *console, uint64_t base, uint32_t irq,
                         void (*received)(struct virtio_console *, const char *, size_t));
/* Waits while the queue is full, at most 0.1 s; then drops (a dead peer must not hang the shell). */
void virtio_console_send(struct virtio_console *console, const char *data, size_t count);
