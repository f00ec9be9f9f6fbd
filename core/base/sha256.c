/* Layer: core/base. */
#include "core/base/sha256.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "core/base/cleanup.h"

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

enum status sha256_file(const char *path, char ret_hex[SHA256_HEX_SIZE], struct error *error) {
    CLEANUP(close_file) FILE *file = fopen(path, "rbe");
    if (!file) {
        return error_set_errno(error, errno, "cannot open %s", path);
    }
    struct sha256 sha;
    sha256_begin(&sha);
    unsigned char buffer[65536];
    size_t n;
    while ((n = fread(buffer, 1, sizeof(buffer), file)) > 0) {
        sha256_update(&sha, buffer, n);
    }
    if (ferror(file)) {
        return error_set_errno(error, errno, "cannot read %s", path);
    }
    sha256_end(&sha, ret_hex);
    return STATUS_OK;
}
