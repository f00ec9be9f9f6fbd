/* Layer: core/nn. */
#include "core/nn/kernel_times.h"

#include <assert.h>

#include "core/base/arena.h"
#include "core/base/cleanup.h"

enum { BUFFER_FLOATS = 1 << 20, CALLS_A_TURN = 8, PROBE_ROUNDS = 10000, PEAK_ROUNDS = 20 };

/* What all calls work on: random numbers, each BUFFER_FLOATS. No call's result is another one's
 * input. */
struct data {
    float *src, *dst, *weights, *packed, *accumulator, *scratch, *bias, *out;
};

struct kernel_times {
    const struct kernels *kernels;
    const struct clock *clock;
    double round_s;
    struct arena arena; /* memory as the engine has it: large pages, staggered starts */
    struct data data;
    struct conv_plan plan; /* of the convolution that is measured */
    int n_images;
};

static double now_s(const struct kernel_times *t) {
    return clock_monotonic_s(t->clock);
}

static void fill(const struct data *d) {
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

static void layout(struct data *d, struct arena *arena) {
    float **all[] = {&d->src,         &d->dst,     &d->weights, &d->packed,
                     &d->accumulator, &d->scratch, &d->bias,    &d->out};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        *all[i] = arena_take(arena, BUFFER_FLOATS * sizeof(float));
    }
}

enum status kernel_times_create(const struct kernels *kernels, const struct clock *clock,
                                double round_s, struct kernel_times **ret_times,
                                struct error *error) {
    struct kernel_times *t = calloc(1, sizeof(*t));
    if (!t) {
        return error_set(error, STATUS_NO_MEMORY, "no memory to measure kernels in");
    }
    *t = (struct kernel_times){.kernels = kernels, .clock = clock, .round_s = round_s};
    struct arena counting = {0};
    layout(&t->data, &counting);
    enum status status = arena_open(&t->arena, counting.used, error);
    if (status != STATUS_OK) {
        kernel_times_free(t);
        return status;
    }
    layout(&t->data, &t->arena);
    *ret_times = t;
    return STATUS_OK;
}

void kernel_times_free(struct kernel_times *times) {
    if (times) {
        arena_close(&times->arena);
        free(times);
    }
}

/* FLOP/s of one short burst; 0 where there is nothing to measure it with. */
static double peak_round(const struct kernel_times *t) {
    if (!t->kernels->fma_probe) {
        return 0.0;
    }
    double start = now_s(t);
    double flops = t->kernels->fma_probe(PROBE_ROUNDS);
    return flops / (now_s(t) - start);
}

static double larger(double a, double b) {
    return a > b ? a : b;
}

/* ---- convolutions ---- */

static void call(const struct kernel_times *t, enum kernel_function function) {
    const struct conv_plan *p = &t->plan;
    const struct data *d = &t->data;
    switch (function) {
    case KERNEL_FORWARD:
        p->forward(p, t->n_images, d->src, d->packed, d->bias, d->out, d->scratch, NULL);
        break;
    case KERNEL_BACKWARD_DATA:
        p->backward_data(p, t->n_images, d->dst, d->packed, d->out, false, d->scratch, NULL);
        break;
    case KERNEL_WEIGHTS_ADD:
        p->weights_add(p, t->n_images, d->src, d->dst, d->accumulator, true, d->scratch, NULL);
        break;
    case KERNEL_FORWARD_PRODUCTS:
        p->forward_products(p, t->n_images, d->packed, d->scratch);
        break;
    case KERNEL_WEIGHTS_PRODUCTS:
        p->weights_products(p, t->n_images, d->accumulator, d->scratch);
        break;
    case KERNEL_WEIGHTS_FINISH:
        p->weights_finish(p, d->accumulator, d->out);
        break;
    case KERNEL_PACK_FORWARD:
        p->pack_forward(p, d->weights, d->out);
        break;
    case KERNEL_PACK_BACKWARD:
        p->pack_backward(p, d->weights, d->out);
        break;
    case N_KERNEL_FUNCTIONS:
        break;
    }
}

static bool has(const struct conv_plan *p, enum kernel_function function) {
    bool stem = p->shape.ic == 3;
    switch (function) {
    case KERNEL_BACKWARD_DATA:
        return !stem;
    case KERNEL_PACK_FORWARD:
        return p->forward_floats > 0;
    case KERNEL_PACK_BACKWARD:
        return !stem && p->backward_floats > 0;
    case KERNEL_FORWARD_PRODUCTS:
        return p->forward_products != NULL;
    case KERNEL_WEIGHTS_PRODUCTS:
        return p->weights_products != NULL;
    case KERNEL_FORWARD:
    case KERNEL_WEIGHTS_ADD:
    case KERNEL_WEIGHTS_FINISH:
    case N_KERNEL_FUNCTIONS:
        break;
    }
    return true;
}

/* One turn: a call to bring its data into the cache, then some that count. */
static void measure_turn(const struct kernel_times *t, enum kernel_function function,
                         struct kernel_time *time) {
    time->peak = larger(time->peak, peak_round(t));
    call(t, function);
    for (int i = 0; i < CALLS_A_TURN; i++) {
        double start = now_s(t);
        call(t, function);
        double us = 1e6 * (now_s(t) - start) / (function < KERNEL_WEIGHTS_FINISH ? t->n_images : 1);
        time->us = time->us > 0.0 && time->us < us ? time->us : us;
    }
}

/* All functions of a shape in turns, so that their ratios do not depend on when each was run. */
void kernel_times_conv(struct kernel_times *times, const struct conv_plan *plan,
                       struct kernel_time ret_times[N_KERNEL_FUNCTIONS]) {
    times->plan = *plan;
    times->n_images = plan->shape.oc / 16;
    memset(ret_times, 0, N_KERNEL_FUNCTIONS * sizeof(*ret_times));
    fill(&times->data);
    double end = now_s(times) + N_KERNEL_FUNCTIONS * times->round_s;
    do {
        for (int f = 0; f < N_KERNEL_FUNCTIONS; f++) {
            if (has(plan, (enum kernel_function)f)) {
                measure_turn(times, (enum kernel_function)f, &ret_times[f]);
            }
        }
    } while (now_s(times) < end);
}

/* ---- element-wise, one image of 16 channels ---- */

int kernel_elementwise_tensors(enum elementwise_function function) {
    static const int tensors[N_ELEMENTWISE_FUNCTIONS] = {
        [ELEMENTWISE_BN_SUMS] = 1,       [ELEMENTWISE_BN_RELU] = 2,
        [ELEMENTWISE_BN_ADD_RELU] = 3,   [ELEMENTWISE_BN_BACKWARD] = 3,
        [ELEMENTWISE_RELU_BACKWARD] = 4, [ELEMENTWISE_RELU_BACKWARD_ADD] = 5,
    };
    return tensors[function];
}

static void call_elementwise(const struct kernel_times *t, enum elementwise_function function) {
    const struct data *d = &t->data;
    const struct kernels *k = t->kernels;
    const float *a = d->bias;
    const float *in[4] = {d->src, d->src + ELEMENTWISE_FLOATS, d->src + 2 * ELEMENTWISE_FLOATS,
                          d->src + 3 * ELEMENTWISE_FLOATS};
    double sums[2][16] = {{0}};
    switch (function) {
    case ELEMENTWISE_BN_SUMS:
        k->bn_sums(16, 1024, in[0], sums[0], sums[1]);
        break;
    case ELEMENTWISE_BN_RELU:
        k->bn_relu(16, 1024, in[0], a, a + 64, d->out);
        break;
    case ELEMENTWISE_BN_ADD_RELU:
        k->bn_add_relu(16, 1024, in[0], a, a + 64, in[1], d->out);
        break;
    case ELEMENTWISE_BN_BACKWARD:
        k->bn_backward(16, 1024, in[0], in[1], a, a + 64, a + 128, d->out);
        break;
    case ELEMENTWISE_RELU_BACKWARD:
        k->relu_backward(16, 1024, in[0], NULL, in[2], in[3], d->out, sums[0], sums[1]);
        break;
    case ELEMENTWISE_RELU_BACKWARD_ADD:
        k->relu_backward(16, 1024, in[0], in[1], in[2], in[3], d->out, sums[0], sums[1]);
        break;
    case N_ELEMENTWISE_FUNCTIONS:
        break;
    }
}

void kernel_times_elementwise(struct kernel_times *times, double ret_us[N_ELEMENTWISE_FUNCTIONS]) {
    fill(&times->data);
    for (int f = 0; f < N_ELEMENTWISE_FUNCTIONS; f++) {
        double best_s = 1e9;
        double end = now_s(times) + times->round_s;
        do {
            double start = now_s(times);
            call_elementwise(times, (enum elementwise_function)f);
            double seconds = now_s(times) - start;
            best_s = seconds < best_s ? seconds : best_s;
        } while (now_s(times) < end);
        ret_us[f] = 1e6 * best_s;
    }
}

/* ---- a training step ---- */

static bool same_shape(const struct conv_shape *a, const struct conv_shape *b) {
    return a->ic == b->ic && a->oc == b->oc && a->ih == b->ih && a->k == b->k &&
           a->stride == b->stride;
}

/* Each shape is measured once, for all convolutions that have it. */
static enum status add_convolutions(struct kernel_times *t, const struct resnet *net, bool winograd,
                                    struct kernel_step *step, struct error *error) {
    for (int i = 0; i < net->n_convs; i++) {
        const struct conv_shape *s = &net->convs[i].shape;
        struct conv_plan plan;
        struct kernel_time times[N_KERNEL_FUNCTIONS];
        int count = 1;
        int before = 0;
        while (before < i && !same_shape(&net->convs[before].shape, s)) {
            before++;
        }
        if (before < i) {
            continue;
        }
        for (int j = i + 1; j < net->n_convs; j++) {
            count += same_shape(&net->convs[j].shape, s);
        }
        if (t->kernels->conv_plan(s, winograd, &plan) != STATUS_OK) {
            return error_set(error, STATUS_UNSUPPORTED, "the %s kernels lack a convolution",
                             t->kernels->name);
        }
        kernel_times_conv(t, &plan, times);
        const enum step_part part = step_part_of(s);
        const double macs = (double)s->k * s->k * s->ic * s->oc * s->oh * s->oh;
        for (int f = KERNEL_FORWARD; f <= KERNEL_WEIGHTS_ADD; f++) {
            const enum kernel_function products =
                f == KERNEL_WEIGHTS_ADD ? KERNEL_WEIGHTS_PRODUCTS : KERNEL_FORWARD_PRODUCTS;
            step->us[part] += count * times[f].us;
            step->products_us[part] += count * times[products].us;
            step->gflop[part] += times[f].us > 0.0 ? count * 2e-9 * macs : 0.0;
        }
        step->peak = larger(step->peak, times[KERNEL_FORWARD].peak);
    }
    return STATUS_OK;
}

/* Each in units of one image at 16 channels: a third of the network's tensors are half or a quarter
 * of that. The stem's normalisation and the head's take the places that blocks do not have. */
static double bn_us(const struct resnet *net, const double us[N_ELEMENTWISE_FUNCTIONS]) {
    double total = us[ELEMENTWISE_BN_SUMS] + us[ELEMENTWISE_BN_RELU] + us[ELEMENTWISE_BN_BACKWARD];
    for (int i = 0; i < net->n_blocks; i++) {
        const double size = 16.0 / net->convs[net->blocks[i].conv2].shape.oc;
        const bool shrinks = net->blocks[i].shortcut >= 0; /* its input is twice as large */
        total += size * (2.0 * us[ELEMENTWISE_BN_SUMS] + 2.0 * us[ELEMENTWISE_BN_RELU] +
                         us[ELEMENTWISE_BN_ADD_RELU] + 2.0 * us[ELEMENTWISE_BN_BACKWARD] +
                         us[ELEMENTWISE_RELU_BACKWARD] +
                         (shrinks ? 2.0 * us[ELEMENTWISE_RELU_BACKWARD]
                                  : us[ELEMENTWISE_RELU_BACKWARD_ADD]));
    }
    return total;
}

enum status kernel_times_step(struct kernel_times *times, const struct resnet *net, bool winograd,
                              struct kernel_step *ret_step, struct error *error) {
    double elementwise_us[N_ELEMENTWISE_FUNCTIONS];
    *ret_step = (struct kernel_step){0};
    TRY(add_convolutions(times, net, winograd, ret_step, error));
    kernel_times_elementwise(times, elementwise_us);
    ret_step->us[PART_BN] = bn_us(net, elementwise_us);
    for (int i = 0; i < N_STEP_PARTS; i++) {
        ret_step->total_us += ret_step->us[i];
    }
    for (int i = 0; i < PEAK_ROUNDS; i++) {
        ret_step->peak = larger(ret_step->peak, peak_round(times));
    }
    return STATUS_OK;
}
