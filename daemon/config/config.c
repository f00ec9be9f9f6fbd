/* Reading the settings from their four sources. Layer: daemon. */
#include "daemon/config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/cleanup.h"
#include "daemon/config/config_internal.h"

static const char VARIABLE_PREFIX[] = "CUTOUTD_";

const struct config_setting config_settings[CONFIG_KEY_COUNT] = {
    [CONFIG_LISTEN] = {"listen", "127.0.0.1:8080",
                       "ADDR:PORT to serve on; port 0: any free one; none: the unix_socket only",
                       NULL},
    [CONFIG_UNIX_SOCKET] = {"unix_socket", "", "path of a socket to serve on as well", NULL},
    [CONFIG_TLS_CERT] = {"tls_cert", "", "certificate with its chain (PEM): HTTPS on `listen`",
                         NULL},
    [CONFIG_TLS_KEY] = {"tls_key", "", "its key (PEM)", NULL},
    [CONFIG_TOKENS_FILE] = {"tokens_file", "", "who may ask for what; see: cutoutd token", NULL},
    [CONFIG_ALLOWED_HOSTS] = {"allowed_hosts", "",
                              "names beside loopback ones that browsers may know the daemon by",
                              NULL},
    [CONFIG_TRUSTED_PROXIES] = {"trusted_proxies", "",
                                "addresses whose X-Forwarded-Prefix counts; unix: the unix_socket",
                                NULL},
    [CONFIG_STATE_DIR] = {"state_dir", "/var/lib/cutoutd", "where database and checkpoints live",
                          NULL},
    [CONFIG_WORKERS] = {"workers", "1", "runs that train at the same time", NULL},
    [CONFIG_THREADS_PER_RUN] = {"threads_per_run", "auto", "auto: all cores / workers", NULL},
    [CONFIG_PIN_THREADS] = {"pin_threads", "off",
                            "on: each thread stays on one core; for machines of their own", NULL},
    [CONFIG_CHECKPOINT_INTERVAL_S] = {"checkpoint_interval_s", "300",
                                      "seconds between checkpoints inside an epoch", NULL},
    [CONFIG_KEEP_CHECKPOINTS_DAYS] =
        {"keep_checkpoints_days", "0",
         "days after which finished runs lose all but their best checkpoint; 0: never", NULL},
    [CONFIG_KEEP_EVENTS_DAYS] =
        {"keep_events_days", "30",
         "days that events are kept for streams and logs; histories stay; 0: for ever", NULL},
    [CONFIG_KEEP_AUDIT_DAYS] = {"keep_audit_days", "365",
                                "days that GET /audit goes back; 0: for ever", NULL},
    [CONFIG_MEMORY_LIMIT] = {"memory_limit", "80%",
                             "most that one run may need: a percentage, or bytes with K, M or G",
                             NULL},
    [CONFIG_LOG_LEVEL] = {"log_level", "info", "error, warning, info or debug", NULL},
    [CONFIG_LOG_FORMAT] = {"log_format", "auto",
                           "auto: fields of the journal where it is there, else text; text or json",
                           NULL},
    [CONFIG_ISA] = {"isa", "auto", "best kernels to use: auto, ref, blas, avx2 or avx512", NULL},
    [CONFIG_CONV_ALGORITHM] = {"conv_algorithm", "auto",
                               "3x3 convolutions of new runs: auto (best), direct or winograd",
                               NULL},
    [CONFIG_ON_ARITHMETIC_CHANGE] = {"on_arithmetic_change", "restart",
                                     "runs whose bits cannot be gone on with here: restart, "
                                     "continue (with other bits) or fail",
                                     NULL},
    [CONFIG_SHAPES_TRAIN] = {"shapes_train", "10000", "training images of the data set 'shapes'",
                             NULL},
    [CONFIG_SHAPES_TEST] = {"shapes_test", "2000", "test images of the data set 'shapes'", NULL},
    [CONFIG_QUIET] = {"quiet", "",
                      "hours in which nothing trains here, such as Mon-Fri 08:00-18:00", NULL},
    [CONFIG_WEBHOOK_ADDRESSES] = {"webhook_addresses", "",
                                  "loopback and private addresses that webhooks may go to", NULL},
    [CONFIG_DISK_LOW] = {"disk_low", "5G",
                         "webhooks hear of disk_low with less free: bytes with K, M, G or T; 0: "
                         "never",
                         NULL},
    [CONFIG_STALLED_AFTER_S] = {"stalled_after_s", "1800",
                                "webhooks hear of a run that has not moved for so long; 0: never",
                                NULL},
    [CONFIG_EXECUTORS] = {"executors", "local",
                          "what trains runs: local, slurm or both; the first is the default", NULL},
    [CONFIG_SLURM_SHARED_DIR] = {"slurm_shared_dir", "",
                                 "directory that this machine and all nodes see", NULL},
    [CONFIG_SLURM_PARTITION] = {"slurm_partition", "", "of the jobs, as the next: Slurm's default",
                                NULL},
    [CONFIG_SLURM_ACCOUNT] = {"slurm_account", "", "whom the jobs are charged to", NULL},
    [CONFIG_SLURM_QOS] = {"slurm_qos", "", "quality of service of the jobs", NULL},
    [CONFIG_SLURM_TIME] = {"slurm_time", "", "limit of a job, as sbatch takes it: 1-12:00:00",
                           NULL},
    [CONFIG_SLURM_CPUS] = {"slurm_cpus", "1", "processors of a job, and threads of its run", NULL},
    [CONFIG_SLURM_MEM] = {"slurm_mem", "", "memory of a job: bytes with M or G", NULL},
    [CONFIG_SLURM_CONSTRAINT_AVX512] = {"slurm_constraint_avx512", "",
                                        "features of nodes with AVX-512, as --constraint takes "
                                        "them",
                                        NULL},
    [CONFIG_SLURM_CONSTRAINT_AVX2] = {"slurm_constraint_avx2", "", "likewise with AVX2", NULL},
    [CONFIG_SLURM_CONSTRAINT_BLAS] = {"slurm_constraint_blas", "",
                                      "likewise for runs of the blas kernels", NULL},
    [CONFIG_SLURM_EXTRA] = {"slurm_extra", "", "other arguments of sbatch", NULL},
    [CONFIG_SLURM_MAX_JOBS] = {"slurm_max_jobs", "100", "most jobs in Slurm at once", NULL},
    [CONFIG_SLURM_POLL_S] = {"slurm_poll_s", "5", "seconds between questions to Slurm", NULL},
    [CONFIG_SLURM_TIMEOUT_S] = {"slurm_timeout_s", "20", "seconds that a command may take", NULL},
    [CONFIG_SLURM_ABSENT_S] = {"slurm_absent_s", "60",
                               "seconds after which a job that squeue does not show is gone", NULL},
    [CONFIG_SLURM_SHARED_LAG_S] = {"slurm_shared_lag_s", "60",
                                   "seconds after which files are seen at the latest", NULL},
    [CONFIG_SLURM_GRACE_S] = {"slurm_grace_s", "120",
                              "seconds before the limit at which a checkpoint is written", NULL},
    [CONFIG_SLURM_RETRY] = {"slurm_retry", "", "other attempts by cause: node_failure:5/60, ...",
                            NULL},
    [CONFIG_SLURM_QUIET] = {"slurm_quiet", "on",
                            "on: quiet hours are those of its jobs as well; off", NULL},
    [CONFIG_SLURM_PROGRAM] = {"slurm_program", "", "path of cutoutd on the nodes, if it is another",
                              NULL},
    [CONFIG_SLURM_BIN_DIR] = {"slurm_bin_dir", "", "where sbatch, squeue, scontrol, scancel are",
                              NULL},
    [CONFIG_SLURM_CONF] = {"slurm_conf", "", "slurm.conf for these commands, if it is another",
                           NULL},
    [CONFIG_HALF_LIFE] = {"half_life", "off",
                          "whose turn it is follows what owners used; this long ago counts half "
                          "(7d, 12h); off: first come",
                          "owners"},
    [CONFIG_MAX_RUNNING] = {"max_running", "0", "runs of an owner at the same time; 0: any number",
                            "owners"},
    [CONFIG_MAX_QUEUED] = {"max_queued", "0", "runs of an owner in the queue; 0: any number",
                           "owners"},
    [CONFIG_MAX_PRIORITY] = {"max_priority", "1000",
                             "highest priority that an owner may give; admins may any", "owners"},
    [CONFIG_MAX_DISK] = {"max_disk", "0",
                         "checkpoints of an owner: bytes with K, M, G or T; 0: any number",
                         "owners"},
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

int config_find_key(const char *name, size_t length) {
    for (int key = 0; key < CONFIG_KEY_COUNT; key++) {
        if (is_name_of(name, length, config_settings[key].name)) {
            return key;
        }
    }
    return -1;
}

const char *config_key_name(enum config_key key) {
    return config_settings[key].name;
}

enum status config_set_text(struct config *config, int key, const char *text, const char *origin,
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
enum status config_set_dataset(struct config *config, const char *name, size_t name_length,
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

/* ---- the environment ---- */

static enum status load_variable(struct config *config, const char *variable, const char *equals,
                                 struct error *error) {
    const char *name = variable + strlen(VARIABLE_PREFIX);
    char origin[CONFIG_ORIGIN_SIZE];
    (void)snprintf(origin, sizeof(origin), "%.*s", (int)(equals - variable), variable);
    int key = config_find_key(name, (size_t)(equals - name));
    if (key < 0 && !strcmp(origin, "CUTOUTD_TOKEN")) {
        return STATUS_OK; /* a client's, no setting */
    }
    return key < 0 ? error_set(error, STATUS_INVALID, "the variable %s names no setting", origin)
                   : config_set_text(config, key, equals + 1, origin, error);
}

static void load_environment(struct config *config, char *const *environment,
                             struct config_problems *problems) {
    for (char *const *e = environment; *e; e++) {
        const char *equals = strchr(*e, '=');
        struct error error;
        if (equals && !strncmp(*e, VARIABLE_PREFIX, strlen(VARIABLE_PREFIX)) &&
            load_variable(config, *e, equals, &error) != STATUS_OK) {
            config_problems_add(problems, &error);
        }
    }
}

/* LoadCredential=tokens:... of a unit. That there is none of this name is fine; whatever else keeps
 * it from being found is not: without tokens the daemon would be open to everybody. */
static enum status load_credential(struct config *config, const char *directory,
                                   struct error *error) {
    static const char origin[] = "CREDENTIALS_DIRECTORY";
    char path[CONFIG_TEXT_SIZE];
    struct stat info;
    if (snprintf(path, sizeof(path), "%s/tokens", directory) >= (int)sizeof(path)) {
        return error_set(error, STATUS_INVALID, "%s: the path is longer than %d characters", origin,
                         CONFIG_TEXT_SIZE - 1);
    }
    CLEANUP(close_fd) int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return error_set_errno(error, errno, "%s: cannot open the directory %s", origin, directory);
    }
    /* The link itself, if it is one: one that leads nowhere is a credential, too. */
    if (fstatat(fd, "tokens", &info, AT_SYMLINK_NOFOLLOW) == 0) {
        return config_set_text(config, CONFIG_TOKENS_FILE, path, origin, error);
    }
    return errno == ENOENT ? STATUS_OK
                           : error_set_errno(error, errno, "%s: cannot look at %s", origin, path);
}

/* The first of a unit's state directories, which are separated by colons. */
static enum status load_state_directory(struct config *config, const char *directories,
                                        struct error *error) {
    CLEANUP(free_pointer) char *first = strndup(directories, strcspn(directories, ":"));
    return first ? config_set_text(config, CONFIG_STATE_DIR, first, "STATE_DIRECTORY", error)
                 : error_set(error, STATUS_NO_MEMORY, "no memory for a path");
}

/* What systemd hands over arrives in variables of its own and counts as defaults. */
static void load_defaults(struct config *config, char *const *environment,
                          struct config_problems *problems) {
    static const char state[] = "STATE_DIRECTORY=";
    static const char credentials[] = "CREDENTIALS_DIRECTORY=";
    for (int key = 0; key < CONFIG_KEY_COUNT; key++) {
        (void)config_set_text(config, key, config_settings[key].fallback, "default", NULL);
    }
    for (char *const *e = environment; *e; e++) {
        struct error error;
        enum status status = STATUS_OK;
        if (!strncmp(*e, state, strlen(state))) {
            status = load_state_directory(config, *e + strlen(state), &error);
        } else if (!strncmp(*e, credentials, strlen(credentials))) {
            status = load_credential(config, *e + strlen(credentials), &error);
        }
        if (status != STATUS_OK) {
            config_problems_add(problems, &error);
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

static bool flag_is(const struct flag *flag, const char *name) {
    return strlen(name) == flag->name_length && !strncmp(flag->name, name, flag->name_length);
}

/* -1: there is no such setting. */
static int flag_key(const struct flag *flag) {
    return memchr(flag->name, '_', flag->name_length)
               ? -1
               : config_find_key(flag->name, flag->name_length);
}

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
    } else if (flag_is(&flag, "config") || flag_is(&flag, "dataset") || flag_key(&flag) >= 0) {
        return error_set(error, STATUS_INVALID, "%s needs a value", flag.origin);
    } else {
        return error_set(error, STATUS_INVALID, "unknown flag %s", flag.origin);
    }
    *ret_flag = flag;
    return STATUS_OK;
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
        return config_set_dataset(config, flag->value, (size_t)(equals - flag->value), equals + 1,
                                  flag->origin, error);
    }
    int key = flag_key(flag);
    if (key < 0) {
        return error_set(error, STATUS_INVALID, "unknown flag %s", flag->origin);
    }
    return config_set_text(config, key, flag->value, flag->origin, error);
}

/* The flags one after the other; behind one without its value there is nothing. */
static void load_flags(struct config *config, int argc, char *const *argv,
                       struct config_problems *problems) {
    for (int i = 0; i < argc; i++) {
        struct flag flag = {.name = "", .value = ""};
        struct error error;
        if (next_flag(argc, argv, &i, &flag, &error) != STATUS_OK ||
            load_flag(config, &flag, &error) != STATUS_OK) {
            config_problems_add(problems, &error);
        }
    }
}

static const char *find_config_flag(int argc, char *const *argv) {
    const char *path = NULL;
    for (int i = 0; i < argc; i++) {
        struct flag flag = {.name = "", .value = ""};
        if (next_flag(argc, argv, &i, &flag, NULL) == STATUS_OK && flag_is(&flag, "config")) {
            path = flag.value;
        }
    }
    return path;
}

/* ---- all of it ---- */

void config_problems_add(struct config_problems *problems, const struct error *error) {
    if (problems->n < CONFIG_MAX_PROBLEMS) {
        problems->items[problems->n] = *error;
    }
    problems->n++;
}

void config_load_all(int argc, char *const *argv, char *const *environment,
                     const char *default_file, struct config *ret_config,
                     struct config_problems *ret_problems) {
    const char *path = find_config_flag(argc, argv);
    *ret_config = (struct config){0};
    ret_problems->n = 0;
    load_defaults(ret_config, environment, ret_problems);
    if (path || default_file) {
        (void)snprintf(ret_config->file, sizeof(ret_config->file), "%s",
                       path ? path : default_file);
        config_load_files(ret_config, path ? path : default_file, path != NULL, ret_problems);
    }
    load_environment(ret_config, environment, ret_problems);
    load_flags(ret_config, argc, argv, ret_problems);
    memory_bound_of_process("/proc/self/cgroup", "/sys/fs/cgroup", &ret_config->memory);
    config_resolve(ret_config, ret_problems);
}

enum status config_load(int argc, char *const *argv, char *const *environment,
                        const char *default_file, struct config *ret_config, struct error *error) {
    CLEANUP(free_pointer) struct config *config = calloc(1, sizeof(*config));
    CLEANUP(free_pointer) struct config_problems *problems = calloc(1, sizeof(*problems));
    if (!config || !problems) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the settings");
    }
    config_load_all(argc, argv, environment, default_file, config, problems);
    if (problems->n > 1) {
        return error_set(error, problems->items[0].code,
                         "%.430s (and %d more: cutoutd check-config)", problems->items[0].message,
                         problems->n - 1);
    }
    if (problems->n == 1) {
        return error_set(error, problems->items[0].code, "%s", problems->items[0].message);
    }
    *ret_config = *config;
    return STATUS_OK;
}
