#include "print.h"

#include <stdbool.h>
#include <stdint.h>

#include "console.h"
#include "csr.h"
#include "machine.h"
#include "string.h"

struct sink {
    char *buffer;
    size_t size, used;
    bool to_console; /* a full buffer goes to the console; otherwise what does not fit is cut */
};

static void put(struct sink *sink, char c)
{
    if (sink->used + 1 >= sink->size) {
        if (!sink->to_console)
            return;
        console_write(sink->buffer, sink->used);
        sink->used = 0;
    }
    sink->buffer[sink->used++] = c;
}

static void put_field(struct sink *sink, const char *text, size_t length, size_t width, bool left, char fill)
{
    size_t padding = width > length ? width - length : 0;
    for (size_t i = 0; !left && i < padding; i++)
        put(sink, fill);
    for (size_t i = 0; i < length; i++)
        put(sink, text[i]);
    for (size_t i = 0; left && i < padding; i++)
        put(sink, ' ');
}

static void put_number(struct sink *sink, uint64_t value, unsigned base, bool negative, size_t width, bool left,
                       char fill)
{
    char digits[24];
    size_t n = sizeof digits;
    do
        digits[--n] = "0123456789abcdef"[value % base];
    while (value /= base);
    if (negative)
        digits[--n] = '-';
    put_field(sink, digits + n, sizeof digits - n, width, left, fill);
}

static void format(struct sink *sink, const char *f, va_list arguments)
{
    for (; *f; f++) {
        if (*f != '%') {
            put(sink, *f);
            continue;
        }
        bool left = false, wide = false;
        char fill = ' ';
        size_t width = 0;
        for (f++; *f == '-' || *f == '0'; f++)
            *f == '-' ? (left = true) : (fill = '0');
        for (; *f >= '0' && *f <= '9'; f++)
            width = width * 10 + (size_t)(*f - '0');
        for (; *f == 'l'; f++)
            wide = true;
        switch (*f) {
        case 'c':
            put(sink, (char)va_arg(arguments, int));
            break;
        case 's': {
            const char *text = va_arg(arguments, const char *);
            put_field(sink, text, strlen(text), width, left, ' ');
            break;
        }
        case 'd': {
            int64_t value = wide ? va_arg(arguments, int64_t) : va_arg(arguments, int);
            put_number(sink, value < 0 ? -(uint64_t)value : (uint64_t)value, 10, value < 0, width, left, fill);
            break;
        }
        case 'u':
        case 'x': {
            uint64_t value = wide ? va_arg(arguments, uint64_t) : va_arg(arguments, unsigned);
            put_number(sink, value, *f == 'x' ? 16 : 10, false, width, left, fill);
            break;
        }
        case '\0':
            return;
        default:
            put(sink, *f);
        }
    }
}

void printf(const char *f, ...)
{
    char buffer[160];
    struct sink sink = {buffer, sizeof buffer, 0, true};
    va_list arguments;
    va_start(arguments, f);
    format(&sink, f, arguments);
    va_end(arguments);
    console_write(buffer, sink.used);
}

size_t format_to(char *buffer, size_t size, const char *f, ...)
{
    struct sink sink = {buffer, size, 0, false};
    va_list arguments;
    va_start(arguments, f);
    format(&sink, f, arguments);
    va_end(arguments);
    buffer[sink.used] = '\0';
    return sink.used;
}

#define LOG_LINES 32

static struct {
    uint64_t time;
    char text[96];
} log_lines[LOG_LINES] __attribute__((section(".noinit")));
static unsigned log_count;

void log_line(const char *f, ...)
{
    uint64_t flags = interrupts_off();
    char *text = log_lines[log_count % LOG_LINES].text;
    struct sink sink = {text, sizeof log_lines[0].text, 0, false};
    va_list arguments;
    va_start(arguments, f);
    format(&sink, f, arguments);
    va_end(arguments);
    text[sink.used] = '\0';
    log_lines[log_count % LOG_LINES].time = time_now();
    log_count++;
    interrupts_restore(flags);
}

void log_show(void)
{
    for (unsigned i = log_count > LOG_LINES ? log_count - LOG_LINES : 0; i < log_count; i++) {
        uint64_t microseconds = ticks_to_us(log_lines[i % LOG_LINES].time);
        printf("[%5lu.%06lu] %s\n", microseconds / 1000000, microseconds % 1000000, log_lines[i % LOG_LINES].text);
    }
}
