/* Layer: daemon.
 *
 * Training speed is that of trainer_run itself on the generated data set: augmentation, optimizer,
 * L2 and moving statistics included. The first steps warm up; the result is the median step.
 * Evaluation is timed on batches of 256, and the processor's own limit beside both.
 */
#include "daemon/main/command_bench.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "core/base/cleanup.h"
#include "core/nn/engine.h"
#include "core/train/trainer.h"
#include "daemon/config/text_number.h"

enum { MAX_STEPS = 100000, WARM_UP_STEPS = 2, TEST_IMAGES = 64 };

static const double NOMINAL_FLOP_PER_MAC = 6.0; /* forward and twice as much backward */

struct bench {
    struct run_config config;
    const struct kernels *kernels;
    int n_threads;
    double seconds;
    bool json;

    double started_s;
    double last_s;
    int n_steps;
    double step_s[MAX_STEPS];

    double images_per_second;
    double eval_images_per_second;
    double data_share;
    double fma_peak_gflops; /* 0: not known */
    int64_t bytes_per_image;
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

/* ---- options ---- */

static bool parse_option(struct bench *b, const char *name, const char *value,
                         const char **ret_isa) {
    int seconds = 0;
    if (!strcmp(name, "--depth")) {
        return text_to_int(value, 8, 110, &b->config.depth);
    } else if (!strcmp(name, "--batch")) {
        return text_to_int(value, 1, 65536, &b->config.batch_size);
    } else if (!strcmp(name, "--m")) {
        return text_to_int(value, 1, 1024, &b->config.m);
    } else if (!strcmp(name, "--threads")) {
        return text_to_int(value, 1, TEAM_MAX_THREADS, &b->n_threads);
    } else if (!strcmp(name, "--seconds")) {
        bool good = text_to_int(value, 1, 3600, &seconds);
        b->seconds = seconds;
        return good;
    } else if (!strcmp(name, "--isa")) {
        *ret_isa = value;
        return true;
    } else if (!strcmp(name, "--conv-algorithm")) {
        return conv_algorithm_from_name(value, &b->config.conv_algorithm);
    } else if (!strcmp(name, "--format")) {
        b->json = !strcmp(value, "json");
        return b->json || !strcmp(value, "text");
    }
    return false;
}

static enum status parse_options(struct bench *b, int argc, char *const *argv,
                                 struct error *error) {
    cpu_set_t set;
    const char *isa = getenv("CUTOUTD_ISA");
    b->config = run_preset_find("notebook-q3")->config;
    b->config.batch_size = 64;
    b->config.m = 1;
    b->seconds = 10.0;
    b->n_threads = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
    b->n_threads = b->n_threads < TEAM_MAX_THREADS ? b->n_threads : TEAM_MAX_THREADS;
    for (int i = 0; i < argc; i += 2) {
        if (i + 1 == argc || !parse_option(b, argv[i], argv[i + 1], &isa)) {
            return error_set(error, STATUS_INVALID,
                             "bench: %s %s makes no sense; see cutoutd --help", argv[i],
                             i + 1 < argc ? argv[i + 1] : "without a value");
        }
    }
    (void)snprintf(b->config.dataset, sizeof(b->config.dataset), "shapes");
    b->config.epochs = 100000;
    b->config.train_images = 0;
    b->config.test_images = 0;
    TRY(run_config_check(&b->config, error));
    return kernels_select(isa, &b->kernels, error);
}

/* ---- training ---- */

static enum status on_step(void *user, const struct step_report *report, struct error *error) {
    (void)report;
    (void)error;
    struct bench *b = user;
    double now = now_s();
    if (b->n_steps < MAX_STEPS) {
        b->step_s[b->n_steps++] = now - b->last_s;
    }
    b->last_s = now;
    return STATUS_OK;
}

/* Validation comes between two epochs; its time belongs to no step. */
static enum status on_epoch(void *user, const struct epoch_report *report, struct error *error) {
    (void)report;
    (void)error;
    struct bench *b = user;
    b->last_s = now_s();
    return STATUS_OK;
}

static bool should_stop(void *user) {
    const struct bench *b = user;
    return b->n_steps > WARM_UP_STEPS + 2 && now_s() - b->started_s > b->seconds;
}

static enum status measure_training(struct bench *b, const struct dataset *dataset,
                                    struct error *error) {
    const struct trainer_options options = {
        .config = &b->config,
        .dataset = dataset,
        .kernels = b->kernels,
        .clock = &clock_system,
        .n_threads = b->n_threads,
    };
    const struct trainer_callbacks callbacks = {
        .user = b, .on_step = on_step, .on_epoch = on_epoch, .should_stop = should_stop};
    struct trainer_result result;
    b->started_s = b->last_s = now_s();
    enum status status = trainer_run(&options, &callbacks, &result, error);
    if (status != STATUS_STOPPED && status != STATUS_OK) {
        return status;
    }
    b->data_share = result.data_share;
    b->images_per_second = b->config.batch_size * b->config.m /
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

static void free_team(struct team **team) {
    team_free(*team);
}

static void free_engine(struct engine **engine) {
    engine_free(*engine);
}

static enum status measure_evaluation(struct bench *b, struct error *error) {
    CLEANUP(free_pointer) struct resnet *net = calloc(1, sizeof(*net));
    CLEANUP(free_team) struct team *team = NULL;
    CLEANUP(free_engine) struct engine *engine = NULL;
    CLEANUP(free_pointer) float *values = NULL;
    if (!net) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for a network");
    }
    TRY(resnet_plan(b->config.depth, net, error));
    TRY(team_create(&(struct team_options){.n_threads = b->n_threads}, &team, error));
    const struct engine_options options = {
        .net = net,
        .kernels = b->kernels,
        .team = team,
        .winograd = trainer_uses_winograd(&b->config, b->kernels),
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
    for (double last = start; n < 5 || last - start < b->seconds / 4.0; n++) {
        struct engine_result result;
        engine_evaluate(engine, blank_image, NULL, 0, ENGINE_EVALUATE_MAX, NULL, NULL, &result);
        double now = now_s();
        b->step_s[n % MAX_STEPS] = now - last;
        last = now;
    }
    b->eval_images_per_second =
        ENGINE_EVALUATE_MAX / median(b->step_s, n < MAX_STEPS ? n : MAX_STEPS);
    return STATUS_OK;
}

/* ---- the limit ---- */

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
static enum status measure_limit(struct bench *b, struct error *error) {
    CLEANUP(free_team) struct team *team = NULL;
    if (!b->kernels->fma_probe) {
        return STATUS_OK;
    }
    TRY(team_create(&(struct team_options){.n_threads = b->n_threads}, &team, error));
    struct probe probe = {.kernels = b->kernels, .rounds = 200000};
    double flop = b->kernels->fma_probe(probe.rounds) * b->n_threads;
    for (int i = 0; i < 20; i++) {
        double start = now_s();
        team_run(team, probe_piece, &probe, b->n_threads);
        double gflops = flop / (now_s() - start) * 1e-9;
        b->fma_peak_gflops = gflops > b->fma_peak_gflops ? gflops : b->fma_peak_gflops;
    }
    return STATUS_OK;
}

/* Multiply-adds of one image forward. */
static double network_macs(int depth) {
    static struct resnet net;
    double macs = (double)RESNET_FEATURES * RESNET_CLASSES;
    if (resnet_plan(depth, &net, NULL) != STATUS_OK) {
        return 0.0;
    }
    for (int i = 0; i < net.n_convs; i++) {
        const struct conv_shape *s = &net.convs[i].shape;
        macs += (double)s->k * s->k * s->ic * s->oc * s->oh * s->oh;
    }
    return macs;
}

/* What one more image costs once all chunks are there. */
static int64_t measure_bytes_per_image(const struct bench *b) {
    struct run_config small = b->config;
    struct run_config large = b->config;
    small.batch_size = 1024;
    large.batch_size = 2048;
    small.m = large.m = 1;
    return (trainer_memory_bytes(&large, b->kernels, b->n_threads) -
            trainer_memory_bytes(&small, b->kernels, b->n_threads)) /
           1024;
}

/* ---- printing ---- */

static void put_name(const struct bench *b, const char *name, bool first) {
    if (b->json) {
        (void)printf("%s\"%s\":", first ? "{" : ",", name);
    } else {
        (void)printf("%-24s", name);
    }
}

static void put_end(const struct bench *b) {
    (void)fputs(b->json ? "" : "\n", stdout);
}

static void put_text(const struct bench *b, const char *name, const char *text) {
    put_name(b, name, false);
    (void)printf(b->json ? "\"%s\"" : "%s", text);
    put_end(b);
}

static void put_integer(const struct bench *b, const char *name, int64_t value) {
    put_name(b, name, false);
    (void)printf("%lld", (long long)value);
    put_end(b);
}

/* A value of 0 is one that could not be measured. */
static void put_number(const struct bench *b, const char *name, double value, int decimals) {
    put_name(b, name, false);
    if (value > 0.0) {
        (void)printf("%.*f", decimals, value);
    } else {
        (void)fputs(b->json ? "null" : "unknown", stdout);
    }
    put_end(b);
}

static void print_result(const struct bench *b) {
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    double gflops =
        b->images_per_second * network_macs(b->config.depth) * NOMINAL_FLOP_PER_MAC * 1e-9;
    bool winograd = trainer_uses_winograd(&b->config, b->kernels);
    put_name(b, "images_per_second", true);
    (void)printf("%.1f", b->images_per_second);
    put_end(b);
    put_number(b, "eval_images_per_second", b->eval_images_per_second, 1);
    put_number(b, "data_pipeline_share", b->data_share, 4);
    put_text(b, "isa", b->kernels->name);
    put_text(b, "conv_algorithm", winograd ? "winograd" : "direct");
    put_integer(b, "depth", b->config.depth);
    put_integer(b, "threads", b->n_threads);
    put_integer(b, "batch_size", b->config.batch_size);
    put_integer(b, "m", b->config.m);
    put_integer(b, "steps", b->n_steps - WARM_UP_STEPS);
    put_integer(b, "bytes_per_image", b->bytes_per_image);
    put_integer(b, "peak_rss_bytes", (int64_t)usage.ru_maxrss * 1024);
    put_number(b, "nominal_gflops", gflops, 1);
    put_number(b, "fma_peak_gflops", b->fma_peak_gflops, 1);
    put_number(b, "ratio_to_peak", b->fma_peak_gflops > 0.0 ? gflops / b->fma_peak_gflops : 0.0, 3);
    (void)fputs(b->json ? "}\n" : "", stdout);
}

static void free_dataset(struct dataset **dataset) {
    dataset_free(*dataset);
}

static enum status run_bench(struct bench *b, int argc, char *const *argv, struct error *error) {
    CLEANUP(free_dataset) struct dataset *dataset = NULL;
    TRY(parse_options(b, argc, argv, error));
    int n_train = 4 * b->config.batch_size > 512 ? 4 * b->config.batch_size : 512;
    TRY(dataset_make_shapes(n_train, TEST_IMAGES, 1, &dataset, error));
    TRY(measure_training(b, dataset, error));
    TRY(measure_evaluation(b, error));
    TRY(measure_limit(b, error));
    b->bytes_per_image = measure_bytes_per_image(b);
    print_result(b);
    return STATUS_OK;
}

int command_bench(int argc, char *const *argv) {
    CLEANUP(free_pointer) struct bench *b = calloc(1, sizeof(*b));
    struct error error = {STATUS_NO_MEMORY, "out of memory"};
    if (!b || run_bench(b, argc, argv, &error) != STATUS_OK) {
        (void)fprintf(stderr, "cutoutd: %s\n", error.message);
        return error.code == STATUS_INVALID ? 2 : EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
