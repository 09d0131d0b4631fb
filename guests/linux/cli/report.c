#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "log.h"

#define LARGEST (256u << 10) /* the largest file that fits all limits has some ten thousand bytes */
#define QUOTED 60

/* Length of the well-formed character at `at` (RFC 3629), 0 when it is none. */
static size_t character(const unsigned char *at, size_t left)
{
    static const struct {
        unsigned char first, last, second_low, second_high;
        size_t size;
    } forms[] = {
        {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (*at < forms[i].first || *at > forms[i].last)
            continue;
        if (forms[i].size > left || (forms[i].size > 1 && (at[1] < forms[i].second_low || at[1] > forms[i].second_high)))
            return 0;
        for (size_t next = 2; next < forms[i].size; next++)
            if ((at[next] & 0xc0) != 0x80)
                return 0;
        return forms[i].size;
    }
    return 0;
}

/* Line and column count from 1, columns in characters; a line ends with LF, CR or both. */
static void place(const struct source *source, size_t offset, unsigned *line, unsigned *column)
{
    *line = *column = 1;
    for (size_t at = 0; at < offset && at < source->size; at++) {
        unsigned char byte = (unsigned char)source->text[at];
        if (byte == '\n' || (byte == '\r' && source->text[at + 1] != '\n')) {
            ++*line;
            *column = 1;
        } else if ((byte & 0xc0) != 0x80) {
            ++*column;
        }
    }
}

/* Where the next finding goes: an error may take the place of a warning. NULL when there are enough. */
static struct finding *room(struct report *report, bool error)
{
    if (report->count < MAX_FINDINGS)
        return &report->found[report->count++];
    for (unsigned i = 0; error && i < MAX_FINDINGS; i++)
        if (!report->found[i].error)
            return &report->found[i];
    return NULL;
}

static void add(struct report *report, bool error, size_t offset, const char *code, const char *text)
{
    struct finding *finding = room(report, error);
    report->errors += error;
    if (!finding)
        return;
    const char *where = report->source.name, *kind = error ? "error" : "warning";
    if (report->source.text) { /* else there is no place in it */
        unsigned line, column;
        place(&report->source, offset, &line, &column);
        where = formatted("%s:%u:%u", where, line, column);
    }
    finding->error = error;
    finding->offset = offset;
    finding->text = formatted("%s: %s[%s]: %s", where, kind, code, text);
}

void report_error(struct report *report, size_t offset, const char *code, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    add(report, true, offset, code, text);
}

void report_warning(struct report *report, size_t offset, const char *code, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    add(report, false, offset, code, text);
}

static int by_place(const void *left, const void *right)
{
    const struct finding *a = left, *b = right;
    return (a->offset > b->offset) - (a->offset < b->offset);
}

void report_show(struct report *report, const char *module, const char *before_errors)
{
    qsort(report->found, report->count, sizeof *report->found, by_place);
    for (unsigned i = 0; i < report->count; i++) {
        const struct finding *finding = &report->found[i];
        if (finding->error)
            log_line(LEVEL_ERROR, module, "%s%s", before_errors, finding->text);
        else
            log_line(LEVEL_WARN, module, "%s", finding->text);
    }
}

bool report_read(struct report *report, const char *file)
{
    memset(report, 0, sizeof *report);
    report->source.name = file;
    struct stat status;
    int descriptor = open_regular(file, O_RDONLY, false, &status);
    if (descriptor < 0) {
        report_error(report, 0, "unreadable", "The file cannot be read: %s.", file_problem());
        return false;
    }
    char *text = allocate(LARGEST + 2);
    size_t size = 0;
    ssize_t count = 1;
    while (size <= LARGEST && (count = read(descriptor, text + size, LARGEST + 1 - size)) > 0)
        size += (size_t)count;
    int error = errno;
    close(descriptor);
    if (count < 0 || size > LARGEST) {
        report_error(report, 0, "unreadable", "The file cannot be read: %s.",
                     count < 0 ? strerror(error) : "it is larger than 256 KiB");
        return false;
    }
    text[size] = '\0';
    for (size_t at = 0, length; at < size; at += length) {
        length = character((const unsigned char *)text + at, size - at);
        if (!length) {
            report->source.text = text;
            report->source.size = at;
            report_error(report, at, "not-utf-8", "The file is no UTF-8 text (byte %zu is %#04x). Save it as UTF-8.", at,
                         (unsigned char)text[at]);
            return false;
        }
    }
    report->source.text = text;
    report->source.size = size;
    return true;
}

const char *shortened(const char *text)
{
    size_t at = 0, count = 0;
    while (text[at] && count < QUOTED)
        count += ((unsigned char)text[++at] & 0xc0) != 0x80;
    return text[at] ? formatted("%.*s\xe2\x80\xa6", (int)at, text) : text;
}
