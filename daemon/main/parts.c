/* Layer: daemon/main. */
#include "daemon/main/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "daemon/config/lock.h"
#include "daemon/config/state_dir.h"
#include "daemon/config/state_dir_sweep.h"
#include "daemon/store/query/upkeep.h"
#include "daemon/store/table/setting_table.h"
#include "daemon/work/recovery.h"
#include "daemon/work/sweep_links.h"

/* Until a full disk is tried again. */
static const double RETRY_DELAY_S = 30.0;

enum status parts_check_reach(const struct config *config, struct error *error) {
    return config_is_public(config) && !config->tokens_file[0]
               ? error_set(error, STATUS_FORBIDDEN,
                           "%s: other machines could reach %s, and there are no access tokens; set "
                           "tokens_file (cutoutd token NAME makes a line for it), or listen on a "
                           "loopback address such as 127.0.0.1:8080",
                           config->origin[CONFIG_LISTEN], config->text[CONFIG_LISTEN])
               : STATUS_OK;
}

/* Of every run, in order. */
struct run_ids_known {
    int64_t *ids;
    size_t n;
};

static void known_clear(struct run_ids_known *known) {
    free(known->ids);
}

static bool is_known_run(void *user, int64_t run_id) {
    const struct run_ids_known *known = user;
    size_t low = 0;
    for (size_t high = known->n; low < high;) {
        size_t middle = low + (high - low) / 2;
        if (known->ids[middle] < run_id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < known->n && known->ids[low] == run_id;
}

static enum status open_tokens(struct parts *parts, struct error *error) {
    const struct config *config = parts->config;
    if (!config->tokens_file[0]) {
        log_info("cutoutd " CUTOUTD_VERSION ": open to everybody on this machine");
        return STATUS_OK;
    }
    TRY(tokens_open(config->tokens_file, &parts->tokens, error));
    size_t n = tokens_count(parts->tokens);
    log_info("cutoutd " CUTOUTD_VERSION ": %zu token%s of %s", n, n == 1 ? "" : "s",
             config->tokens_file);
    if (tokens_count(parts->tokens) == 0) {
        log_warning("%s has no tokens: nobody may ask for anything", config->tokens_file);
    }
    if (config_is_public(config) && !config->tls_cert[0]) {
        log_warning(
            "tokens and answers cross the network in the clear on %s: set tls_cert and tls_key",
            config->text[CONFIG_LISTEN]);
    }
    return STATUS_OK;
}

/* What deleted runs have left behind goes; what belongs to no run of this database is put aside. */
static enum status sweep_state(const struct parts *parts, struct error *error) {
    char instance[64];
    struct state_dir_swept swept;
    CLEANUP(known_clear) struct run_ids_known known = {.ids = NULL};
    struct state_dir_owner owner = {.instance = instance, .is_known = is_known_run, .user = &known};
    TRY(upkeep_list_runs(parts->store, &known.ids, &known.n, error));
    TRY(setting_table_get(parts->store, SETTING_INSTANCE, instance, sizeof(instance), error));
    TRY(upkeep_last_run_id(parts->store, &owner.last_run_id, error));
    TRY(state_dir_sweep(parts->config->state_dir, &owner, clock_unix_ms(&clock_system), &swept,
                        error));
    if (swept.n_removed > 0) {
        log_info("removed what %d deleted run(s) had left behind", swept.n_removed);
    }
    if (swept.n_leftovers > 0) {
        log_info("removed %d checkpoint(s) and backup(s) that were not finished",
                 swept.n_leftovers);
    }
    if (swept.n_unknown > 0) {
        log_warning("%d directories of runs do not belong to this database (it is new, older, or "
                    "another one): moved to %s, nothing in them is removed",
                    swept.n_unknown, swept.unknown);
    }
    return STATUS_OK;
}

static enum status open_state(struct parts *parts, struct error *error) {
    const char *directory = parts->config->state_dir;
    char path[CONFIG_TEXT_SIZE + 32];
    TRY(state_dir_make(directory, error));
    TRY(lock_take(directory, &parts->lock_fd, error));
    state_dir_remove_address(directory);
    (void)snprintf(path, sizeof(path), "%s/cutoutd.db", directory);
    TRY(store_open(path, &parts->store, error));
    return sweep_state(parts, error);
}

static enum status make_pool(struct parts *parts, struct error *error) {
    const struct config *config = parts->config;
    parts->local = (struct executor_local){
        .kernels = parts->kernels,
        .clock = &clock_system,
        .datasets = parts->datasets,
        .n_threads = config->threads_per_run,
        .n_cores = !strcmp(config->text[CONFIG_THREADS_PER_RUN], "auto")
                       ? config->workers * config->threads_per_run
                       : 0,
        .checkpoint_interval_s = config->checkpoint_interval_s,
        .memory_limit_bytes = config->memory_limit_bytes,
        .pin_threads = config->pin_threads,
    };
    parts->executors[0] = executor_local_make(&parts->local);
    const struct pool_options options = {
        .n_workers = config->workers,
        .store = parts->store,
        .queue = parts->queue,
        .notifier = parts->notifier,
        .progress = parts->progress,
        .executors = parts->executors,
        .n_executors = sizeof(parts->executors) / sizeof(parts->executors[0]),
        .clock = &clock_system,
        .state_dir = config->state_dir,
        .on_arithmetic_change = config->on_arithmetic_change,
        .retry_delay_s = RETRY_DELAY_S,
    };
    return pool_create(&options, &parts->pool, error);
}

static enum status recover(const struct parts *parts, struct error *error) {
    struct recovery_result recovered;
    TRY(recovery_run(parts->store, parts->pool, &clock_system, &recovered, error));
    if (recovered.n_requeued > 0) {
        log_info("%d interrupted run(s) will go on from their last checkpoints",
                 recovered.n_requeued);
    }
    return STATUS_OK;
}

/* A run that was accepted says that its data set was there once. */
static enum status note_known_datasets(const struct parts *parts, struct error *error) {
    const char *const *names = dataset_registry_names(parts->datasets);
    for (size_t i = 0; i < dataset_registry_count(parts->datasets); i++) {
        bool has = false;
        TRY(run_table_has_dataset(parts->store, names[i], &has, error));
        if (has) {
            dataset_registry_note_known(parts->datasets, names[i]);
        }
    }
    return STATUS_OK;
}

static enum status start_retention(struct parts *parts, struct error *error) {
    const struct retention_options options = {
        .store = parts->store,
        .state_dir = parts->config->state_dir,
        .clock = &clock_system,
        .keep_days = parts->config->keep_checkpoints_days,
        .keep_events_days = parts->config->keep_events_days,
    };
    return retention_start(&options, &parts->retention, error);
}

static enum status start_server(struct parts *parts, struct error *error) {
    const struct api_options options = {
        .listeners = &parts->listeners,
        .unix_socket = parts->config->unix_socket,
        .tls_cert = parts->config->tls_cert,
        .tls_key = parts->config->tls_key,
        .config = parts->config,
        .clock = &clock_system,
        .kernels = parts->kernels,
        .store = parts->store,
        .queue = parts->queue,
        .pool = parts->pool,
        .notifier = parts->notifier,
        .progress = parts->progress,
        .health = parts->health,
        .datasets = parts->datasets,
        .tokens = parts->tokens,
        .links = parts->links,
    };
    TRY(api_server_start(&options, &parts->server, error));
    /* "127.0.0.1:8080", "https://127.0.0.1:8443", "unix:/run/cutoutd/socket". */
    const char *address = parts->config->tls_cert[0] ? api_server_url(parts->server)
                                                     : api_server_address(parts->server);
    return state_dir_write_address(parts->config->state_dir, address, error);
}

enum status parts_start(struct parts *parts, struct error *error) {
    const struct config *config = parts->config;
    TRY(parts_check_reach(config, error));
    TRY(open_tokens(parts, error));
    TRY(kernels_select(config->isa, &parts->kernels, error));
    TRY(listeners_open(config->listen_address, config->listen_port, config->unix_socket,
                       &parts->listeners, error));
    TRY(open_state(parts, error));
    TRY(notifier_create(&parts->notifier, error));
    store_observe(parts->store, notifier_publish, parts->notifier);
    TRY(health_create(parts->store, config->state_dir, &clock_system, &parts->health, error));
    TRY(health_start(parts->health, error));
    TRY(queue_create(parts->store, &clock_system, &parts->queue, error));
    TRY(progress_board_create(POOL_MAX_WORKERS, &parts->progress, error));
    TRY(dataset_registry_create(config, &parts->datasets, error));
    TRY(note_known_datasets(parts, error));
    TRY(make_pool(parts, error));
    TRY(recover(parts, error));
    TRY(sweep_links_open(parts->store, &clock_system, &parts->links, error));
    TRY(start_server(parts, error));
    TRY(start_retention(parts, error));
    return pool_begin(parts->pool, error);
}

void parts_stop(struct parts *parts) {
    /* All are asked before one is waited for: training is told at once, whatever else is busy. */
    pool_ask_stop(parts->pool);
    retention_ask_stop(parts->retention);
    api_server_ask_stop(parts->server);
    if (parts->server) {
        state_dir_remove_address(parts->config->state_dir);
    }
    api_server_stop(parts->server);
    listeners_close(&parts->listeners);
    retention_stop(parts->retention);
    pool_stop(parts->pool);
    dataset_registry_free(parts->datasets);
    progress_board_free(parts->progress);
    queue_free(parts->queue);
    health_free(parts->health);
    sweep_links_close(parts->links);
    store_close(parts->store);
    notifier_free(parts->notifier);
    tokens_close(parts->tokens);
    if (parts->lock_fd >= 0) {
        (void)close(parts->lock_fd);
    }
}
