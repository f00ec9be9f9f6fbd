/* SHA-256 (libsodium; of whole files GnuTLS).
 *
 * Layer: core/base. Thread rule: a struct sha256 belongs to one thread at a time.
 */
#ifndef CUTOUTD_CORE_BASE_SHA256_H
#define CUTOUTD_CORE_BASE_SHA256_H

#include <stddef.h>

#include "core/base/error.h"

#define SHA256_HEX_SIZE 65 /* 64 digits and the final NUL */

struct sha256 {
    _Alignas(16) unsigned char state[128];
};

void sha256_begin(struct sha256 *sha);
void sha256_update(struct sha256 *sha, const void *bytes, size_t n_bytes);
void sha256_end(struct sha256 *sha, char ret_hex[SHA256_HEX_SIZE]);

/* The digest of a whole regular file. STATUS_NOT_FOUND or STATUS_IO with the path in the message.
 */
enum status sha256_file(const char *path, char ret_hex[SHA256_HEX_SIZE], struct error *error);

/* The same of an open file, whose position stays where it is; name: for the message. */
enum status sha256_fd(int fd, const char *name, char ret_hex[SHA256_HEX_SIZE], struct error *error);

#endif
