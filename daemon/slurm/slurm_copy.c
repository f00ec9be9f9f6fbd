/* Copies of checkpoints, and which of them stay. Layer: daemon/slurm. */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/base/durable.h"
#include "core/base/regular_file.h"
#include "daemon/config/copy_file.h"
#include "daemon/slurm/slurm_internal.h"

static enum status check_source(const char *from, const char *sha256, struct error *error) {
    char found[SHA256_HEX_SIZE];
    enum status status = sha256_file(from, found, error);
    if (status != STATUS_OK) {
        enum regular_file_look look =
            status == STATUS_IO ? regular_file_look(from) : REGULAR_FILE_FAILED;
        return look == REGULAR_FILE_FORBIDDEN ? STATUS_FORBIDDEN
               : look == REGULAR_FILE_LOST
                   ? error_set(error, STATUS_CORRUPT, "%s is no file that can be read", from)
                   : status;
    }
    return strcmp(found, sha256) == 0
               ? STATUS_OK
               : error_set(error, STATUS_CORRUPT, "%s has another digest than was reported", from);
}

static enum status copy_whole(const char *from, const char *to, const char *sha256,
                              struct error *error) {
    char temporary[ATTEMPT_PATH_SIZE + 8];
    char found[SHA256_HEX_SIZE];
    (void)snprintf(temporary, sizeof(temporary), "%s.tmp", to);
    (void)unlink(temporary);
    enum status status = copy_file(from, temporary, NULL, error);
    status = status == STATUS_OK ? sha256_file(temporary, found, error) : status;
    if (status == STATUS_OK && strcmp(found, sha256) != 0) {
        status = error_set(error, STATUS_IO, "%s is not what was copied to it", temporary);
    }
    if (status != STATUS_OK) {
        (void)unlink(temporary);
        return status;
    }
    return durable_rename(temporary, to, error);
}

enum status slurm_copy_checkpoint(const char *from, const char *to, const char *sha256,
                                  bool *ret_of_source, struct error *error) {
    struct error of_source;
    enum status status = copy_whole(from, to, sha256, error);
    *ret_of_source = false;
    if (status == STATUS_OK) {
        return STATUS_OK;
    }
    enum status found = check_source(from, sha256, &of_source);
    if (found == STATUS_OK || found == STATUS_NO_MEMORY) {
        return status;
    }
    *ret_of_source = true;
    return error_set(error, found, "%s", of_source.message);
}

/* "000012-000345.safetensors", or the same with ".tmp". */
static bool is_checkpoint_name(const char *name) {
    static const char digits[] = "0123456789";
    size_t n_epochs = strspn(name, digits);
    const char *rest = name + n_epochs;
    size_t n_step = *rest == '-' ? strspn(rest + 1, digits) : 0;
    if (n_epochs == 0 || n_step == 0) {
        return false;
    }
    rest += 1 + n_step;
    return !strcmp(rest, ".safetensors") || !strcmp(rest, ".safetensors.tmp");
}

void slurm_remove_unlisted(const char *directory, const struct checkpoint_list *list) {
    DIR *entries = opendir(directory);
    if (!entries) {
        return;
    }
    for (struct dirent *entry = readdir(entries); entry; entry = readdir(entries)) {
        if (is_checkpoint_name(entry->d_name) && !checkpoint_list_names(list, entry->d_name)) {
            (void)unlinkat(dirfd(entries), entry->d_name, 0);
        }
    }
    (void)closedir(entries);
}
