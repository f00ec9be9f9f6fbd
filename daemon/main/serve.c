/* Layer: daemon/main.
 *
 * All signals are blocked while the parts start their threads, so that only sigtimedwait on the
 * main thread receives them.
 */
#include "daemon/main/serve.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "daemon/main/log_sink.h"
#include "daemon/main/notify.h"
#include "daemon/main/parts.h"
#include "daemon/main/watchdog.h"
#include "daemon/work/main_signals.h"

/* Between two looks at what systemd is told. */
enum { LOOK_INTERVAL_S = 1 };

/* Between two looks at what the watchdog is about; each costs the scheduler a round. */
static const double WATCH_INTERVAL_S = 5.0;

/* While checkpoints are written: how often more time is asked for, how much, and for how long that
 * goes on. */
static const double ASK_INTERVAL_S = 5.0;
static const double MORE_TIME_S = 60.0;
static const double MOST_SAVING_S = 900.0;

enum { STATUS_SIZE = 512 };

/* "training run 3: epoch 5/50; 4 queued" */
static void describe_work(const struct parts *parts, char text[STATUS_SIZE]) {
    struct progress running[4];
    struct pool_status pool;
    struct health_report health;
    size_t used = 0;
    size_t n = progress_board_all(parts->progress, running, 4);
    pool_get_status(parts->pool, &pool);
    (void)snprintf(text, STATUS_SIZE, "idle");
    for (size_t i = 0; i < n; i++) {
        used += (size_t)snprintf(text + used, STATUS_SIZE - used, "%srun %lld: epoch %d/%d",
                                 i > 0 ? ", " : "training ", (long long)running[i].run_id,
                                 running[i].epoch, running[i].epochs);
    }
    used = strlen(text);
    if (pool.n_running > (int)n) {
        used += (size_t)snprintf(text + used, STATUS_SIZE - used, " and %d more",
                                 pool.n_running - (int)n);
    }
    /* From memory: systemd's line must not wait for the store. */
    health_read(parts->health, &health);
    (void)snprintf(text + used, STATUS_SIZE - used, "; %lld queued%s%s%s",
                   (long long)health.runs[RUN_QUEUED], pool.draining ? "; draining" : "",
                   health.reason[0] ? "; " : "", health.reason);
}

/* What systemd was told last; it hears of changes alone. */
static void say_status(const struct parts *parts, char said[STATUS_SIZE]) {
    char text[STATUS_SIZE];
    describe_work(parts, text);
    if (strcmp(text, said) != 0) {
        (void)snprintf(said, STATUS_SIZE, "%s", text);
        notify_status(text);
    }
}

static bool is_moving(const struct parts *parts, struct watchdog *watchdog) {
    struct health_report health;
    health_read(parts->health, &health);
    const double stalled_s[WATCHED_COUNT] = {
        [WATCHED_RUNS] = pool_runs_stalled_s(parts->pool),
        [WATCHED_SCHEDULER] = pool_scheduler_stalled_s(parts->pool),
        [WATCHED_WRITER] = health.age_s,
        [WATCHED_HTTP] = api_server_stalled_s(parts->server),
    };
    return watchdog_look(watchdog, stalled_s);
}

/* From here on each of them ends the process; there are no tokens left to read. */
static void release_signals(const sigset_t *signals) {
    for (int i = 1; i < SIGRTMIN; i++) {
        if (sigismember(signals, i) == 1) {
            (void)signal(i, i == SIGHUP ? SIG_IGN : SIG_DFL);
        }
    }
    (void)pthread_sigmask(SIG_UNBLOCK, signals, NULL);
}

static sigset_t signals_to_wait_for(void) {
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    return set;
}

static void reload_and_say(struct reload *settings, struct parts *parts, char said[STATUS_SIZE]) {
    notify_reloading();
    reload(settings, parts);
    describe_work(parts, said);
    notify_ready(said);
}

/* Until a signal asks for the end. */
static void serve_until_signal(struct parts *parts, struct reload *settings,
                               const sigset_t *signals) {
    const struct timespec interval = {.tv_sec = LOOK_INTERVAL_S};
    struct watchdog watchdog;
    char said[STATUS_SIZE] = "";
    double limit_s = notify_watchdog_s();
    double watch_interval_s = fmin(WATCH_INTERVAL_S, limit_s / 8.0);
    double watch_at_s = 0.0;
    int signal_number = -1;
    watchdog_init(&watchdog, limit_s);
    while (signal_number < 0 || signal_number == SIGHUP) {
        double now_s = clock_monotonic_s(&clock_system);
        if (signal_number == SIGHUP) {
            reload_and_say(settings, parts, said);
        }
        say_status(parts, said);
        if (limit_s > 0.0 && now_s >= watch_at_s) {
            watch_at_s = now_s + watch_interval_s;
            if (is_moving(parts, &watchdog)) {
                notify_alive();
            }
        }
        signal_number = sigtimedwait(signals, NULL, &interval);
    }
    log_info("%s: writing checkpoints and stopping; once more ends at once",
             strsignal(signal_number));
}

/* systemd's patience ends at TimeoutStopSec= unless it hears that there is something to wait for:
 * a checkpoint that is being written. A run that hangs before that is not waited for any longer. */
static void wait_for_checkpoints(const struct parts *parts) {
    char text[STATUS_SIZE];
    double until_s = clock_monotonic_s(&clock_system) + MOST_SAVING_S;
    int said = 0;
    for (int n = pool_wait_idle(parts->pool, 0.0); n > 0;
         n = pool_wait_idle(parts->pool, ASK_INTERVAL_S)) {
        if (pool_is_saving(parts->pool) && clock_monotonic_s(&clock_system) < until_s) {
            notify_more_time(MORE_TIME_S);
        }
        if (n != said) {
            said = n;
            (void)snprintf(text, sizeof(text), "writing the checkpoint%s of %d run%s",
                           n == 1 ? "" : "s", n, n == 1 ? "" : "s");
            notify_status(text);
        }
    }
}

/* The last word stays in `systemctl status` after the end. */
static void stop(struct parts *parts) {
    int64_t counts[RUN_STATE_COUNT] = {0};
    char text[STATUS_SIZE] = "stopped";
    notify_stopping("stopping");
    parts_stop_serving(parts);
    wait_for_checkpoints(parts);
    if (run_table_count(parts->store, counts, NULL) == STATUS_OK) {
        /* One whose move could not be stored is queued by the next start. */
        (void)snprintf(text, sizeof(text), "stopped; %lld queued",
                       (long long)(counts[RUN_QUEUED] + counts[RUN_RUNNING]));
    }
    parts_stop(parts);
    notify_status(text);
    log_info("%s", text);
}

/* A connection is a file: as many of them as the administrator allows, not as shells begin with.
 * With too few, clients could take those that training needs. */
static enum status raise_file_limit(struct error *error) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
        return STATUS_OK;
    }
    if (files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    return files.rlim_cur >= API_LEAST_FILES
               ? STATUS_OK
               : error_set(
                     error, STATUS_UNSUPPORTED,
                     "the process may have %lld files open, and needs %d; raise ulimit -n, or "
                     "LimitNOFILE of the unit",
                     (long long)files.rlim_cur, API_LEAST_FILES);
}

enum status serve(const struct config *config, const struct reload_source *source) {
    struct parts parts = {.config = config, .lock_fd = -1, .listeners = LISTENERS_NONE};
    struct reload settings = {.source = *source};
    char text[STATUS_SIZE];
    struct error error;
    sigset_t signals = signals_to_wait_for();
    main_signals_block(&signals);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* the write fails with EFBIG: no space, as on a full disk */
    (void)umask(027);
    enum status status = raise_file_limit(&error);
    log_sink_install(
        &(struct log_sink_options){.max_level = config->log_level, .format = config->log_format});
    status = status == STATUS_OK ? parts_start(&parts, &error) : status;
    if (status != STATUS_OK) {
        log_error("%s", error.message);
        (void)snprintf(text, sizeof(text), "cannot start: %.*s", STATUS_SIZE - 32, error.message);
        notify_status(text);
        parts_stop(&parts);
        log_sink_close();
        return status;
    }
    const char *also_on = parts.listeners.address[0] ? parts.listeners.path : "";
    log_info("cutoutd " CUTOUTD_VERSION " serves on %s%s%s; state in %s; %d worker(s) with %d "
             "thread(s) each; kernels %s",
             api_server_url(parts.server), also_on[0] ? " and unix:" : "", also_on,
             config->state_dir, config->workers, config->threads_per_run, parts.kernels->name);
    describe_work(&parts, text);
    notify_ready(text);
    serve_until_signal(&parts, &settings, &signals);
    /* The state survives whatever ends the process, so a second signal may. */
    release_signals(&signals);
    stop(&parts);
    reload_clear(&settings);
    log_sink_close();
    return STATUS_OK;
}
