#include "console.h"

#include "csr.h"
#include "hart.h"
#include "sbi.h"

#define INPUT_SIZE 256 /* a power of two */
#define POLL_MS 10
#define CTRL_C 3

static const struct console_device *device = &sbi_console;
static char input[INPUT_SIZE];
static volatile unsigned input_head, input_tail; /* free running */
static volatile bool interrupted;

static void sbi_write(const char *data, size_t count)
{
    for (size_t done = 1; count && done; data += done, count -= done)
        done = sbi_console_write(data, count); /* the firmware may take a part */
}

const struct console_device sbi_console = {"SBI debug console", sbi_write, sbi_console_read};

void console_select(const struct console_device *chosen)
{
    device = chosen;
}

const char *console_name(void)
{
    return device->name;
}

void console_write_raw(const char *data, size_t count)
{
    if (count)
        device->write(data, count);
}

void console_write(const char *data, size_t count)
{
    char line[256];
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        if (used + 2 > sizeof line) {
            console_write_raw(line, used);
            used = 0;
        }
        if (data[i] == '\n')
            line[used++] = '\r';
        line[used++] = data[i];
    }
    console_write_raw(line, used);
}

void console_receive(char c)
{
    if (c == CTRL_C)
        interrupted = true;
    if (input_head - input_tail < INPUT_SIZE)
        input[input_head++ % INPUT_SIZE] = c;
}

int console_read(void)
{
    uint64_t flags = interrupts_off();
    int c = input_head == input_tail ? -1 : (unsigned char)input[input_tail++ % INPUT_SIZE];
    interrupts_restore(flags);
    return c;
}

bool console_has_input(void *unused)
{
    (void)unused;
    return input_head != input_tail;
}

char console_wait(void)
{
    while (!wait_for(console_has_input, NULL, UINT64_MAX))
        console_clear_interrupt();
    return (char)console_read();
}

bool console_interrupted(void)
{
    return interrupted;
}

void console_clear_interrupt(void)
{
    interrupted = false;
}

void console_poll(void)
{
    char c;
    while (device->poll && device->poll(&c, 1) == 1)
        console_receive(c);
}

uint64_t console_poll_deadline(void)
{
    return device->poll ? time_now() + milliseconds(POLL_MS) : UINT64_MAX;
}
