/* What each kernel reaches, one row a kernel and shape: GFLOP/s of the plain convolution (nominal:
 * padding and Winograd's savings count as work) and the ratio to the peak of multiply-adds,
 * measured in turns with it on the same thread; GB/s for the element-wise functions, whose data lie
 * in L2.
 *
 *     kernels_bench [VARIANT]        all variants, or one of: ref blas avx2 avx512
 *
 * The best of many short rounds counts: other work on the machine only ever makes a round slower.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/kernels/kernels.h"
#include "tests/core/conv_shapes.h"

enum { GROUP_FLOATS = 32 * 32 * 16, BUFFER_FLOATS = 1 << 20 };

static const double ROW_S = 0.15; /* time spent on a row */

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

enum function { FORWARD, BACKWARD_DATA, WEIGHTS_ADD, WEIGHTS_FINISH, PACK_FORWARD, PACK_BACKWARD };

static const char *const function_names[] = {"forward",        "backward_data", "weights_add",
                                             "weights_finish", "pack_forward",  "pack_backward"};

enum { N_FUNCTIONS = sizeof(function_names) / sizeof(function_names[0]) };

/* What all calls work on: random numbers, each BUFFER_FLOATS. */
struct data {
    float *src, *dst, *weights, *packed, *accumulator, *scratch, *bias;
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
        p->forward(p, b->n_images, d->src, d->packed, d->bias, d->dst, d->scratch, NULL);
        break;
    case BACKWARD_DATA:
        p->backward_data(p, b->n_images, d->dst, d->packed, d->src, false, d->scratch, NULL);
        break;
    case WEIGHTS_ADD:
        p->weights_add(p, b->n_images, d->src, d->dst, d->accumulator, true, d->scratch, NULL);
        break;
    case WEIGHTS_FINISH:
        p->weights_finish(p, d->accumulator, d->weights);
        break;
    case PACK_FORWARD:
        p->pack_forward(p, d->weights, d->packed);
        break;
    case PACK_BACKWARD:
        p->pack_backward(p, d->weights, d->packed);
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
    case FORWARD:
    case WEIGHTS_ADD:
    case WEIGHTS_FINISH:
        break;
    }
    return true;
}

static double nominal_flops(const struct bench *b) {
    const struct conv_shape *s = &b->plan.shape;
    return 2.0 * s->k * s->k * s->ic * s->oc * s->oh * s->oh * b->n_images;
}

/* Fills the buffers anew: calls feed on each other's results, and numbers that grow into infinities
 * or shrink into denormals would be timed instead. */
static void data_fill(const struct data *d) {
    float *all[] = {d->src, d->dst, d->weights, d->packed, d->accumulator, d->scratch, d->bias};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        unsigned state = (unsigned)i + 1;
        for (int j = 0; j < BUFFER_FLOATS; j++) {
            state = state * 1664525U + 1013904223U;
            all[i][j] = (float)(state >> 8) * 0x1p-24F - 0.5F;
        }
    }
}

static void row(const struct bench *b, const char *shape, enum function function) {
    double best_s = 1e9;
    double peak = 0.0;
    const struct kernels *probe = probing();
    data_fill(&b->data);
    call(b, function);
    for (double end = now_s() + ROW_S; now_s() < end;) {
        double round_peak = peak_round(probe);
        peak = round_peak > peak ? round_peak : peak;
        double start = now_s();
        call(b, function);
        double seconds = now_s() - start;
        best_s = seconds < best_s ? seconds : best_s;
    }
    printf("%-7s %-9s %-18s %-15s %10.2f us", b->kernels->name,
           b->plan.winograd ? "winograd" : "direct", shape, function_names[function], 1e6 * best_s);
    if (function <= WEIGHTS_ADD) {
        double flops = nominal_flops(b) / best_s;
        printf(" %8.1f GFLOP/s", 1e-9 * flops);
        if (peak > 0.0) {
            printf(" %6.2f of peak (%.1f)", flops / peak, 1e-9 * peak);
        }
    }
    printf("\n");
    (void)fflush(stdout);
}

static void convolutions(struct bench *b) {
    for (int winograd = 0; winograd < 2; winograd++) {
        for (int i = 0; i < N_CONV_SHAPES; i++) {
            const struct conv_shape *shape = &conv_shapes[i].shape;
            if (b->kernels->conv_plan(shape, winograd, &b->plan) != STATUS_OK ||
                b->plan.winograd != winograd) {
                continue;
            }
            b->n_images = shape->oc / 16;
            for (int function = 0; function < N_FUNCTIONS; function++) {
                if (has(b, (enum function)function)) {
                    row(b, conv_shapes[i].name, (enum function)function);
                }
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

static void elementwise_call(const struct bench *b, size_t function) {
    const struct data *d = &b->data;
    const struct kernels *k = b->kernels;
    const float *a = d->bias;
    const float *in[4] = {d->src, d->src + GROUP_FLOATS, d->src + 2 * GROUP_FLOATS,
                          d->src + 3 * GROUP_FLOATS};
    static double sums[2][16];
    switch (function) {
    case 0:
        k->bn_sums(16, 1024, in[0], sums[0], sums[1]);
        break;
    case 1:
        k->bn_relu(16, 1024, in[0], a, a + 64, d->dst);
        break;
    case 2:
        k->bn_add_relu(16, 1024, in[0], a, a + 64, in[1], d->dst);
        break;
    case 3:
        k->bn_backward(16, 1024, in[0], in[1], a, a + 64, a + 128, d->dst);
        break;
    case 4:
        k->relu_backward(16, 1024, in[0], NULL, in[2], in[3], d->dst, sums[0], sums[1]);
        break;
    default:
        k->relu_backward(16, 1024, in[0], in[1], in[2], in[3], d->dst, sums[0], sums[1]);
        break;
    }
}

static void elementwise_rows(const struct bench *b) {
    data_fill(&b->data);
    for (size_t i = 0; i < sizeof(elementwise) / sizeof(elementwise[0]); i++) {
        double best_s = 1e9;
        for (double end = now_s() + ROW_S; now_s() < end;) {
            double start = now_s();
            elementwise_call(b, i);
            double seconds = now_s() - start;
            best_s = seconds < best_s ? seconds : best_s;
        }
        printf("%-7s %-9s %-18s %-15s %10.2f us %8.1f GB/s\n", b->kernels->name, "-", "16 @32",
               elementwise[i].name, 1e6 * best_s,
               1e-9 * sizeof(float) * GROUP_FLOATS * elementwise[i].tensors / best_s);
    }
}

int main(int argc, char **argv) {
    struct bench b = {0};
    float *memory = aligned_alloc(64, 7 * sizeof(float) * BUFFER_FLOATS);
    if (!memory) {
        (void)fprintf(stderr, "out of memory\n");
        return EXIT_FAILURE;
    }
    float **all[] = {&b.data.src,         &b.data.dst,     &b.data.weights, &b.data.packed,
                     &b.data.accumulator, &b.data.scratch, &b.data.bias};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        *all[i] = memory + i * BUFFER_FLOATS;
    }
    const struct kernels *best = NULL;
    (void)kernels_select(NULL, &best, NULL); /* also: OpenBLAS on one thread */
    int n_rows = 0;
    for (const struct kernels *const *k = kernels_available(); *k; k++) {
        if (argc > 1 && strcmp(argv[1], (*k)->name) != 0) {
            continue;
        }
        b.kernels = *k;
        convolutions(&b);
        elementwise_rows(&b);
        n_rows++;
    }
    free(memory);
    if (!n_rows) {
        (void)fprintf(stderr, "this processor has no variant '%s'\n", argv[1]);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
