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
 * which is eight times as fast. */
struct file_hash {
    gnutls_hash_hd_t fast; /* NULL: it cannot be had */
    struct sha256 slow;
    bool failed; /* the digest is not that of the bytes */
};

static void file_hash_begin(struct file_hash *hash) {
    *hash = (struct file_hash){.fast = NULL};
    if (gnutls_hash_init(&hash->fast, GNUTLS_DIG_SHA256) != 0) {
        hash->fast = NULL;
        sha256_begin(&hash->slow);
    }
}

static void file_hash_update(struct file_hash *hash, const void *bytes, size_t n_bytes) {
    if (hash->fast) {
        hash->failed |= gnutls_hash(hash->fast, bytes, n_bytes) != 0;
    } else {
        sha256_update(&hash->slow, bytes, n_bytes);
    }
}

static void file_hash_end(struct file_hash *hash, char ret_hex[SHA256_HEX_SIZE]) {
    unsigned char digest[crypto_hash_sha256_BYTES];
    if (hash->fast) {
        gnutls_hash_deinit(hash->fast, digest);
        (void)sodium_bin2hex(ret_hex, SHA256_HEX_SIZE, digest, sizeof(digest));
    } else {
        sha256_end(&hash->slow, ret_hex);
    }
}

enum status sha256_fd(int fd, const char *name, char ret_hex[SHA256_HEX_SIZE],
                      struct error *error) {
    struct file_hash hash;
    unsigned char buffer[65536];
    off_t offset = 0;
    ssize_t n = 1;
    file_hash_begin(&hash);
    while (n > 0) {
        n = pread(fd, buffer, sizeof(buffer), offset);
        if (n < 0 && errno == EINTR) {
            n = 1;
        } else if (n > 0) {
            file_hash_update(&hash, buffer, (size_t)n);
            offset += n;
        }
    }
    int code = errno;
    file_hash_end(&hash, ret_hex);
    if (n < 0) {
        return error_set_errno(error, code, "cannot read %s", name);
    }
    return hash.failed ? error_set(error, STATUS_IO, "cannot compute the SHA-256 of %s", name)
                       : STATUS_OK;
}

enum status sha256_file(const char *path, char ret_hex[SHA256_HEX_SIZE], struct error *error) {
    CLEANUP(close_fd) int fd = -1;
    TRY(regular_file_open(path, &fd, error));
    return sha256_fd(fd, path, ret_hex, error);
}
