/* How a training step would scale to more cores than this machine has.
 *
 *     team_scaling [BATCH [VARIANT [BARRIER_US]]]       ResNet-44; 64, the best variant, 5
 *
 * Counts what the team does in a step here, measures every chunk of every pass on one thread, and
 * plays the team's rules (own share first, then others') with those times and 1 to 64 members. A
 * barrier and what one thread does between two passes are added. Memory bandwidth, caches and clock
 * are those of one busy core: with many, less.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/nn/engine_internal.h"

enum { DEPTH = 44, ROUNDS = 5, COUNTED_STEPS = 10 };

struct bench {
    struct resnet net;
    struct team *team;
    struct engine *engine;
    struct step step;
    float *params;
    float *moving;
    float *gradient;
    double chunk_s[MAX_PASSES][MAX_CHUNKS]; /* fastest of all rounds */
    double serial_s[MAX_PASSES];
};

static double now_s(void) {
    return clock_monotonic_s(&clock_system);
}

static int give_up(const char *message) {
    (void)fprintf(stderr, "team_scaling: %s\n", message);
    return EXIT_FAILURE;
}

static void keep_faster(double *seconds, double start) {
    double s = now_s() - start;
    *seconds = *seconds > 0.0 ? fmin(*seconds, s) : s;
}

static bool open_bench(struct bench *b, int n_threads, int n_images,
                       const struct kernels *kernels) {
    const struct team_options team = {.n_threads = n_threads};
    if (team_create(&team, &b->team, NULL) != STATUS_OK) {
        return false;
    }
    const struct engine_options options = {.net = &b->net,
                                           .kernels = kernels,
                                           .team = b->team,
                                           .max_images = n_images,
                                           .winograd = kernels->has_winograd};
    if (engine_create(&options, &b->engine, NULL) != STATUS_OK) {
        return false;
    }
    for (size_t i = 0; i < (size_t)n_images * ENGINE_IMAGE_FLOATS; i++) {
        engine_images(b->engine)[i] = i % 4 == 3 ? 0.0F : (float)(i * 7919 % 1009) / 504.5F - 1.0F;
    }
    for (int i = 0; i < n_images; i++) {
        engine_labels(b->engine)[i] = (uint8_t)(i % RESNET_CIFAR10_CLASSES);
    }
    return true;
}

static void close_bench(struct bench *b) {
    engine_free(b->engine);
    team_free(b->team);
}

static void count(struct bench *b, int n_images) {
    struct team_counts before;
    struct team_counts after;
    struct engine_result result;
    engine_train(b->engine, n_images, b->params, b->moving, b->gradient, &result);
    team_count(b->team, &before);
    for (int i = 0; i < COUNTED_STEPS; i++) {
        engine_train(b->engine, n_images, b->params, b->moving, b->gradient, &result);
    }
    team_count(b->team, &after);
    printf("%d threads here: %.1f barriers, %.1f claims, %.1f of them stolen, a step\n",
           team_size(b->team), (double)(after.calls - before.calls) / COUNTED_STEPS,
           (double)(after.pieces - before.pieces) / COUNTED_STEPS,
           (double)(after.stolen - before.stolen) / COUNTED_STEPS);
}

/* One step as engine_train runs it, chunk by chunk on this thread. */
static void measure(struct bench *b) {
    struct step *s = &b->step;
    for (int i = 0; i < b->engine->n_passes; i++) {
        s->pass = &b->engine->passes[i];
        for (int chunk = 0; chunk < s->n_chunks; chunk++) {
            double start = now_s();
            pass_run(s, chunk, 0);
            keep_faster(&b->chunk_s[i][chunk], start);
        }
        double start = now_s();
        step_finish_pass(s, b->moving);
        keep_faster(&b->serial_s[i], start);
    }
}

/* Seconds that a pass takes n members: each works through its share, then takes the last piece of
 * the next member that has one open. */
static double play(const double *piece_s, int n_pieces, int n) {
    double free_at[TEAM_MAX_THREADS] = {0};
    int first[TEAM_MAX_THREADS];
    int end[TEAM_MAX_THREADS];
    for (int i = 0; i < n; i++) {
        first[i] = n_pieces * i / n;
        end[i] = n_pieces * (i + 1) / n;
    }
    for (int done = 0; done < n_pieces; done++) {
        int member = 0;
        for (int i = 1; i < n; i++) {
            member = free_at[i] < free_at[member] ? i : member;
        }
        for (int i = 0; i < n; i++) {
            int from = (member + i) % n;
            if (first[from] < end[from]) {
                free_at[member] += piece_s[i == 0 ? first[from]++ : --end[from]];
                break;
            }
        }
    }
    double last = 0.0;
    for (int i = 0; i < n; i++) {
        last = fmax(last, free_at[i]);
    }
    return last;
}

static void print_members(const struct bench *b, double barrier_s) {
    double alone = 0.0;
    printf("members  chunks in a row  ms a step  of it serial  images/s  efficiency\n");
    for (int n = 1; n <= TEAM_MAX_THREADS; n *= 2) {
        double seconds = 0.0;
        double serial = 0.0;
        for (int i = 0; i < b->engine->n_passes; i++) {
            seconds += play(b->chunk_s[i], b->step.n_chunks, n);
            serial += b->serial_s[i] + (n > 1 ? barrier_s : 0.0);
        }
        seconds += serial;
        alone = n == 1 ? seconds : alone;
        printf("%7d  %15d  %9.2f  %12.2f  %8.0f  %9.0f%%\n", n,
               (b->step.n_chunks + n - 1) / n * b->engine->n_passes, seconds * 1e3, serial * 1e3,
               b->step.n_images / seconds, 100.0 * alone / seconds / n);
    }
}

int main(int argc, char **argv) {
    static struct bench b;
    const struct kernels *kernels = NULL;
    int n_images = argc > 1 ? atoi(argv[1]) : 64;
    double barrier_s = (argc > 3 ? atof(argv[3]) : 5.0) * 1e-6;
    if (argc > 4 || n_images < 1 || resnet_plan(DEPTH, &b.net, NULL) != STATUS_OK ||
        kernels_select(argc > 2 ? argv[2] : NULL, &kernels, NULL) != STATUS_OK) {
        return give_up("usage: team_scaling [BATCH [VARIANT [BARRIER_US]]]");
    }
    b.params = aligned_alloc(64, b.net.n_params * sizeof(float));
    b.moving = calloc(b.net.n_moving, sizeof(float));
    b.gradient = calloc(b.net.n_params, sizeof(float));
    if (!b.params || !b.moving || !b.gradient || !open_bench(&b, 2, n_images, kernels)) {
        return give_up("no memory");
    }
    resnet_init(&b.net, 1, b.params, b.moving);
    count(&b, n_images);
    close_bench(&b);
    if (!open_bench(&b, 1, n_images, kernels)) {
        return give_up("no memory");
    }
    b.step = step_begin(b.engine, n_images, b.params, b.gradient);
    engine_pack(b.engine, b.params, true);
    for (int i = 0; i < ROUNDS; i++) {
        measure(&b);
    }
    printf("%s, batch %d: %d chunks of %d images, %d passes; a barrier taken as %.1f us\n",
           kernels->name, n_images, b.step.n_chunks, b.step.chunk_images, b.engine->n_passes,
           barrier_s * 1e6);
    print_members(&b, barrier_s);
    close_bench(&b);
    free(b.params);
    free(b.moving);
    free(b.gradient);
    return EXIT_SUCCESS;
}
