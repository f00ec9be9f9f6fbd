/* Layer: daemon/config. */
#include "daemon/config/as_service.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "daemon/config/config_internal.h"
#include "daemon/config/text_file.h"
#include "daemon/config/unit_file.h"
#include "daemon/config/unit_user.h"

static const char UNIT[] = "cutoutd.service";
static const char CREDENTIALS[] = "/run/credentials/cutoutd.service";

enum {
    MOST_WORDS = 64,
    MOST_CREDENTIALS = 16,
    MAX_FILE_BYTES = 64 * 1024,
};

struct credential {
    char name[64];
    char path[CONFIG_TEXT_SIZE]; /* "": its content stands in the unit */
    const char *origin;          /* the unit's */
};

struct as_service {
    struct unit_file unit;
    char *environment[MOST_WORDS + 1]; /* of settings alone, NULL behind the last; owned */
    size_t n_environment;
    char *flags[MOST_WORDS]; /* behind `serve`; owned */
    size_t n_flags;
    struct credential credentials[MOST_CREDENTIALS];
    size_t n_credentials;
    char state_dir[CONFIG_TEXT_SIZE]; /* that systemd makes; "": none, as the next */
    char runtime_dir[CONFIG_TEXT_SIZE];
};

void as_service_free(struct as_service *service) {
    if (service) {
        unit_file_clear(&service->unit);
        for (size_t i = 0; i < service->n_environment; i++) {
            free(service->environment[i]);
        }
        for (size_t i = 0; i < service->n_flags; i++) {
            free(service->flags[i]);
        }
        free(service);
    }
}

/* ---- what the unit says ---- */

/* With %d as systemd writes it. NULL: no memory. */
static char *expand(const char *text) {
    char *expanded = NULL;
    const char *at = strstr(text, "%d");
    if (!at) {
        return strdup(text);
    }
    return asprintf(&expanded, "%.*s%s%s", (int)(at - text), text, CREDENTIALS, at + 2) < 0
               ? NULL
               : expanded;
}

static void add_variable(struct as_service *service, const char *assignment) {
    bool wanted =
        !strncmp(assignment, "CUTOUTD_", 8) || !strncmp(assignment, "STATE_DIRECTORY=", 16);
    char *copy = wanted && service->n_environment < MOST_WORDS ? expand(assignment) : NULL;
    if (copy) {
        service->environment[service->n_environment++] = copy;
    }
}

static void read_environment(struct as_service *service) {
    const struct unit_setting *setting = NULL;
    size_t at = unit_file_first(&service->unit, "Environment");
    while ((setting = unit_file_next(&service->unit, "Environment", &at)) != NULL) {
        char *words[MOST_WORDS];
        size_t n = unit_words(setting->value, words, MOST_WORDS);
        for (size_t i = 0; i < n; i++) {
            add_variable(service, words[i]);
        }
    }
}

static enum status read_environment_file(struct as_service *service,
                                         const struct unit_setting *setting, struct error *error) {
    CLEANUP(free_pointer) char *text = NULL;
    size_t n_bytes = 0;
    bool may_miss = setting->value[0] == '-';
    enum status status =
        text_file_read(setting->value + may_miss, MAX_FILE_BYTES, &text, &n_bytes, error);
    if (status != STATUS_OK) {
        error_prefix(error, "%s: EnvironmentFile", setting->origin);
        return may_miss && status == STATUS_NOT_FOUND ? STATUS_OK : status;
    }
    char *rest = text;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *words[1];
        line += strspn(line, " \t");
        if (*line != '#' && *line != ';' && unit_words(line, words, 1) == 1) {
            add_variable(service, words[0]);
        }
    }
    return STATUS_OK;
}

static enum status read_environment_files(struct as_service *service, struct error *error) {
    const struct unit_setting *setting = NULL;
    size_t at = unit_file_first(&service->unit, "EnvironmentFile");
    while ((setting = unit_file_next(&service->unit, "EnvironmentFile", &at)) != NULL) {
        TRY(read_environment_file(service, setting, error));
    }
    return STATUS_OK;
}

/* The flags behind `serve`. */
static void read_command(struct as_service *service) {
    const struct unit_setting *setting = unit_file_last(&service->unit, "ExecStart");
    char *words[MOST_WORDS];
    size_t n = setting ? unit_words(setting->value, words, MOST_WORDS) : 0;
    size_t i = 0;
    while (i < n && strcmp(words[i], "serve") != 0) {
        i++;
    }
    for (i++; i < n; i++) {
        char *copy = expand(words[i]);
        if (copy) {
            service->flags[service->n_flags++] = copy;
        }
    }
}

/* "NAME:PATH"; a path that is not a whole one, or none at all, is looked for where systemd does. */
static void add_credential(struct as_service *service, const struct unit_setting *setting,
                           bool inside) {
    static const char *const stores[] = {"/etc/credstore", "/run/credstore",
                                         "/usr/local/lib/credstore", "/usr/lib/credstore"};
    if (service->n_credentials == MOST_CREDENTIALS) {
        return;
    }
    struct credential *c = &service->credentials[service->n_credentials++];
    const char *colon = strchr(setting->value, ':');
    size_t n = colon ? (size_t)(colon - setting->value) : strlen(setting->value);
    const char *path = colon ? colon + 1 : setting->value;
    (void)snprintf(c->name, sizeof(c->name), "%.*s", (int)n, setting->value);
    c->origin = setting->origin;
    if (!inside) {
        (void)snprintf(c->path, sizeof(c->path), "%s", path);
    }
    for (size_t i = 0; !inside && path[0] != '/' && i < sizeof(stores) / sizeof(stores[0]); i++) {
        (void)snprintf(c->path, sizeof(c->path), "%s/%s", stores[i], path);
        if (access(c->path, F_OK) == 0) {
            return;
        }
    }
}

static void read_credentials(struct as_service *service) {
    static const struct {
        const char *key;
        bool inside; /* the content stands in the unit, or is not to be read without systemd */
    } kinds[] = {{"SetCredential", true},
                 {"SetCredentialEncrypted", true},
                 {"LoadCredentialEncrypted", true},
                 {"LoadCredential", false}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const struct unit_setting *setting = NULL;
        size_t at = unit_file_first(&service->unit, kinds[i].key);
        while ((setting = unit_file_next(&service->unit, kinds[i].key, &at)) != NULL) {
            add_credential(service, setting, kinds[i].inside);
        }
    }
}

/* The first of those that systemd makes. */
static void read_directory(const struct as_service *service, const char *key, const char *above,
                           char directory[CONFIG_TEXT_SIZE]) {
    const struct unit_setting *setting = unit_file_last(&service->unit, key);
    char *words[1];
    if (setting && unit_words(setting->value, words, 1) == 1) {
        words[0][strcspn(words[0], ":")] = '\0'; /* a link's name follows */
        (void)snprintf(directory, CONFIG_TEXT_SIZE, "%s/%s", above, words[0]);
    }
}

static enum status read_unit(struct as_service *service, struct error *error) {
    char assignment[CONFIG_TEXT_SIZE + 32];
    TRY(unit_file_read(UNIT, &service->unit, error));
    read_directory(service, "StateDirectory", "/var/lib", service->state_dir);
    read_directory(service, "RuntimeDirectory", "/run", service->runtime_dir);
    if (service->state_dir[0]) {
        (void)snprintf(assignment, sizeof(assignment), "STATE_DIRECTORY=%s", service->state_dir);
        add_variable(service, assignment);
    }
    read_environment(service);
    TRY(read_environment_files(service, error));
    read_command(service);
    read_credentials(service);
    return STATUS_OK;
}

enum status as_service_read(struct as_service **ret_service, struct error *error) {
    struct as_service *service = calloc(1, sizeof(*service));
    enum status status = service ? read_unit(service, error)
                                 : error_set(error, STATUS_NO_MEMORY, "no memory for the unit");
    if (status != STATUS_OK) {
        as_service_free(service);
        return status;
    }
    *ret_service = service;
    return STATUS_OK;
}

/* ---- the settings ---- */

static const struct credential *find_credential(const struct as_service *service,
                                                const char *name) {
    for (size_t i = 0; i < service->n_credentials; i++) {
        if (strcmp(service->credentials[i].name, name) == 0) {
            return &service->credentials[i];
        }
    }
    return NULL;
}

/* Of a path that will be a credential's. */
static const struct credential *credential_of(const struct as_service *service, const char *path) {
    size_t n = strlen(CREDENTIALS);
    return strncmp(path, CREDENTIALS, n) == 0 && path[n] == '/'
               ? find_credential(service, path + n + 1)
               : NULL;
}

static void set_path(struct config *config, enum config_key key, const struct credential *c) {
    char origin[CONFIG_ORIGIN_SIZE];
    (void)snprintf(origin, sizeof(origin), "%.500s: credential %s", c->origin, c->name);
    (void)config_set_text(config, (int)key, c->path[0] ? c->path : "(in the unit)", origin, NULL);
}

void as_service_load(const struct as_service *service, int argc, char *const *argv,
                     const char *default_file, struct config *ret_config,
                     struct config_problems *ret_problems) {
    char *words[2 * MOST_WORDS] = {NULL};
    static const enum config_key paths[] = {CONFIG_TOKENS_FILE, CONFIG_TLS_CERT, CONFIG_TLS_KEY};
    int n = 0;
    for (size_t i = 0; i < service->n_flags; i++) {
        words[n++] = service->flags[i];
    }
    for (int i = 0; i < argc && n < 2 * MOST_WORDS; i++) {
        words[n++] = argv[i];
    }
    config_load_all(n, words, service->environment, default_file, ret_config, ret_problems);
    const struct credential *tokens = find_credential(service, "tokens");
    if (tokens && !strcmp(ret_config->origin[CONFIG_TOKENS_FILE], "default")) {
        set_path(ret_config, CONFIG_TOKENS_FILE, tokens);
    }
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        const struct credential *c = credential_of(service, ret_config->text[paths[i]]);
        if (c) {
            set_path(ret_config, paths[i], c);
        }
    }
    memory_bound_of_unit(&service->unit, "/sys/fs/cgroup", &ret_config->memory);
    (void)config_resolve_memory(ret_config, &(struct error){0}); /* a wrong one was told already */
    (void)snprintf(ret_config->tokens_file, sizeof(ret_config->tokens_file), "%s",
                   ret_config->text[CONFIG_TOKENS_FILE]);
    (void)snprintf(ret_config->tls_cert, sizeof(ret_config->tls_cert), "%s",
                   ret_config->text[CONFIG_TLS_CERT]);
    (void)snprintf(ret_config->tls_key, sizeof(ret_config->tls_key), "%s",
                   ret_config->text[CONFIG_TLS_KEY]);
}

/* ---- what its user could use ---- */

static bool is_below(const char *path, const char *directory) {
    size_t n = strlen(directory);
    return n > 0 && strncmp(path, directory, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static bool says_yes(const struct as_service *service, const char *key) {
    const struct unit_setting *setting = unit_file_last(&service->unit, key);
    return setting && (!strcmp(setting->value, "yes") || !strcmp(setting->value, "true") ||
                       !strcmp(setting->value, "on") || !strcmp(setting->value, "1"));
}

/* Where the service sees another directory than everybody else does. */
static void check_view(const struct as_service *service, const char *origin, const char *path,
                       struct config_problems *problems) {
    const struct unit_setting *home = unit_file_last(&service->unit, "ProtectHome");
    bool no_home = says_yes(service, "ProtectHome") || (home && !strcmp(home->value, "tmpfs"));
    bool in_home =
        is_below(path, "/home") || is_below(path, "/root") || is_below(path, "/run/user");
    bool in_tmp = is_below(path, "/tmp") || is_below(path, "/var/tmp");
    struct error error;
    if (path[0] && ((no_home && in_home) || (says_yes(service, "PrivateTmp") && in_tmp))) {
        (void)error_set(&error, STATUS_FORBIDDEN,
                        "%s: the service does not see %s (%s= of the unit)", origin, path,
                        in_tmp ? "PrivateTmp" : "ProtectHome");
        config_problems_add(problems, &error);
    }
}

/* With ProtectSystem=strict only what systemd makes for it, and ReadWritePaths=, may be written. */
static void check_writable(const struct as_service *service, const struct config *config,
                           enum config_key key, const char *path, const char *made,
                           struct config_problems *problems) {
    const struct unit_setting *protection = unit_file_last(&service->unit, "ProtectSystem");
    const struct unit_setting *setting = NULL;
    bool writable =
        !path[0] || is_below(path, made) || !protection || strcmp(protection->value, "strict") != 0;
    size_t at = unit_file_first(&service->unit, "ReadWritePaths");
    while (!writable && (setting = unit_file_next(&service->unit, "ReadWritePaths", &at)) != NULL) {
        char *words[MOST_WORDS];
        CLEANUP(free_pointer) char *value = strdup(setting->value);
        size_t n = value ? unit_words(value, words, MOST_WORDS) : 0;
        for (size_t i = 0; i < n; i++) {
            writable = writable || is_below(path, words[i]);
        }
    }
    struct error error;
    if (!writable) {
        (void)error_set(&error, STATUS_FORBIDDEN,
                        "%s: the service may not write to %s (ProtectSystem=strict of the unit; "
                        "ReadWritePaths= allows it)",
                        config->origin[key], path);
        config_problems_add(problems, &error);
    }
}

/* What it shall read in the directory that systemd makes for it: by way of `state`, since nobody
 * else may come there. systemd gives all of it to the user only where the directory is not the
 * user's. */
static void check_state_files(const struct as_service *service, const struct config *config,
                              int state, struct config_problems *problems) {
    static const enum config_key keys[] = {CONFIG_TOKENS_FILE, CONFIG_TLS_CERT, CONFIG_TLS_KEY};
    const char *const paths[] = {config->tokens_file, config->tls_cert, config->tls_key};
    size_t n = strlen(service->state_dir);
    struct stat info;
    struct error error;
    if (state < 0 || fstat(state, &info) != 0 || info.st_uid != geteuid()) {
        return;
    }
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        if (is_below(paths[i], service->state_dir) && paths[i][n] == '/' &&
            faccessat(state, paths[i] + n + 1, R_OK, 0) != 0 && errno == EACCES) {
            (void)error_set(&error, STATUS_FORBIDDEN,
                            "%s: the service's user may not read %s; give it away with: chown "
                            "--reference=%s/ %s",
                            config->origin[keys[i]], paths[i], service->state_dir, paths[i]);
            config_problems_add(problems, &error);
        }
    }
}

/* In a process of its own, which only reports. */
static void check_in_child(const struct as_service *service, const struct config *config,
                           unsigned parts, int to) {
    struct config_problems *found = calloc(1, sizeof(*found));
    const struct unit_setting *unknown = NULL;
    int state = open(service->state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct error error;
    if (!found) {
        _exit(1);
    }
    if (unit_user_become(&service->unit, says_yes(service, "DynamicUser"), service->state_dir,
                         &unknown)) {
        config_check_files_read(config, found);
        config_check_files(config, parts, found);
        check_state_files(service, config, state, found);
    } else {
        (void)(unknown ? error_set(&error, STATUS_NOT_FOUND, "%s: %s=%s: there is no such %s",
                                   unknown->origin, unknown->key, unknown->value,
                                   strcmp(unknown->key, "User") != 0 ? "group" : "user")
                       : error_set_errno(&error, errno, "%s: cannot become its user", UNIT));
        config_problems_add(found, &error);
    }
    const char *bytes = (const char *)found;
    for (size_t done = 0; done < sizeof(*found);) {
        ssize_t n = write(to, bytes + done, sizeof(*found) - done);
        if (n <= 0) {
            _exit(1);
        }
        done += (size_t)n;
    }
    _exit(0);
}

static bool read_report(int from, struct config_problems *found) {
    char *bytes = (char *)found;
    size_t done = 0;
    for (ssize_t n = 1; done < sizeof(*found) && n > 0; done += n > 0 ? (size_t)n : 0) {
        n = read(from, bytes + done, sizeof(*found) - done);
    }
    return done == sizeof(*found);
}

static enum status check_as_user(const struct as_service *service, const struct config *config,
                                 unsigned parts, struct config_problems *problems,
                                 struct error *error) {
    struct config_problems found = {.n = 0};
    int ends[2];
    if (pipe(ends) != 0) {
        return error_set_errno(error, errno, "cannot look as the service does");
    }
    pid_t child = fork();
    if (child == 0) {
        (void)close(ends[0]);
        check_in_child(service, config, parts, ends[1]);
    }
    (void)close(ends[1]);
    bool whole = child > 0 && read_report(ends[0], &found);
    (void)close(ends[0]);
    if (child > 0) {
        (void)waitpid(child, NULL, 0);
    }
    if (!whole) {
        return error_set(error, STATUS_IO, "cannot look as the service's user does");
    }
    for (int i = 0; i < found.n; i++) {
        config_problems_add(problems, &found.items[i < CONFIG_MAX_PROBLEMS ? i : 0]);
    }
    return STATUS_OK;
}

/* What the parent, who is root, looks at: systemd reads it for the service, or hides from others
 * where it is. */
static unsigned parts_of_root(const struct as_service *service, const struct config *config) {
    unsigned parts = 0;
    const char *tokens = config->tokens_file;
    bool credential = strstr(config->origin[CONFIG_TOKENS_FILE], ": credential ") != NULL;
    parts |= tokens[0] == '/' && (credential || is_below(tokens, service->state_dir))
                 ? CONFIG_CHECK_TOKENS
                 : 0u;
    credential = strstr(config->origin[CONFIG_TLS_KEY], ": credential ") != NULL;
    parts |=
        credential || is_below(config->tls_key, service->state_dir) ? CONFIG_CHECK_TLS_KEY : 0u;
    credential = strstr(config->origin[CONFIG_TLS_CERT], ": credential ") != NULL;
    parts |=
        credential || is_below(config->tls_cert, service->state_dir) ? CONFIG_CHECK_TLS_CERT : 0u;
    return parts;
}

void as_service_check_files(const struct as_service *service, const struct config *config,
                            struct config_problems *problems) {
    struct error error;
    unsigned roots = parts_of_root(service, config);
    unsigned users = CONFIG_CHECK_ALL & ~roots;
    if (config->tokens_file[0] != '/') {
        users &= ~(unsigned)CONFIG_CHECK_TOKENS; /* none, or in the unit itself */
    }
    if (is_below(config->state_dir, service->state_dir)) {
        users &= ~(unsigned)CONFIG_CHECK_STATE_DIR; /* made by systemd */
    }
    if (is_below(config->unix_socket, service->runtime_dir)) {
        users &= ~(unsigned)CONFIG_CHECK_SOCKET;
    }
    if (geteuid() != 0) {
        (void)error_set(&error, STATUS_FORBIDDEN,
                        "--as-service: only root can find out what the service's user may use");
        config_problems_add(problems, &error);
        return;
    }
    for (int i = 0; i < config->n_datasets; i++) {
        check_view(service, config->datasets[i].origin, config->datasets[i].directory, problems);
    }
    check_view(service, config->origin[CONFIG_TLS_CERT],
               roots & CONFIG_CHECK_TLS_CERT ? "" : config->tls_cert, problems);
    check_writable(service, config, CONFIG_STATE_DIR, config->state_dir, service->state_dir,
                   problems);
    check_writable(service, config, CONFIG_UNIX_SOCKET, config->unix_socket, service->runtime_dir,
                   problems);
    config_check_files(config, roots, problems);
    if (check_as_user(service, config, users, problems, &error) != STATUS_OK) {
        config_problems_add(problems, &error);
    }
}
