/* Reading the settings from their four sources. Layer: daemon. */
#include "daemon/config/config.h"

#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "daemon/config/config_internal.h"

static const char VARIABLE_PREFIX[] = "CUTOUTD_";

const struct config_setting config_settings[CONFIG_KEY_COUNT] = {
    [CONFIG_LISTEN] = {"listen", "127.0.0.1:8080",
                       "ADDR:PORT to serve on; port 0: any free one; none: the unix_socket only"},
    [CONFIG_UNIX_SOCKET] = {"unix_socket", "", "path of a socket to serve on as well"},
    [CONFIG_TLS_CERT] = {"tls_cert", "", "certificate with its chain (PEM): HTTPS on `listen`"},
    [CONFIG_TLS_KEY] = {"tls_key", "", "its key (PEM)"},
    [CONFIG_TOKENS_FILE] = {"tokens_file", "", "who may ask for what; see: cutoutd token"},
    [CONFIG_STATE_DIR] = {"state_dir", "/var/lib/cutoutd", "where database and checkpoints live"},
    [CONFIG_WORKERS] = {"workers", "1", "runs that train at the same time"},
    [CONFIG_THREADS_PER_RUN] = {"threads_per_run", "auto", "auto: all cores / workers"},
    [CONFIG_CHECKPOINT_INTERVAL_S] = {"checkpoint_interval_s", "300",
                                      "seconds between checkpoints inside an epoch"},
    [CONFIG_KEEP_CHECKPOINTS_DAYS] =
        {"keep_checkpoints_days", "0",
         "days after which finished runs lose all but their best checkpoint; 0: never"},
    [CONFIG_KEEP_EVENTS_DAYS] =
        {"keep_events_days", "30",
         "days that events are kept for streams and logs; histories stay; 0: for ever"},
    [CONFIG_MEMORY_LIMIT] = {"memory_limit", "80%",
                             "most that one run may need: a percentage, or bytes with K, M or G"},
    [CONFIG_LOG_LEVEL] = {"log_level", "info", "error, warning, info or debug"},
    [CONFIG_ISA] = {"isa", "auto", "best kernels to use: auto, ref, blas, avx2 or avx512"},
    [CONFIG_CONV_ALGORITHM] = {"conv_algorithm", "auto",
                               "3x3 convolutions of new runs: auto (best), direct or winograd"},
    [CONFIG_SHAPES_TRAIN] = {"shapes_train", "10000", "training images of the data set 'shapes'"},
    [CONFIG_SHAPES_TEST] = {"shapes_test", "2000", "test images of the data set 'shapes'"},
};

/* Whether `name` is the setting's name, with '-' for '_' and either case. */
static bool is_name_of(const char *name, size_t length, const char *setting) {
    if (length != strlen(setting)) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        char c = name[i] == '-' ? '_' : (char)(name[i] | 0x20);
        if ((setting[i] == '_' ? '_' : setting[i]) != (name[i] == '_' ? '_' : c)) {
            return false;
        }
    }
    return true;
}

static int find_key(const char *name, size_t length) {
    for (int key = 0; key < CONFIG_KEY_COUNT; key++) {
        if (is_name_of(name, length, config_settings[key].name)) {
            return key;
        }
    }
    return -1;
}

static enum status set_text(struct config *config, int key, const char *text, const char *origin,
                            struct error *error) {
    if (strlen(text) >= CONFIG_TEXT_SIZE) {
        return error_set(error, STATUS_INVALID, "%s: %s is longer than %d characters", origin,
                         config_settings[key].name, CONFIG_TEXT_SIZE - 1);
    }
    (void)snprintf(config->text[key], sizeof(config->text[key]), "%s", text);
    (void)snprintf(config->origin[key], sizeof(config->origin[key]), "%s", origin);
    return STATUS_OK;
}

/* A later source replaces a data set of the same name. */
static enum status set_dataset(struct config *config, const char *name, size_t name_length,
                               const char *directory, const char *origin, struct error *error) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
    if (name_length == 0 || name_length >= sizeof(config->datasets[0].name) ||
        strspn(name, allowed) < name_length) {
        return error_set(error, STATUS_INVALID,
                         "%s: the name of a data set has lower-case letters, digits, '-' and '_'",
                         origin);
    }
    if (name_length == 6 && !strncmp(name, "shapes", 6)) {
        return error_set(error, STATUS_INVALID,
                         "%s: 'shapes' is the generated data set; choose another name", origin);
    }
    if (directory[0] != '/' && directory[0] != '.' && !strchr(directory, '/')) {
        return error_set(error, STATUS_INVALID, "%s: '%s' is not a path to a directory", origin,
                         directory);
    }
    int i = 0;
    while (i < config->n_datasets && (strlen(config->datasets[i].name) != name_length ||
                                      strncmp(config->datasets[i].name, name, name_length) != 0)) {
        i++;
    }
    if (i == CONFIG_MAX_DATASETS || strlen(directory) >= CONFIG_TEXT_SIZE) {
        return error_set(error, STATUS_INVALID, "%s: too many data sets or too long a path",
                         origin);
    }
    struct config_dataset *d = &config->datasets[i];
    (void)snprintf(d->name, sizeof(d->name), "%.*s", (int)name_length, name);
    (void)snprintf(d->directory, sizeof(d->directory), "%s", directory);
    (void)snprintf(d->origin, sizeof(d->origin), "%s", origin);
    config->n_datasets = i == config->n_datasets ? i + 1 : config->n_datasets;
    return STATUS_OK;
}

/* ---- the file ---- */

struct file_reader {
    struct config *config;
    const char *path;
    FILE *stream;
    int line;
    enum status status; /* of the first key that was wrong */
    struct error *error;
};

/* fgets that counts, because the library does not tell its handler the line, and that refuses a
 * line longer than the library's buffer: its rest would be read as a line of its own. */
static char *read_line(char *text, int size, void *user) {
    struct file_reader *r = user;
    r->line++;
    char *line = r->status == STATUS_OK ? fgets(text, size, r->stream) : NULL;
    if (line && !strchr(line, '\n') && !feof(r->stream)) {
        r->status = error_set(r->error, STATUS_INVALID, "%s:%d: longer than %d characters", r->path,
                              r->line, size - 2);
        return NULL;
    }
    return line;
}

static int handle_key(void *user, const char *section, const char *name, const char *value) {
    struct file_reader *r = user;
    if (r->status != STATUS_OK) {
        return 0;
    }
    char origin[CONFIG_ORIGIN_SIZE];
    (void)snprintf(origin, sizeof(origin), "%s:%d", r->path, r->line);
    int key = find_key(name, strlen(name));
    if (!strcmp(section, "datasets")) {
        r->status = set_dataset(r->config, name, strlen(name), value, origin, r->error);
    } else if (*section) {
        r->status = error_set(r->error, STATUS_INVALID,
                              "%s: there is no section [%s]; settings stand above all sections, "
                              "data sets in [datasets]",
                              origin, section);
    } else if (key < 0) {
        r->status = error_set(r->error, STATUS_INVALID, "%s: unknown setting '%s'", origin, name);
    } else {
        r->status = set_text(r->config, key, value, origin, r->error);
    }
    return r->status == STATUS_OK;
}

static enum status load_file(struct config *config, const char *path, bool must_exist,
                             struct error *error) {
    CLEANUP(close_file) FILE *stream = fopen(path, "re");
    if (!stream) {
        return errno == ENOENT && !must_exist
                   ? STATUS_OK
                   : error_set_errno(error, errno, "cannot open the config file %s", path);
    }
    struct file_reader reader = {.config = config, .path = path, .stream = stream, .error = error};
    int failed = ini_parse_stream(read_line, &reader, handle_key, &reader);
    TRY(reader.status);
    if (failed) {
        return error_set(error, STATUS_INVALID, "%s:%d: neither 'key = value' nor [section]", path,
                         failed);
    }
    return STATUS_OK;
}

/* ---- the environment ---- */

static enum status load_environment(struct config *config, char *const *environment,
                                    struct error *error) {
    size_t prefix = strlen(VARIABLE_PREFIX);
    for (char *const *e = environment; *e; e++) {
        const char *equals = strchr(*e, '=');
        if (!equals || strncmp(*e, VARIABLE_PREFIX, prefix) != 0) {
            continue;
        }
        const char *name = *e + prefix;
        char origin[CONFIG_ORIGIN_SIZE];
        (void)snprintf(origin, sizeof(origin), "%.*s", (int)(equals - *e), *e);
        int key = find_key(name, (size_t)(equals - name));
        if (key < 0 && !strcmp(origin, "CUTOUTD_TOKEN")) {
            continue; /* a client's, no setting */
        }
        if (key < 0) {
            return error_set(error, STATUS_INVALID, "the variable %s names no setting", origin);
        }
        TRY(set_text(config, key, equals + 1, origin, error));
    }
    return STATUS_OK;
}

/* LoadCredential=tokens:... of a unit. */
static void load_credential(struct config *config, const char *directory) {
    char path[CONFIG_TEXT_SIZE];
    int length = snprintf(path, sizeof(path), "%s/tokens", directory);
    if (length < (int)sizeof(path) && access(path, F_OK) == 0) {
        (void)set_text(config, CONFIG_TOKENS_FILE, path, "CREDENTIALS_DIRECTORY", NULL);
    }
}

/* What systemd hands over arrives in variables of its own and counts as defaults. */
static void load_defaults(struct config *config, char *const *environment) {
    static const char variable[] = "STATE_DIRECTORY=";
    static const char credentials[] = "CREDENTIALS_DIRECTORY=";
    for (int key = 0; key < CONFIG_KEY_COUNT; key++) {
        (void)set_text(config, key, config_settings[key].fallback, "default", NULL);
    }
    for (char *const *e = environment; *e; e++) {
        if (!strncmp(*e, variable, strlen(variable))) {
            const char *directory = *e + strlen(variable);
            (void)set_text(config, CONFIG_STATE_DIR, directory, "STATE_DIRECTORY", NULL);
        }
        if (!strncmp(*e, credentials, strlen(credentials))) {
            load_credential(config, *e + strlen(credentials));
        }
    }
}

/* ---- the flags ---- */

struct flag {
    const char *name; /* behind the dashes */
    size_t name_length;
    const char *value;
    char origin[CONFIG_ORIGIN_SIZE];
};

/* Takes one flag and its value from argv[*i]; *i then stands on the last word taken. */
static enum status next_flag(int argc, char *const *argv, int *i, struct flag *ret_flag,
                             struct error *error) {
    const char *word = argv[*i];
    if (strncmp(word, "--", 2) != 0 || word[2] == '\0') {
        return error_set(error, STATUS_INVALID, "unexpected argument '%s'", word);
    }
    const char *equals = strchr(word, '=');
    struct flag flag = {.name = word + 2};
    flag.name_length = equals ? (size_t)(equals - flag.name) : strlen(flag.name);
    (void)snprintf(flag.origin, sizeof(flag.origin), "--%.*s", (int)flag.name_length, flag.name);
    if (equals) {
        flag.value = equals + 1;
    } else if (*i + 1 < argc && argv[*i + 1]) {
        flag.value = argv[++*i];
    } else {
        return error_set(error, STATUS_INVALID, "%s needs a value", flag.origin);
    }
    *ret_flag = flag;
    return STATUS_OK;
}

static bool flag_is(const struct flag *flag, const char *name) {
    return strlen(name) == flag->name_length && !strncmp(flag->name, name, flag->name_length);
}

static enum status load_flag(struct config *config, const struct flag *flag, struct error *error) {
    if (flag_is(flag, "config")) {
        return STATUS_OK; /* read before all others */
    }
    if (flag_is(flag, "dataset")) {
        const char *equals = strchr(flag->value, '=');
        if (!equals) {
            return error_set(error, STATUS_INVALID, "--dataset wants NAME=DIRECTORY, not '%s'",
                             flag->value);
        }
        return set_dataset(config, flag->value, (size_t)(equals - flag->value), equals + 1,
                           flag->origin, error);
    }
    int key =
        memchr(flag->name, '_', flag->name_length) ? -1 : find_key(flag->name, flag->name_length);
    if (key < 0) {
        return error_set(error, STATUS_INVALID, "unknown flag %s", flag->origin);
    }
    return set_text(config, key, flag->value, flag->origin, error);
}

static enum status load_flags(struct config *config, int argc, char *const *argv,
                              struct error *error) {
    for (int i = 0; i < argc; i++) {
        struct flag flag = {.name = "", .value = ""};
        TRY(next_flag(argc, argv, &i, &flag, error));
        TRY(load_flag(config, &flag, error));
    }
    return STATUS_OK;
}

static enum status find_config_flag(int argc, char *const *argv, const char **ret_path,
                                    struct error *error) {
    for (int i = 0; i < argc; i++) {
        struct flag flag = {.name = "", .value = ""};
        TRY(next_flag(argc, argv, &i, &flag, error));
        if (flag_is(&flag, "config")) {
            *ret_path = flag.value;
        }
    }
    return STATUS_OK;
}

static enum status load_all(struct config *config, int argc, char *const *argv,
                            char *const *environment, const char *default_file,
                            struct error *error) {
    const char *path = NULL;
    load_defaults(config, environment);
    TRY(find_config_flag(argc, argv, &path, error));
    if (path || default_file) {
        TRY(load_file(config, path ? path : default_file, path != NULL, error));
    }
    TRY(load_environment(config, environment, error));
    TRY(load_flags(config, argc, argv, error));
    return config_resolve(config, error);
}

enum status config_load(int argc, char *const *argv, char *const *environment,
                        const char *default_file, struct config *ret_config, struct error *error) {
    CLEANUP(free_pointer) struct config *config = calloc(1, sizeof(*config));
    if (!config) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the settings");
    }
    TRY(load_all(config, argc, argv, environment, default_file, error));
    *ret_config = *config;
    return STATUS_OK;
}
