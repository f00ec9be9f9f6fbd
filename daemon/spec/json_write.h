/* Writes JSON into a growing buffer, value by value.
 *
 * Layer: daemon. Thread rule: a writer belongs to one thread at a time.
 *
 *     struct json_writer writer = {0};
 *     json_write_object(&writer, NULL);
 *     json_write_int(&writer, "m", 8);
 *     json_write_end(&writer, '}');
 *     char *text = json_write_take(&writer);      // {"m":8}
 *
 * `key` is the member's name inside an object and NULL inside an array or at the top. Commas set
 * themselves. When memory runs out the writer remembers it, further calls do nothing, and
 * json_write_take returns NULL, so that only the end needs a check.
 */
#ifndef CUTOUTD_DAEMON_SPEC_JSON_WRITE_H
#define CUTOUTD_DAEMON_SPEC_JSON_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_writer {
    char *data; /* NUL-terminated once anything was written */
    size_t n_bytes;
    size_t capacity;
    bool failed;             /* memory ran out */
    const char *link_prefix; /* what json_write_link puts before a path; NULL: nothing; borrowed.
                              * Written as it is: nothing in it may need an escape */
};

enum { JSON_NUMBER_SIZE = 32 };

void json_write_object(struct json_writer *writer, const char *key);
void json_write_array(struct json_writer *writer, const char *key);

/* Closes the innermost object ('}') or array (']'). */
void json_write_end(struct json_writer *writer, char bracket);

/* value NULL writes null. Must be UTF-8. */
void json_write_string(struct json_writer *writer, const char *key, const char *value);
/* link_prefix and the path. */
void json_write_link(struct json_writer *writer, const char *key, const char *path);
void json_write_int(struct json_writer *writer, const char *key, int64_t value);
void json_write_uint(struct json_writer *writer, const char *key, uint64_t value);
void json_write_bool(struct json_writer *writer, const char *key, bool value);
void json_write_null(struct json_writer *writer, const char *key);

/* An id as a string, "17"; null for 0, which is nobody's. */
void json_write_id(struct json_writer *writer, const char *key, int64_t id);

/* As number_format writes it; NaN and infinities, which JSON has no words for, as null. */
void json_write_number(struct json_writer *writer, const char *key, double value);

/* Text that is JSON already. */
void json_write_raw(struct json_writer *writer, const char *key, const char *json);
void json_write_raw_bytes(struct json_writer *writer, const char *key, const char *json,
                          size_t n_bytes);

/* The finished text, owned by the caller (free), and an empty writer. NULL when memory ran out. */
char *json_write_take(struct json_writer *writer);

/* Frees what was written. */
void json_write_free(struct json_writer *writer);

/* The shortest of 15, 16 or 17 digits that reads back to the same bits: 0.001 and not
 * 0.001000000000000000. `value` must be finite. Returns ret_text. */
const char *number_format(double value, char ret_text[JSON_NUMBER_SIZE]);

#endif
