/* Layer: api. */
#include "api/tls_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/cleanup.h"
#include "daemon/text_file.h"

enum { MAX_BYTES = 1024 * 1024 };

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

enum status tls_files_read(const char *cert_path, const char *key_path, struct tls_files *ret_files,
                           struct error *error) {
    CLEANUP(tls_files_clear) struct tls_files files = {NULL, NULL};
    size_t n_bytes = 0;
    TRY(check_mode(key_path, error));
    TRY(text_file_read(cert_path, MAX_BYTES, &files.cert, &n_bytes, error));
    TRY(text_file_read(key_path, MAX_BYTES, &files.key, &n_bytes, error));
    *ret_files = files;
    files = (struct tls_files){NULL, NULL};
    return STATUS_OK;
}

void tls_files_clear(struct tls_files *files) {
    if (files->key) {
        explicit_bzero(files->key, strlen(files->key));
    }
    free(files->key);
    free(files->cert);
    *files = (struct tls_files){NULL, NULL};
}
