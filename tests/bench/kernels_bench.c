/* What each kernel reaches on one thread, its data in L2, and what all of them take in a training
 * step.
 *
 *     kernels_bench [VARIANT]        all variants, or one of: ref blas avx2 avx512
 *
 * A row a kernel and shape: microseconds an image (a call, for what is done once a step), GFLOP/s
 * of the plain convolution (nominal: padding and Winograd's savings count as work), percent of the
 * peak of multiply-adds, measured in turns with it on the same thread; GB/s for the element-wise
 * functions. A row "... products" is the matrix products of a Winograd kernel alone: its percent of
 * the peak is that of what is really multiplied, and the kernel's row says which part of its time
 * they take.
 *
 * Then a table by stage for one training step of ResNet-44 with those kernels, microseconds an
 * image on one core: the step's own time (cutoutd bench) over this sum tells what is lost to
 * memory, waiting and everything that is no kernel.
 *
 * The best of many short rounds counts: other work on the machine only ever makes one slower.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/arena.h"
#include "core/kernels/kernels.h"
#include "core/nn/resnet.h"
#include "core/train/optimizer.h"
#include "tests/core/conv_shapes.h"

enum { GROUP_FLOATS = 32 * 32 * 16, BUFFER_FLOATS = 1 << 20, CALLS_A_TURN = 8 };

static const double ROW_S = 0.2; /* time spent on a row */

static double now_s(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the peak ---- */

/* The best variant's probe; NULL where none has one. */
static const struct kernels *probing(void) {
    const struct kernels *found = NULL;
    for (const struct kernels *const *k = kernels_available(); *k; k++) {
        found = (*k)->fma_probe ? *k : found;
    }
    return found;
}

/* FLOP/s of one short burst; 0 where there is nothing to measure it with. */
static double peak_round(const struct kernels *probe) {
    if (!probe) {
        return 0.0;
    }
    double start = now_s();
    double flops = probe->fma_probe(10000);
    return flops / (now_s() - start);
}

/* ---- one row ---- */

enum function {
    FORWARD,
    BACKWARD_DATA,
    WEIGHTS_ADD, /* up to here: once an image */
    FORWARD_PRODUCTS,
    WEIGHTS_PRODUCTS, /* up to here: parts of the others */
    WEIGHTS_FINISH,
    PACK_FORWARD,
    PACK_BACKWARD,
};

static const char *const function_names[] = {
    "forward",          "backward_data",  "weights_add",  "forward products",
    "weights products", "weights_finish", "pack_forward", "pack_backward"};

enum { N_FUNCTIONS = sizeof(function_names) / sizeof(function_names[0]) };

/* What all calls work on: random numbers, each BUFFER_FLOATS. */
struct data {
    float *src, *dst, *weights, *packed, *accumulator, *scratch, *bias, *out;
};

struct bench {
    const struct kernels *kernels;
    struct conv_plan plan;
    int n_images;
    struct data data;
};

static void call(const struct bench *b, enum function function) {
    const struct conv_plan *p = &b->plan;
    const struct data *d = &b->data;
    switch (function) {
    case FORWARD:
        p->forward(p, b->n_images, d->src, d->packed, d->bias, d->out, d->scratch, NULL);
        break;
    case BACKWARD_DATA:
        p->backward_data(p, b->n_images, d->dst, d->packed, d->out, false, d->scratch, NULL);
        break;
    case WEIGHTS_ADD:
        p->weights_add(p, b->n_images, d->src, d->dst, d->accumulator, true, d->scratch, NULL);
        break;
    case FORWARD_PRODUCTS:
        p->forward_products(p, b->n_images, d->packed, d->scratch);
        break;
    case WEIGHTS_PRODUCTS:
        p->weights_products(p, b->n_images, d->accumulator, d->scratch);
        break;
    case WEIGHTS_FINISH:
        p->weights_finish(p, d->accumulator, d->out);
        break;
    case PACK_FORWARD:
        p->pack_forward(p, d->weights, d->out);
        break;
    case PACK_BACKWARD:
        p->pack_backward(p, d->weights, d->out);
        break;
    }
}

static bool has(const struct bench *b, enum function function) {
    bool stem = b->plan.shape.ic == 3;
    switch (function) {
    case BACKWARD_DATA:
        return !stem;
    case PACK_FORWARD:
        return b->plan.forward_floats > 0;
    case PACK_BACKWARD:
        return !stem && b->plan.backward_floats > 0;
    case FORWARD_PRODUCTS:
    case WEIGHTS_PRODUCTS:
        return b->plan.winograd;
    case FORWARD:
    case WEIGHTS_ADD:
    case WEIGHTS_FINISH:
        break;
    }
    return true;
}

/* Of one image. Winograd's products multiply 36 values for 16 pixels. */
static double flops(const struct bench *b, enum function function) {
    const struct conv_shape *s = &b->plan.shape;
    bool products = function == FORWARD_PRODUCTS || function == WEIGHTS_PRODUCTS;
    return 2.0 * (products ? 36.0 / 16.0 : s->k * s->k) * s->ic * s->oc * s->oh * s->oh;
}

/* Random numbers; no call's result is another one's input. */
static void data_fill(const struct data *d) {
    float *all[] = {d->src,         d->dst,     d->weights, d->packed,
                    d->accumulator, d->scratch, d->bias,    d->out};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        unsigned state = (unsigned)i + 1;
        for (int j = 0; j < BUFFER_FLOATS; j++) {
            state = state * 1664525U + 1013904223U;
            all[i][j] = (float)(state >> 8) * 0x1p-24F - 0.5F;
        }
    }
}

struct measured {
    double us; /* an image; a call for what is done once a step */
    double peak;
};

/* One turn: a call to bring its data into the cache, then some that count. */
static void measure_turn(const struct bench *b, enum function function, struct measured *m) {
    double round_peak = peak_round(probing());
    m->peak = round_peak > m->peak ? round_peak : m->peak;
    call(b, function);
    for (int i = 0; i < CALLS_A_TURN; i++) {
        double start = now_s();
        call(b, function);
        double us = 1e6 * (now_s() - start) / (function <= WEIGHTS_PRODUCTS ? b->n_images : 1);
        m->us = us < m->us ? us : m->us;
    }
}

/* All functions of a shape in turns, so that their ratios do not depend on when each was run. */
static void measure(const struct bench *b, struct measured all[N_FUNCTIONS]) {
    for (int f = 0; f < N_FUNCTIONS; f++) {
        all[f] = (struct measured){.us = 1e9};
    }
    data_fill(&b->data);
    for (double end = now_s() + N_FUNCTIONS * ROW_S; now_s() < end;) {
        for (int f = 0; f < N_FUNCTIONS; f++) {
            if (has(b, (enum function)f)) {
                measure_turn(b, (enum function)f, &all[f]);
            }
        }
    }
}

/* products: the time of the products alone, or 0. */
static void print_row(const struct bench *b, const char *shape, enum function function,
                      struct measured m, double products) {
    printf("%-7s %-9s %-18s %-17s %10.2f us", b->kernels->name,
           b->plan.winograd ? "winograd" : "direct", shape, function_names[function], m.us);
    if (function <= WEIGHTS_PRODUCTS) {
        double per_s = 1e6 * flops(b, function) / m.us;
        printf(" %8.1f GFLOP/s", 1e-9 * per_s);
        if (m.peak > 0.0) {
            printf(" %5.0f %% of peak (%.1f)", 100.0 * per_s / m.peak, 1e-9 * m.peak);
        }
    }
    if (products > 0.0) {
        printf("   products %.0f %%", 100.0 * products / m.us);
    }
    printf("\n");
    (void)fflush(stdout);
}

/* Microseconds an image of what is called once an image: [winograd][shape][function]. */
typedef double conv_times[2][N_CONV_SHAPES][WEIGHTS_ADD + 1];

static void convolution(struct bench *b, int shape, conv_times times) {
    struct measured all[N_FUNCTIONS];
    b->n_images = conv_shapes[shape].shape.oc / 16;
    measure(b, all);
    for (int f = 0; f < N_FUNCTIONS; f++) {
        if (!has(b, (enum function)f)) {
            continue;
        }
        enum function part = f == WEIGHTS_ADD ? WEIGHTS_PRODUCTS : FORWARD_PRODUCTS;
        double products = f <= WEIGHTS_ADD && has(b, part) ? all[part].us : 0.0;
        print_row(b, conv_shapes[shape].name, (enum function)f, all[f], products);
        if (f <= WEIGHTS_ADD) {
            times[b->plan.winograd][shape][f] = all[f].us;
        }
    }
}

static void convolutions(struct bench *b, conv_times times) {
    for (int winograd = 0; winograd < 2; winograd++) {
        for (int i = 0; i < N_CONV_SHAPES; i++) {
            if (b->kernels->conv_plan(&conv_shapes[i].shape, winograd, &b->plan) == STATUS_OK &&
                b->plan.winograd == winograd) {
                convolution(b, i, times);
            }
        }
    }
}

/* ---- element-wise, one image of 16 channels ---- */

static const struct {
    const char *name;
    int tensors; /* read or written */
} elementwise[] = {
    {"bn_sums", 1},     {"bn_relu", 2},       {"bn_add_relu", 3},
    {"bn_backward", 3}, {"relu_backward", 4}, {"relu_backward+add", 5},
};

enum { BN_SUMS, BN_RELU, BN_ADD_RELU, BN_BACKWARD, RELU_BACKWARD, RELU_BACKWARD_ADD };

enum { N_ELEMENTWISE = sizeof(elementwise) / sizeof(elementwise[0]) };

static void elementwise_call(const struct bench *b, int function) {
    const struct data *d = &b->data;
    const struct kernels *k = b->kernels;
    const float *a = d->bias;
    const float *in[4] = {d->src, d->src + GROUP_FLOATS, d->src + 2 * GROUP_FLOATS,
                          d->src + 3 * GROUP_FLOATS};
    static double sums[2][16];
    switch (function) {
    case BN_SUMS:
        k->bn_sums(16, 1024, in[0], sums[0], sums[1]);
        break;
    case BN_RELU:
        k->bn_relu(16, 1024, in[0], a, a + 64, d->out);
        break;
    case BN_ADD_RELU:
        k->bn_add_relu(16, 1024, in[0], a, a + 64, in[1], d->out);
        break;
    case BN_BACKWARD:
        k->bn_backward(16, 1024, in[0], in[1], a, a + 64, a + 128, d->out);
        break;
    case RELU_BACKWARD:
        k->relu_backward(16, 1024, in[0], NULL, in[2], in[3], d->out, sums[0], sums[1]);
        break;
    default:
        k->relu_backward(16, 1024, in[0], in[1], in[2], in[3], d->out, sums[0], sums[1]);
        break;
    }
}

static void elementwise_rows(const struct bench *b, double us[N_ELEMENTWISE]) {
    data_fill(&b->data);
    for (int i = 0; i < N_ELEMENTWISE; i++) {
        double best_s = 1e9;
        for (double end = now_s() + ROW_S; now_s() < end;) {
            double start = now_s();
            elementwise_call(b, i);
            double seconds = now_s() - start;
            best_s = seconds < best_s ? seconds : best_s;
        }
        us[i] = 1e6 * best_s;
        printf("%-7s %-9s %-18s %-17s %10.2f us %8.1f GB/s\n", b->kernels->name, "-", "16 @32",
               elementwise[i].name, us[i],
               1e-9 * sizeof(float) * GROUP_FLOATS * elementwise[i].tensors / best_s);
    }
}

/* ---- a training step ---- */

enum stage { STAGE_STEM, STAGE_16, STAGE_32, STAGE_64, STAGE_DOWN, STAGE_BN, N_STAGES };

static const char *const stage_names[] = {
    "stem", "3x3, 16 channels", "3x3, 32 channels", "3x3, 64 channels", "stride 2", "BN and ReLU"};

static enum stage stage_of(const struct conv_shape *s) {
    if (s->ic == 3) {
        return STAGE_STEM;
    }
    if (s->stride == 2) {
        return STAGE_DOWN;
    }
    return s->oc == 16 ? STAGE_16 : s->oc == 32 ? STAGE_32 : STAGE_64;
}

static void add_convolutions(const struct resnet *net, bool winograd, conv_times times,
                             double us[N_STAGES], double gflop[N_STAGES]) {
    for (int i = 0; i < net->n_convs; i++) {
        const struct conv_shape *s = &net->convs[i].shape;
        int shape = 0;
        while (memcmp(&conv_shapes[shape].shape, s, sizeof(*s)) != 0) {
            shape++;
        }
        bool has_winograd = winograd && times[1][shape][FORWARD] > 0.0;
        for (int f = FORWARD; f <= WEIGHTS_ADD; f++) {
            const double t = times[has_winograd][shape][f];
            us[stage_of(s)] += t;
            gflop[stage_of(s)] +=
                t > 0.0 ? 2e-9 * s->k * s->k * s->ic * s->oc * s->oh * s->oh : 0.0;
        }
    }
}

/* Each in units of one image at 16 channels: a third of the network's tensors are half or a quarter
 * of that. The stem's normalisation and the head's take the places that blocks do not have. */
static double bn_us(const struct resnet *net, const double us[N_ELEMENTWISE]) {
    double total = us[BN_SUMS] + us[BN_RELU] + us[BN_BACKWARD];
    for (int i = 0; i < net->n_blocks; i++) {
        const double size = 16.0 / net->convs[net->blocks[i].conv2].shape.oc;
        const bool shrinks = net->blocks[i].shortcut >= 0; /* its input is twice as large */
        total += size *
                 (2.0 * us[BN_SUMS] + 2.0 * us[BN_RELU] + us[BN_ADD_RELU] + 2.0 * us[BN_BACKWARD] +
                  us[RELU_BACKWARD] + (shrinks ? 2.0 * us[RELU_BACKWARD] : us[RELU_BACKWARD_ADD]));
    }
    return total;
}

static void step_table(const struct bench *b, bool winograd, conv_times times,
                       const double elementwise_us[N_ELEMENTWISE], double peak) {
    static struct resnet net;
    double us[N_STAGES] = {0};
    double gflop[N_STAGES] = {0};
    (void)resnet_plan(44, &net, NULL);
    add_convolutions(&net, winograd, times, us, gflop);
    us[STAGE_BN] = bn_us(&net, elementwise_us);
    double total = 0.0;
    for (int i = 0; i < N_STAGES; i++) {
        total += us[i];
    }
    printf("\n%s, %s: one training step of ResNet-44, us an image on one core\n", b->kernels->name,
           winograd ? "winograd" : "direct");
    for (int i = 0; i < N_STAGES; i++) {
        printf("  %-20s %8.1f us %5.1f %%", stage_names[i], us[i], 100.0 * us[i] / total);
        if (gflop[i] > 0.0 && peak > 0.0) {
            printf(" %5.0f %% of peak", 1e17 * gflop[i] / us[i] / peak);
        }
        printf("\n");
    }
    printf("  kernels of one training step in L2, us an image: %.1f\n", total);
}

/* ---- what is no kernel: once a step, and memory ---- */

static void optimizer_row(enum optimizer_kind kind, const char *name) {
    static struct resnet net;
    const struct run_config config = {.optimizer = kind, .l2 = 1e-4, .momentum = 0.9};
    struct team *team = NULL;
    struct optimizer *optimizer = NULL;
    (void)resnet_plan(44, &net, NULL);
    float *values = calloc(2 * net.n_params, sizeof(float));
    if (values && team_create(&(struct team_options){.n_threads = 1}, &team, NULL) == STATUS_OK &&
        optimizer_create(&config, &net, &optimizer, NULL) == STATUS_OK) {
        double best_s = 1e9;
        for (double end = now_s() + ROW_S; now_s() < end;) {
            double start = now_s();
            (void)optimizer_step(optimizer, team, values, values + net.n_params, 1e-3);
            double seconds = now_s() - start;
            best_s = seconds < best_s ? seconds : best_s;
        }
        printf("optimizer %-8s ResNet-44, one thread %10.1f us a step\n", name, 1e6 * best_s);
    }
    optimizer_free(optimizer);
    team_free(team);
    free(values);
}

/* a = b + 3 c, 128 MiB each: beyond any cache. One thread. */
static void triad_row(void) {
    const size_t n = (size_t)1 << 25;
    float *a = calloc(3 * n, sizeof(float));
    if (!a) {
        return;
    }
    double best_s = 1e9;
    for (int round = 0; round < 5; round++) {
        double start = now_s();
        for (size_t i = 0; i < n; i++) {
            a[i] = a[n + i] + 3.0F * a[2 * n + i];
        }
        double seconds = now_s() - start;
        a[n + (size_t)round] = a[(size_t)round] + 1.0F;
        best_s = seconds < best_s ? seconds : best_s;
    }
    printf("triad, one thread %8.1f GB/s\n", 3e-9 * sizeof(float) * (double)n / best_s);
    free(a);
}

static void variant(struct bench *b) {
    static conv_times times;
    double elementwise_us[N_ELEMENTWISE];
    memset(times, 0, sizeof(times));
    convolutions(b, times);
    elementwise_rows(b, elementwise_us);
    double peak = 0.0;
    for (int i = 0; i < 20; i++) {
        double round = peak_round(probing());
        peak = round > peak ? round : peak;
    }
    for (int winograd = 0; winograd <= b->kernels->has_winograd; winograd++) {
        step_table(b, winograd, times, elementwise_us, peak);
    }
}

int main(int argc, char **argv) {
    struct bench b = {0};
    struct arena arena = {0}; /* memory as the engine has it: large pages, staggered starts */
    struct error error = {0};
    if (arena_open(&arena, sizeof(float) * 9 * BUFFER_FLOATS, &error) != STATUS_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
        return EXIT_FAILURE;
    }
    float **all[] = {&b.data.src,         &b.data.dst,     &b.data.weights, &b.data.packed,
                     &b.data.accumulator, &b.data.scratch, &b.data.bias,    &b.data.out};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        *all[i] = arena_take(&arena, sizeof(float) * BUFFER_FLOATS);
    }
    const struct kernels *best = NULL;
    (void)kernels_select(NULL, &best, NULL); /* also: OpenBLAS on one thread */
    int n_variants = 0;
    for (const struct kernels *const *k = kernels_available(); *k; k++) {
        if (argc > 1 && strcmp(argv[1], (*k)->name) != 0) {
            continue;
        }
        b.kernels = *k;
        variant(&b);
        n_variants++;
    }
    arena_close(&arena);
    if (!n_variants) {
        (void)fprintf(stderr, "this processor has no variant '%s'\n", argv[1]);
        return EXIT_FAILURE;
    }
    printf("\n");
    optimizer_row(OPTIMIZER_ADAM, "adam");
    optimizer_row(OPTIMIZER_SGD, "sgd");
    triad_row();
    return EXIT_SUCCESS;
}
