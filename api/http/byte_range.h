/* Range of a request (RFC 9110, section 14): one range of bytes.
 *
 * Layer: api. Thread rule: pure functions on their arguments.
 */
#ifndef CUTOUTD_API_HTTP_BYTE_RANGE_H
#define CUTOUTD_API_HTTP_BYTE_RANGE_H

#include <stdint.h>

enum byte_range {
    BYTE_RANGE_ALL,           /* none that we follow: the whole file, as the standard says */
    BYTE_RANGE_PART,          /* these bytes */
    BYTE_RANGE_UNSATISFIABLE, /* begins behind the end */
};

/* header: the value of Range, "bytes=0-99", "bytes=100-", "bytes=-100"; "" for none. On
 * BYTE_RANGE_PART *ret_first and *ret_n lie within n_bytes, and *ret_n is at least 1. More than one
 * range at a time is not followed. */
enum byte_range byte_range_parse(const char *header, int64_t n_bytes, int64_t *ret_first,
                                 int64_t *ret_n);

#endif
