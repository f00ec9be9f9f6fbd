/* The certificate and the key of HTTPS.
 *
 * Layer: api. Thread rule: one thread.
 */
#ifndef CUTOUTD_API_TLS_FILES_H
#define CUTOUTD_API_TLS_FILES_H

#include "core/base/error.h"

struct tls_files {
    char *cert; /* PEM, owned; NULL: no TLS */
    char *key;
};

/* STATUS_FORBIDDEN: others may read the key; statuses of text_file_read. On success *ret_files is
 * owned by the caller (tls_files_clear). */
enum status tls_files_read(const char *cert_path, const char *key_path, struct tls_files *ret_files,
                           struct error *error);

/* Frees and zeroes; nothing of the key stays in memory. A zeroed struct is fine. */
void tls_files_clear(struct tls_files *files);

#endif
