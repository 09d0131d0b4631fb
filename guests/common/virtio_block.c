#include "virtio_block.h"

#include "console.h"
#include "csr.h"
#include "hart.h"
#include "mmio.h"
#include "plic.h"
#include "print.h"
#include "virtio.h"

enum { CAPACITY = 0x100 };
enum { REQUEST_READ = 0, REQUEST_WRITE = 1 };
enum { STATUS_OK = 0, STATUS_IO_ERROR = 1, STATUS_UNSUPPORTED = 2, STATUS_NONE = 0xff };

static struct virtio_device device;
static struct virtqueue queue;
static bool present;
static struct {
    uint32_t type, reserved;
    uint64_t sector;
} header;
static volatile uint8_t status;
static volatile int pending = -1; /* head of the request that runs */

static void block_interrupt(void *unused)
{
    (void)unused;
    virtio_acknowledge(&device);
    uint32_t length;
    int head;
    while ((head = virtqueue_take(&queue, &length)) >= 0)
        if (head == pending)
            pending = -1;
}

bool block_open(uint64_t base, uint32_t irq)
{
    if (!virtio_open(&device, base, irq, 0, &queue, 1)) {
        log_line("virtio block at 0x%lx: the device refused", base);
        return false;
    }
    plic_enable(irq, "virtio block", block_interrupt, NULL);
    virtio_start(&device);
    present = true;
    log_line("virtio block at 0x%lx, irq %u, %lu sectors", base, irq, block_capacity());
    return true;
}

bool block_present(void)
{
    return present;
}

uint64_t block_capacity(void)
{
    return mmio_read32(device.base + CAPACITY) | (uint64_t)mmio_read32(device.base + CAPACITY + 4) << 32;
}

static bool done(void *unused)
{
    (void)unused;
    return pending < 0;
}

const char *block_transfer(uint64_t sector, uint8_t *data, bool write)
{
    if (pending >= 0)
        return "an earlier request never came back";
    header.type = write ? REQUEST_WRITE : REQUEST_READ;
    header.sector = sector;
    status = STATUS_NONE;
    struct virtio_buffer chain[] = {
        {&header, sizeof header, false}, {data, SECTOR_SIZE, !write}, {(void *)(uintptr_t)&status, 1, true}};
    uint64_t flags = interrupts_off();
    pending = virtqueue_add(&queue, chain, 3);
    virtqueue_notify(&queue);
    interrupts_restore(flags);
    if (!wait_for(done, NULL, time_now() + milliseconds(5000)))
        return console_interrupted() ? "interrupted" : "no answer within 5 s";
    switch (status) {
    case STATUS_OK:
        return NULL;
    case STATUS_IO_ERROR:
        return "the device reports an I/O error";
    case STATUS_UNSUPPORTED:
        return "the device does not support the request";
    default:
        return "the device gave no status";
    }
}
