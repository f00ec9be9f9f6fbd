/* Layer: daemon. */
#include "daemon/state_dir.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/text_file.h"

static enum status make_one(const char *path, struct error *error) {
    if (mkdir(path, 0750) != 0 && errno != EEXIST) {
        return error_set_errno(error, errno, "cannot make the directory %s", path);
    }
    struct stat info;
    if (stat(path, &info) != 0) {
        return error_set_errno(error, errno, "cannot look at %s", path);
    }
    return S_ISDIR(info.st_mode) ? STATUS_OK
                                 : error_set(error, STATUS_IO, "%s is not a directory", path);
}

enum status state_dir_make(const char *directory, struct error *error) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof(path), "%s", directory) >= (int)sizeof(path)) {
        return error_set(error, STATUS_INVALID, "the path of the state directory is too long");
    }
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        TRY(make_one(path, error));
        *slash = '/';
    }
    return make_one(path, error);
}

enum status state_dir_write_address(const char *directory, const char *address,
                                    struct error *error) {
    char path[PATH_MAX];
    char text[192];
    (void)snprintf(path, sizeof(path), "%s/address", directory);
    (void)snprintf(text, sizeof(text), "%s\n", address);
    return text_file_write(path, text, error);
}

void state_dir_remove_address(const char *directory) {
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/address", directory);
    (void)unlink(path);
}
