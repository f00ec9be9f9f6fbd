/* The certificate and the key of HTTPS, which can be replaced while connections are open.
 *
 * Layer: api. Thread rule: tls_open, tls_reload and tls_close by one thread; handshakes on any.
 *
 * The HTTP library asks for the certificate at each handshake and hands over nothing to know a
 * server by: there is one struct tls in a process at a time.
 */
#ifndef CUTOUTD_API_HTTP_TLS_H
#define CUTOUTD_API_HTTP_TLS_H

#include <gnutls/abstract.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"

struct tls;

/* Reads a certificate with its chain and its key from PEM files. The paths are borrowed for the
 * life of *ret_tls, which the caller owns (tls_close). STATUS_FORBIDDEN: others may read the key;
 * STATUS_INVALID: no PEM, or they do not belong together; statuses of text_file_read. */
enum status tls_open(const char *cert_path, const char *key_path, struct tls **ret_tls,
                     struct error *error);

/* Reads both files again: handshakes from now on get what is in them, and open connections go on
 * with what they have. *ret_changed: it is another one. After a failure (statuses of tls_open) the
 * one before stays in force. */
enum status tls_reload(struct tls *tls, bool *ret_changed, struct error *error);

/* After the last handshake. NULL is fine. */
void tls_close(struct tls *tls);

/* When the certificate in force ends, as Unix time. */
int64_t tls_expires_s(const struct tls *tls);

/* What the library calls at a handshake (MHD_OPTION_HTTPS_CERT_CALLBACK). */
gnutls_certificate_retrieve_function2 tls_retrieve;

#endif
