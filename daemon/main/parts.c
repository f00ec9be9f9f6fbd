/* Layer: above api. */
#include "daemon/main/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "daemon/config/lock.h"
#include "daemon/config/state_dir.h"
#include "daemon/store/query/upkeep.h"
#include "daemon/work/recovery.h"

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

static enum status open_state(struct parts *parts, struct error *error) {
    const char *directory = parts->config->state_dir;
    char path[CONFIG_TEXT_SIZE + 32];
    struct recovery_result recovered;
    TRY(state_dir_make(directory, error));
    TRY(lock_take(directory, &parts->lock_fd, error));
    state_dir_remove_address(directory);
    (void)snprintf(path, sizeof(path), "%s/cutoutd.db", directory);
    TRY(store_open(path, &parts->store, error));
    TRY(recovery_run(parts->store, &clock_system, &recovered, error));
    CLEANUP(known_clear) struct run_ids_known known = {.ids = NULL};
    TRY(upkeep_list_runs(parts->store, &known.ids, &known.n, error));
    int n_removed = state_dir_remove_unknown_runs(directory, is_known_run, &known);
    if (n_removed > 0) {
        log_info("removed what %d deleted run(s) had left behind", n_removed);
    }
    if (recovered.n_requeued > 0) {
        log_info("%d interrupted run(s) will go on from their last checkpoints",
                 recovered.n_requeued);
    }
    return STATUS_OK;
}

static enum status start_pool(struct parts *parts, struct error *error) {
    const struct config *config = parts->config;
    parts->executor = (struct executor_local){
        .kernels = parts->kernels,
        .clock = &clock_system,
        .n_threads = config->threads_per_run,
        .n_cores = !strcmp(config->text[CONFIG_THREADS_PER_RUN], "auto")
                       ? config->workers * config->threads_per_run
                       : 0,
        .checkpoint_interval_s = config->checkpoint_interval_s,
    };
    const struct pool_options options = {
        .n_workers = config->workers,
        .store = parts->store,
        .queue = parts->queue,
        .hub = parts->hub,
        .progress = parts->progress,
        .datasets = parts->datasets,
        .executor = executor_local_make(&parts->executor),
        .clock = &clock_system,
        .state_dir = config->state_dir,
        .retry_delay_s = RETRY_DELAY_S,
    };
    return pool_start(&options, &parts->pool, error);
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
        .listen_address = parts->config->listen_address,
        .port = parts->config->listen_port,
        .unix_socket = parts->config->unix_socket,
        .tls_cert = parts->config->tls_cert,
        .tls_key = parts->config->tls_key,
        .config = parts->config,
        .clock = &clock_system,
        .kernels = parts->kernels,
        .store = parts->store,
        .queue = parts->queue,
        .pool = parts->pool,
        .hub = parts->hub,
        .progress = parts->progress,
        .datasets = parts->datasets,
        .tokens = parts->tokens,
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
    TRY(open_state(parts, error));
    TRY(hub_create(&parts->hub, error));
    store_observe(parts->store, hub_publish, parts->hub);
    TRY(queue_create(parts->store, &clock_system, &parts->queue, error));
    TRY(progress_board_create(POOL_MAX_WORKERS, &parts->progress, error));
    TRY(dataset_registry_create(config, &parts->datasets, error));
    TRY(start_pool(parts, error));
    TRY(start_retention(parts, error));
    return start_server(parts, error);
}

void parts_stop(struct parts *parts) {
    if (parts->server) {
        state_dir_remove_address(parts->config->state_dir);
    }
    api_server_stop(parts->server);
    retention_stop(parts->retention);
    pool_stop(parts->pool);
    dataset_registry_free(parts->datasets);
    progress_board_free(parts->progress);
    queue_free(parts->queue);
    store_close(parts->store);
    hub_free(parts->hub);
    tokens_close(parts->tokens);
    if (parts->lock_fd >= 0) {
        (void)close(parts->lock_fd);
    }
}
