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

#include "core/base/time_text.h"
#include "daemon/main/log_sink.h"
#include "daemon/main/notify.h"
#include "daemon/main/parts.h"

/* At most so long between two lines for `systemctl status`. */
static const double STATUS_INTERVAL_S = 10.0;

/* "training run 3: epoch 5/50; 4 queued" */
static void say_status(const struct parts *parts) {
    struct progress running[4];
    struct health_report health;
    char text[512] = "idle";
    size_t used = 0;
    size_t n = progress_board_all(parts->progress, running, 4);
    for (size_t i = 0; i < n; i++) {
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%srun %lld: epoch %d/%d",
                                 i > 0 ? ", " : "training ", (long long)running[i].run_id,
                                 running[i].epoch, running[i].epochs);
    }
    used = strlen(text);
    /* From memory: the watchdog's word must not wait for the store. */
    health_read(parts->health, &health);
    (void)snprintf(text + used, sizeof(text) - used, "; %lld queued",
                   (long long)health.runs[RUN_QUEUED]);
    notify_status(text);
}

static pthread_t main_thread;

static void pass_on(int signal_number) {
    (void)pthread_kill(main_thread, signal_number);
}

/* OpenBLAS starts threads before main() that block nothing: a signal that comes while the main
 * thread is busy may reach one of them. It then hands it to the main thread, where it waits. */
static void catch_signals(const sigset_t *signals) {
    const struct sigaction action = {.sa_handler = pass_on, .sa_flags = SA_RESTART};
    main_thread = pthread_self();
    for (int i = 1; i < SIGRTMIN; i++) {
        if (sigismember(signals, i) == 1) {
            (void)sigaction(i, &action, NULL);
        }
    }
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

/* Until a signal asks for the end. */
static void serve_until_signal(struct parts *parts, const sigset_t *signals) {
    double interval_s = notify_interval_s(STATUS_INTERVAL_S);
    const struct timespec interval = {
        .tv_sec = (time_t)interval_s,
        .tv_nsec = (long)((interval_s - floor(interval_s)) * 1e9),
    };
    int signal_number = -1;
    while (signal_number < 0 || signal_number == SIGHUP) {
        if (signal_number == SIGHUP) {
            reread_tokens(parts);
            reread_certificate(parts);
        }
        say_status(parts);
        if (pool_is_alive(parts->pool)) {
            notify_alive();
        }
        signal_number = sigtimedwait(signals, NULL, &interval);
    }
    log_info("%s: writing checkpoints and stopping; once more ends at once",
             strsignal(signal_number));
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

enum status serve(const struct config *config) {
    struct parts parts = {.config = config, .lock_fd = -1, .listeners = {.fd = -1, .unix_fd = -1}};
    struct error error;
    sigset_t signals = signals_to_wait_for();
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    catch_signals(&signals);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* the write fails with EFBIG: no space, as on a full disk */
    (void)umask(027);
    enum status status = raise_file_limit(&error);
    log_sink_install(config->log_level);
    status = status == STATUS_OK ? parts_start(&parts, &error) : status;
    if (status != STATUS_OK) {
        log_error("%s", error.message);
        parts_stop(&parts);
        log_sink_close();
        return status;
    }
    const char *also_on = config->listen_address[0] ? config->unix_socket : "";
    log_info("cutoutd " CUTOUTD_VERSION " serves on %s%s%s; state in %s; %d worker(s) with %d "
             "thread(s) each; kernels %s",
             api_server_url(parts.server), also_on[0] ? " and unix:" : "", also_on,
             config->state_dir, config->workers, config->threads_per_run, parts.kernels->name);
    notify_ready(api_server_url(parts.server));
    serve_until_signal(&parts, &signals);
    notify_stopping();
    /* The state survives whatever ends the process, so a second signal may. */
    release_signals(&signals);
    parts_stop(&parts);
    log_info("stopped");
    log_sink_close();
    return STATUS_OK;
}
