/* Findings about a configuration file, each at its line and column. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define MAX_FINDINGS 20

struct source {
    const char *name; /* as the user gave it */
    const char *text; /* UTF-8, followed by a NUL that does not count */
    size_t size;
};

struct finding {
    bool error;
    size_t offset;
    const char *text; /* `file:line:column: error[code]: message remedy` */
};

struct report {
    struct source source;
    unsigned errors;
    unsigned count;
    struct finding found[MAX_FINDINGS];
};

/* The file's text in `report`; false after a finding: it cannot be read, is too large, or is no UTF-8. */
bool report_read(struct report *report, const char *file);

/* `code` is the kind of finding, as `shyper-tui check` names it. */
void report_error(struct report *report, size_t offset, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void report_warning(struct report *report, size_t offset, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Every finding as one log line; `before_errors` comes before each error. In the order of the file. */
void report_show(struct report *report, const char *module, const char *before_errors);

/* At most 60 characters of a text that is quoted in a finding. */
const char *shortened(const char *text);
