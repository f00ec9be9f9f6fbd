/* Layer: daemon/work. Thread rule: the mutex guards the report; it is never held while the store or
 * the disk is asked. */
#include "daemon/work/health.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/log.h"
#include "daemon/store/query/upkeep.h"

enum { INTERVAL_MS = 500, LEAST_FREE_BYTES = 1024 * 1024 };

/* So long after the last commit its log goes into the database file. */
static const double quiet_s = 5;

struct health {
    struct store *store;
    const char *state_dir;
    const struct clock *clock;
    /* Only of health_look. */
    uint64_t n_counted; /* commits + 1 when the runs were counted */
    uint64_t n_seen;    /* commits at the look before */
    double seen_s;      /* when there was the last one */
    bool settled;       /* all of them are in the database file */

    pthread_mutex_t mutex;
    pthread_cond_t stop;
    struct health_report report; /* guarded by mutex */
    double looked_s;             /* monotonic, of the report; guarded by mutex */
    bool must_stop;              /* guarded by mutex */
    pthread_t thread;
    bool started;
};

static const char *reason_of(enum status status, double age_s) {
    if (status == STATUS_OK) {
        return age_s <= HEALTH_MOST_AGE_S ? "" : "The database does not answer.";
    }
    if (status == STATUS_BUSY) {
        return "Another process holds the write lock of the database.";
    }
    if (status == STATUS_NO_SPACE) {
        return "The disk of the state directory is full.";
    }
    return "The database cannot be written; the daemon's log says why.";
}

/* Counts again only if something was committed since. */
static enum status count_runs(struct health *health, struct health_report *report,
                              struct error *error) {
    struct histogram_reading commits;
    histogram_read(store_commits(health->store), &commits);
    if (commits.n + 1 == health->n_counted) {
        return STATUS_OK;
    }
    TRY(run_table_count(health->store, report->runs, error));
    TRY(upkeep_oldest_queued(health->store, &report->oldest_queued_ms, error));
    health->n_counted = commits.n + 1;
    return STATUS_OK;
}

/* A log that nobody adds to is put away, so that it cannot be damaged. What fails is tried again
 * after the next commit. */
static void settle_when_quiet(struct health *health) {
    struct histogram_reading commits;
    struct error error;
    histogram_read(store_commits(health->store), &commits);
    double now_s = clock_monotonic_s(health->clock);
    if (commits.n != health->n_seen) {
        health->n_seen = commits.n;
        health->seen_s = now_s;
        health->settled = false;
    } else if (!health->settled && now_s - health->seen_s >= quiet_s) {
        health->settled = true;
        if (store_settle(health->store, &error) != STATUS_OK) {
            log_warning("%s", error.message);
        }
    }
}

static enum status look(struct health *health, struct health_report *report, struct error *error) {
    state_dir_measure(health->state_dir, &report->disk);
    TRY(store_check(health->store, error));
    /* What the ballast left is for the outcomes of runs. */
    int64_t least = LEAST_FREE_BYTES + (report->disk.has_ballast ? 0 : STATE_DIR_BALLAST_BYTES);
    if (report->disk.free_bytes >= 0 && report->disk.free_bytes < least) {
        return error_set(error, STATUS_NO_SPACE, "%s has %lld bytes left", health->state_dir,
                         (long long)report->disk.free_bytes);
    }
    return count_runs(health, report, error);
}

void health_look(struct health *health) {
    struct error error = {.message = ""};
    (void)pthread_mutex_lock(&health->mutex);
    struct health_report report = health->report;
    (void)pthread_mutex_unlock(&health->mutex);
    enum status before = report.status;
    report.status = look(health, &report, &error);
    if (report.status != STATUS_OK && before == STATUS_OK) {
        log_error("the store accepts nothing: %s", error.message);
    } else if (report.status == STATUS_OK && before != STATUS_OK) {
        log_info("the store accepts writes again");
    }
    (void)pthread_mutex_lock(&health->mutex);
    health->report = report;
    health->looked_s = clock_monotonic_s(health->clock);
    (void)pthread_mutex_unlock(&health->mutex);
    if (report.status == STATUS_OK) {
        settle_when_quiet(health);
    }
}

void health_read(struct health *health, struct health_report *ret_report) {
    (void)pthread_mutex_lock(&health->mutex);
    *ret_report = health->report;
    ret_report->age_s = clock_monotonic_s(health->clock) - health->looked_s;
    (void)pthread_mutex_unlock(&health->mutex);
    ret_report->reason = reason_of(ret_report->status, ret_report->age_s);
    ret_report->is_ready = ret_report->reason[0] == '\0';
}

/* With the mutex held: half a second, or until the stop. */
static void wait_for_next(struct health *health) {
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += INTERVAL_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    int code = 0;
    while (code == 0 && !health->must_stop) {
        code = pthread_cond_timedwait(&health->stop, &health->mutex, &until);
    }
}

static void *work(void *user) {
    struct health *health = user;
    (void)pthread_mutex_lock(&health->mutex);
    for (wait_for_next(health); !health->must_stop; wait_for_next(health)) {
        (void)pthread_mutex_unlock(&health->mutex);
        health_look(health);
        (void)pthread_mutex_lock(&health->mutex);
    }
    (void)pthread_mutex_unlock(&health->mutex);
    return NULL;
}

enum status health_create(struct store *store, const char *state_dir, const struct clock *clock,
                          struct health **ret_health, struct error *error) {
    struct health *health = calloc(1, sizeof(*health));
    if (!health) {
        return error_set(error, STATUS_NO_MEMORY, "no memory to watch the store");
    }
    health->store = store;
    health->state_dir = state_dir;
    health->clock = clock;
    health->settled = true; /* the opening has done it */
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&health->mutex, NULL);
    (void)pthread_cond_init(&health->stop, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    health_look(health);
    *ret_health = health;
    return STATUS_OK;
}

enum status health_start(struct health *health, struct error *error) {
    int reason = pthread_create(&health->thread, NULL, work, health);
    health->started = reason == 0;
    return health->started ? STATUS_OK : error_set_errno(error, reason, "cannot start a thread");
}

void health_free(struct health *health) {
    if (!health) {
        return;
    }
    if (health->started) {
        (void)pthread_mutex_lock(&health->mutex);
        health->must_stop = true;
        (void)pthread_cond_signal(&health->stop);
        (void)pthread_mutex_unlock(&health->mutex);
        (void)pthread_join(health->thread, NULL);
    }
    (void)pthread_cond_destroy(&health->stop);
    (void)pthread_mutex_destroy(&health->mutex);
    free(health);
}
