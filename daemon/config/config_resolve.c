/* From the text of a setting to its value, and back to text for people. Layer: daemon. */
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/decimal.h"
#include "core/base/host.h"
#include "daemon/config/config_internal.h"

enum { MAX_THREADS = 64, MAX_SHAPES = 1000000, MAX_PRIORITY = 1000 };

/* Who gives less has forgotten a unit. */
enum { LEAST_MEMORY_BYTES = 16 << 20, LEAST_DISK_BYTES = 1 << 20 };

enum status config_invalid(const struct config *config, enum config_key key, const char *wanted,
                           struct error *error) {
    return error_set(error, STATUS_INVALID, "%s: %s is '%s', it should be %s", config->origin[key],
                     config_settings[key].name, config->text[key], wanted);
}

static enum status resolve_integer(const struct config *config, enum config_key key, int low,
                                   int high, int *ret, struct error *error) {
    if (!text_to_int(config->text[key], low, high, ret)) {
        char wanted[64];
        (void)snprintf(wanted, sizeof(wanted), "a whole number from %d to %d", low, high);
        return config_invalid(config, key, wanted, error);
    }
    return STATUS_OK;
}

/* "127.0.0.1:8080", "[::1]:8080", "localhost:8080" */
static enum status resolve_listen(struct config *config, struct error *error) {
    static const char wanted[] = "ADDRESS:PORT with a numeric address, [ADDRESS]:PORT for IPv6";
    const char *text = config->text[CONFIG_LISTEN];
    if (!strcmp(text, "none")) {
        return config->text[CONFIG_UNIX_SOCKET][0]
                   ? STATUS_OK
                   : error_set(error, STATUS_INVALID,
                               "%s: listen is none, but there is no unix_socket",
                               config->origin[CONFIG_LISTEN]);
    }
    const char *colon = strrchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : 0;
    bool brackets = length > 2 && text[0] == '[' && text[length - 1] == ']';
    if (brackets) {
        text++;
        length -= 2;
    }
    if (length == 0 || length >= sizeof(config->listen_address) ||
        !text_to_int(colon + 1, 0, 65535, &config->listen_port)) {
        return config_invalid(config, CONFIG_LISTEN, wanted, error);
    }
    char *address = config->listen_address;
    (void)snprintf(address, sizeof(config->listen_address), "%.*s", (int)length, text);
    if (!strcmp(address, "localhost")) {
        (void)snprintf(address, sizeof(config->listen_address), "127.0.0.1");
    }
    unsigned char binary[sizeof(struct in6_addr)];
    if (inet_pton(brackets ? AF_INET6 : AF_INET, address, binary) != 1) {
        return config_invalid(config, CONFIG_LISTEN, wanted, error);
    }
    return STATUS_OK;
}

bool config_is_public(const struct config *config) {
    if (!config->listen_address[0]) {
        return false;
    }
    struct in_addr v4;
    if (inet_pton(AF_INET, config->listen_address, &v4) == 1) {
        return ntohl(v4.s_addr) >> 24 != 127;
    }
    return strcmp(config->listen_address, "::1") != 0;
}

static int available_cores(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

static enum status resolve_threads(struct config *config, struct error *error) {
    if (!strcmp(config->text[CONFIG_THREADS_PER_RUN], "auto")) {
        int threads = available_cores() / config->workers;
        config->threads_per_run = threads < 1 ? 1 : threads > MAX_THREADS ? MAX_THREADS : threads;
        return STATUS_OK;
    }
    return resolve_integer(config, CONFIG_THREADS_PER_RUN, 1, MAX_THREADS, &config->threads_per_run,
                           error);
}

enum status config_resolve_memory(struct config *config, struct error *error) {
    static const char wanted[] = "a percentage from 1% to 100%, or bytes like 6G";
    const char *text = config->text[CONFIG_MEMORY_LIMIT];
    char *end = NULL;
    errno = 0;
    double value = strtod(text, &end);
    double unit = 0.0;
    /* Neither a sign nor "inf" nor hexadecimal digits, which strtod knows too. */
    bool plain = text[0] && strspn(text, "0123456789.") == (size_t)(end - text);
    switch (!plain || errno ? '?' : *end) {
    case '%':
        unit = (double)config->memory.n_bytes / 100.0;
        break;
    case 'K':
        unit = 0x1p10;
        break;
    case 'M':
        unit = 0x1p20;
        break;
    case 'G':
        unit = 0x1p30;
        break;
    case '\0':
        unit = 1.0;
        break;
    default:
        break;
    }
    bool whole = *end == '\0' || end[1] == '\0';
    bool too_much = *end == '%' && value > 100.0;
    if (!whole || too_much || !(unit > 0.0) || !(value * unit >= 1.0) || !(value * unit < 9e18)) {
        return config_invalid(config, CONFIG_MEMORY_LIMIT, wanted, error);
    }
    if (*end != '%' && value * unit < (double)LEAST_MEMORY_BYTES) {
        bool percent = *end == '\0' && value <= 100.0;
        char least[128];
        (void)snprintf(least, sizeof(least), "%s, 16M at least%s%.8s%s", wanted,
                       percent ? "; did you mean " : "", percent ? text : "", percent ? "%?" : "");
        return config_invalid(config, CONFIG_MEMORY_LIMIT, least, error);
    }
    config->memory_limit_bytes = (int64_t)(value * unit);
    return STATUS_OK;
}

/* *ret: the place of the word among `words`, which end with NULL. */
static enum status resolve_word(const struct config *config, enum config_key key,
                                const char *const *words, const char *wanted, int *ret,
                                struct error *error) {
    for (int i = 0; words[i]; i++) {
        if (!strcmp(config->text[key], words[i])) {
            *ret = i;
            return STATUS_OK;
        }
    }
    return config_invalid(config, key, wanted, error);
}

static enum status resolve_log_level(struct config *config, struct error *error) {
    static const char *const words[] = {"error", "warning", "info", "debug", NULL};
    int i = 0;
    TRY(resolve_word(config, CONFIG_LOG_LEVEL, words, "error, warning, info or debug", &i, error));
    config->log_level = (enum log_level)i;
    return STATUS_OK;
}

static enum status resolve_log_format(struct config *config, struct error *error) {
    static const char *const words[] = {"auto", "text", "json", NULL};
    int i = 0;
    TRY(resolve_word(config, CONFIG_LOG_FORMAT, words, "auto, text or json", &i, error));
    config->log_format = (enum log_format)i;
    return STATUS_OK;
}

static enum status resolve_pin_threads(struct config *config, struct error *error) {
    static const char *const words[] = {"off", "on", NULL};
    int i = 0;
    TRY(resolve_word(config, CONFIG_PIN_THREADS, words, "off or on", &i, error));
    config->pin_threads = i == 1;
    return STATUS_OK;
}

static enum status resolve_arithmetic_change(struct config *config, struct error *error) {
    static const char *const words[] = {"restart", "continue", "fail", NULL};
    int i = 0;
    TRY(resolve_word(config, CONFIG_ON_ARITHMETIC_CHANGE, words, "restart, continue or fail", &i,
                     error));
    config->on_arithmetic_change = (enum arithmetic_change)i;
    return STATUS_OK;
}

static enum status resolve_isa(struct config *config, struct error *error) {
    static const char *const names[] = {"auto", "ref", "blas", "avx2", "avx512"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!strcmp(config->text[CONFIG_ISA], names[i])) {
            (void)snprintf(config->isa, sizeof(config->isa), "%s", names[i]);
            return STATUS_OK;
        }
    }
    return config_invalid(config, CONFIG_ISA, "auto, ref, blas, avx2 or avx512", error);
}

static enum status resolve_conv_algorithm(struct config *config, struct error *error) {
    if (!conv_algorithm_from_name(config->text[CONFIG_CONV_ALGORITHM], &config->conv_algorithm)) {
        return config_invalid(config, CONFIG_CONV_ALGORITHM, "auto, direct or winograd", error);
    }
    if (config->conv_algorithm == CONV_AUTO) {
        config->conv_algorithm = CONV_BEST;
    }
    return STATUS_OK;
}

static void copy_text(const struct config *config, enum config_key key,
                      char target[CONFIG_TEXT_SIZE]) {
    (void)snprintf(target, CONFIG_TEXT_SIZE, "%s", config->text[key]);
}

static enum status resolve_tls(struct config *config, struct error *error) {
    bool cert = config->text[CONFIG_TLS_CERT][0] != '\0';
    bool key = config->text[CONFIG_TLS_KEY][0] != '\0';
    if (cert != key) {
        return error_set(error, STATUS_INVALID, "%s: tls_cert and tls_key go together",
                         config->origin[cert ? CONFIG_TLS_CERT : CONFIG_TLS_KEY]);
    }
    copy_text(config, CONFIG_TLS_CERT, config->tls_cert);
    copy_text(config, CONFIG_TLS_KEY, config->tls_key);
    return STATUS_OK;
}

static enum status resolve_state_dir(struct config *config, struct error *error) {
    copy_text(config, CONFIG_STATE_DIR, config->state_dir);
    /* One that depends on where the daemon was started would be another one the next time. */
    return config->state_dir[0] == '/'
               ? STATUS_OK
               : config_invalid(config, CONFIG_STATE_DIR, "a directory with its whole path (/...)",
                                error);
}

static enum status resolve_unix_socket(struct config *config, struct error *error) {
    const struct sockaddr_un address;
    copy_text(config, CONFIG_UNIX_SOCKET, config->unix_socket);
    return strlen(config->unix_socket) < sizeof(address.sun_path)
               ? STATUS_OK
               : error_set(error, STATUS_INVALID,
                           "%s: unix_socket is too long for the path of a socket: %zu at most",
                           config->origin[CONFIG_UNIX_SOCKET], sizeof(address.sun_path) - 1);
}

static enum status resolve_allowed_hosts(struct config *config, struct error *error) {
    char word[HOST_SIZE];
    copy_text(config, CONFIG_ALLOWED_HOSTS, config->allowed_hosts);
    return host_list_is_wrong(config->allowed_hosts, word)
               ? error_set(error, STATUS_INVALID,
                           "%s: allowed_hosts: '%s' should be a name or an address without a port",
                           config->origin[CONFIG_ALLOWED_HOSTS], word)
               : STATUS_OK;
}

/* "unix" is taken out of the list. */
static enum status resolve_trusted_proxies(struct config *config, struct error *error) {
    static const char separators[] = ", \t";
    char word[HOST_SIZE];
    size_t used = 0;
    for (const char *at = config->text[CONFIG_TRUSTED_PROXIES]; *at;) {
        size_t n = strcspn(at, separators);
        if (n == 4 && !strncmp(at, "unix", 4)) {
            config->trust_unix_socket = true;
        } else {
            memcpy(config->trusted_proxies + used, at, n);
            used += n;
        }
        at += n;
        if (*at) {
            config->trusted_proxies[used++] = ' ';
            at++;
        }
    }
    config->trusted_proxies[used] = '\0';
    return host_address_list_is_wrong(config->trusted_proxies, word)
               ? error_set(error, STATUS_INVALID,
                           "%s: trusted_proxies: '%s' should be an address such as 10.1.2.3, a "
                           "network such as 10.0.0.0/8, or unix",
                           config->origin[CONFIG_TRUSTED_PROXIES], word)
               : STATUS_OK;
}

/* An empty one that somebody gave (a variable that was never set) would open the daemon to
 * everybody; who wants that gives none. */
static enum status resolve_tokens_file(struct config *config, struct error *error) {
    const char *origin = config->origin[CONFIG_TOKENS_FILE];
    copy_text(config, CONFIG_TOKENS_FILE, config->tokens_file);
    return config->tokens_file[0] || !strcmp(origin, "default")
               ? STATUS_OK
               : error_set(error, STATUS_INVALID,
                           "%s: tokens_file is empty; name a file, or leave the setting out",
                           origin);
}

/* "7d", "12h", "30m", "90s", "off". */
static enum status resolve_half_life(struct config *config, struct error *error) {
    static const char wanted[] = "off, or a time such as 12h or 7d, one year at most";
    static const struct {
        char unit;
        int seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    const char *text = config->text[CONFIG_HALF_LIFE];
    char digits[16];
    int n = 0;
    if (!strcmp(text, "off")) {
        return STATUS_OK;
    }
    size_t length = strlen(text);
    if (length < 2 || length > sizeof(digits)) {
        return config_invalid(config, CONFIG_HALF_LIFE, wanted, error);
    }
    (void)snprintf(digits, sizeof(digits), "%.*s", (int)length - 1, text);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (text[length - 1] == units[i].unit &&
            text_to_int(digits, 1, 366 * 86400 / units[i].seconds, &n)) {
            config->half_life_s = n * units[i].seconds;
            return STATUS_OK;
        }
    }
    return config_invalid(config, CONFIG_HALF_LIFE, wanted, error);
}

/* "50G", "0". What is not 0 has LEAST_DISK_BYTES. */
static enum status resolve_bytes(const struct config *config, enum config_key key, int64_t *ret,
                                 struct error *error) {
    static const char units[] = "KMGT";
    const char *text = config->text[key];
    char digits[16];
    int64_t n = 0;
    size_t length = strlen(text);
    const char *unit = length > 1 ? strchr(units, text[length - 1]) : NULL;
    int shift = unit ? 10 * (int)(unit - units + 1) : 0;
    (void)snprintf(digits, sizeof(digits), "%.*s", (int)(length - (unit != NULL)), text);
    if (length >= sizeof(digits) || !text_to_count(digits, INT64_MAX >> shift, &n)) {
        return config_invalid(config, key, "bytes, with K, M, G or T, such as 50G; 0: none", error);
    }
    *ret = n * ((int64_t)1 << shift);
    if (*ret > 0 && *ret < LEAST_DISK_BYTES) {
        char wanted[128];
        (void)snprintf(wanted, sizeof(wanted),
                       "bytes, 1M at least, with K, M, G or T; 0: none; did you mean %sG?", digits);
        return config_invalid(config, key, wanted, error);
    }
    return STATUS_OK;
}

static enum status resolve_max_disk(struct config *config, struct error *error) {
    return resolve_bytes(config, CONFIG_MAX_DISK, &config->max_disk_bytes, error);
}

static enum status resolve_disk_low(struct config *config, struct error *error) {
    return resolve_bytes(config, CONFIG_DISK_LOW, &config->disk_low_bytes, error);
}

static enum status resolve_webhook_addresses(struct config *config, struct error *error) {
    char word[HOST_SIZE];
    copy_text(config, CONFIG_WEBHOOK_ADDRESSES, config->webhook_addresses);
    return host_address_list_is_wrong(config->webhook_addresses, word)
               ? error_set(error, STATUS_INVALID,
                           "%s: webhook_addresses: '%s' should be an address such as 10.1.2.3, or "
                           "a network such as 10.0.0.0/8",
                           config->origin[CONFIG_WEBHOOK_ADDRESSES], word)
               : STATUS_OK;
}

static enum status resolve_quiet(struct config *config, struct error *error) {
    struct error what;
    return quiet_hours_parse(config->text[CONFIG_QUIET], &config->quiet, &what) == STATUS_OK
               ? STATUS_OK
               : error_set(error, STATUS_INVALID, "%s: quiet: %.300s", config->origin[CONFIG_QUIET],
                           what.message);
}

/* Settings that are one whole number. */
static const struct {
    enum config_key key;
    int low;
    int high;
    size_t offset; /* of the int in struct config */
} numbers[] = {
    {CONFIG_WORKERS, 1, MAX_THREADS, offsetof(struct config, workers)},
    {CONFIG_CHECKPOINT_INTERVAL_S, 0, 86400, offsetof(struct config, checkpoint_interval_s)},
    {CONFIG_KEEP_CHECKPOINTS_DAYS, 0, 36500, offsetof(struct config, keep_checkpoints_days)},
    {CONFIG_KEEP_EVENTS_DAYS, 0, 36500, offsetof(struct config, keep_events_days)},
    {CONFIG_KEEP_AUDIT_DAYS, 0, 36500, offsetof(struct config, keep_audit_days)},
    {CONFIG_SHAPES_TRAIN, 1, MAX_SHAPES, offsetof(struct config, shapes_train)},
    {CONFIG_SHAPES_TEST, 1, MAX_SHAPES, offsetof(struct config, shapes_test)},
    {CONFIG_SLURM_CPUS, 1, MAX_THREADS, offsetof(struct config, slurm.cpus)},
    {CONFIG_SLURM_MAX_JOBS, 1, 100000, offsetof(struct config, slurm.max_jobs)},
    {CONFIG_SLURM_POLL_S, 1, 3600, offsetof(struct config, slurm.poll_s)},
    {CONFIG_SLURM_TIMEOUT_S, 1, 600, offsetof(struct config, slurm.timeout_s)},
    {CONFIG_SLURM_ABSENT_S, 1, 86400, offsetof(struct config, slurm.absent_s)},
    {CONFIG_SLURM_SHARED_LAG_S, 0, 3600, offsetof(struct config, slurm.shared_lag_s)},
    {CONFIG_SLURM_GRACE_S, 1, 65535, offsetof(struct config, slurm.grace_s)},
    {CONFIG_STALLED_AFTER_S, 0, 7 * 86400, offsetof(struct config, stalled_after_s)},
    {CONFIG_MAX_RUNNING, 0, 10000, offsetof(struct config, max_running)},
    {CONFIG_MAX_QUEUED, 0, 1000000, offsetof(struct config, max_queued)},
    {CONFIG_MAX_PRIORITY, -MAX_PRIORITY, MAX_PRIORITY, offsetof(struct config, max_priority)},
};

static void resolve_numbers(struct config *config, struct config_problems *problems) {
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct error error;
        int *value = (int *)(void *)((char *)config + numbers[i].offset);
        if (resolve_integer(config, numbers[i].key, numbers[i].low, numbers[i].high, value,
                            &error) != STATUS_OK) {
            *value = numbers[i].low;
            config_problems_add(problems, &error);
        }
    }
}

void config_resolve(struct config *config, struct config_problems *problems) {
    typedef enum status resolver(struct config *, struct error *);
    static resolver *const resolvers[] = {
        resolve_listen,          resolve_tls,         resolve_tokens_file,
        resolve_unix_socket,     resolve_state_dir,   resolve_allowed_hosts,
        resolve_trusted_proxies, resolve_threads, /* the workers are known by then */
        config_resolve_memory,   resolve_log_level,   resolve_isa,
        resolve_conv_algorithm,  resolve_pin_threads, resolve_arithmetic_change,
        resolve_log_format,      resolve_half_life,   resolve_quiet,
        resolve_max_disk,        resolve_disk_low,    resolve_webhook_addresses,
    };
    resolve_numbers(config, problems);
    config_resolve_slurm(config, problems);
    for (size_t i = 0; i < sizeof(resolvers) / sizeof(resolvers[0]); i++) {
        struct error error;
        if (resolvers[i](config, &error) != STATUS_OK) {
            config_problems_add(problems, &error);
        }
    }
}

void config_print(const struct config *config, FILE *out) {
    const char *section = NULL;
    for (int key = 0; key < CONFIG_KEY_COUNT; key++) {
        if (key >= CONFIG_SLURM_SHARED_DIR && key <= CONFIG_SLURM_CONF && !config->has_slurm) {
            continue; /* of no use to anybody */
        }
        if (config_settings[key].section != section) {
            section = config_settings[key].section;
            (void)fprintf(out, "\n[%s]\n", section);
        }
        (void)fprintf(out, "%-22s = %-24s # %s", config_settings[key].name, config->text[key],
                      config->origin[key]);
        if (key == CONFIG_THREADS_PER_RUN && !strcmp(config->text[key], "auto")) {
            (void)fprintf(out, ": %d", config->threads_per_run);
        }
        if (key == CONFIG_MEMORY_LIMIT && config->memory_limit_bytes > 0) {
            (void)fprintf(
                out, ": %.1f GiB; %s %.1f GiB (%s)", (double)config->memory_limit_bytes * 0x1p-30,
                config->memory_limit_bytes > config->memory.n_bytes ? "MORE THAN THERE IS:"
                                                                    : "there is",
                (double)config->memory.n_bytes * 0x1p-30, config->memory.origin);
        }
        (void)fputc('\n', out);
    }
    (void)fputs("\n[datasets]\n", out);
    for (int i = 0; i < config->n_datasets; i++) {
        (void)fprintf(out, "%-22s = %-24s # %s\n", config->datasets[i].name,
                      config->datasets[i].directory, config->datasets[i].origin);
    }
}

void config_print_help(FILE *out) {
    (void)fputs(
        "  --config FILE              settings from this file instead of " CONFIG_DEFAULT_FILE
        "\n  --dataset NAME=DIR         a data set in CIFAR-10's binary format (may be "
        "repeated)\n",
        out);
    for (int key = 0; key < CONFIG_KEY_COUNT; key++) {
        char flag[64];
        (void)snprintf(flag, sizeof(flag), "--%s", config_settings[key].name);
        for (char *c = flag; *c; c++) {
            *c = *c == '_' ? '-' : *c;
        }
        (void)fprintf(out, "  %-26s %s (default %s)\n", flag, config_settings[key].help,
                      config_settings[key].fallback[0] ? config_settings[key].fallback : "none");
    }
}
