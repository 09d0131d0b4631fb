/* JSON (RFC 8259) with `//` and block comments and trailing commas; strict about everything else. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "report.h"

enum json_kind { JSON_OBJECT, JSON_ARRAY, JSON_STRING, JSON_INTEGER, JSON_FRACTION, JSON_TRUE_OR_FALSE, JSON_NULL };

struct json {
    enum json_kind kind;
    size_t offset; /* where it starts in the text */

    struct json *first, *next; /* members or items, in their order */
    const char *key;           /* of a member */
    size_t key_offset;
    bool used; /* a member that somebody has asked for */

    const char *text; /* of a string: UTF-8 and a NUL */
    size_t length;

    bool negative, too_large; /* of an integer: does not fit into 64 bits */
    uint64_t value;           /* without its sign */
};

/* The value of a text. NULL after the first mistake in its form; keys given twice are findings, the first one counts. */
struct json *json_parse(struct report *report);

/* `an object`, `a string`, ... */
const char *json_describe(const struct json *value);
