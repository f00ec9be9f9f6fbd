/* Layer: daemon/main. */
#include "daemon/main/reload.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/cleanup.h"
#include "core/base/time_text.h"
#include "daemon/store/owner/usage.h"

struct reload_settings {
    struct config config;
    struct reload_settings *before;
};

/* ---- settings ---- */

/* Copies the value of a key that can change while the daemon runs, but for its text. False: it
 * cannot. */
static bool take_value(struct config *now, const struct config *read, int key) {
    switch (key) {
    case CONFIG_ALLOWED_HOSTS:
        memcpy(now->allowed_hosts, read->allowed_hosts, sizeof(now->allowed_hosts));
        return true;
    case CONFIG_TRUSTED_PROXIES:
        memcpy(now->trusted_proxies, read->trusted_proxies, sizeof(now->trusted_proxies));
        now->trust_unix_socket = read->trust_unix_socket;
        return true;
    case CONFIG_WORKERS:
        now->workers = read->workers;
        return true;
    case CONFIG_CHECKPOINT_INTERVAL_S:
        now->checkpoint_interval_s = read->checkpoint_interval_s;
        return true;
    case CONFIG_KEEP_CHECKPOINTS_DAYS:
        now->keep_checkpoints_days = read->keep_checkpoints_days;
        return true;
    case CONFIG_KEEP_EVENTS_DAYS:
        now->keep_events_days = read->keep_events_days;
        return true;
    case CONFIG_MEMORY_LIMIT:
        now->memory = read->memory;
        now->memory_limit_bytes = read->memory_limit_bytes;
        return true;
    case CONFIG_LOG_LEVEL:
        now->log_level = read->log_level;
        return true;
    case CONFIG_CONV_ALGORITHM:
        now->conv_algorithm = read->conv_algorithm;
        return true;
    case CONFIG_QUIET:
        now->quiet = read->quiet;
        return true;
    case CONFIG_HALF_LIFE:
        now->half_life_s = read->half_life_s;
        return true;
    case CONFIG_MAX_RUNNING:
        now->max_running = read->max_running;
        return true;
    case CONFIG_MAX_QUEUED:
        now->max_queued = read->max_queued;
        return true;
    case CONFIG_MAX_DISK:
        now->max_disk_bytes = read->max_disk_bytes;
        return true;
    case CONFIG_MAX_PRIORITY:
        now->max_priority = read->max_priority;
        return true;
    case CONFIG_ON_ARITHMETIC_CHANGE:
        now->on_arithmetic_change = read->on_arithmetic_change;
        return true;
    default:
        return false;
    }
}

/* Puts what can change into *now; returns how much did. */
static int take_changes(struct config *now, const struct config *read) {
    int n = 0;
    for (int key = 0; key < CONFIG_KEY_COUNT; key++) {
        const char *name = config_key_name((enum config_key)key);
        /* The control group may allow more or less than before. */
        bool same_memory =
            key != CONFIG_MEMORY_LIMIT || now->memory_limit_bytes == read->memory_limit_bytes;
        if (strcmp(now->text[key], read->text[key]) == 0 && same_memory) {
            continue;
        }
        if (!take_value(now, read, key)) {
            log_warning("SIGHUP: %s = %s (%s) waits for a restart; '%s' stays in force", name,
                        read->text[key], read->origin[key], now->text[key]);
            continue;
        }
        log_info("SIGHUP: %s = %s (%s), no longer '%s'", name, read->text[key], read->origin[key],
                 now->text[key]);
        memcpy(now->text[key], read->text[key], sizeof(now->text[key]));
        memcpy(now->origin[key], read->origin[key], sizeof(now->origin[key]));
        n++;
    }
    return n;
}

static const struct config_dataset *find_dataset(const struct config *config, const char *name) {
    for (int i = 0; i < config->n_datasets; i++) {
        if (strcmp(config->datasets[i].name, name) == 0) {
            return &config->datasets[i];
        }
    }
    return NULL;
}

/* Runs may be training on them. */
static void tell_datasets(const struct config *now, const struct config *read) {
    for (int i = 0; i < read->n_datasets; i++) {
        const struct config_dataset *new = &read->datasets[i];
        const struct config_dataset *old = find_dataset(now, new->name);
        if (!old || strcmp(old->directory, new->directory) != 0) {
            log_warning("SIGHUP: the data set %s = %s (%s) waits for a restart", new->name,
                        new->directory, new->origin);
        }
    }
    for (int i = 0; i < now->n_datasets; i++) {
        if (!find_dataset(read, now->datasets[i].name)) {
            log_warning("SIGHUP: the data set %s stays until a restart", now->datasets[i].name);
        }
    }
}

/* The order of the queue follows the half_life that is in the store. When it cannot be put there,
 * *read gets the one that is in force, so that the next SIGHUP finds the change again. */
static void store_half_life(struct parts *parts, const struct config *before, struct config *read) {
    const enum config_key key = CONFIG_HALF_LIFE;
    struct error error;
    if (strcmp(before->text[key], read->text[key]) == 0 ||
        usage_set_half_life(parts->store, read->half_life_s, clock_unix_ms(&clock_system),
                            &error) == STATUS_OK) {
        return;
    }
    log_error("SIGHUP: half_life = %s (%s) cannot be stored, '%s' stays in force until the next "
              "SIGHUP: %s",
              read->text[key], read->origin[key], before->text[key], error.message);
    read->half_life_s = before->half_life_s;
    memcpy(read->text[key], before->text[key], sizeof(read->text[key]));
    memcpy(read->origin[key], before->origin[key], sizeof(read->origin[key]));
}

static void apply_owners(struct parts *parts, const struct config *now) {
    pool_set_limits(parts->pool, now->max_running, now->max_disk_bytes);
}

static void apply(struct parts *parts, const struct config *before, const struct config *now) {
    log_set_level(now->log_level);
    if (now->workers != before->workers && !pool_configure_workers(parts->pool, now->workers)) {
        struct pool_status status;
        pool_get_status(parts->pool, &status);
        log_warning("SIGHUP: workers stays %d, as was set by the API", status.n_workers);
    }
    pool_set_arithmetic_change(parts->pool, now->on_arithmetic_change);
    apply_owners(parts, now);
    atomic_store(&parts->local.checkpoint_interval_s, now->checkpoint_interval_s);
    atomic_store(&parts->local.memory_limit_bytes, now->memory_limit_bytes);
    if (now->keep_checkpoints_days != before->keep_checkpoints_days ||
        now->keep_events_days != before->keep_events_days) {
        retention_set_days(parts->retention, now->keep_checkpoints_days, now->keep_events_days);
    }
    api_server_set_config(parts->server, now);
}

static void take_settings(struct reload *reload, struct parts *parts, struct config *read) {
    const struct config *before = reload->all ? &reload->all->config : parts->config;
    struct reload_settings *next = calloc(1, sizeof(*next));
    if (!next) {
        log_error("SIGHUP: no memory for the settings; they stay as they were");
        return;
    }
    next->config = *before;
    tell_datasets(before, read);
    store_half_life(parts, before, read);
    if (take_changes(&next->config, read) == 0) {
        free(next);
        return;
    }
    next->before = reload->all;
    reload->all = next;
    apply(parts, before, &next->config);
}

static void reread_settings(struct reload *reload, struct parts *parts) {
    CLEANUP(free_pointer) struct config *read = calloc(1, sizeof(*read));
    CLEANUP(free_pointer) struct config_problems *problems = calloc(1, sizeof(*problems));
    if (!read || !problems) {
        log_error("SIGHUP: no memory for the settings; they stay as they were");
        return;
    }
    config_load_all(reload->source.argc, reload->source.argv, reload->source.environment,
                    CONFIG_DEFAULT_FILE, read, problems);
    for (int i = 0; i < problems->n && i < CONFIG_MAX_PROBLEMS; i++) {
        log_error("SIGHUP: %s", problems->items[i].message);
    }
    if (problems->n > 0) {
        log_error("SIGHUP: %d problem(s) in the settings; they stay as they were", problems->n);
        return;
    }
    take_settings(reload, parts, read);
}

/* The machine's time zone may be another one now. localtime_r does not look by itself. */
static void reread_time_zone(const struct reload *reload, struct parts *parts) {
    const struct config *now = reload->all ? &reload->all->config : parts->config;
    tzset();
    pool_set_quiet(parts->pool, &now->quiet);
}

/* ---- files that the settings name ---- */

static void reread_tokens(const struct parts *parts) {
    struct error error;
    if (!parts->tokens) {
        log_info("SIGHUP: there is no tokens_file to read again");
    } else if (tokens_reload(parts->tokens, &error) != STATUS_OK) {
        log_error("SIGHUP: the tokens stay as they were: %s", error.message);
    } else {
        int n_ended = api_server_tokens_changed(parts->server);
        log_info("SIGHUP: %zu token(s) in force; %d open answer(s) of others ended",
                 tokens_count(parts->tokens), n_ended);
    }
}

static void reread_certificate(const struct parts *parts) {
    struct error error;
    bool changed = false;
    int64_t expires_ms = 0;
    char expires[TIME_TEXT_SIZE];
    if (!parts->config->tls_cert[0]) {
        return;
    }
    if (api_server_reload_tls(parts->server, &changed, &expires_ms, &error) != STATUS_OK) {
        log_error("SIGHUP: the certificate stays as it was: %s", error.message);
        return;
    }
    log_info("SIGHUP: %s, good until %s",
             changed ? "another certificate is in force for new connections"
                     : "the certificate is the same",
             time_format(expires_ms, expires));
}

void reload(struct reload *reload, struct parts *parts) {
    reread_settings(reload, parts);
    reread_time_zone(reload, parts);
    reread_tokens(parts);
    reread_certificate(parts);
}

void reload_clear(struct reload *reload) {
    while (reload->all) {
        struct reload_settings *settings = reload->all;
        reload->all = settings->before;
        free(settings);
    }
}
