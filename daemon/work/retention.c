/* Layer: daemon/work. Thread rule: must_stop is set with the mutex held, so that the thread does
 * not sleep over it. */
#include "daemon/work/retention.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/cleanup.h"
#include "core/base/log.h"
#include "daemon/config/config.h"
#include "daemon/config/leaving_files.h"
#include "daemon/config/state_dir.h"
#include "daemon/store/change/old_rows.h"
#include "daemon/store/owner/usage.h"
#include "daemon/store/query/upkeep.h"
#include "daemon/store/table/audit_table.h"
#include "daemon/store/table/checkpoint_table.h"
#include "daemon/store/table/setting_table.h"
#include "daemon/store/table/webhook_table.h"

enum { INTERVAL_S = 24 * 60 * 60, USAGE_DAYS = 366, DELIVERY_DAYS = 30 };
enum { RUN_DIR_SIZE = CONFIG_TEXT_SIZE + 64 };

static const int64_t DAY_MS = (int64_t)INTERVAL_S * 1000;

struct retention {
    struct retention_options options;
    pthread_t thread;
    bool started;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    atomic_bool must_stop;
    int64_t looked_ms;    /* of the thread: when it last looked, by the clock; 0: not yet */
    double looked_s;      /* and monotonic */
    atomic_int keep_days; /* of options at first, as the next */
    atomic_int keep_events_days;
    bool changed; /* guarded by mutex: they were, and nothing was purged since */
};

/* ---- one run ---- */

struct purge {
    const struct retention_options *options;
    bool marked;       /* files got their other name, and the commit may have failed after it */
    bool files_failed; /* it was not the database */
};

static bool is_best(void *user, int64_t run_id, const char *name) {
    const struct checkpoint_row *best = checkpoint_list_newest(user, CHECKPOINT_BEST);
    (void)run_id;
    return best && !strcmp(best->path, name);
}

static bool is_in_list(void *user, int64_t run_id, const char *name) {
    (void)run_id;
    return checkpoint_list_names(user, name);
}

static void run_dir_of(const struct retention_options *options, int64_t run_id,
                       char ret_path[RUN_DIR_SIZE]) {
    state_dir_run_path(options->state_dir, run_id, NULL, ret_path, RUN_DIR_SIZE);
}

/* Every checkpoint in the run's directory but the best, also those that nobody knows any more. */
static void count_files(const struct retention_options *options, int64_t run_id,
                        struct checkpoint_list *list, struct leaving_result *result) {
    char run_dir[RUN_DIR_SIZE];
    const struct listed_files best = {is_best, list, run_id};
    run_dir_of(options, run_id, run_dir);
    leaving_files_count(run_dir, &best, result);
}

static enum status mark_files(void *user, int64_t run_id, const struct checkpoint_list *kept,
                              struct error *error) {
    struct purge *purge = user;
    char run_dir[RUN_DIR_SIZE];
    struct checkpoint_list list = *kept;
    const struct listed_files best = {is_best, &list, run_id};
    run_dir_of(purge->options, run_id, run_dir);
    enum status status = leaving_files_mark(run_dir, &best, error);
    purge->marked = true;
    purge->files_failed = status != STATUS_OK;
    return status;
}

/* By the rows as they are now, whatever became of the commit. */
static void settle_files(const struct retention_options *options, int64_t run_id,
                         struct leaving_result *result) {
    CLEANUP(checkpoint_list_clear) struct checkpoint_list list = {0};
    char run_dir[RUN_DIR_SIZE];
    struct error error;
    if (checkpoint_table_list(options->store, run_id, &list, &error) != STATUS_OK) {
        log_warning("the last checkpoints of run %lld are removed at the next start: %s",
                    (long long)run_id, error.message);
        return;
    }
    const struct listed_files listed = {is_in_list, &list, run_id};
    run_dir_of(options, run_id, run_dir);
    leaving_files_settle(run_dir, &listed, result);
}

static enum status purge_run(const struct retention_options *options, int64_t run_id,
                             int64_t before_ms, bool dry_run, struct purge_result *result,
                             struct error *error) {
    CLEANUP(checkpoint_list_clear) struct checkpoint_list list = {0};
    struct leaving_result gone = {0};
    struct purge purge = {.options = options};
    bool done = true;
    if (dry_run) {
        TRY(checkpoint_table_list(options->store, run_id, &list, error));
        count_files(options, run_id, &list, &gone);
    } else {
        /* Who looks for a checkpoint finds no row whose file is gone. */
        enum status status =
            upkeep_forget_last(options->store, run_id, before_ms, clock_unix_ms(options->clock),
                               mark_files, &purge, &done, error);
        if (purge.marked) {
            settle_files(options, run_id, &gone);
        }
        if (purge.files_failed) {
            log_warning("the last checkpoints of run %lld stay: %s", (long long)run_id,
                        error ? error->message : "");
            return STATUS_OK;
        }
        TRY(status);
    }
    result->n_runs += done;
    result->n_files += gone.n_files;
    result->n_bytes += gone.n_bytes;
    return STATUS_OK;
}

enum status retention_purge(const struct retention_options *options, int older_than_days,
                            bool dry_run, struct purge_result *ret_result, struct error *error) {
    CLEANUP(free_pointer) int64_t *ids = NULL;
    size_t n = 0;
    int64_t before_ms = clock_unix_ms(options->clock) - older_than_days * DAY_MS;
    *ret_result = (struct purge_result){0};
    TRY(upkeep_list_finished(options->store, before_ms, &ids, &n, error));
    for (size_t i = 0; i < n; i++) {
        if (options->stop && atomic_load(options->stop)) {
            return error_set(error, STATUS_BUSY, "the purge was given up: the daemon is stopping");
        }
        TRY(purge_run(options, ids[i], before_ms, dry_run, ret_result, error));
    }
    return STATUS_OK;
}

/* ---- whether the clock can be believed ---- */

static const char SETTING_LOOKED[] = "retention_looked_ms";
static const int64_t JUMP_MS = (int64_t)60 * 60 * 1000;
static const int64_t LONGEST_REST_MS = 60 * (int64_t)INTERVAL_S * 1000;

/* Of this process by how long it has run, else by the time of its last look. */
static bool is_as_expected(const struct retention *retention, int64_t now_ms, double now_s) {
    char text[32];
    if (retention->looked_ms > 0) {
        double expected = (double)retention->looked_ms + (now_s - retention->looked_s) * 1000.0;
        return fabs((double)now_ms - expected) <= (double)JUMP_MS;
    }
    enum status status =
        setting_table_get(retention->options.store, SETTING_LOOKED, text, sizeof(text), NULL);
    if (status != STATUS_OK) {
        return status == STATUS_NOT_FOUND; /* it never looked */
    }
    int64_t last_ms = strtoll(text, NULL, 10);
    return now_ms >= last_ms - JUMP_MS && now_ms <= last_ms + LONGEST_REST_MS;
}

/* What is removed by its age is gone, also when the clock was wrong. After a jump nothing is
 * removed until the clock has gone on from there for a day. */
static bool believes_clock(struct retention *retention) {
    char text[32];
    int64_t now_ms = clock_unix_ms(retention->options.clock);
    double now_s = clock_monotonic_s(retention->options.clock);
    bool believed = is_as_expected(retention, now_ms, now_s);
    retention->looked_ms = now_ms;
    retention->looked_s = now_s;
    (void)snprintf(text, sizeof(text), "%lld", (long long)now_ms);
    (void)setting_table_put(retention->options.store, SETTING_LOOKED, text, NULL);
    if (!believed) {
        log_warning("the clock has jumped, or the daemon did not run for long: nothing is removed "
                    "by its age today");
    }
    return believed;
}

/* ---- once a day ---- */

/* In short commits, so that other writers come in between. */
static void expire_events(struct retention *retention) {
    const struct retention_options *options = &retention->options;
    int days = atomic_load(&retention->keep_events_days);
    int64_t before_ms = clock_unix_ms(options->clock) - days * DAY_MS;
    int64_t n_events = 0;
    struct error error;
    for (int n = 1; n > 0 && !atomic_load(&retention->must_stop); n_events += n) {
        if (old_events_delete(options->store, before_ms, &n, &error) != STATUS_OK) {
            log_warning("keep_events_days: %s", error.message);
            return;
        }
    }
    if (n_events > 0) {
        log_info("deleted %lld event(s) of more than %d day(s) ago", (long long)n_events, days);
    }
}

static void expire_audit(const struct retention *retention) {
    const struct retention_options *options = &retention->options;
    int64_t before_ms = clock_unix_ms(options->clock) - options->keep_audit_days * DAY_MS;
    struct error error;
    for (int n = 1; n > 0 && !atomic_load(&retention->must_stop);) {
        if (audit_table_expire(options->store, before_ms, &n, &error) != STATUS_OK) {
            log_warning("keep_audit_days: %s", error.message);
            return;
        }
    }
}

static void expire_deliveries(const struct retention *retention) {
    const struct retention_options *options = &retention->options;
    int64_t before_ms = clock_unix_ms(options->clock) - DELIVERY_DAYS * DAY_MS;
    struct error error;
    for (int n = 1; n > 0 && !atomic_load(&retention->must_stop);) {
        if (delivery_table_expire(options->store, before_ms, &n, &error) != STATUS_OK) {
            log_warning("deliveries of webhooks: %s", error.message);
            return;
        }
    }
}

/* What owners used is asked for by the month; older hours matter to a long half_life alone. */
static void expire_usage(const struct retention *retention) {
    struct error error;
    int64_t before_ms = clock_unix_ms(retention->options.clock) - USAGE_DAYS * DAY_MS;
    if (usage_forget(retention->options.store, before_ms, &error) != STATUS_OK) {
        log_warning("what owners used: %s", error.message);
    }
}

/* Once, after an update from a version that kept more in them. */
static void rewrite_configs(struct retention *retention) {
    struct error error;
    for (bool more = true; more && !atomic_load(&retention->must_stop);) {
        if (old_configs_rewrite(retention->options.store, &more, &error) != STATUS_OK) {
            log_warning("configs of runs of an earlier version: %s", error.message);
            return;
        }
    }
}

static void purge_and_tell(struct retention *retention) {
    struct purge_result result;
    struct error error;
    int days = atomic_load(&retention->keep_days);
    if (retention_purge(&retention->options, days, false, &result, &error) != STATUS_OK) {
        log_warning("keep_checkpoints_days: %s", error.message);
    }
    if (result.n_runs > 0) {
        log_info("removed the last checkpoints of %lld run(s) that ended more than %d day(s) ago: "
                 "%lld bytes",
                 (long long)result.n_runs, days, (long long)result.n_bytes);
    }
}

static void *work(void *user) {
    struct retention *retention = user;
    while (!atomic_load(&retention->must_stop)) {
        rewrite_configs(retention);
        bool believed = believes_clock(retention);
        if (believed && atomic_load(&retention->keep_days) > 0) {
            purge_and_tell(retention);
        }
        if (believed && atomic_load(&retention->keep_events_days) > 0) {
            expire_events(retention);
        }
        if (believed) {
            expire_usage(retention);
            expire_deliveries(retention);
        }
        if (believed && retention->options.keep_audit_days > 0) {
            expire_audit(retention);
        }
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += INTERVAL_S;
        (void)pthread_mutex_lock(&retention->mutex);
        int reason = 0;
        while (!atomic_load(&retention->must_stop) && !retention->changed && reason == 0) {
            reason = pthread_cond_timedwait(&retention->wake, &retention->mutex, &until);
        }
        retention->changed = false;
        (void)pthread_mutex_unlock(&retention->mutex);
    }
    return NULL;
}

enum status retention_start(const struct retention_options *options,
                            struct retention **ret_retention, struct error *error) {
    *ret_retention = NULL;
    struct retention *retention = calloc(1, sizeof(*retention));
    if (!retention) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the retention of checkpoints");
    }
    pthread_condattr_t monotonic;
    retention->options = *options;
    retention->options.stop = &retention->must_stop;
    atomic_store(&retention->keep_days, options->keep_days);
    atomic_store(&retention->keep_events_days, options->keep_events_days);
    (void)pthread_mutex_init(&retention->mutex, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&retention->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    int reason = pthread_create(&retention->thread, NULL, work, retention);
    retention->started = reason == 0;
    if (!retention->started) {
        retention_stop(retention);
        return error_set_errno(error, reason, "cannot start a thread");
    }
    *ret_retention = retention;
    return STATUS_OK;
}

void retention_set_days(struct retention *retention, int keep_days, int keep_events_days) {
    if (retention) {
        (void)pthread_mutex_lock(&retention->mutex);
        atomic_store(&retention->keep_days, keep_days);
        atomic_store(&retention->keep_events_days, keep_events_days);
        retention->changed = true;
        (void)pthread_cond_signal(&retention->wake);
        (void)pthread_mutex_unlock(&retention->mutex);
    }
}

void retention_ask_stop(struct retention *retention) {
    if (retention) {
        (void)pthread_mutex_lock(&retention->mutex);
        atomic_store(&retention->must_stop, true);
        (void)pthread_cond_signal(&retention->wake);
        (void)pthread_mutex_unlock(&retention->mutex);
    }
}

void retention_stop(struct retention *retention) {
    if (!retention) {
        return;
    }
    retention_ask_stop(retention);
    if (retention->started) {
        (void)pthread_join(retention->thread, NULL);
    }
    (void)pthread_cond_destroy(&retention->wake);
    (void)pthread_mutex_destroy(&retention->mutex);
    free(retention);
}
