/* Layer: daemon/main. */
#include "daemon/main/command_backup.h"

#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "core/base/durable.h"
#include "core/base/sha256.h"
#include "core/base/text_stream.h"
#include "daemon/config/copy_file.h"
#include "daemon/config/lock.h"
#include "daemon/config/state_dir.h"
#include "daemon/config/text_file.h"
#include "daemon/store/db_copy.h"
#include "daemon/work/backup.h"

enum { PATH_SIZE = CONFIG_TEXT_SIZE + 64, CONNECT_TIMEOUT_S = 10 };

/* ---- a running daemon ---- */

/* Where it listens: the path of a socket, or the origin of URLs ("https://127.0.0.1:8443"). */
struct place {
    char socket_path[PATH_SIZE];
    char origin[PATH_SIZE];
};

static enum status find_daemon(const struct config *config, struct place *ret_place,
                               struct error *error) {
    char path[PATH_SIZE];
    CLEANUP(free_pointer) char *text = NULL;
    size_t n_bytes = 0;
    const char *address = "";
    const char *socket_path = config->unix_socket;
    if (!socket_path[0]) {
        (void)snprintf(path, sizeof(path), "%s/address", config->state_dir);
        TRY(text_file_read(path, 1024, &text, &n_bytes, error));
        text[strcspn(text, "\n")] = '\0';
        address = text;
        socket_path = strncmp(text, "unix:", 5) == 0 ? text + 5 : "";
    }
    (void)snprintf(ret_place->socket_path, sizeof(ret_place->socket_path), "%s", socket_path);
    if (socket_path[0]) {
        (void)snprintf(ret_place->origin, sizeof(ret_place->origin), "http://localhost");
    } else {
        (void)snprintf(ret_place->origin, sizeof(ret_place->origin), "%s%s",
                       strstr(address, "://") ? "" : "http://", address);
    }
    return STATUS_OK;
}

static void close_curl(CURL **curl) {
    curl_easy_cleanup(*curl);
}

static void free_headers(struct curl_slist **headers) {
    curl_slist_free_all(*headers);
}

static bool add_header(struct curl_slist **headers, const char *line) {
    struct curl_slist *longer = curl_slist_append(*headers, line);
    *headers = longer ? longer : *headers;
    return longer != NULL;
}

static bool add_headers(struct curl_slist **headers) {
    const char *token = getenv("CUTOUTD_TOKEN");
    CLEANUP(free_pointer) char *line = NULL;
    if (token && asprintf(&line, "Authorization: Bearer %s", token) < 0) {
        line = NULL;
        return false;
    }
    return add_header(headers, "Content-Type: application/json") &&
           (!token || add_header(headers, line));
}

/* The daemon that holds the lock of this state directory is asked at the address that it wrote
 * there, so the certificate in the configuration is trusted whatever name it was made for. */
static bool set_tls(CURL *curl, const struct config *config) {
    return curl_easy_setopt(curl, CURLOPT_CAINFO, config->tls_cert) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L) == CURLE_OK;
}

static size_t take_body(char *data, size_t size, size_t n, void *user) {
    return fwrite(data, size, n, (FILE *)user) * size;
}

static bool set_options(CURL *curl, const struct config *config, const struct place *place,
                        struct curl_slist *headers, FILE *body, char *reason) {
    char url[PATH_SIZE + 64];
    (void)snprintf(url, sizeof(url), "%s/api/v1/admin/backup", place->origin);
    bool good = curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK;
    good &= curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    good &=
        curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK; /* whatever the environment says */
    good &= curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason) == CURLE_OK;
    good &= curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
    good &= curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S) == CURLE_OK;
    good &= curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "{}") == CURLE_OK;
    good &= curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) == CURLE_OK;
    good &= curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK;
    good &= curl_easy_setopt(curl, CURLOPT_WRITEDATA, body) == CURLE_OK;
    if (place->socket_path[0]) {
        good &= curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, place->socket_path) == CURLE_OK;
    }
    return good && (!config->tls_cert[0] || set_tls(curl, config));
}

/* Asks for a backup. *ret_body is the caller's, also after a failure. */
static enum status post(const struct config *config, const struct place *place, char **ret_body,
                        long *ret_http_status, struct error *error) {
    CLEANUP(free_headers) struct curl_slist *headers = NULL;
    CLEANUP(close_curl) CURL *curl = curl_easy_init();
    char reason[CURL_ERROR_SIZE] = "";
    size_t n_bytes = 0;
    FILE *body = curl && add_headers(&headers) ? text_stream_open(ret_body, &n_bytes) : NULL;
    if (!body) {
        return error_set(error, STATUS_NO_MEMORY, "no memory to ask the daemon");
    }
    CURLcode code = set_options(curl, config, place, headers, body, reason)
                        ? curl_easy_perform(curl)
                        : CURLE_FAILED_INIT;
    bool whole = text_stream_close(body, ret_body) != NULL;
    if (code != CURLE_OK) {
        return error_set(error, STATUS_IO, "cannot ask the daemon at %s: %s",
                         place->socket_path[0] ? place->socket_path : place->origin,
                         reason[0] ? reason : curl_easy_strerror(code));
    }
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_http_status);
    return whole ? STATUS_OK
                 : error_set(error, STATUS_NO_MEMORY, "no memory for the daemon's answer");
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

static enum status read_answer(const char *body, long http_status, const char *state_dir,
                               struct copy *ret_copy, struct error *error) {
    CLEANUP(delete_json) cJSON *json = cJSON_Parse(body);
    if (!json || http_status != 201) {
        return error_set(error, STATUS_FORBIDDEN, "the daemon makes no backup: %s%s",
                         json ? text_of(json, "detail") : "its answer is not understood",
                         http_status == 401 ? " (here: in the variable CUTOUTD_TOKEN)" : "");
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
    struct place place;
    long http_status = 0;
    CLEANUP(free_pointer) char *body = NULL;
    TRY(find_daemon(config, &place, error));
    TRY(post(config, &place, &body, &http_status, error));
    return read_answer(body ? body : "", http_status, config->state_dir, ret_copy, error);
}

/* ---- files ---- */

static enum status bring(const struct copy *copy, const char *target, struct error *error) {
    char sha256[SHA256_HEX_SIZE];
    enum status status = copy_file(copy->path, target, NULL, error);
    if (status != STATUS_OK) {
        error_prefix(error, "the daemon made a backup, but it cannot be brought here");
        return status;
    }
    TRY(sha256_file(target, sha256, error));
    return strcmp(sha256, copy->sha256) == 0
               ? STATUS_OK
               : error_set(error, STATUS_CORRUPT, "%s is not what the daemon wrote", target);
}

static enum status fetch(const struct config *config, const char *target, struct error *error) {
    struct copy copy = {.path = ""};
    TRY(ask_daemon(config, &copy, error));
    enum status status = bring(&copy, target, error);
    /* Also after a failure: one each night would fill the daemon's disk. */
    (void)unlink(copy.path);
    (void)rmdir(copy.directory);
    return status;
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
    return db_copy(source, temporary, NULL, error);
}

/* What is there under the name may be replaced: a copy of before. Neither a directory, which may be
 * full of them, nor what a daemon works with. */
static enum status check_target(const struct config *config, const char *file,
                                struct error *error) {
    const char *slash = strrchr(file, '/');
    CLEANUP(free_pointer)
    char *directory = slash ? strndup(file, (size_t)(slash - file) + 1) : strdup(".");
    struct stat target;
    struct stat state;
    if (!directory) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for a path");
    }
    if ((slash && !slash[1]) || (stat(file, &target) == 0 && !S_ISREG(target.st_mode))) {
        return error_set(error, STATUS_INVALID,
                         "%s is no file; give the copy a name of its own, such as %s%scutoutd.db",
                         file, file, slash && !slash[1] ? "" : "/");
    }
    if (stat(directory, &target) == 0 && stat(config->state_dir, &state) == 0 &&
        target.st_dev == state.st_dev && target.st_ino == state.st_ino &&
        state_dir_is_own(slash ? slash + 1 : file)) {
        return error_set(error, STATUS_INVALID,
                         "%s is a file of the daemon's own; put the copy somewhere else", file);
    }
    return STATUS_OK;
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
    if (check_target(config, file, &error) != STATUS_OK) {
        (void)fprintf(stderr, "cutoutd: %s\n", error.message);
        return 1;
    }
    (void)unlink(temporary);
    (void)signal(SIGXFSZ, SIG_IGN); /* the write fails with EFBIG, which says what is wrong */
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
