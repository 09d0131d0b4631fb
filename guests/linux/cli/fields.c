#include "fields.h"

#include <stdio.h>
#include <string.h>

#include "log.h"

struct fields fields_of(struct json *value, const char *path, struct report *report)
{
    struct fields made = {value, path, report};
    if (value && value->kind != JSON_OBJECT) {
        const char *what = *path ? formatted("\"%s\"", path) : "The file";
        report_error(report, value->offset, "wrong-type", "%s must be an object, not %s. Use { \xe2\x80\xa6 }.", what,
                     json_describe(value));
        made.object = NULL;
    }
    return made;
}

static const char *child(const struct fields *fields, const char *key)
{
    return *fields->path ? formatted("%s.%s", fields->path, key) : key;
}

struct json *fields_find(struct fields *fields, const char *key)
{
    struct json *member = fields->object ? fields->object->first : NULL;
    while (member && strcmp(member->key, key))
        member = member->next;
    if (member)
        member->used = true;
    return member;
}

size_t fields_offset(struct fields *fields, const char *key)
{
    const struct json *member = fields_find(fields, key);
    return member ? member->offset : fields->object ? fields->object->offset : 0;
}

void fields_required(struct fields *fields, const char *key)
{
    if (!fields->object || fields_find(fields, key))
        return;
    const char *place = *fields->path ? formatted("\"%s\"", fields->path) : "The file";
    report_error(fields->report, fields->object->offset, "missing-key", "%s has no key \"%s\". Add \"%s\".", place, key, key);
}

static struct json *member(struct fields *fields, const char *key, bool required)
{
    struct json *found = fields_find(fields, key);
    if (!found && required)
        fields_required(fields, key);
    return found;
}

static void wrong(struct fields *fields, const char *key, const struct json *value, const char *expected, const char *remedy)
{
    report_error(fields->report, value->offset, "wrong-type", "\"%s\" must be %s, not %s. %s", key, expected,
                 json_describe(value), remedy);
}

struct fields fields_object(struct fields *fields, const char *key)
{
    return fields_of(member(fields, key, true), child(fields, key), fields->report);
}

struct json *fields_items(struct fields *fields, const char *key, bool required)
{
    struct json *found = member(fields, key, required);
    if (found && found->kind != JSON_ARRAY) {
        wrong(fields, key, found, "an array", "Use [ \xe2\x80\xa6 ].");
        found = NULL;
    }
    return found ? found->first : NULL;
}

/* Strings */

const char *item_string(struct fields *fields, const char *key, const struct json *item, const char *nul_code)
{
    if (item->kind != JSON_STRING) {
        wrong(fields, key, item, item->kind <= JSON_ARRAY ? "a single value" : "a string",
              "Put it in double quotes: \"\xe2\x80\xa6\".");
        return "";
    }
    if (strlen(item->text) != item->length) {
        report_error(fields->report, item->offset, nul_code, "\"%s\" contains a NUL character. Remove it.", key);
        return "";
    }
    return item->text;
}

const char *fields_string(struct fields *fields, const char *key, bool required, const char *nul_code)
{
    const struct json *found = member(fields, key, required);
    return found ? item_string(fields, key, found, nul_code) : "";
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Without the blanks around it; "" when it contains a NUL, which no number does. */
static const char *trimmed(const struct json *string)
{
    const char *start = string->text;
    size_t length = strlen(start) == string->length ? string->length : 0;
    while (length && is_space(start[length - 1]))
        length--;
    while (length && is_space(*start))
        start++, length--;
    return formatted("%.*s", (int)length, start);
}

/* The value of digits that fill the text; false when there are none, others, or more than 64 bits. */
static bool digits_value(const char *text, unsigned base, uint64_t *value)
{
    *value = 0;
    if (!*text)
        return false;
    for (; *text; text++) {
        unsigned digit = *text >= '0' && *text <= '9'   ? (unsigned)(*text - '0')
                         : *text >= 'a' && *text <= 'f' ? (unsigned)(*text - 'a') + 10
                         : *text >= 'A' && *text <= 'F' ? (unsigned)(*text - 'A') + 10
                                                        : 99;
        if (digit >= base || __builtin_mul_overflow(*value, base, value) || __builtin_add_overflow(*value, digit, value))
            return false;
    }
    return true;
}

static bool prefixed(const char *text, char letter)
{
    return text[0] == '0' && (text[1] | 0x20) == letter;
}

static bool all_hex(const char *text)
{
    return *text && text[strspn(text, "0123456789abcdefABCDEF")] == '\0';
}

uint64_t fields_hex(struct fields *fields, const char *key)
{
    const struct json *found = member(fields, key, true);
    uint64_t value = 0;
    if (!found)
        return 0;
    if (found->kind != JSON_STRING) {
        bool plain = found->kind == JSON_INTEGER && !found->negative && !found->too_large;
        const char *example = plain ? formatted("%#llx", (unsigned long long)found->value) : "0x80000000";
        wrong(fields, key, found, "a hexadecimal string", formatted("Write \"%s\".", example));
        return 0;
    }
    const char *text = trimmed(found);
    if (!strcmp(text, "0") || (prefixed(text, 'x') && digits_value(text + 2, 16, &value)))
        return value;
    if (prefixed(text, 'x') && all_hex(text + 2))
        report_error(fields->report, found->offset, "bad-hex", "%s does not fit into 64 bits. Use at most 16 digits.",
                     shortened(text));
    else
        report_error(fields->report, found->offset, "bad-hex",
                     "\"%s\" is no hexadecimal value with the prefix 0x. Write %s.", shortened(found->text),
                     all_hex(text) ? formatted("\"0x%s\"", shortened(text)) : "\"0x\" and hexadecimal digits, or \"0\"");
    return 0;
}

uint64_t fields_unused_hex(struct fields *fields, const char *key)
{
    const struct json *found = member(fields, key, true);
    uint64_t value = 0;
    if (!found || found->kind != JSON_STRING)
        return found ? fields_hex(fields, key) : 0;
    const char *text = trimmed(found);
    if (!strcmp(text, "0") || (prefixed(text, 'x') && digits_value(text + 2, 16, &value)))
        return value;
    report_warning(fields->report, found->offset, "unused-value",
                   "\"%s\" is no hexadecimal value with the prefix 0x and is ignored. Write \"0x\xe2\x80\xa6\" or \"0\" "
                   "for \"%s\".",
                   shortened(text), key);
    return 0;
}

uint32_t fields_binary(struct fields *fields, const char *key)
{
    const struct json *found = member(fields, key, true);
    uint64_t value;
    if (!found)
        return 0;
    if (found->kind != JSON_STRING) {
        wrong(fields, key, found, "a binary string", "Write for example \"0b1110\".");
        return 0;
    }
    const char *text = trimmed(found);
    if (prefixed(text, 'b') && strlen(text) <= 34 && digits_value(text + 2, 2, &value))
        return (uint32_t)value;
    report_error(fields->report, found->offset, "bad-binary",
                 "\"%s\" is no binary value with the prefix 0b and at most 32 digits. Write \"0b1110\" for the cores 1, 2 "
                 "and 3.",
                 shortened(found->text));
    return 0;
}

/* Numbers */

uint64_t item_number(struct fields *fields, const char *key, const struct json *item, uint64_t most)
{
    if (item->kind != JSON_INTEGER) {
        wrong(fields, key, item, "an integer", "Write digits without quotes, for example 1.");
        return 0;
    }
    if (item->too_large || (item->negative && item->value) || item->value > most) {
        report_error(fields->report, item->offset, "bad-number", "The number is out of range for \"%s\". Use 0 to %llu.", key,
                     (unsigned long long)most);
        return 0;
    }
    return item->value;
}

uint64_t fields_number(struct fields *fields, const char *key, uint64_t most, bool required)
{
    const struct json *found = member(fields, key, required);
    return found ? item_number(fields, key, found, most) : 0;
}

int32_t fields_master(struct fields *fields, const char *key)
{
    const struct json *found = member(fields, key, true);
    if (found && found->kind == JSON_INTEGER && (found->too_large || found->value > 31 || (found->negative && found->value > 1)))
        report_error(fields->report, found->offset, "bad-number", "The number is out of range for \"%s\". Use -1 to 31.", key);
    else if (found && found->kind == JSON_INTEGER)
        return found->negative ? -(int32_t)found->value : (int32_t)found->value;
    else if (found)
        wrong(fields, key, found, "an integer", "Write digits without quotes, for example 1.");
    return -1;
}

static uint64_t string_number(struct fields *fields, const struct json *item)
{
    const char *text = trimmed(item);
    uint64_t value;
    if (prefixed(text, 'x') ? strlen(text) <= 18 && digits_value(text + 2, 16, &value)
        : prefixed(text, 'b') ? strlen(text) <= 66 && digits_value(text + 2, 2, &value)
                              : strlen(text) <= 20 && digits_value(text, 10, &value))
        return value;
    report_error(fields->report, item->offset, "bad-number",
                 "\"%s\" is no number of at most 64 bits. Write \"0x\xe2\x80\xa6\", \"0b\xe2\x80\xa6\" or decimal digits.",
                 shortened(item->text));
    return 0;
}

unsigned fields_numbers(struct fields *fields, const char *key, bool strings, bool required, uint64_t *to, unsigned most)
{
    unsigned count = 0;
    for (const struct json *item = fields_items(fields, key, required); item; item = item->next, count++) {
        const char *name = formatted("%s[%u]", key, count);
        uint64_t value = strings && item->kind == JSON_STRING ? string_number(fields, item)
                                                              : item_number(fields, name, item, UINT64_MAX);
        if (count < most)
            to[count] = value;
    }
    if (count > most)
        report_error(fields->report, fields_offset(fields, key), "too-many", "The %s has %u entries; the limit is %u. Remove some.",
                     key, count, most);
    return count < most ? count : most;
}

/* Names */

/* How many letters must be changed, added or removed to make one word of the other; 99 for long words. */
static unsigned distance(const char *left, const char *right)
{
    size_t size = strlen(left), width = strlen(right);
    unsigned row[64];
    if (size >= 64 || width >= 64)
        return 99;
    for (size_t j = 0; j <= width; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= size; i++) {
        unsigned corner = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= width; j++) {
            unsigned above = row[j], best = corner + (left[i - 1] != right[j - 1]);
            best = above + 1 < best ? above + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            corner = above;
            row[j] = best;
        }
    }
    return row[width];
}

static const char *suggestion(const char *word, struct words words)
{
    unsigned best = 99, at = 0;
    for (unsigned i = 0; i < words.count; i++) {
        unsigned apart = distance(word, words.names[i]);
        if (apart < best)
            best = apart, at = i;
    }
    if (best <= 4)
        return formatted("Did you mean \"%s\"?", words.names[at]);
    char *text = formatted("Known are: %s", words.names[0]);
    for (unsigned i = 1; i < words.count; i++)
        text = formatted("%s, %s", text, words.names[i]);
    return formatted("%s.", text);
}

unsigned fields_enum(struct fields *fields, const char *key, struct words words)
{
    const struct json *found = member(fields, key, true);
    if (!found)
        return 0;
    const char *word = item_string(fields, key, found, "bad-enum");
    for (unsigned i = 0; i < words.count; i++)
        if (!strcmp(word, words.names[i]))
            return i;
    if (found->kind == JSON_STRING && strlen(word) == found->length)
        report_error(fields->report, found->offset, "bad-enum", "\"%s\" is no value of \"%s\". %s", shortened(word), key,
                     suggestion(word, words));
    return 0;
}

void fields_done(struct fields *fields, const char *const *ignored)
{
    for (const struct json *one = fields->object ? fields->object->first : NULL; one; one = one->next) {
        bool known = one->used;
        for (const char *const *name = ignored; !known && *name; name++)
            known = !strcmp(one->key, *name);
        if (!known)
            report_warning(fields->report, one->key_offset, "unknown-key", "The key \"%s\" is not known%s. It has no effect.",
                           shortened(one->key), *fields->path ? formatted(" in \"%s\"", fields->path) : "");
    }
}
