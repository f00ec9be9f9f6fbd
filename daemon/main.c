/* cutoutd: the command line, and the composition root: the one file that knows every layer.
 *
 * Thread rule: everything here runs on the main thread; it starts the others with all signals
 * blocked, so that only its own sigtimedwait receives them.
 */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "api/command_backup.h"
#include "api/server.h"
#include "daemon/command_bench.h"
#include "daemon/command_token.h"
#include "daemon/command_train.h"
#include "daemon/config.h"
#include "daemon/lock.h"
#include "daemon/log_sink.h"
#include "daemon/notify.h"
#include "daemon/state_dir.h"
#include "daemon/work/executor.h"
#include "daemon/work/pool.h"
#include "daemon/work/recovery.h"
#include "daemon/work/retention.h"

enum exit_code { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* Until a full disk is tried again. */
static const double RETRY_DELAY_S = 30.0;

/* At most so long between two lines for `systemctl status`. */
static const double STATUS_INTERVAL_S = 10.0;

/* The daemon's parts in the order in which they are made; they go in the opposite order. */
struct parts {
    const struct config *config;
    int lock_fd; /* -1: not taken */
    const struct kernels *kernels;
    struct tokens *tokens; /* NULL: none are asked for */
    struct store *store;
    struct hub *hub;
    struct queue *queue;
    struct progress_board *progress;
    struct dataset_registry *datasets;
    struct executor_local executor;
    struct pool *pool;
    struct retention *retention; /* NULL: checkpoints are kept for ever */
    struct api_server *server;
};

/* ---- starting ---- */

static enum status check_reach(const struct config *config, struct error *error) {
    return config_is_public(config) && !config->tokens_file[0]
               ? error_set(error, STATUS_FORBIDDEN,
                           "%s: other machines could reach %s, and there are no access tokens; set "
                           "tokens_file (cutoutd token NAME makes a line for it), or listen on a "
                           "loopback address such as 127.0.0.1:8080",
                           config->origin[CONFIG_LISTEN], config->text[CONFIG_LISTEN])
               : STATUS_OK;
}

/* When in doubt, nothing is removed. */
static bool is_known_run(void *user, int64_t run_id) {
    struct run_row row = {0};
    enum status status = run_table_get(user, run_id, &row, NULL);
    run_row_clear(&row);
    return status != STATUS_NOT_FOUND;
}

static enum status open_tokens(struct parts *parts, struct error *error) {
    const struct config *config = parts->config;
    if (!config->tokens_file[0]) {
        return STATUS_OK;
    }
    TRY(tokens_open(config->tokens_file, &parts->tokens, error));
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
    int n_removed = state_dir_remove_unknown_runs(directory, is_known_run, parts->store);
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

static enum status start(struct parts *parts, struct error *error) {
    const struct config *config = parts->config;
    TRY(check_reach(config, error));
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

/* Runs go back into the queue with a checkpoint. Fine after a start that failed half-way. */
static void stop(struct parts *parts) {
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

/* ---- serving ---- */

/* "training run 3: epoch 5/50; 4 queued" */
static void say_status(const struct parts *parts) {
    struct progress running[4];
    int64_t counts[RUN_STATE_COUNT] = {0};
    char text[512] = "idle";
    size_t used = 0;
    size_t n = progress_board_all(parts->progress, running, 4);
    for (size_t i = 0; i < n; i++) {
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%srun %lld: epoch %d/%d",
                                 i > 0 ? ", " : "training ", (long long)running[i].run_id,
                                 running[i].epoch, running[i].epochs);
    }
    used = strlen(text);
    if (run_table_count(parts->store, counts, NULL) == STATUS_OK) {
        (void)snprintf(text + used, sizeof(text) - used, "; %lld queued",
                       (long long)counts[RUN_QUEUED]);
    }
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
        log_info("SIGHUP: %zu token(s) in force", tokens_count(parts->tokens));
    }
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

/* A connection is a file: as many of them as the administrator allows, not as shells begin with. */
static void raise_file_limit(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

static int serve(const struct config *config) {
    struct parts parts = {.config = config, .lock_fd = -1};
    struct error error;
    sigset_t signals = signals_to_wait_for();
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    catch_signals(&signals);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)umask(027);
    raise_file_limit();
    log_sink_install(config->log_level);
    if (start(&parts, &error) != STATUS_OK) {
        log_error("%s", error.message);
        stop(&parts);
        return EXIT_FAILED;
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
    stop(&parts);
    log_info("stopped");
    return EXIT_DONE;
}

/* ---- the command line ---- */

static void print_help(FILE *out) {
    (void)fputs(
        "cutoutd " CUTOUTD_VERSION ": queues and trains ResNet runs with cutout and batch "
        "augmentation\n\n"
        "  cutoutd serve [FLAGS]          the daemon: queue, workers and HTTP API\n"
        "  cutoutd train FILE.json [--output DIR] [--threads N] [FLAGS]\n"
        "                                 one run in the foreground; FILE.json is what "
        "POST /api/v1/runs takes\n"
        "  cutoutd bench [--depth 44] [--batch 64] [--m 1] [--threads N] [--seconds 10]\n"
        "                [--isa X] [--conv-algorithm A] [--format text|json]\n"
        "                                 how fast this machine trains\n"
        "  cutoutd check-config [FLAGS]   the settings in force and where each comes "
        "from\n"
        "  cutoutd backup FILE [FLAGS]    a copy of the database, also of a running daemon's "
        "(with tokens:\n"
        "                                 an admin's in the variable CUTOUTD_TOKEN)\n"
        "  cutoutd token NAME [--scope read|submit|admin]\n"
        "                                 an access token, and its line for the "
        "tokens_file\n"
        "  cutoutd --help | --version\n\n"
        "Flags, each also a key of the config file and a variable CUTOUTD_NAME (flag over "
        "variable over file):\n",
        out);
    config_print_help(out);
}

static int usage_error(const char *message) {
    (void)fprintf(stderr, "cutoutd: %s\nTry 'cutoutd --help'.\n", message);
    return EXIT_USAGE;
}

static int check_config(const struct config *config) {
    struct error error;
    config_print(config, stdout);
    if (check_reach(config, &error) != STATUS_OK) {
        (void)fprintf(stderr, "cutoutd: %s\n", error.message);
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}

/* The words of `train` that are its own leave argv; those of the config stay. */
struct train_words {
    const char *spec_path;
    const char *output_dir;
    int n;
    char **rest; /* [argc + 1] */
};

static char *take_value(char *word, const char *flag, int argc, char **argv, int *i) {
    size_t length = strlen(flag);
    if (strncmp(word, flag, length) != 0) {
        return NULL;
    }
    if (word[length] == '=') {
        return word + length + 1;
    }
    return word[length] == '\0' && *i + 1 < argc ? argv[++*i] : NULL;
}

static void split_train_words(int argc, char **argv, struct train_words *words) {
    static char threads_per_run[] = "--threads-per-run";
    for (int i = 0; i < argc; i++) {
        char *output = take_value(argv[i], "--output", argc, argv, &i);
        char *threads = output ? NULL : take_value(argv[i], "--threads", argc, argv, &i);
        if (output) {
            words->output_dir = output;
        } else if (threads) {
            words->rest[words->n++] = threads_per_run;
            words->rest[words->n++] = threads;
        } else if (!words->spec_path && (argv[i][0] != '-' || !strcmp(argv[i], "-"))) {
            words->spec_path = argv[i];
        } else {
            words->rest[words->n++] = argv[i];
            bool has_value = !strncmp(argv[i], "--", 2) && !strchr(argv[i], '=') && i + 1 < argc;
            if (has_value) {
                words->rest[words->n++] = argv[++i];
            }
        }
    }
}

static int train(int argc, char **argv, char **environment) {
    /* --threads=N becomes two words. */
    char **rest = calloc(2 * (size_t)argc + 1, sizeof(*rest));
    struct config *config = calloc(1, sizeof(*config));
    struct train_words words = {.rest = rest};
    struct error error;
    int code = EXIT_FAILED;
    if (!rest || !config) {
        (void)fputs("cutoutd: out of memory\n", stderr);
    } else {
        split_train_words(argc, argv, &words);
        if (!words.spec_path) {
            code = usage_error("train needs a FILE.json, or - for standard input");
        } else if (config_load(words.n, rest, environment, CONFIG_DEFAULT_FILE, config, &error) !=
                   STATUS_OK) {
            code = usage_error(error.message);
        } else {
            log_sink_install(LOG_LEVEL_WARNING);
            const struct train_options options = {.config = config,
                                                  .spec_path = words.spec_path,
                                                  .output_dir = words.output_dir,
                                                  .out = stderr};
            code = command_train(&options);
        }
    }
    free(config);
    free(rest);
    return code;
}

/* cutoutd backup FILE [FLAGS] */
static int backup(int argc, char **argv, char **environment) {
    struct config *config = calloc(1, sizeof(*config));
    struct error error = {0};
    int code = EXIT_FAILED;
    if (!config) {
        (void)fputs("cutoutd: out of memory\n", stderr);
    } else if (argc < 1 || argv[0][0] == '-') {
        code = usage_error("backup needs a FILE first");
    } else if (config_load(argc - 1, argv + 1, environment, CONFIG_DEFAULT_FILE, config, &error) !=
               STATUS_OK) {
        code = usage_error(error.message);
    } else {
        code = command_backup(config, argv[0]);
    }
    free(config);
    return code;
}

static int with_config(int (*command)(const struct config *), int argc, char **argv,
                       char **environment) {
    struct config *config = calloc(1, sizeof(*config));
    struct error error = {0};
    int code = EXIT_FAILED;
    if (!config) {
        (void)fputs("cutoutd: out of memory\n", stderr);
    } else if (config_load(argc, argv, environment, CONFIG_DEFAULT_FILE, config, &error) !=
               STATUS_OK) {
        code = usage_error(error.message);
    } else {
        code = command(config);
    }
    free(config);
    return code;
}

int main(int argc, char **argv) {
    const char *command = argc > 1 ? argv[1] : "";
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
            print_help(stdout);
            return EXIT_DONE;
        }
    }
    if (!strcmp(command, "--version")) {
        (void)puts("cutoutd " CUTOUTD_VERSION);
        return EXIT_DONE;
    }
    if (!strcmp(command, "serve")) {
        return with_config(serve, argc - 2, argv + 2, environ);
    }
    if (!strcmp(command, "check-config")) {
        return with_config(check_config, argc - 2, argv + 2, environ);
    }
    if (!strcmp(command, "train")) {
        return train(argc - 2, argv + 2, environ);
    }
    if (!strcmp(command, "bench")) {
        return command_bench(argc - 2, argv + 2);
    }
    if (!strcmp(command, "backup")) {
        return backup(argc - 2, argv + 2, environ);
    }
    if (!strcmp(command, "token")) {
        return command_token(argc - 2, argv + 2);
    }
    return usage_error(*command ? "there is no such command" : "which command?");
}
