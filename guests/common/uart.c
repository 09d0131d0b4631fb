#include "uart.h"

#include "mmio.h"
#include "plic.h"

enum { RBR = 0, THR = 0, IER = 1, FCR = 2, LCR = 3, MCR = 4, LSR = 5 };
#define LSR_DATA_READY 0x01
#define LSR_THR_EMPTY 0x20
#define FIFO_DEPTH 16

static uint64_t registers;

static void uart_interrupt(void *unused)
{
    (void)unused;
    while (mmio_read8(registers + LSR) & LSR_DATA_READY)
        console_receive((char)mmio_read8(registers + RBR));
}

static void uart_write(const char *data, size_t count)
{
    while (count) {
        while (!(mmio_read8(registers + LSR) & LSR_THR_EMPTY))
            ;
        for (int room = FIFO_DEPTH; room && count; room--, count--)
            mmio_write8(registers + THR, (uint8_t)*data++);
    }
}

const struct console_device uart_console = {"16550", uart_write, NULL};

void uart_init(uint64_t base, uint32_t irq)
{
    registers = base;
    mmio_write8(base + LCR, 3); /* 8 bits, no parity; the firmware chose the speed */
    uart_interrupt(NULL);       /* what was typed already: switching the FIFOs on would lose it */
    mmio_write8(base + FCR, 1);
    mmio_write8(base + MCR, 0x0b);
    plic_enable(irq, "serial", uart_interrupt, NULL);
    mmio_write8(base + IER, 1); /* received data */
}
