/* Layer: api.
 *
 * A certificate that was replaced is kept until the end, because a handshake may be using it: there
 * is one a renewal, of a few kilobytes.
 */
#include "api/http/tls.h"

#include <errno.h>
#include <gnutls/x509.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/cleanup.h"
#include "core/base/sha256.h"
#include "daemon/config/text_file.h"

enum { MAX_BYTES = 1024 * 1024, KEY_ID_SIZE = 64 };

/* A certificate with its chain, and the key. */
struct credential {
    char sha256[SHA256_HEX_SIZE]; /* of both files */
    gnutls_pcert_st *chain;       /* [n_chain], its own first */
    unsigned n_chain;
    gnutls_privkey_t key;
    int64_t expires_s;
    struct credential *before;
};

struct tls {
    const char *cert_path;
    const char *key_path;
    _Atomic(struct credential *) in_force; /* the older ones behind it */
};

/* The one of this process, for tls_retrieve. */
static _Atomic(struct tls *) served;

/* Text that is overwritten before it is freed. */
static void clear_secret(char **text) {
    if (*text) {
        explicit_bzero(*text, strlen(*text));
    }
    free(*text);
    *text = NULL;
}

static void credential_free(struct credential *credential) {
    if (credential) {
        for (unsigned i = 0; i < credential->n_chain; i++) {
            gnutls_pcert_deinit(&credential->chain[i]);
        }
        gnutls_free(credential->chain);
        gnutls_privkey_deinit(credential->key);
        free(credential);
    }
}

static void credential_clear(struct credential **credential) {
    credential_free(*credential);
}

static enum status check_mode(const char *path, struct error *error) {
    struct stat info;
    if (stat(path, &info) != 0) {
        return error_set_errno(error, errno, "cannot look at the key %s", path);
    }
    return info.st_mode & (S_IROTH | S_IWOTH)
               ? error_set(error, STATUS_FORBIDDEN,
                           "everybody on this machine can read or write the key %s; take that away "
                           "with: chmod o= %s",
                           path, path)
               : STATUS_OK;
}

static enum status refuse(struct error *error, const char *what, const char *path, int code) {
    return error_set(error, STATUS_INVALID, "%s %s cannot be used: %s", what, path,
                     gnutls_strerror(code));
}

struct certificates {
    gnutls_x509_crt_t *items;
    unsigned n;
};

static void certificates_clear(struct certificates *certificates) {
    for (unsigned i = 0; i < certificates->n; i++) {
        gnutls_x509_crt_deinit(certificates->items[i]);
    }
    gnutls_free(certificates->items);
}

static enum status import_chain(const char *path, char *pem, struct credential *credential,
                                struct error *error) {
    CLEANUP(certificates_clear) struct certificates certificates = {NULL, 0};
    const gnutls_datum_t data = {(unsigned char *)pem, (unsigned)strlen(pem)};
    int code = gnutls_x509_crt_list_import2(&certificates.items, &certificates.n, &data,
                                            GNUTLS_X509_FMT_PEM, 0);
    if (code < 0) {
        certificates.n = 0;
        return refuse(error, "the certificate", path, code);
    }
    unsigned n = certificates.n;
    credential->chain = gnutls_calloc(n, sizeof(*credential->chain));
    if (!credential->chain) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for a certificate");
    }
    code = gnutls_pcert_import_x509_list(credential->chain, certificates.items, &n,
                                         GNUTLS_X509_CRT_LIST_SORT);
    if (code < 0) {
        return refuse(error, "the certificate", path, code);
    }
    credential->n_chain = n;
    credential->expires_s = (int64_t)gnutls_x509_crt_get_expiration_time(certificates.items[0]);
    return STATUS_OK;
}

static enum status import_key(const char *path, char *pem, struct credential *credential,
                              struct error *error) {
    const gnutls_datum_t data = {(unsigned char *)pem, (unsigned)strlen(pem)};
    int code = gnutls_privkey_init(&credential->key);
    if (code == 0) {
        code = gnutls_privkey_import_x509_raw(credential->key, &data, GNUTLS_X509_FMT_PEM, NULL, 0);
    }
    return code < 0 ? refuse(error, "the key", path, code) : STATUS_OK;
}

/* Whether the key is the first certificate's. */
static bool belong_together(const struct credential *credential) {
    unsigned char ids[2][KEY_ID_SIZE];
    size_t sizes[2] = {KEY_ID_SIZE, KEY_ID_SIZE};
    gnutls_pubkey_t public = NULL;
    bool same = gnutls_pubkey_init(&public) == 0 &&
                gnutls_pubkey_import_privkey(public, credential->key, 0, 0) == 0 &&
                gnutls_pubkey_get_key_id(public, GNUTLS_KEYID_USE_SHA256, ids[0], &sizes[0]) == 0 &&
                gnutls_pubkey_get_key_id(credential->chain[0].pubkey, GNUTLS_KEYID_USE_SHA256,
                                         ids[1], &sizes[1]) == 0 &&
                sizes[0] == sizes[1] && memcmp(ids[0], ids[1], sizes[0]) == 0;
    gnutls_pubkey_deinit(public);
    return same;
}

static void digest(const char *cert, const char *key, char ret_hex[SHA256_HEX_SIZE]) {
    struct sha256 sha;
    sha256_begin(&sha);
    sha256_update(&sha, cert, strlen(cert) + 1);
    sha256_update(&sha, key, strlen(key));
    sha256_end(&sha, ret_hex);
}

static enum status read_credential(const struct tls *tls, struct credential *credential,
                                   struct error *error) {
    CLEANUP(free_pointer) char *cert = NULL;
    CLEANUP(clear_secret) char *key = NULL;
    size_t n_bytes = 0;
    TRY(check_mode(tls->key_path, error));
    TRY(text_file_read(tls->cert_path, MAX_BYTES, &cert, &n_bytes, error));
    TRY(text_file_read(tls->key_path, MAX_BYTES, &key, &n_bytes, error));
    TRY(import_chain(tls->cert_path, cert, credential, error));
    TRY(import_key(tls->key_path, key, credential, error));
    if (!belong_together(credential)) {
        return error_set(error, STATUS_INVALID,
                         "tls_key %s is not the key of the certificate tls_cert %s", tls->key_path,
                         tls->cert_path);
    }
    digest(cert, key, credential->sha256);
    return STATUS_OK;
}

enum status tls_reload(struct tls *tls, bool *ret_changed, struct error *error) {
    CLEANUP(credential_clear) struct credential *credential = calloc(1, sizeof(*credential));
    if (!credential) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for a certificate");
    }
    TRY(read_credential(tls, credential, error));
    credential->before = atomic_load(&tls->in_force);
    *ret_changed =
        !credential->before || strcmp(credential->sha256, credential->before->sha256) != 0;
    if (*ret_changed) {
        atomic_store(&tls->in_force, credential);
        credential = NULL;
    }
    return STATUS_OK;
}

enum status tls_open(const char *cert_path, const char *key_path, struct tls **ret_tls,
                     struct error *error) {
    CLEANUP(free_pointer) struct tls *tls = calloc(1, sizeof(*tls));
    bool changed = false;
    if (!tls) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for a certificate");
    }
    tls->cert_path = cert_path;
    tls->key_path = key_path;
    TRY(tls_reload(tls, &changed, error));
    atomic_store(&served, tls);
    *ret_tls = tls;
    tls = NULL;
    return STATUS_OK;
}

void tls_close(struct tls *tls) {
    if (tls) {
        struct credential *credential = atomic_load(&tls->in_force);
        atomic_store(&served, NULL);
        while (credential) {
            struct credential *before = credential->before;
            credential_free(credential);
            credential = before;
        }
        free(tls);
    }
}

int64_t tls_expires_s(const struct tls *tls) {
    return atomic_load(&tls->in_force)->expires_s;
}

int tls_retrieve(gnutls_session_t session, const gnutls_datum_t *ca_names, int n_ca_names,
                 const gnutls_pk_algorithm_t *algorithms, int n_algorithms,
                 gnutls_pcert_st **ret_chain, unsigned *ret_n_chain, gnutls_privkey_t *ret_key) {
    (void)session;
    (void)ca_names;
    (void)n_ca_names;
    (void)algorithms;
    (void)n_algorithms;
    const struct credential *credential = atomic_load(&atomic_load(&served)->in_force);
    *ret_chain = credential->chain;
    *ret_n_chain = credential->n_chain;
    *ret_key = credential->key;
    return 0;
}
