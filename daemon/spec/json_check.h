/* Is this text JSON, by the letter of RFC 8259?
 *
 * Layer: daemon. Thread rule: pure functions on their arguments.
 *
 * cJSON, which builds the tree afterwards, lets much through: leading zeros, raw control
 * characters, broken UTF-8, "\u0000" that ends a C string early. What people write by mistake
 * should be named with its place instead of being taken for something else.
 */
#ifndef CUTOUTD_DAEMON_SPEC_JSON_CHECK_H
#define CUTOUTD_DAEMON_SPEC_JSON_CHECK_H

#include <stddef.h>

#include "core/base/error.h"

enum {
    JSON_CHECK_MAX_DEPTH = 8,      /* nothing that is asked for here is nested deeper than 5 */
    JSON_CHECK_MAX_VALUES = 16384, /* a sweep of 16 fields with 1,000 values each */
};

/* STATUS_OK: exactly one JSON value with nothing but white space around it, nested at most
 * JSON_CHECK_MAX_DEPTH deep, of at most JSON_CHECK_MAX_VALUES values, all strings UTF-8 without
 * NUL. Otherwise STATUS_MALFORMED, and *error
 * says what was found where ("line 2, column 7: ..."). */
enum status json_check(const char *text, size_t n_bytes, struct error *error);

#endif
