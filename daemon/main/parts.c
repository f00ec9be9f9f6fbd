/* Layer: daemon/main. */
#include "daemon/main/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "daemon/config/state_dir.h"
#include "daemon/main/notify.h"
#include "daemon/main/version.h"
#include "daemon/store/owner/usage.h"
#include "daemon/store/table/setting_table.h"
#include "daemon/work/open_state.h"
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

/* ---- where it listens ---- */

static bool is_set(const struct config *config, enum config_key key) {
    return strcmp(config->origin[key], "default") != 0;
}

/* Whether the setting says what systemd does; one that says something else would not be in force.
 */
static enum status check_adopted(const struct config *config, enum config_key key,
                                 const char *adopted, const char *wanted, struct error *error) {
    if (!adopted[0] || !is_set(config, key) || strcmp(adopted, wanted) == 0) {
        return STATUS_OK;
    }
    return error_set(error, STATUS_CONFLICT,
                     "%s: here it is %s, but systemd listens on %s for the daemon; set it in the "
                     "unit (systemctl edit cutoutd.socket), or do without that unit (systemctl "
                     "disable --now cutoutd.socket)",
                     config->origin[key], config->text[key], adopted);
}

static enum status adopt_sockets(struct parts *parts, struct error *error) {
    const struct config *config = parts->config;
    struct listeners *listeners = &parts->listeners;
    char wanted[sizeof(config->listen_address) + 16] = "";
    int first = 0;
    int n = notify_sockets(&first);
    enum status status = STATUS_OK;
    for (int i = 0; i < n; i++) {
        if (status == STATUS_OK) {
            status = listeners_adopt(listeners, first + i, error);
        } else {
            (void)close(first + i);
        }
    }
    if (status != STATUS_OK) {
        error_prefix(error, "the sockets of cutoutd.socket");
        return status;
    }
    if (config->listen_address[0]) {
        bool v6 = strchr(config->listen_address, ':') != NULL;
        (void)snprintf(wanted, sizeof(wanted), "%s%s%s:%d", v6 ? "[" : "", config->listen_address,
                       v6 ? "]" : "", config->listen_port);
    }
    parts->adopted = n > 0;
    TRY(check_adopted(config, CONFIG_LISTEN, listeners->address, wanted, error));
    return check_adopted(config, CONFIG_UNIX_SOCKET, listeners->path, config->unix_socket, error);
}

/* Where systemd listens for us, the default of `listen` is not in force. */
static enum status open_listeners(struct parts *parts, struct error *error) {
    const struct config *config = parts->config;
    bool by_config = !parts->adopted || is_set(config, CONFIG_LISTEN);
    return listeners_open(&parts->listeners, by_config ? config->listen_address : "",
                          config->listen_port, config->unix_socket, error);
}

static enum status check_reach(const struct parts *parts, struct error *error) {
    const struct listeners *listeners = &parts->listeners;
    if (listeners->fd < 0) {
        return parts->adopted && !is_set(parts->config, CONFIG_LISTEN)
                   ? STATUS_OK
                   : parts_check_reach(parts->config, error);
    }
    return listeners->is_public && !parts->config->tokens_file[0]
               ? error_set(error, STATUS_FORBIDDEN,
                           "cutoutd.socket: other machines could reach %s, and there are no access "
                           "tokens; set tokens_file (cutoutd token NAME makes a line for it), or "
                           "let ListenStream= be a loopback address such as 127.0.0.1:8080",
                           listeners->address)
               : STATUS_OK;
}

/* ---- who may ask for what ---- */

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
    return STATUS_OK;
}

static void warn_of_clear_text(const struct parts *parts) {
    if (parts->listeners.is_public && !parts->config->tls_cert[0]) {
        log_warning(
            "tokens and answers cross the network in the clear on %s: set tls_cert and tls_key",
            parts->listeners.address);
    }
}

static void wake_queue(void *user) {
    struct parts *parts = user;
    queue_wake(parts->queue);
}

/* In the order of the config. */
static enum status make_executors(struct parts *parts, struct error *error) {
    const struct config *config = parts->config;
    parts->trains_here = executor_local_make(&parts->local);
    parts->slurm = (struct executor_slurm){.config = config,
                                           .local = &parts->trains_here,
                                           .datasets = parts->datasets,
                                           .wake = wake_queue,
                                           .wake_user = parts};
    size_t n = 0;
    for (int i = 0; i < 2; i++) {
        bool slurm = config->slurm_first == (i == 0);
        if (slurm && config->has_slurm) {
            TRY(setting_table_instance(parts->store, parts->slurm.instance, error));
            parts->executors[n++] = executor_slurm_make(&parts->slurm);
        } else if (!slurm && config->has_local) {
            parts->executors[n++] = parts->trains_here;
        }
    }
    parts->n_executors = n;
    return STATUS_OK;
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
    TRY(make_executors(parts, error));
    const struct pool_options options = {
        .n_workers = config->workers,
        .store = parts->store,
        .queue = parts->queue,
        .notifier = parts->notifier,
        .progress = parts->progress,
        .executors = parts->executors,
        .n_executors = parts->n_executors,
        .clock = &clock_system,
        .state_dir = config->state_dir,
        .on_arithmetic_change = config->on_arithmetic_change,
        .max_running = config->max_running,
        .max_disk = config->max_disk_bytes,
        .quiet = config->quiet,
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
        struct dataset_description description;
        bool has = false;
        TRY(run_table_has_dataset(parts->store, names[i], &has, error));
        if (has) {
            dataset_registry_note_known(parts->datasets, names[i]);
        }
        dataset_registry_describe(parts->datasets, i, &description);
        if (!description.available) {
            log_warning("data set %s cannot be used: %s", names[i], description.problem);
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
        .keep_audit_days = parts->config->keep_audit_days,
    };
    return retention_start(&options, &parts->retention, error);
}

static enum status start_server(struct parts *parts, struct error *error) {
    const struct api_options options = {
        .listeners = &parts->listeners,
        .unix_socket = parts->config->unix_socket,
        .tls_cert = parts->config->tls_cert,
        .tls_key = parts->config->tls_key,
        .commit = version_commit,
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
        .sender = parts->sender,
    };
    TRY(api_server_start(&options, &parts->server, error));
    /* "127.0.0.1:8080", "https://127.0.0.1:8443", "unix:/run/cutoutd/socket". */
    const char *address = parts->config->tls_cert[0] ? api_server_url(parts->server)
                                                     : api_server_address(parts->server);
    enum status status = state_dir_write_address(parts->config->state_dir, address, error);
    if (status == STATUS_NO_SPACE) {
        /* What is stored can be asked for, and deleted to make room, all the same. */
        log_warning("%s; it serves on %s without that file, by which `cutoutd backup` finds it: "
                    "free some space, and restart it",
                    error->message, address);
        return STATUS_OK;
    }
    return status;
}

/* A run was changed: who follows it, and webhooks. */
static void on_commit(void *user, int64_t run_id) {
    const struct parts *parts = user;
    notifier_publish(parts->notifier, run_id);
    sender_poke(parts->sender);
}

static enum status make_sender(struct parts *parts, struct error *error) {
    const struct sender_options options = {
        .store = parts->store,
        .clock = &clock_system,
        .health = parts->health,
        .progress = parts->progress,
        .allowed_addresses = parts->config->webhook_addresses,
        .disk_low_bytes = parts->config->disk_low_bytes,
        .stalled_s = parts->config->stalled_after_s,
    };
    return sender_create(&options, &parts->sender, error);
}

enum status parts_start(struct parts *parts, struct error *error) {
    const struct config *config = parts->config;
    TRY(adopt_sockets(parts, error));
    TRY(check_reach(parts, error));
    TRY(open_tokens(parts, error));
    TRY(kernels_select(config->isa, &parts->kernels, error));
    TRY(open_listeners(parts, error));
    warn_of_clear_text(parts);
    TRY(open_state(config->state_dir, &clock_system, &parts->lock_fd, &parts->store, error));
    TRY(notifier_create(&parts->notifier, error));
    store_observe(parts->store, on_commit, parts);
    TRY(health_create(parts->store, config->state_dir, &clock_system, &parts->health, error));
    TRY(health_start(parts->health, error));
    TRY(queue_create(parts->store, &clock_system, &parts->queue, error));
    TRY(progress_board_create(POOL_MAX_WORKERS, &parts->progress, error));
    TRY(dataset_registry_create(config, &parts->datasets, error));
    TRY(note_known_datasets(parts, error));
    TRY(usage_set_half_life(parts->store, config->half_life_s, clock_unix_ms(&clock_system),
                            error));
    TRY(make_sender(parts, error));
    TRY(make_pool(parts, error));
    TRY(recover(parts, error));
    TRY(sweep_links_open(parts->store, &clock_system, &parts->links, error));
    TRY(start_server(parts, error));
    TRY(start_retention(parts, error));
    TRY(sender_start(parts->sender, error));
    return pool_begin(parts->pool, error);
}

void parts_stop_serving(struct parts *parts) {
    /* All are asked before one is waited for: training is told at once, whatever else is busy. */
    pool_ask_stop(parts->pool);
    retention_ask_stop(parts->retention);
    sender_ask_stop(parts->sender);
    api_server_ask_stop(parts->server);
    if (parts->server) {
        state_dir_remove_address(parts->config->state_dir);
    }
    api_server_stop(parts->server);
    parts->server = NULL;
    listeners_close(&parts->listeners);
}

void parts_stop(struct parts *parts) {
    parts_stop_serving(parts);
    retention_stop(parts->retention);
    pool_stop(parts->pool);
    sender_free(parts->sender);
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
