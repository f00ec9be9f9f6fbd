/* Packed bodies, for clients that take them.
 *
 * Layer: api. Thread rule: pure functions on their arguments.
 */
#ifndef CUTOUTD_API_HTTP_COMPRESS_H
#define CUTOUTD_API_HTTP_COMPRESS_H

#include <stdbool.h>
#include <stddef.h>

/* Whether Accept-Encoding allows gzip: by name or by "*", and not with q=0. */
bool gzip_is_accepted(const char *accept_encoding);

/* The same of brotli, by name alone: not everybody who takes "*" has heard of it. */
bool brotli_is_accepted(const char *accept_encoding);

/* The body as gzip, from malloc, or NULL: memory ran out, or it would not be shorter. */
char *gzip_make(const char *body, size_t n_body, size_t *ret_n);

#endif
