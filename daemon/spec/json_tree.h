/* Trees of the JSON that people send.
 *
 * Layer: daemon. Thread rule: pure functions on their arguments; a tree belongs to one thread.
 */
#ifndef CUTOUTD_DAEMON_SPEC_JSON_TREE_H
#define CUTOUTD_DAEMON_SPEC_JSON_TREE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/base/error.h"
#include "daemon/spec/json_write.h"

enum { JSON_TREE_MAX_MEMBERS = 64 }; /* of one object: far more than there are fields */

/* The text (n_bytes, need not end with NUL) as a tree. What json_check lets through, and no object
 * has a name twice or more than JSON_TREE_MAX_MEMBERS of them; so whatever walks the tree is
 * bounded in depth and in size. STATUS_MALFORMED: *error says why; STATUS_NO_MEMORY. The caller
 * owns *ret_tree (CLEANUP(json_delete)), which is written on success only. */
enum status json_read(const char *text, size_t n_bytes, cJSON **ret_tree, struct error *error);

/* Frees and sets NULL. A tree that is NULL is fine. */
void json_delete(cJSON **tree);

/* Writes the value, numbers so that they are read back to the same bits (cJSON's own printer is
 * content with a neighbour of a number): whole ones up to 2^53 without an exponent, others as
 * number_format does. Inside an object `key` is the value's name. */
void json_write_tree(struct json_writer *writer, const char *key, const cJSON *value);

/* The same alone. The caller owns the text; NULL: no memory, or `value` is NULL. */
char *json_print(const cJSON *value);

/* Whether two values are the same: numbers by value, objects whatever the order of their names.
 * Takes a time that goes with the size, not with a power of the depth (as cJSON_Compare's does).
 * Both must be of json_read; NULL equals nothing. */
bool json_equal(const cJSON *a, const cJSON *b);

#endif
