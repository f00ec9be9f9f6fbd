/* Layer: api. */
#include "daemon/main/command_backup.h"

#include <arpa/inet.h>
#include <cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "core/base/durable.h"
#include "core/base/sha256.h"
#include "daemon/config/lock.h"
#include "daemon/config/text_file.h"
#include "daemon/store/query/upkeep.h"
#include "daemon/work/backup.h"

enum { PATH_SIZE = CONFIG_TEXT_SIZE + 64, ANSWER_BYTES = 64 * 1024 };

/* ---- a running daemon ---- */

static enum status connect_path(const char *path, int *ret_fd, struct error *error) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (snprintf(address.sun_path, sizeof(address.sun_path), "%s", path) >=
        (int)sizeof(address.sun_path)) {
        return error_set(error, STATUS_INVALID, "the path %s is too long for a socket", path);
    }
    CLEANUP(close_fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        return error_set_errno(error, errno, "cannot connect to the daemon at %s", path);
    }
    *ret_fd = fd;
    fd = -1;
    return STATUS_OK;
}

/* "127.0.0.1:8080", "[::1]:8080" */
static enum status connect_address(char *text, int *ret_fd, struct error *error) {
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    char *colon = strrchr(text, ':');
    bool six = text[0] == '[' && colon && colon > text && colon[-1] == ']';
    if (colon) {
        *colon = '\0';
        v4.sin_port = v6.sin6_port = htons((uint16_t)atoi(colon + 1));
    }
    if (six) {
        colon[-1] = '\0';
    }
    bool good = six ? inet_pton(AF_INET6, text + 1, &v6.sin6_addr) == 1
                    : inet_pton(AF_INET, text, &v4.sin_addr) == 1;
    if (!good) {
        return error_set(error, STATUS_INVALID, "the daemon's address %s is not understood", text);
    }
    CLEANUP(close_fd) int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr *address =
        six ? (const struct sockaddr *)&v6 : (const struct sockaddr *)&v4;
    if (fd < 0 || connect(fd, address, six ? sizeof(v6) : sizeof(v4)) != 0) {
        return error_set_errno(error, errno, "cannot connect to the daemon at %s", text);
    }
    *ret_fd = fd;
    fd = -1;
    return STATUS_OK;
}

static enum status connect_daemon(const struct config *config, int *ret_fd, struct error *error) {
    char path[PATH_SIZE];
    CLEANUP(free_pointer) char *text = NULL;
    size_t n_bytes = 0;
    if (config->unix_socket[0]) {
        return connect_path(config->unix_socket, ret_fd, error);
    }
    (void)snprintf(path, sizeof(path), "%s/address", config->state_dir);
    TRY(text_file_read(path, 1024, &text, &n_bytes, error));
    text[strcspn(text, "\n")] = '\0';
    if (!strncmp(text, "unix:", 5)) {
        return connect_path(text + 5, ret_fd, error);
    }
    if (strstr(text, "://")) {
        return error_set(
            error, STATUS_UNSUPPORTED,
            "the daemon speaks HTTPS only; give it a unix_socket as well, or use: curl "
            "-X POST %s/api/v1/admin/backup",
            text);
    }
    return connect_address(text, ret_fd, error);
}

static enum status send_all(int fd, const char *text, struct error *error) {
    size_t left = strlen(text);
    while (left > 0) {
        ssize_t n = send(fd, text, left, MSG_NOSIGNAL);
        if (n < 0) {
            return error_set_errno(error, errno, "cannot ask the daemon");
        }
        text += n;
        left -= (size_t)n;
    }
    return STATUS_OK;
}

/* The whole answer, as text. */
static enum status receive_all(int fd, char answer[ANSWER_BYTES], struct error *error) {
    size_t used = 0;
    ssize_t n = 0;
    while (used < ANSWER_BYTES - 1 &&
           (n = recv(fd, answer + used, ANSWER_BYTES - 1 - used, 0)) > 0) {
        used += (size_t)n;
    }
    answer[used] = '\0';
    return n < 0 ? error_set_errno(error, errno, "the daemon does not answer") : STATUS_OK;
}

static const char *text_of(const cJSON *object, const char *name) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text ? text : "";
}

struct copy {
    char path[PATH_SIZE * 2];
    char directory[PATH_SIZE * 2];
    char sha256[SHA256_HEX_SIZE];
};

static void delete_json(cJSON **json) {
    cJSON_Delete(*json);
}

static enum status read_answer(const char *answer, const char *state_dir, struct copy *ret_copy,
                               struct error *error) {
    const char *body = strstr(answer, "\r\n\r\n");
    CLEANUP(delete_json) cJSON *json = body ? cJSON_Parse(body + 4) : NULL;
    if (!json || strncmp(answer, "HTTP/1.1 201 ", 13) != 0) {
        bool no_token = strncmp(answer, "HTTP/1.1 401 ", 13) == 0;
        return error_set(error, STATUS_FORBIDDEN, "the daemon makes no backup: %s%s",
                         json ? text_of(json, "detail") : "its answer is not understood",
                         no_token ? " (here: in the variable CUTOUTD_TOKEN)" : "");
    }
    const char *name = text_of(json, "name");
    if (!backup_name_is_good(name)) {
        return error_set(error, STATUS_CORRUPT, "the daemon's answer has no name of a backup");
    }
    /* In our words: the daemon may see its directory under another path. */
    (void)snprintf(ret_copy->directory, sizeof(ret_copy->directory), "%s/backups/%s", state_dir,
                   name);
    (void)snprintf(ret_copy->path, sizeof(ret_copy->path), "%s/backups/%s/cutoutd.db", state_dir,
                   name);
    (void)snprintf(ret_copy->sha256, sizeof(ret_copy->sha256), "%s", text_of(json, "sha256"));
    return STATUS_OK;
}

static enum status ask_daemon(const struct config *config, struct copy *ret_copy,
                              struct error *error) {
    const char *token = getenv("CUTOUTD_TOKEN");
    char request[1024];
    CLEANUP(close_fd) int fd = -1;
    CLEANUP(free_pointer) char *answer = malloc(ANSWER_BYTES);
    if (!answer) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the daemon's answer");
    }
    TRY(connect_daemon(config, &fd, error));
    (void)snprintf(request, sizeof(request),
                   "POST /api/v1/admin/backup HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                   "Content-Length: 0\r\n%s%.512s%s\r\n",
                   token ? "Authorization: Bearer " : "", token ? token : "", token ? "\r\n" : "");
    TRY(send_all(fd, request, error));
    TRY(receive_all(fd, answer, error));
    return read_answer(answer, config->state_dir, ret_copy, error);
}

/* ---- files ---- */

static enum status copy_bytes(int from, int to, const char *path, struct error *error) {
    char buffer[64 * 1024];
    ssize_t n = 0;
    while ((n = read(from, buffer, sizeof(buffer))) > 0) {
        for (ssize_t done = 0; done < n;) {
            ssize_t written = write(to, buffer + done, (size_t)(n - done));
            if (written < 0) {
                return error_set_errno(error, errno, "cannot write %s", path);
            }
            done += written;
        }
    }
    return n == 0 && fsync(to) == 0 ? STATUS_OK
                                    : error_set_errno(error, errno, "cannot copy to %s", path);
}

static enum status copy_file(const struct copy *copy, const char *target, struct error *error) {
    char sha256[SHA256_HEX_SIZE];
    CLEANUP(close_fd) int from = open(copy->path, O_RDONLY | O_CLOEXEC);
    if (from < 0) {
        return error_set_errno(error, errno, "the backup is made, but cannot be read at %s",
                               copy->path);
    }
    CLEANUP(close_fd) int to = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (to < 0) {
        return error_set_errno(error, errno, "cannot create %s", target);
    }
    TRY(copy_bytes(from, to, target, error));
    TRY(sha256_file(target, sha256, error));
    return strcmp(sha256, copy->sha256) == 0
               ? STATUS_OK
               : error_set(error, STATUS_CORRUPT, "%s is not what the daemon wrote", target);
}

static enum status fetch(const struct config *config, const char *target, struct error *error) {
    struct copy copy = {.path = ""};
    TRY(ask_daemon(config, &copy, error));
    TRY(copy_file(&copy, target, error));
    (void)unlink(copy.path);
    (void)rmdir(copy.directory);
    return STATUS_OK;
}

/* `temporary` is written, or gone. */
static enum status make(const struct config *config, const char *temporary, bool *ret_asked,
                        struct error *error) {
    char source[PATH_SIZE];
    CLEANUP(close_fd) int lock = -1;
    enum status status = lock_take(config->state_dir, &lock, error);
    *ret_asked = status == STATUS_BUSY;
    if (status == STATUS_BUSY) {
        return fetch(config, temporary, error);
    }
    TRY(status);
    (void)snprintf(source, sizeof(source), "%s/cutoutd.db", config->state_dir);
    return upkeep_copy(source, temporary, NULL, error);
}

int command_backup(const struct config *config, const char *file) {
    struct error error;
    bool asked = false;
    CLEANUP(free_pointer) char *temporary = NULL;
    if (asprintf(&temporary, "%s.tmp", file) < 0) {
        temporary = NULL;
        (void)fputs("cutoutd: out of memory\n", stderr);
        return 1;
    }
    (void)unlink(temporary);
    enum status status = make(config, temporary, &asked, &error);
    if (status == STATUS_OK) {
        status = durable_rename(temporary, file, &error);
    }
    if (status != STATUS_OK) {
        (void)unlink(temporary);
        (void)fprintf(stderr, "cutoutd: %s\n", error.message);
        return 1;
    }
    (void)printf("%s: the database of %s%s; checkpoints are not in it\n", file, config->state_dir,
                 asked ? ", by its running daemon" : "");
    return 0;
}
