#include "virtio_shell.h"

#include "console.h"
#include "virtio_console.h"

static struct virtio_console console;

static void typed(struct virtio_console *from, const char *data, size_t count)
{
    (void)from;
    for (size_t i = 0; i < count; i++)
        console_receive(data[i]);
}

static void console_send(const char *data, size_t count)
{
    virtio_console_send(&console, data, count);
}

bool virtio_shell_open(uint64_t base, uint32_t irq)
{
    static const struct console_device device = {"virtio console", console_send, NULL};
    if (!virtio_console_open(&console, base, irq, typed))
        return false;
    console_select(&device);
    return true;
}
