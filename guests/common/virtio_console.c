#include "virtio_console.h"

#include "csr.h"
#include "hart.h"
#include "plic.h"
#include "print.h"
#include "string.h"

#define MAX_CONSOLES 7

static uint8_t buffers[MAX_CONSOLES][2][QUEUE_SIZE * CONSOLE_BUFFER] __attribute__((section(".noinit")));
static unsigned console_count;

static void give_receive_buffer(struct virtio_console *console, int index)
{
    struct virtio_buffer buffer = {console->receive_buffers + index * CONSOLE_BUFFER, CONSOLE_BUFFER, true};
    virtqueue_add(&console->queues[0], &buffer, 1);
}

static void console_interrupt(void *argument)
{
    struct virtio_console *console = argument;
    virtio_acknowledge(&console->device);
    uint32_t length;
    int head;
    bool any = false;
    while ((head = virtqueue_take(&console->queues[0], &length)) >= 0) {
        /* One descriptor a chain, taken and given back in turn: descriptor i always holds buffer i. */
        if (length > CONSOLE_BUFFER)
            length = CONSOLE_BUFFER;
        console->bytes_received += length;
        console->received(console, (const char *)console->receive_buffers + head * CONSOLE_BUFFER, length);
        give_receive_buffer(console, head);
        any = true;
    }
    if (any)
        virtqueue_notify(&console->queues[0]);
}

bool virtio_console_open(struct virtio_console *console, uint64_t base, uint32_t irq,
                         void (*received)(struct virtio_console *, const char *, size_t))
{
    if (console_count == MAX_CONSOLES || !virtio_open(&console->device, base, irq, 0, console->queues, 2)) {
        log_line("virtio console at 0x%lx: the device refused", base);
        return false;
    }
    console->receive_buffers = buffers[console_count][0];
    console->transmit_buffers = buffers[console_count++][1];
    console->received = received;
    for (int i = 0; i < console->queues[0].size; i++)
        give_receive_buffer(console, i);
    virtqueue_quiet(&console->queues[1]);
    plic_enable(irq, "virtio console", console_interrupt, console);
    virtio_start(&console->device);
    virtqueue_notify(&console->queues[0]);
    log_line("virtio console at 0x%lx, irq %u", base, irq);
    return true;
}

static void reclaim(struct virtio_console *console)
{
    uint32_t length;
    while (virtqueue_take(&console->queues[1], &length) >= 0)
        ;
}

void virtio_console_send(struct virtio_console *console, const char *data, size_t count)
{
    struct virtqueue *queue = &console->queues[1];
    while (count) {
        uint64_t flags = interrupts_off();
        uint64_t deadline = time_now() + milliseconds(100);
        do
            reclaim(console);
        while (!queue->free_count && time_now() < deadline);
        uint32_t part = count < CONSOLE_BUFFER ? (uint32_t)count : CONSOLE_BUFFER;
        uint8_t *copy = console->transmit_buffers + queue->free_head % QUEUE_SIZE * CONSOLE_BUFFER;
        if (queue->free_count) {
            memcpy(copy, data, part);
            struct virtio_buffer buffer = {copy, part, false};
            virtqueue_add(queue, &buffer, 1);
            virtqueue_notify(queue);
            console->bytes_sent += part;
        } else {
            console->bytes_dropped += part;
        }
        interrupts_restore(flags);
        data += part;
        count -= part;
    }
}
