/* Whole numbers that people and clients write: digits and nothing else.
 *
 * Layer: core/base. Thread rule: pure functions on their arguments.
 */
#ifndef CUTOUTD_CORE_BASE_DECIMAL_H
#define CUTOUTD_CORE_BASE_DECIMAL_H

#include <stdbool.h>
#include <stdint.h>

/* A decimal whole number from 0 to `most`, without sign, blanks or leading zeros. false: it is not;
 * *ret_value is not touched. */
bool text_to_count(const char *text, int64_t most, int64_t *ret_value);

/* The same from 1: an id, as far as its form goes. */
bool text_to_id(const char *text, int64_t most, int64_t *ret_value);

/* The same from -most, with a minus sign in front of what is below 0. */
bool text_to_integer(const char *text, int64_t most, int64_t *ret_value);

/* The same from `low` to `high`, which begins above -INT_MAX. */
bool text_to_int(const char *text, int low, int high, int *ret_value);

#endif
