/* The composition root: the one file that knows every layer. It reads the command line, makes the
 * parts in order, waits for a signal, and takes them down in the opposite order.
 *
 * Layer: above all others. Thread rule: main's thread; signals are blocked in all others.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/server.h"
#include "core/base/cleanup.h"
#include "daemon/command_bench.h"
#include "daemon/command_train.h"
#include "daemon/config.h"
#include "daemon/lock.h"
#include "daemon/log_sink.h"
#include "daemon/notify.h"
#include "daemon/store/run_table.h"
#include "daemon/text_file.h"
#include "daemon/work/recovery.h"

enum { EXIT_USAGE = 2, PATH_SIZE = 1024, FIRST_FLAG = 2 };

static const double STATUS_INTERVAL_S = 5.0;
static const double RETRY_DELAY_S = 30.0;

static void print_help(FILE *out) {
    (void)fputs(
        "cutoutd " CUTOUTD_VERSION
        ": a queue for cutout and batch-augmentation runs of ResNet on CIFAR-10\n\n"
        "  cutoutd serve [flags]          run the daemon\n"
        "  cutoutd train FILE.json [--output DIR] [flags]\n"
        "                                 train one run here, with a progress bar\n"
        "  cutoutd bench [--depth 44] [--batch 64] [--m 1] [--threads N] [--seconds 10]\n"
        "                [--isa X] [--conv-algorithm A] [--format text|json]\n"
        "                                 how fast this machine trains\n"
        "  cutoutd check-config [flags]   print the settings in force and their sources\n"
        "  cutoutd --help | --version\n\n"
        "Flags; each is also a key of the config file and a variable, as CUTOUTD_WORKERS:\n",
        out);
    config_print_help(out);
}

static int fail(const struct error *error) {
    (void)fprintf(stderr, "cutoutd: %s\n", error->message);
    return error->code == STATUS_INVALID ? EXIT_USAGE : EXIT_FAILURE;
}

/* ---- serve ---- */

/* Everything that lives as long as the daemon serves, in order of making. */
struct parts {
    const struct config *config;
    int lock_fd;
    struct store *store;
    struct hub *hub;
    struct queue *queue;
    struct progress_board *progress;
    struct dataset_registry *datasets;
    struct executor_local executor;
    struct pool *pool;
    struct api_server *server;
    char address_path[PATH_SIZE];
};

static void parts_close(struct parts *p) {
    if (p->address_path[0]) {
        (void)unlink(p->address_path);
    }
    /* Runs first: their followers still see them go back into the queue. */
    pool_stop(p->pool);
    api_server_stop(p->server);
    dataset_registry_free(p->datasets);
    progress_board_free(p->progress);
    queue_free(p->queue);
    store_close(p->store);
    hub_free(p->hub);
    if (p->lock_fd >= 0) {
        (void)close(p->lock_fd);
    }
}

static enum status make_state_dir(const char *path, struct error *error) {
    if (mkdir(path, 0750) != 0 && errno != EEXIST) {
        return error_set_errno(error, errno, "cannot make the state directory %s", path);
    }
    return STATUS_OK;
}

static enum status open_store(struct parts *p, struct error *error) {
    char path[PATH_SIZE];
    struct recovery_result recovered;
    TRY(make_state_dir(p->config->state_dir, error));
    TRY(lock_take(p->config->state_dir, &p->lock_fd, error));
    (void)snprintf(path, sizeof(path), "%s/cutoutd.db", p->config->state_dir);
    TRY(store_open(path, &p->store, error));
    TRY(hub_create(&p->hub, error));
    store_observe(p->store, hub_publish, p->hub);
    TRY(queue_create(p->store, &clock_system, &p->queue, error));
    TRY(recovery_run(p->store, &clock_system, &recovered, error));
    if (recovered.n_requeued > 0) {
        log_info("%d interrupted run(s) are back in the queue and will go on from their last "
                 "checkpoint",
                 recovered.n_requeued);
    }
    return STATUS_OK;
}

static enum status start_workers(struct parts *p, const struct kernels *kernels,
                                 struct error *error) {
    const struct config *c = p->config;
    TRY(progress_board_create(c->workers, &p->progress, error));
    TRY(dataset_registry_create(c, &p->datasets, error));
    p->executor = (struct executor_local){
        .kernels = kernels,
        .clock = &clock_system,
        .n_threads = c->threads_per_run,
        .checkpoint_interval_s = c->checkpoint_interval_s,
    };
    const struct pool_options options = {
        .n_workers = c->workers,
        .store = p->store,
        .queue = p->queue,
        .hub = p->hub,
        .progress = p->progress,
        .datasets = p->datasets,
        .executor = executor_local_make(&p->executor),
        .clock = &clock_system,
        .state_dir = c->state_dir,
        .retry_delay_s = RETRY_DELAY_S,
    };
    return pool_start(&options, &p->pool, error);
}

static enum status start_server(struct parts *p, const struct kernels *kernels,
                                struct error *error) {
    const struct api_options options = {
        .listen_address = p->config->listen_address,
        .port = p->config->listen_port,
        .config = p->config,
        .clock = &clock_system,
        .kernels = kernels,
        .store = p->store,
        .queue = p->queue,
        .pool = p->pool,
        .hub = p->hub,
        .progress = p->progress,
        .datasets = p->datasets,
    };
    TRY(api_server_start(&options, &p->server, error));
    (void)snprintf(p->address_path, sizeof(p->address_path), "%s/address", p->config->state_dir);
    char line[128];
    (void)snprintf(line, sizeof(line), "%s\n", api_server_address(p->server));
    return text_file_write(p->address_path, line, error);
}

static enum status refuse_public_address(const struct config *config, struct error *error) {
    if (config_is_public(config)) {
        return error_set(
            error, STATUS_INVALID,
            "%s: %s can be reached from other machines, and this version has no access "
            "control; serve on 127.0.0.1 and put an SSH tunnel or an authenticating "
            "proxy in front",
            config->origin[CONFIG_LISTEN], config->listen_address);
    }
    return STATUS_OK;
}

static enum status parts_open(struct parts *p, struct error *error) {
    const struct kernels *kernels = NULL;
    TRY(refuse_public_address(p->config, error));
    TRY(kernels_select(p->config->isa, &kernels, error));
    TRY(open_store(p, error));
    TRY(start_workers(p, kernels, error));
    TRY(start_server(p, kernels, error));
    log_info("cutoutd " CUTOUTD_VERSION " serves on http://%s, state in %s, %d worker(s) of %d "
             "thread(s), kernels %s",
             api_server_address(p->server), p->config->state_dir, p->config->workers,
             p->config->threads_per_run, kernels->name);
    notify_ready(api_server_address(p->server));
    return STATUS_OK;
}

/* "training run 3: epoch 5/50; 4 queued" */
static void tell_status(struct parts *p) {
    char text[256];
    int64_t counts[RUN_STATE_COUNT] = {0};
    struct progress running;
    if (run_table_count(p->store, counts, NULL) != STATUS_OK) {
        notify_status("the database does not answer");
        return;
    }
    size_t n = progress_board_all(p->progress, &running, 1);
    if (n == 0) {
        (void)snprintf(text, sizeof(text), "idle; %lld queued", (long long)counts[RUN_QUEUED]);
    } else {
        (void)snprintf(text, sizeof(text),
                       "training run %lld: epoch %d/%d; %zu running, %lld queued",
                       (long long)running.run_id, running.epoch, running.epochs, n,
                       (long long)counts[RUN_QUEUED]);
    }
    notify_status(text);
}

/* Returns when SIGTERM or SIGINT arrives. */
static void wait_for_signal(struct parts *p, const sigset_t *signals) {
    double interval_s = notify_interval_s(STATUS_INTERVAL_S);
    const struct timespec interval = {
        .tv_sec = (time_t)interval_s,
        .tv_nsec = (long)((interval_s - (double)(time_t)interval_s) * 1e9),
    };
    for (;;) {
        int signal = sigtimedwait(signals, NULL, &interval);
        if (signal > 0) {
            log_info("%s: writing checkpoints, then ending", strsignal(signal));
            return;
        }
        if (errno == EAGAIN) {
            if (pool_is_alive(p->pool)) {
                notify_alive();
            }
            tell_status(p);
        }
    }
}

static int command_serve(const struct config *config) {
    struct parts parts = {.config = config, .lock_fd = -1};
    struct error error;
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL); /* before any thread: they inherit it */
    (void)signal(SIGPIPE, SIG_IGN);
    log_sink_install(config->log_level);
    enum status status = parts_open(&parts, &error);
    if (status == STATUS_OK) {
        wait_for_signal(&parts, &signals);
        notify_stopping();
    } else {
        log_error("%s", error.message);
    }
    parts_close(&parts);
    if (status != STATUS_OK) {
        return status == STATUS_INVALID ? EXIT_USAGE : EXIT_FAILURE;
    }
    log_info("ended");
    return EXIT_SUCCESS;
}

/* ---- the command line ---- */

static int with_config(int argc, char **argv, int (*command)(const struct config *config)) {
    CLEANUP(free_pointer) struct config *config = malloc(sizeof(*config));
    struct error error = {STATUS_NO_MEMORY, "out of memory"};
    if (!config || config_load(argc - FIRST_FLAG, argv + FIRST_FLAG, environ, CONFIG_DEFAULT_FILE,
                               config, &error) != STATUS_OK) {
        return fail(&error);
    }
    return command(config);
}

static int command_check_config(const struct config *config) {
    config_print(config, stdout);
    struct error error;
    return refuse_public_address(config, &error) == STATUS_OK ? EXIT_SUCCESS : fail(&error);
}

/* FILE.json comes first, --output is train's own, all other words are settings. */
static int run_train(int argc, char **argv) {
    struct train_options options = {.out = stderr};
    CLEANUP(free_pointer) struct config *config = malloc(sizeof(*config));
    CLEANUP(free_pointer) char **settings = calloc((size_t)argc, sizeof(*settings));
    struct error error = {STATUS_NO_MEMORY, "out of memory"};
    if (!config || !settings) {
        return fail(&error);
    }
    if (argc <= FIRST_FLAG || !strncmp(argv[FIRST_FLAG], "--", 2)) {
        (void)fputs("cutoutd: train needs a run: cutoutd train FILE.json [--output DIR] [flags]\n",
                    stderr);
        return EXIT_USAGE;
    }
    options.spec_path = argv[FIRST_FLAG];
    int n = 0;
    for (int i = FIRST_FLAG + 1; i < argc; i++) {
        if (!strcmp(argv[i], "--output") && i + 1 < argc) {
            options.output_dir = argv[++i];
        } else {
            settings[n++] = argv[i];
        }
    }
    if (config_load(n, settings, environ, CONFIG_DEFAULT_FILE, config, &error) != STATUS_OK) {
        return fail(&error);
    }
    options.config = config;
    return command_train(&options);
}

int main(int argc, char **argv) {
    const char *command = argc > 1 ? argv[1] : "--help";
    if (!strcmp(command, "serve")) {
        return with_config(argc, argv, command_serve);
    }
    if (!strcmp(command, "check-config")) {
        return with_config(argc, argv, command_check_config);
    }
    if (!strcmp(command, "train")) {
        return run_train(argc, argv);
    }
    if (!strcmp(command, "bench")) {
        return command_bench(argc - FIRST_FLAG, argv + FIRST_FLAG);
    }
    if (!strcmp(command, "--version")) {
        (void)puts("cutoutd " CUTOUTD_VERSION);
        return EXIT_SUCCESS;
    }
    if (!strcmp(command, "--help")) {
        print_help(stdout);
        return argc > 1 ? EXIT_SUCCESS : EXIT_USAGE;
    }
    (void)fprintf(stderr, "cutoutd: there is no command '%s'; see cutoutd --help\n", command);
    return EXIT_USAGE;
}
