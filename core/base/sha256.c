/* Layer: core/base. */
#include "core/base/sha256.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <sodium.h>
#include <stdbool.h>

#include "core/base/cleanup.h"
#include "core/base/regular_file.h"

_Static_assert(sizeof(crypto_hash_sha256_state) <= sizeof(((struct sha256 *)0)->state),
               "struct sha256 must hold libsodium's state");

static crypto_hash_sha256_state *state_of(struct sha256 *sha) {
    return (crypto_hash_sha256_state *)(void *)sha->state;
}

void sha256_begin(struct sha256 *sha) {
    (void)crypto_hash_sha256_init(state_of(sha));
}

void sha256_update(struct sha256 *sha, const void *bytes, size_t n_bytes) {
    (void)crypto_hash_sha256_update(state_of(sha), bytes, n_bytes);
}

void sha256_end(struct sha256 *sha, char ret_hex[SHA256_HEX_SIZE]) {
    unsigned char digest[crypto_hash_sha256_BYTES];
    (void)crypto_hash_sha256_final(state_of(sha), digest);
    (void)sodium_bin2hex(ret_hex, SHA256_HEX_SIZE, digest, sizeof(digest));
}

/* ---- whole files ---- */

/* Checkpoints are many: GnuTLS has the processor's own instructions for this, where there are some,
 * which is eight times as fast as libsodium. */
enum status sha256_fd(int fd, const char *name, char ret_hex[SHA256_HEX_SIZE],
                      struct error *error) {
    gnutls_hash_hd_t hash;
    unsigned char digest[crypto_hash_sha256_BYTES], buffer[65536];
    if (gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) != 0) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the SHA-256 of %s", name);
    }
    off_t offset = 0;
    ssize_t n = 1;
    bool failed = false;
    while (n > 0 && !failed) {
        n = pread(fd, buffer, sizeof(buffer), offset);
        if (n < 0 && errno == EINTR) {
            n = 1;
        } else if (n > 0) {
            failed = gnutls_hash(hash, buffer, (size_t)n) != 0;
            offset += n;
        }
    }
    int code = errno;
    gnutls_hash_deinit(hash, digest);
    if (n < 0) {
        return error_set_errno(error, code, "cannot read %s", name);
    }
    if (failed) {
        return error_set(error, STATUS_IO, "cannot compute the SHA-256 of %s", name);
    }
    (void)sodium_bin2hex(ret_hex, SHA256_HEX_SIZE, digest, sizeof(digest));
    return STATUS_OK;
}

enum status sha256_file(const char *path, char ret_hex[SHA256_HEX_SIZE], struct error *error) {
    CLEANUP(close_fd) int fd = -1;
    TRY(regular_file_open(path, &fd, error));
    return sha256_fd(fd, path, ret_hex, error);
}
