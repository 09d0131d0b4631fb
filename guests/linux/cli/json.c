#include "json.h"

#include <string.h>

#include "log.h"

#define DEEPEST 64
#define MOST_DIGITS 400   /* more is no number that anyone means */
#define MOST_MEMBERS 4096 /* of one object: each key is compared with those before it */

struct parser {
    struct report *report;
    const char *text; /* ends with a NUL; one inside of the text is no JSON */
    size_t at, size;
    bool failed;
};

static struct json *value(struct parser *p, unsigned depth);

/* The first mistake ends the reading: what follows it could only be guessed. */
static void *fail(struct parser *p, size_t offset, const char *sentences)
{
    if (!p->failed)
        report_error(p->report, offset, "syntax", "%s", sentences);
    p->failed = true;
    return NULL;
}

static bool ends(const struct parser *p)
{
    return p->at >= p->size;
}

/* Steps over white space and comments. */
static void blank(struct parser *p)
{
    while (!p->failed) {
        char c = p->text[p->at];
        if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            p->at++;
        } else if (c == '/' && p->text[p->at + 1] == '/') {
            while (!ends(p) && p->text[p->at] != '\r' && p->text[p->at] != '\n')
                p->at++;
        } else if (c == '/' && p->text[p->at + 1] == '*') {
            size_t start = p->at;
            for (p->at += 2; !ends(p) && !(p->text[p->at] == '*' && p->text[p->at + 1] == '/'); p->at++)
                ;
            if (ends(p))
                fail(p, start, "The comment is not closed before the end of the file. Add */.");
            else
                p->at += 2;
        } else {
            return;
        }
    }
}

static struct json *node(enum json_kind kind, size_t offset)
{
    struct json *made = allocate(sizeof *made);
    made->kind = kind;
    made->offset = offset;
    return made;
}

/* Strings */

static int hex4(const char *at)
{
    int code = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        code = code << 4 | digit;
    }
    return code;
}

static char *utf8(char *to, uint32_t code)
{
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
        *to++ = (char)(0x80 | (code & 0x3f));
    } else {
        if (code < 0x10000) {
            *to++ = (char)(0xe0 | code >> 12);
        } else {
            *to++ = (char)(0xf0 | code >> 18);
            *to++ = (char)(0x80 | (code >> 12 & 0x3f));
        }
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    }
    return to;
}

/* Behind a backslash. `to` NULL after a finding. */
static char *escape(struct parser *p, char *to)
{
    static const char letters[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
    size_t start = p->at - 1;
    char letter = p->text[p->at];
    const char *known = letter ? strchr(letters, letter) : NULL;
    if (known) {
        p->at++;
        *to++ = means[known - letters];
        return to;
    }
    int code = letter == 'u' ? hex4(p->text + p->at + 1) : -1;
    if (code < 0)
        return fail(p, start, "This is no JSON escape. Write a backslash as \\\\.");
    p->at += 5;
    if (code >= 0xd800 && code <= 0xdfff) { /* UTF-16: both halves, the high one first */
        int low = p->text[p->at] == '\\' && p->text[p->at + 1] == 'u' ? hex4(p->text + p->at + 2) : -1;
        if (code >= 0xdc00 || low < 0xdc00 || low > 0xdfff)
            return fail(p, start, "The string contains half of a surrogate pair. Write both \\u escapes.");
        p->at += 6;
        return utf8(to, 0x10000 + ((uint32_t)(code - 0xd800) << 10) + (uint32_t)(low - 0xdc00));
    }
    return utf8(to, (uint32_t)code);
}

static const char *string(struct parser *p, size_t *length)
{
    size_t start = p->at, end = ++p->at;
    while (end < p->size && p->text[end] != '"' && p->text[end] != '\n' && p->text[end] != '\r')
        end += p->text[end] == '\\' && end + 1 < p->size ? 2 : 1;
    char *text = allocate(end - start + 1), *to = text; /* an escape is never shorter than what it means */
    while (p->text[p->at] != '"') {
        unsigned char c = (unsigned char)p->text[p->at];
        if (ends(p) || c == '\n' || c == '\r')
            return fail(p, start, "The string is not closed on its line. Add the missing \".");
        if (c < 0x20) {
            if (!p->failed)
                report_error(p->report, p->at, "syntax",
                             "The string contains the control character U+%04X. Write \\u%04x.", c, c);
            p->failed = true;
            return NULL;
        }
        p->at++;
        if (c != '\\')
            *to++ = (char)c;
        else if (!(to = escape(p, to)))
            return NULL;
    }
    p->at++;
    *length = (size_t)(to - text);
    return text;
}

/* Numbers and words */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool in_word(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' || c == '+' || c == '.' ||
           (c & 0x80);
}

static size_t digits(const char *text, size_t at)
{
    while (is_digit(text[at]))
        at++;
    return at;
}

/* Whether the word is a number of JSON's grammar; `integer` tells whether it has neither fraction nor exponent. */
static bool number_form(const char *word, size_t size, bool *integer)
{
    size_t at = word[0] == '-', start = at;
    at = digits(word, at);
    if (at == start || (word[start] == '0' && at > start + 1))
        return false;
    *integer = at == size;
    if (word[at] == '.') {
        start = ++at;
        at = digits(word, at);
        if (at == start)
            return false;
    }
    if (word[at] == 'e' || word[at] == 'E') {
        at++;
        at += word[at] == '+' || word[at] == '-';
        start = at;
        at = digits(word, at);
        if (at == start)
            return false;
    }
    return at == size;
}

static void integer_value(struct json *made, const char *word, size_t size)
{
    made->negative = word[0] == '-';
    for (size_t at = made->negative; at < size; at++)
        if (__builtin_mul_overflow(made->value, 10, &made->value) ||
            __builtin_add_overflow(made->value, (uint64_t)(word[at] - '0'), &made->value))
            made->too_large = true;
}

static struct json *no_word(struct parser *p)
{
    char found = p->text[p->at];
    if (found == '\'')
        return fail(p, p->at, "A string is in single quotes. Use double quotes.");
    if (ends(p) || found == ',' || found == ']' || found == '}')
        return fail(p, p->at, "A value is missing here. Add it, or remove the key.");
    return fail(p, p->at, "This does not start a value. Write a JSON value.");
}

static struct json *literal(struct parser *p)
{
    size_t start = p->at, size = 0;
    while (in_word(p->text[start + size]))
        size++;
    if (!size)
        return no_word(p);
    const char *word = formatted("%.*s", (int)(size < 4096 ? size : 4096), p->text + start);
    p->at += size;
    if (!strcmp(word, "true") || !strcmp(word, "false"))
        return node(JSON_TRUE_OR_FALSE, start);
    if (!strcmp(word, "null"))
        return node(JSON_NULL, start);
    bool integer = false;
    if (size <= MOST_DIGITS && number_form(word, size, &integer)) {
        struct json *made = node(integer ? JSON_INTEGER : JSON_FRACTION, start);
        if (integer)
            integer_value(made, word, size);
        return made;
    }
    const char *first = word + (word[0] == '-' || word[0] == '+');
    first += first[0] == '.';
    if (!is_digit(first[0]))
        return fail(p, start, formatted("%s is no JSON value. Put strings in double quotes.", shortened(word)));
    if (word[0] == '0' && (word[1] == 'x' || word[1] == 'b'))
        return fail(p, start, formatted("%s is no JSON number. Write hexadecimal and binary values as strings: \"%s\".",
                                        shortened(word), shortened(word)));
    return fail(p, start, formatted("%s is no JSON number. Write it as JSON does, for example 12 or -1.", shortened(word)));
}

/* Structures */

/* Whether the closing bracket comes next; then it is stepped over. */
static bool closed(struct parser *p, char closer, size_t start)
{
    blank(p);
    if (p->failed)
        return true;
    char c = p->text[p->at];
    const char *what = closer == '}' ? "object" : "array";
    if (ends(p)) {
        fail(p, start, formatted("The %s is not closed before the end of the file. Add the missing %c.", what, closer));
    } else if (c == closer) {
        p->at++;
    } else if (c == ',') {
        fail(p, p->at, "There is no value before this comma. Remove the comma.");
    } else if (c == ']' || c == '}') {
        fail(p, p->at, formatted("%c does not close the %s that is open here. Close it with %c first.", c, what, closer));
    } else {
        return false;
    }
    return true;
}

/* Steps over the comma behind a member or item; the last one may do without. */
static void comma(struct parser *p)
{
    size_t end = p->at;
    blank(p);
    char c = p->text[p->at];
    if (p->failed)
        return;
    if (c == ',')
        p->at++;
    else if (!ends(p) && c != ']' && c != '}')
        fail(p, end, "A comma is missing after this value. Add a comma.");
}

static const char *key(struct parser *p)
{
    size_t length = 0, start = p->at;
    if (p->text[p->at] != '"') {
        if (in_word(p->text[p->at]) || p->text[p->at] == '\'' || p->text[p->at] == '$')
            return fail(p, p->at, "A key is not in double quotes. Write \"key\": value.");
        return fail(p, p->at, "A key in double quotes is expected here. Write \"key\": value.");
    }
    const char *name = string(p, &length);
    if (name && strlen(name) != length)
        return fail(p, start, "The key contains a NUL character. Remove it.");
    size_t end = p->at;
    if (name)
        blank(p);
    if (p->failed)
        return NULL;
    if (p->text[p->at] != ':')
        return fail(p, end, formatted("A colon is missing after the key \"%s\". Write \"key\": value.", shortened(name)));
    p->at++;
    blank(p);
    return p->failed ? NULL : name;
}

static bool known(struct parser *p, const struct json *object, const char *name, size_t offset)
{
    for (const struct json *member = object->first; member; member = member->next)
        if (!strcmp(member->key, name)) {
            report_error(p->report, offset, "duplicate-key", "The key \"%s\" is given already. Keep one of the two.",
                         shortened(name));
            return true;
        }
    return false;
}

static struct json *structure(struct parser *p, unsigned depth, enum json_kind kind)
{
    size_t start = p->at++;
    struct json *made = node(kind, start), **end = &made->first;
    unsigned members = 0;
    while (!closed(p, kind == JSON_OBJECT ? '}' : ']', start)) {
        size_t key_offset = p->at;
        const char *name = kind == JSON_OBJECT ? key(p) : NULL;
        struct json *item = p->failed ? NULL : value(p, depth + 1);
        if (!item)
            return NULL;
        if (name && ++members > MOST_MEMBERS)
            return fail(p, key_offset, "The object has more than 4096 members. Remove some.");
        item->key = name;
        item->key_offset = key_offset;
        if (!name || !known(p, made, name, key_offset)) {
            *end = item;
            end = &item->next;
        }
        comma(p);
    }
    return p->failed ? NULL : made;
}

static struct json *value(struct parser *p, unsigned depth)
{
    char c = p->text[p->at];
    if (depth > DEEPEST)
        return fail(p, p->at, "Values are nested more than 64 deep. Flatten the file.");
    if (c == '{' || c == '[')
        return structure(p, depth, c == '{' ? JSON_OBJECT : JSON_ARRAY);
    if (c != '"')
        return literal(p);
    struct json *made = node(JSON_STRING, p->at);
    made->text = string(p, &made->length);
    return p->failed ? NULL : made;
}

struct json *json_parse(struct report *report)
{
    struct parser p = {.report = report, .text = report->source.text, .size = report->source.size};
    if (!strncmp(p.text, "\xef\xbb\xbf", 3))
        p.at = 3; /* a byte order mark */
    blank(&p);
    if (!p.failed && ends(&p))
        return fail(&p, p.at, "The file is empty. Write a JSON object: { \xe2\x80\xa6 }.");
    struct json *root = p.failed ? NULL : value(&p, 0);
    if (root)
        blank(&p);
    if (root && !p.failed && !ends(&p))
        return fail(&p, p.at, "There is text after the end of the value. Remove it.");
    return p.failed ? NULL : root;
}

const char *json_describe(const struct json *node)
{
    static const char *const words[] = {
        "an object", "an array", "a string", "a number", "a number with fraction or exponent", "true or false", "null",
    };
    return words[node->kind];
}
