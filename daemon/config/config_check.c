/* Whether what the settings name is there and may be used. Layer: daemon. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "daemon/config/config_internal.h"
#include "daemon/config/tokens.h"

/* A regular file that may be read. */
static enum status check_file(const char *origin, const char *path, struct error *error) {
    struct stat info;
    if (stat(path, &info) != 0) {
        return error_set_errno(error, errno, "%s: cannot look at %s", origin, path);
    }
    if (!S_ISREG(info.st_mode)) {
        return error_set(error, STATUS_INVALID, "%s: %s is no file", origin, path);
    }
    return access(path, R_OK) == 0
               ? STATUS_OK
               : error_set_errno(error, errno, "%s: cannot read %s", origin, path);
}

static void close_directory(DIR **directory) {
    if (*directory) {
        (void)closedir(*directory);
    }
}

/* CIFAR-100 is known by its train.bin (core/data/cifar10.c). */
static enum status check_dataset(const struct config_dataset *dataset, struct error *error) {
    static const char *const names[2][2] = {{"data_batch_1.bin", "test_batch.bin"},
                                            {"train.bin", "test.bin"}};
    CLEANUP(close_directory) DIR *directory = opendir(dataset->directory);
    if (!directory) {
        return error_set_errno(error, errno, "%s: cannot open the directory %s", dataset->origin,
                               dataset->directory);
    }
    int cifar100 = faccessat(dirfd(directory), names[1][0], F_OK, 0) == 0;
    for (size_t i = 0; i < 2; i++) {
        CLEANUP(free_pointer) char *path = NULL;
        if (asprintf(&path, "%s/%s", dataset->directory, names[cifar100][i]) < 0) {
            path = NULL;
            return error_set(error, STATUS_NO_MEMORY, "no memory for a path");
        }
        TRY(check_file(dataset->origin, path, error));
    }
    return STATUS_OK;
}

static enum status check_tokens(const struct config *config, struct error *error) {
    struct tokens *tokens = NULL;
    if (!config->tokens_file[0]) {
        return STATUS_OK;
    }
    enum status status = tokens_open(config->tokens_file, &tokens, error);
    if (status != STATUS_OK && error) {
        error_prefix(error, "%.100s", config->origin[CONFIG_TOKENS_FILE]);
    }
    tokens_close(tokens);
    return status;
}

/* The directory is there and may be written to, or can be made: so may the nearest that is there.
 */
static enum status check_place(const char *origin, const char *directory, struct error *error) {
    CLEANUP(free_pointer) char *path = strdup(directory);
    struct stat info;
    if (!path) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for a path");
    }
    while (stat(path, &info) != 0) {
        char *slash = strrchr(path, '/');
        if (errno != ENOENT || !slash) {
            return error_set_errno(error, errno, "%s: cannot look at %s", origin, path);
        }
        /* "/a" -> "/" */
        slash[slash == path] = '\0';
    }
    if (!S_ISDIR(info.st_mode)) {
        return error_set(error, STATUS_INVALID, "%s: %s is no directory", origin, path);
    }
    return access(path, W_OK | X_OK) == 0
               ? STATUS_OK
               : error_set_errno(error, errno, "%s: cannot write into %s", origin, path);
}

static enum status check_socket(const struct config *config, struct error *error) {
    const char *path = config->unix_socket;
    const char *slash = strrchr(path, '/');
    if (!path[0] || !slash || slash == path) {
        return STATUS_OK;
    }
    char directory[CONFIG_TEXT_SIZE];
    (void)snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path), path);
    /* Unlike the state directory it is not made. */
    return access(directory, W_OK | X_OK) == 0
               ? STATUS_OK
               : error_set_errno(error, errno, "%s: cannot make a socket in %s",
                                 config->origin[CONFIG_UNIX_SOCKET], directory);
}

static void add_if_bad(enum status status, const struct error *error,
                       struct config_problems *problems) {
    if (status != STATUS_OK) {
        config_problems_add(problems, error);
    }
}

void config_check_files(const struct config *config, unsigned parts,
                        struct config_problems *problems) {
    struct error error;
    if (parts & CONFIG_CHECK_TOKENS) {
        add_if_bad(check_tokens(config, &error), &error, problems);
    }
    if (parts & CONFIG_CHECK_TLS_CERT && config->tls_cert[0]) {
        add_if_bad(check_file(config->origin[CONFIG_TLS_CERT], config->tls_cert, &error), &error,
                   problems);
    }
    if (parts & CONFIG_CHECK_TLS_KEY && config->tls_key[0]) {
        add_if_bad(check_file(config->origin[CONFIG_TLS_KEY], config->tls_key, &error), &error,
                   problems);
    }
    if (parts & CONFIG_CHECK_SOCKET) {
        add_if_bad(check_socket(config, &error), &error, problems);
    }
    /* A relative one has been told already. */
    if (parts & CONFIG_CHECK_STATE_DIR && config->state_dir[0] == '/') {
        add_if_bad(check_place(config->origin[CONFIG_STATE_DIR], config->state_dir, &error), &error,
                   problems);
    }
    for (int i = 0; parts & CONFIG_CHECK_DATASETS && i < config->n_datasets; i++) {
        add_if_bad(check_dataset(&config->datasets[i], &error), &error, problems);
    }
}
