/* Typed access to the members of a JSON object, with a finding for everything that is wrong.
 *
 * The kinds of numbers are the original's: HEX and BIN are strings with a prefix, NUM is a JSON integer. A getter returns 0,
 * "" or NULL after a finding.
 */
#pragma once

#include "json.h"

struct fields {
    struct json *object; /* NULL: nothing to read, which has been told */
    const char *path;    /* "" for the file itself */
    struct report *report;
};

struct words {
    const char *const *names; /* by value */
    unsigned count;
};

struct fields fields_of(struct json *value, const char *path, struct report *report);
struct fields fields_object(struct fields *fields, const char *key);
struct json *fields_items(struct fields *fields, const char *key, bool required); /* the first item of an array */

struct json *fields_find(struct fields *fields, const char *key); /* NULL when it is not there */
const char *fields_string(struct fields *fields, const char *key, bool required, const char *nul_code);
uint64_t fields_hex(struct fields *fields, const char *key);
uint64_t fields_unused_hex(struct fields *fields, const char *key); /* a mistake in it is a warning */
uint32_t fields_binary(struct fields *fields, const char *key);
uint64_t fields_number(struct fields *fields, const char *key, uint64_t most, bool required);
int32_t fields_master(struct fields *fields, const char *key); /* -1 to 31 */
unsigned fields_enum(struct fields *fields, const char *key, struct words words);
/* An array of NUM, with `strings` also of "0x...", "0b..." and "12". Gives the number of entries in the file; at most `most`
   are stored, more are a finding. */
unsigned fields_numbers(struct fields *fields, const char *key, bool strings, bool required, uint64_t *to, unsigned most);

void fields_required(struct fields *fields, const char *key); /* a finding when the key is not there */
/* Warn about members that nobody has asked for; those in `ignored`, which ends with NULL, may be there without effect. */
void fields_done(struct fields *fields, const char *const *ignored);

uint64_t item_number(struct fields *fields, const char *key, const struct json *item, uint64_t most);
const char *item_string(struct fields *fields, const char *key, const struct json *item, const char *nul_code);
size_t fields_offset(struct fields *fields, const char *key); /* of the value, or of the object */
