/* Moments and durations as text.
 *
 * Layer: core/base. Thread rule: pure functions on their arguments.
 */
#ifndef CUTOUTD_CORE_BASE_TIME_TEXT_H
#define CUTOUTD_CORE_BASE_TIME_TEXT_H

#include <stdbool.h>
#include <stdint.h>

enum { TIME_TEXT_SIZE = 32, DURATION_SIZE = 32 };

/* "2026-03-01T12:00:00.250Z" (RFC 3339). Returns ret_text. */
const char *time_format(int64_t unix_ms, char ret_text[TIME_TEXT_SIZE]);

/* "2026-03-01T12:00:00Z", with a fraction of a second or +01:00 as RFC 3339 has it, to the
 * millisecond. False: it is no such text, or before 1970. */
bool time_parse(const char *text, int64_t *ret_unix_ms);

/* "3:07", "1:02:03", "12 days"; "-:--" when it is not known. Returns ret_text. */
const char *duration_format(double seconds, char ret_text[DURATION_SIZE]);

#endif
