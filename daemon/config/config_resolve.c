/* From the text of a setting to its value, and back to text for people. Layer: daemon. */
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/config/config_internal.h"
#include "daemon/config/text_number.h"

enum { MAX_THREADS = 64, MAX_SHAPES = 1000000 };

static enum status invalid(const struct config *config, enum config_key key, const char *wanted,
                           struct error *error) {
    return error_set(error, STATUS_INVALID, "%s: %s is '%s', it should be %s", config->origin[key],
                     config_settings[key].name, config->text[key], wanted);
}

static enum status resolve_integer(const struct config *config, enum config_key key, int low,
                                   int high, int *ret, struct error *error) {
    if (!text_to_int(config->text[key], low, high, ret)) {
        char wanted[64];
        (void)snprintf(wanted, sizeof(wanted), "a whole number from %d to %d", low, high);
        return invalid(config, key, wanted, error);
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
        return invalid(config, CONFIG_LISTEN, wanted, error);
    }
    char *address = config->listen_address;
    (void)snprintf(address, sizeof(config->listen_address), "%.*s", (int)length, text);
    if (!strcmp(address, "localhost")) {
        (void)snprintf(address, sizeof(config->listen_address), "127.0.0.1");
    }
    unsigned char binary[sizeof(struct in6_addr)];
    if (inet_pton(brackets ? AF_INET6 : AF_INET, address, binary) != 1) {
        return invalid(config, CONFIG_LISTEN, wanted, error);
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

static enum status resolve_memory(struct config *config, struct error *error) {
    const char *text = config->text[CONFIG_MEMORY_LIMIT];
    int64_t machine = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    char *end = NULL;
    errno = 0;
    double value = strtod(text, &end);
    double unit = 0.0;
    switch (end == text || errno ? '?' : *end) {
    case '%':
        unit = (double)machine / 100.0;
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
    if (!whole || !(unit > 0.0) || !(value * unit >= 1.0) || !(value * unit < 9e18)) {
        return invalid(config, CONFIG_MEMORY_LIMIT, "a percentage like 80%, or bytes like 6G",
                       error);
    }
    config->memory_limit_bytes = (int64_t)(value * unit);
    return STATUS_OK;
}

static enum status resolve_log_level(struct config *config, struct error *error) {
    static const char *const names[] = {"error", "warning", "info", "debug"};
    for (int i = 0; i < 4; i++) {
        if (!strcmp(config->text[CONFIG_LOG_LEVEL], names[i])) {
            config->log_level = (enum log_level)i;
            return STATUS_OK;
        }
    }
    return invalid(config, CONFIG_LOG_LEVEL, "error, warning, info or debug", error);
}

static enum status resolve_isa(struct config *config, struct error *error) {
    static const char *const names[] = {"auto", "ref", "blas", "avx2", "avx512"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!strcmp(config->text[CONFIG_ISA], names[i])) {
            (void)snprintf(config->isa, sizeof(config->isa), "%s", names[i]);
            return STATUS_OK;
        }
    }
    return invalid(config, CONFIG_ISA, "auto, ref, blas, avx2 or avx512", error);
}

static enum status resolve_conv_algorithm(struct config *config, struct error *error) {
    if (!conv_algorithm_from_name(config->text[CONFIG_CONV_ALGORITHM], &config->conv_algorithm)) {
        return invalid(config, CONFIG_CONV_ALGORITHM, "auto, direct or winograd", error);
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

enum status config_resolve(struct config *config, struct error *error) {
    TRY(resolve_listen(config, error));
    TRY(resolve_tls(config, error));
    copy_text(config, CONFIG_UNIX_SOCKET, config->unix_socket);
    copy_text(config, CONFIG_TOKENS_FILE, config->tokens_file);
    if (config->text[CONFIG_STATE_DIR][0] == '\0') {
        return invalid(config, CONFIG_STATE_DIR, "a directory", error);
    }
    copy_text(config, CONFIG_STATE_DIR, config->state_dir);
    TRY(resolve_integer(config, CONFIG_WORKERS, 1, MAX_THREADS, &config->workers, error));
    TRY(resolve_threads(config, error));
    TRY(resolve_integer(config, CONFIG_CHECKPOINT_INTERVAL_S, 0, 86400,
                        &config->checkpoint_interval_s, error));
    TRY(resolve_integer(config, CONFIG_KEEP_CHECKPOINTS_DAYS, 0, 36500,
                        &config->keep_checkpoints_days, error));
    TRY(resolve_integer(config, CONFIG_KEEP_EVENTS_DAYS, 0, 36500, &config->keep_events_days,
                        error));
    TRY(resolve_memory(config, error));
    TRY(resolve_log_level(config, error));
    TRY(resolve_isa(config, error));
    TRY(resolve_conv_algorithm(config, error));
    TRY(resolve_integer(config, CONFIG_SHAPES_TRAIN, 1, MAX_SHAPES, &config->shapes_train, error));
    return resolve_integer(config, CONFIG_SHAPES_TEST, 1, MAX_SHAPES, &config->shapes_test, error);
}

void config_print(const struct config *config, FILE *out) {
    for (int key = 0; key < CONFIG_KEY_COUNT; key++) {
        (void)fprintf(out, "%-22s = %-24s # %s", config_settings[key].name, config->text[key],
                      config->origin[key]);
        if (key == CONFIG_THREADS_PER_RUN && !strcmp(config->text[key], "auto")) {
            (void)fprintf(out, ": %d", config->threads_per_run);
        }
        if (key == CONFIG_MEMORY_LIMIT) {
            (void)fprintf(out, ": %.1f GiB", (double)config->memory_limit_bytes * 0x1p-30);
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
