/* Layer: daemon. */
#include "daemon/main/bench/bench_measure.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "core/base/arena.h"
#include "core/base/cleanup.h"
#include "core/nn/engine.h"
#include "core/train/trainer.h"

enum { MAX_STEPS = 100000, WARM_UP_STEPS = 2, PEAK_ROUNDS = 20, TRIAD_ROUNDS = 5 };

static const double NOMINAL_FLOP_PER_MAC = 6.0; /* forward and twice as much backward */
static const double KERNEL_S = 0.05;            /* spent on a kernel of the profile */

/* One measurement under way. */
struct bench {
    const struct bench_options *options;
    struct bench_result *result;
    double started_s;
    double last_s;
    int n_steps;
    double step_s[MAX_STEPS];
    struct step_profile fastest; /* of a profile: the step that nothing disturbed */
};

static double now_s(void) {
    return clock_monotonic_s(&clock_system);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int n) {
    qsort(values, (size_t)n, sizeof(*values), by_value);
    return n % 2 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

static void free_team(struct team **team) {
    team_free(*team);
}

static void free_engine(struct engine **engine) {
    engine_free(*engine);
}

static void free_times(struct kernel_times **times) {
    kernel_times_free(*times);
}

/* ---- training ---- */

static enum status on_step(void *user, const struct step_report *report, struct error *error) {
    (void)report;
    (void)error;
    struct bench *b = user;
    struct step_profile *profile = &b->result->profile;
    double now = now_s();
    if (b->n_steps < MAX_STEPS) {
        b->step_s[b->n_steps++] = now - b->last_s;
    }
    if (profile->by_part && b->n_steps > WARM_UP_STEPS &&
        (b->fastest.n_steps == 0 || profile->step_seconds < b->fastest.step_seconds)) {
        b->fastest = *profile;
    }
    if (profile->by_part || b->n_steps == WARM_UP_STEPS) {
        step_profile_reset(profile);
    }
    b->last_s = now;
    return STATUS_OK;
}

/* Validation comes between two epochs; its time belongs to no step. */
static enum status on_epoch(void *user, const struct epoch_report *report, struct error *error) {
    (void)report;
    (void)error;
    struct bench *b = user;
    if (b->result->profile.by_part) {
        step_profile_reset(&b->result->profile); /* it packed weights as well */
    }
    b->last_s = now_s();
    return STATUS_OK;
}

static bool should_stop(void *user) {
    const struct bench *b = user;
    return b->n_steps > WARM_UP_STEPS + 2 && now_s() - b->started_s > b->options->seconds;
}

static enum status measure_training(struct bench *b, const struct dataset *dataset,
                                    struct error *error) {
    const struct run_config *config = &b->options->config;
    const struct trainer_options options = {
        .config = config,
        .dataset = dataset,
        .kernels = b->options->kernels,
        .clock = &clock_system,
        .n_threads = b->result->n_threads,
        .profile = &b->result->profile,
        .streamed = b->options->streamed,
    };
    const struct trainer_callbacks callbacks = {
        .user = b, .on_step = on_step, .on_epoch = on_epoch, .should_stop = should_stop};
    struct trainer_result result;
    b->started_s = b->last_s = now_s();
    enum status status = trainer_run(&options, &callbacks, &result, error);
    if (status != STATUS_STOPPED && status != STATUS_OK) {
        return status;
    }
    if (b->result->profile.by_part) {
        b->result->profile = b->fastest;
    }
    b->result->n_steps = b->n_steps - WARM_UP_STEPS;
    b->result->images_per_second = config->batch_size * config->m /
                                   median(b->step_s + WARM_UP_STEPS, b->n_steps - WARM_UP_STEPS);
    return STATUS_OK;
}

/* ---- evaluation ---- */

static uint8_t blank_image(void *user, int index, float *ret_image) {
    (void)user;
    for (int i = 0; i < ENGINE_IMAGE_FLOATS; i++) {
        ret_image[i] = i % 4 == 3 ? 0.0F : (float)((i * 7 + index) % 17 - 8) / 8.0F;
    }
    return 0;
}

static enum status measure_evaluation(struct bench *b, const struct resnet *net, struct team *team,
                                      struct error *error) {
    CLEANUP(free_engine) struct engine *engine = NULL;
    CLEANUP(free_pointer) float *values = NULL;
    const struct engine_options options = {
        .net = net,
        .kernels = b->options->kernels,
        .team = team,
        .winograd = trainer_uses_winograd(&b->options->config, b->options->kernels),
    };
    TRY(engine_create(&options, &engine, error));
    values = aligned_alloc(64, (net->n_params + net->n_moving) * sizeof(*values));
    if (!values) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for parameters");
    }
    resnet_init(net, 1, values, values + net->n_params);
    engine_evaluate_prepare(engine, values, values + net->n_params);
    double start = now_s();
    int n = 0;
    for (double last = start; n < 5 || last - start < b->options->seconds / 4.0; n++) {
        struct engine_result result;
        engine_evaluate(engine, blank_image, NULL, 0, ENGINE_EVALUATE_MAX, NULL, NULL, &result);
        double now = now_s();
        b->step_s[n % MAX_STEPS] = now - last;
        last = now;
    }
    b->result->eval_images_per_second =
        ENGINE_EVALUATE_MAX / median(b->step_s, n < MAX_STEPS ? n : MAX_STEPS);
    return STATUS_OK;
}

/* ---- the limits ---- */

struct probe {
    const struct kernels *kernels;
    int64_t rounds;
};

static void probe_piece(void *user, int piece, int member) {
    (void)piece;
    (void)member;
    const struct probe *probe = user;
    (void)probe->kernels->fma_probe(probe->rounds);
}

/* The best of some short bursts on all threads at once. */
static void measure_peak(struct bench *b, struct team *team) {
    const struct kernels *kernels = b->options->kernels;
    if (!kernels->fma_probe) {
        return;
    }
    struct probe probe = {.kernels = kernels, .rounds = 200000};
    double flop = kernels->fma_probe(probe.rounds) * team_size(team);
    for (int i = 0; i < PEAK_ROUNDS; i++) {
        double start = now_s();
        team_run(team, probe_piece, &probe, team_size(team));
        double gflops = flop / (now_s() - start) * 1e-9;
        struct bench_result *r = b->result;
        r->fma_peak_gflops = gflops > r->fma_peak_gflops ? gflops : r->fma_peak_gflops;
    }
}

/* a = b + 3 c over 64 MiB each, beyond any cache, in a piece a member. */
enum { TRIAD_FLOATS = 1 << 24 };

struct triad {
    float *a;
    const float *b;
    const float *c;
    int n_pieces;
};

static void triad_piece(void *user, int piece, int member) {
    (void)member;
    const struct triad *t = user;
    size_t first = (size_t)TRIAD_FLOATS * (size_t)piece / (size_t)t->n_pieces;
    size_t end = (size_t)TRIAD_FLOATS * (size_t)(piece + 1) / (size_t)t->n_pieces;
    float *restrict a = t->a;
    for (size_t i = first; i < end; i++) {
        a[i] = t->b[i] + 3.0F * t->c[i];
    }
}

static enum status measure_triad(struct bench_result *result, struct team *team,
                                 struct error *error) {
    struct arena arena = {0};
    TRY(arena_open(&arena, (size_t)3 * TRIAD_FLOATS * sizeof(float) + 4096, error));
    struct triad t = {.n_pieces = team_size(team)};
    t.a = arena_take(&arena, (size_t)TRIAD_FLOATS * sizeof(float));
    t.b = arena_take(&arena, (size_t)TRIAD_FLOATS * sizeof(float));
    t.c = arena_take(&arena, (size_t)TRIAD_FLOATS * sizeof(float));
    for (int i = 0; i <= TRIAD_ROUNDS; i++) { /* the first touches the pages */
        double start = now_s();
        team_run(team, triad_piece, &t, t.n_pieces);
        double per_s = 3.0 * sizeof(float) * TRIAD_FLOATS / (now_s() - start);
        result->triad_bytes_per_second =
            per_s > result->triad_bytes_per_second ? per_s : result->triad_bytes_per_second;
    }
    arena_close(&arena);
    return STATUS_OK;
}

/* ---- the rest of a profile ---- */

static enum status measure_kernels(struct bench *b, const struct resnet *net, struct error *error) {
    CLEANUP(free_times) struct kernel_times *times = NULL;
    const struct kernels *kernels = b->options->kernels;
    TRY(kernel_times_create(kernels, &clock_system, KERNEL_S, &times, error));
    return kernel_times_step(times, net, trainer_uses_winograd(&b->options->config, kernels),
                             &b->result->kernels, error);
}

/* The list of passes is what counts, whatever the size of the batch. */
static enum status count_traffic(struct bench *b, const struct resnet *net, struct team *team,
                                 struct error *error) {
    CLEANUP(free_engine) struct engine *engine = NULL;
    const struct engine_options options = {
        .net = net,
        .kernels = b->options->kernels,
        .team = team,
        .max_images = 1,
        .winograd = trainer_uses_winograd(&b->options->config, b->options->kernels),
        .bf16 = b->options->config.activations == ACTIVATIONS_BF16,
    };
    TRY(engine_create(&options, &engine, error));
    engine_traffic(engine, b->result->traffic);
    return STATUS_OK;
}

/* What one more image costs once all chunks are there. */
static int64_t bytes_per_image(const struct bench *b, int n_classes) {
    struct run_config small = b->options->config;
    struct run_config large = b->options->config;
    small.batch_size = 1024;
    large.batch_size = 2048;
    small.m = large.m = 1;
    int n_threads = b->result->n_threads;
    return (trainer_memory_bytes(&large, n_classes, b->options->kernels, n_threads) -
            trainer_memory_bytes(&small, n_classes, b->options->kernels, n_threads)) /
           1024;
}

enum status bench_measure(const struct bench_options *options, const struct dataset *dataset,
                          int n_threads, struct bench_result *ret_result, struct error *error) {
    CLEANUP(free_pointer) struct bench *b = calloc(1, sizeof(*b));
    CLEANUP(free_pointer) struct resnet *net = calloc(1, sizeof(*net));
    CLEANUP(free_team) struct team *team = NULL;
    struct rusage usage;
    if (!b || !net) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for a measurement");
    }
    *ret_result = (struct bench_result){.n_threads = n_threads};
    ret_result->profile =
        (struct step_profile){.clock = &clock_system, .by_part = options->profile};
    b->options = options;
    b->result = ret_result;
    TRY(resnet_plan_of(&options->config, dataset->n_classes, net, error));
    TRY(measure_training(b, dataset, error));
    TRY(team_create(&(struct team_options){.n_threads = n_threads}, &team, error));
    TRY(measure_evaluation(b, net, team, error));
    measure_peak(b, team);
    ret_result->bytes_per_image = bytes_per_image(b, dataset->n_classes);
    (void)getrusage(RUSAGE_SELF, &usage);
    ret_result->peak_rss_bytes = (int64_t)usage.ru_maxrss * 1024;
    if (options->profile) {
        TRY(measure_kernels(b, net, error));
        TRY(count_traffic(b, net, team, error));
        TRY(measure_triad(ret_result, team, error));
    }
    return STATUS_OK;
}

double bench_nominal_gflop(int depth) {
    static struct resnet net;
    double macs = (double)RESNET_FEATURES * RESNET_CIFAR10_CLASSES;
    if (resnet_plan(depth, &net, NULL) != STATUS_OK) {
        return 0.0;
    }
    for (int i = 0; i < net.n_convs; i++) {
        const struct conv_shape *s = &net.convs[i].shape;
        macs += (double)s->k * s->k * s->ic * s->oc * s->oh * s->oh;
    }
    return 1e-9 * NOMINAL_FLOP_PER_MAC * macs;
}
