/* Layer: daemon/work.
 *
 * local->bench.mutex is held during a measurement, so there is one at a time; who finds it taken
 * does not wait.
 */
#include "daemon/work/local_bench.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/spec/run_spec_json.h"
#include "daemon/work/local_kernels.h"

/* A step of more images is measured by a smaller one: with so many the time of an image is nearly
 * the same, and each thread has several chunks of four. */
enum { LEAST_LARGE = 64, A_THREAD = 16, MOST_IMAGES = 256 };
enum { WARM_UP_STEPS = 1, ENOUGH_STEPS = 20, MANY_EPOCHS = 1000 };

/* Without a step there is no answer, so that the first may take longer than all. */
enum { FIRST_STEP_FACTOR = 5 };

/* One measurement; the members are its thread's. */
struct measurement {
    struct executor_local *local;
    const struct run_config *config;
    const struct dataset *dataset;
    double most_s;
    double began_s;
    double last_s;
    double sum_s;   /* of the steps after the first, or of that alone */
    int n_steps;    /* all of them */
    bool disturbed; /* a run has begun to be trained */
    enum status status;
    struct error error;
};

static enum status on_step(void *user, const struct step_report *step, struct error *error) {
    (void)step;
    (void)error;
    struct measurement *m = user;
    double now_s = clock_monotonic_s(m->local->clock);
    m->sum_s = now_s - m->last_s + (m->n_steps > WARM_UP_STEPS ? m->sum_s : 0.0);
    m->n_steps++;
    m->last_s = now_s;
    return STATUS_OK;
}

/* Validation comes between two epochs; its time belongs to no step. */
static enum status on_epoch(void *user, const struct epoch_report *epoch, struct error *error) {
    (void)epoch;
    (void)error;
    struct measurement *m = user;
    m->last_s = clock_monotonic_s(m->local->clock);
    return STATUS_OK;
}

static bool should_stop(void *user) {
    struct measurement *m = user;
    m->disturbed = m->disturbed || executor_local_is_training(m->local);
    double most_s = m->n_steps > 0 ? m->most_s : FIRST_STEP_FACTOR * m->most_s;
    return m->disturbed || atomic_load(&m->local->stopping) ||
           m->n_steps >= WARM_UP_STEPS + ENOUGH_STEPS ||
           clock_monotonic_s(m->local->clock) - m->began_s > most_s;
}

static bool stops_at_once(void *user) {
    (void)user;
    return true;
}

/* Its priority is that of training, so it is a thread of its own. */
static void *thread_main(void *user) {
    struct measurement *m = user;
    struct executor_local *local = m->local;
    const struct trainer_options options = {
        .config = m->config,
        .dataset = m->dataset,
        .kernels = local->kernels,
        .clock = local->clock,
        .n_threads = atomic_load(&local->n_threads),
    };
    const struct trainer_callbacks callbacks = {
        .user = m,
        .on_step = on_step,
        .on_epoch = on_epoch,
        .should_stop = should_stop,
        .stops_at_once = stops_at_once,
    };
    struct trainer_result result;
    local_yield_to_others();
    m->began_s = m->last_s = clock_monotonic_s(local->clock);
    m->status =
        (local->train ? local->train : trainer_run)(&options, &callbacks, &result, &m->error);
    return NULL;
}

static enum status refuse_disturbed(struct error *error) {
    return error_set(error, STATUS_BUSY,
                     "a run is being trained here, so nothing else can be measured now");
}

static enum status run_measurement(struct measurement *m, struct error *error) {
    pthread_t thread;
    int code = pthread_create(&thread, NULL, thread_main, m);
    if (code != 0) {
        return error_set_errno(error, code, "cannot start a thread");
    }
    (void)pthread_join(thread, NULL);
    if (m->disturbed) {
        return refuse_disturbed(error);
    }
    if (m->status != STATUS_OK && m->status != STATUS_STOPPED) {
        return error_set(error, m->status, "%s", m->error.message);
    }
    return m->n_steps > 0
               ? STATUS_OK
               : error_set(error, STATUS_BUSY,
                           "no step was done in %.0f seconds: the machine does something else, or "
                           "is too slow for that",
                           FIRST_STEP_FACTOR * m->most_s);
}

static int most_images(int n_threads) {
    int n = n_threads > MOST_IMAGES / A_THREAD ? MOST_IMAGES : A_THREAD * n_threads;
    return n < LEAST_LARGE ? LEAST_LARGE : n;
}

/* The run, with steps of so many images at most where a source image with its copies is not more,
 * and enough of them. */
static struct run_config smaller(const struct run_config *config, int n_images) {
    struct run_config small = *config;
    int sources = n_images / config->m;
    sources = sources < 1 ? 1 : sources;
    if (sources < run_batch_sources(config)) {
        small.batch_size = config->unique_per_batch ? sources * config->m : sources;
    }
    small.epochs = MANY_EPOCHS;
    small.train_images = 0;
    small.test_images = 0;
    small.drop_last = false;
    small.stop_on_nan = false;
    return small;
}

static enum status measure(struct executor_local *local, const struct run_config *config,
                           double most_s, struct executor_speed *ret_speed, struct error *error) {
    const struct run_config small = smaller(config, most_images(atomic_load(&local->n_threads)));
    char sha256[SHA256_HEX_SIZE];
    struct measurement m = {.local = local, .config = &small, .most_s = most_s};
    if (executor_local_is_training(local)) {
        return refuse_disturbed(error);
    }
    TRY(dataset_registry_acquire(local->datasets, config->dataset, &m.dataset, sha256, error));
    enum status status = run_measurement(&m, error);
    dataset_registry_release(local->datasets, m.dataset);
    TRY(status);
    int n_images = run_batch_images(&small);
    int n_steps = m.n_steps > WARM_UP_STEPS ? m.n_steps - WARM_UP_STEPS : m.n_steps;
    *ret_speed = (struct executor_speed){
        .images_per_second = n_images * n_steps / m.sum_s,
        .n_steps = n_steps,
        .n_images = n_images,
        .n_threads = atomic_load(&local->n_threads),
    };
    return STATUS_OK;
}

/* ---- what is known ---- */

/* All on which the time of an image depends, as text. The caller owns it; NULL: no memory. */
static char *kind_of(const struct run_config *config) {
    struct run_config kind = *config;
    struct json_writer writer = {0};
    kind.seed = 0;
    kind.epochs = 1;
    kind.lr = 1e-3;
    kind.lr_schedule = LR_SCHEDULE_STEPS;
    kind.n_lr_steps = 0;
    json_write_object(&writer, NULL);
    run_config_write(&writer, &kind);
    json_write_end(&writer, '}');
    return json_write_take(&writer);
}

static const struct local_bench_entry *find_known(const struct local_bench *bench, const char *kind,
                                                  int n_threads) {
    for (int i = 0; i < bench->n && i < LOCAL_BENCH_KNOWN; i++) {
        const struct local_bench_entry *entry = &bench->known[i];
        if (strcmp(entry->kind, kind) == 0 && entry->speed.n_threads == n_threads) {
            return entry;
        }
    }
    return NULL;
}

/* Takes `kind` over, and gives back what it replaces. */
static char *keep(struct local_bench *bench, char *kind, const struct executor_speed *speed) {
    struct local_bench_entry *entry = &bench->known[bench->n++ % LOCAL_BENCH_KNOWN];
    char *before = entry->kind;
    *entry = (struct local_bench_entry){.kind = kind, .speed = *speed};
    return before;
}

void local_bench_clear(struct local_bench *bench) {
    for (int i = 0; i < LOCAL_BENCH_KNOWN; i++) {
        free(bench->known[i].kind);
    }
    bench->n = 0;
    memset(bench->known, 0, sizeof(bench->known));
}

enum status local_bench_measure(void *executor_local, const struct run_config *config,
                                double most_s, struct executor_speed *ret_speed,
                                struct error *error) {
    struct executor_local *local = executor_local;
    struct local_bench *bench = &local->bench;
    if (pthread_mutex_trylock(&bench->mutex) != 0) {
        return error_set(error, STATUS_BUSY, "another run is being measured");
    }
    char *kind = kind_of(config);
    const struct local_bench_entry *known =
        kind ? find_known(bench, kind, atomic_load(&local->n_threads)) : NULL;
    enum status status = STATUS_OK;
    if (known) {
        *ret_speed = known->speed;
    } else {
        status = measure(local, config, most_s, ret_speed, error);
    }
    if (kind && !known && status == STATUS_OK) {
        kind = keep(bench, kind, ret_speed);
    }
    free(kind);
    (void)pthread_mutex_unlock(&bench->mutex);
    return status;
}
