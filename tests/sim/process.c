/* Thread rule: one thread; process_main is a task. */
#include "tests/sim/process.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/idempotency.h"
#include "core/kernels/kernels.h"
#include "daemon/notify/sender.h"
#include "daemon/store/owner/usage.h"
#include "daemon/work/executor_local.h"
#include "daemon/work/health.h"
#include "daemon/work/open_state.h"
#include "daemon/work/recovery.h"
#include "daemon/work/retention.h"
#include "tests/sim/clients.h"
#include "tests/sim/cluster.h"
#include "tests/sim/fake_train.h"
#include "tests/sim/hours.h"
#include "tests/sim/model_turn.h"
#include "tests/sim/sched.h"
#include "tests/sim/sim.h"
#include "tests/sim/vfs.h"
#include "tests/sim/wraps.h"

struct process {
    struct config config;
    int lock_fd;
    struct store *store;
    struct notifier *notifier;
    struct queue *queue;
    struct progress_board *progress;
    struct dataset_registry *datasets;
    struct executor_local local;
    struct executor executors[2];
    struct pool *pool;
    struct retention *retention;
    struct health *health;
    struct sender *sender;
    struct api_context context;
    struct error error;
    bool stop; /* an event as well */
};

static struct process *process;
static enum process_state state = PROCESS_NONE;
static struct error last_error;

static double monotonic_s(void *user) {
    (void)user;
    return sched_now_s();
}

static int64_t unix_ms(void *user) {
    (void)user;
    hours_on_reading(sched_unix_ms());
    return sched_unix_ms();
}

const struct clock process_clock = {.monotonic_s = monotonic_s, .unix_ms = unix_ms};

/* ---- the parts ---- */

static struct config make_config(void) {
    struct config config = {.workers = SIM_PLACES,
                            .threads_per_run = 1,
                            .memory_limit_bytes = INT64_C(4) << 30,
                            .conv_algorithm = CONV_WINOGRAD,
                            .keep_checkpoints_days = kinds.retention ? 2 : 0,
                            .keep_events_days = kinds.retention ? 3 : 0,
                            .quiet = hours_of_config(),
                            .max_running = kinds.max_running,
                            .max_queued = kinds.max_queued,
                            .half_life_s = kinds.fair ? TURN_HALF_LIFE_S : 0,
                            .shapes_train = METRIC_IMAGES,
                            .shapes_test = 2};
    (void)snprintf(config.state_dir, sizeof(config.state_dir), "%s", SIM_STATE_DIR);
    return config;
}

static enum status make_pool(struct process *p, struct error *error) {
    p->local = (struct executor_local){.kernels = &kernels_ref,
                                       .clock = &process_clock,
                                       .datasets = p->datasets,
                                       .n_threads = 1,
                                       .memory_limit_bytes = p->config.memory_limit_bytes,
                                       .train = fake_train};
    p->executors[0] = executor_local_make(&p->local);
    p->executors[1] = cluster_make();
    const struct pool_options options = {.n_workers = p->config.workers,
                                         .store = p->store,
                                         .queue = p->queue,
                                         .notifier = p->notifier,
                                         .progress = p->progress,
                                         .executors = p->executors,
                                         .n_executors = 2,
                                         .clock = &process_clock,
                                         .state_dir = p->config.state_dir,
                                         .max_running = p->config.max_running,
                                         .quiet = p->config.quiet,
                                         .retry_delay_s = 30.0};
    return pool_create(&options, &p->pool, error);
}

static enum status start_retention(struct process *p, struct error *error) {
    const struct retention_options options = {.store = p->store,
                                              .state_dir = p->config.state_dir,
                                              .clock = &process_clock,
                                              .keep_days = p->config.keep_checkpoints_days,
                                              .keep_events_days = p->config.keep_events_days};
    return retention_start(&options, &p->retention, error);
}

static void make_context(struct process *p) {
    p->context.options = (struct api_options){.config = &p->config,
                                              .clock = &process_clock,
                                              .kernels = &kernels_ref,
                                              .store = p->store,
                                              .queue = p->queue,
                                              .pool = p->pool,
                                              .health = p->health,
                                              .sender = p->sender,
                                              .notifier = p->notifier,
                                              .progress = p->progress,
                                              .datasets = p->datasets};
    (void)snprintf(p->context.url, sizeof(p->context.url), "http://127.0.0.1:1");
}

static void on_commit(void *user, int64_t run_id) {
    const struct process *p = user;
    notifier_publish(p->notifier, run_id);
    sender_poke(p->sender);
}

static enum status make_sender(struct process *p, struct error *error) {
    const struct sender_options options = {
        .store = p->store, .clock = &process_clock, .allowed_addresses = ""};
    return sender_create(&options, &p->sender, error);
}

static enum status open_parts(struct process *p, struct error *error) {
    struct recovery_result recovered;
    TRY(open_state(p->config.state_dir, &process_clock, &p->lock_fd, &p->store, error));
    TRY(notifier_create(&p->notifier, error));
    store_observe(p->store, on_commit, p);
    TRY(queue_create(p->store, &process_clock, &p->queue, error));
    TRY(progress_board_create(POOL_MAX_WORKERS, &p->progress, error));
    TRY(dataset_registry_create(&p->config, &p->datasets, error));
    TRY(usage_set_half_life(p->store, p->config.half_life_s, unix_ms(NULL), error));
    TRY(make_sender(p, error));
    TRY(make_pool(p, error));
    TRY(recovery_run(p->store, p->pool, &process_clock, &recovered, error));
    sim_tell("  recovered: %d queued again, %d attached, %d asked, %d failed", recovered.n_requeued,
             recovered.n_attached, recovered.n_asked, recovered.n_failed);
    TRY(health_create(p->store, p->config.state_dir, &process_clock, &p->health, error));
    TRY(health_start(p->health, error));
    make_context(p);
    TRY(keys_in_flight_create(&p->context.keys, error));
    TRY(start_retention(p, error));
    TRY(sender_start(p->sender, error));
    return pool_begin(p->pool, error);
}

static void close_parts(struct process *p) {
    pool_ask_stop(p->pool);
    retention_ask_stop(p->retention);
    sender_ask_stop(p->sender);
    clients_stop();
    retention_stop(p->retention);
    pool_stop(p->pool);
    sender_free(p->sender);
    health_free(p->health);
    keys_in_flight_free(p->context.keys);
    dataset_registry_free(p->datasets);
    progress_board_free(p->progress);
    queue_free(p->queue);
    store_close(p->store);
    notifier_free(p->notifier);
    if (p->lock_fd >= 0) {
        (void)__wrap_close(p->lock_fd);
    }
}

static void *process_main(void *user) {
    struct process *p = user;
    struct error error = {.message = ""};
    enum status status = open_parts(p, &error);
    last_error = status == STATUS_OK ? (struct error){.code = STATUS_OK} : error;
    if (status == STATUS_OK) {
        state = PROCESS_SERVING;
        clients_start();
        while (!p->stop) {
            (void)sched_wait(&p->stop, (double)INFINITY);
        }
    }
    state = PROCESS_STOPPING;
    close_parts(p);
    state = PROCESS_ENDED;
    return NULL;
}

/* ---- from outside ---- */

void process_start(void) {
    process = calloc(1, sizeof(*process));
    if (!process) {
        sim_fail("the simulator has memory", "no memory for a process");
    }
    process->config = make_config();
    process->lock_fd = -1;
    state = PROCESS_STARTING;
    (void)sched_spawn(process_main, process);
}

void process_ask_stop(void) {
    process->stop = true;
    sched_signal(&process->stop);
}

/* What the process had in memory is not freed when it was crashed: nobody knows what it was doing
 * with it. The simulator's own process ends with the seed. */
void process_reset(void) {
    sched_reset();
    files_reset();
    directories_reset();
    vfs_reset();
    cluster_reset();
    fake_train_reset();
    clients_reset();
    hours_reset();
    process = NULL;
    state = PROCESS_NONE;
}

enum process_state process_state(void) {
    return state;
}

const struct error *process_error(void) {
    return &last_error;
}

struct api_context *process_context(void) {
    return &process->context;
}
