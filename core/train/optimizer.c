/* Layer: core/train. */
#include "core/train/optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SLICE_FLOATS = 8192, MAX_SLOTS = 2 };

/* A piece of one tensor. Pieces are cut once, so that sums over them have one order. */
struct slice {
    size_t first;
    size_t n;
    double l2;
};

struct optimizer {
    const struct resnet *net;
    enum optimizer_kind kind;
    double momentum;
    bool nesterov;
    double grad_clip;
    int64_t steps;
    int n_slots;
    float *slots[MAX_SLOTS];
    int n_slices;
    struct slice *slices;
    double *penalties; /* one a slice, of the current step */
    double *squares;   /* likewise: sum of the squares of g */

    /* The current step; constant while the team works on it. */
    float *params;
    const float *gradient;
    double lr;
    float scale; /* what g is multiplied with: 1 unless it is clipped */
};

static double l2_of(const struct run_config *config, const struct tensor *tensor) {
    bool penalised = tensor->kind == TENSOR_CONV_KERNEL ||
                     (tensor->kind == TENSOR_DENSE_KERNEL && config->l2_dense);
    return penalised ? config->l2 : 0.0;
}

/* Returns the number of slices; fills them when `slices` is not NULL. */
static int cut_slices(const struct run_config *config, const struct resnet *net,
                      struct slice *slices) {
    int n = 0;
    for (int i = 0; i < net->n_tensors; i++) {
        const struct tensor *t = &net->tensors[i];
        if (t->frozen || tensor_is_moving(t)) {
            continue;
        }
        for (size_t first = 0; first < t->n; first += SLICE_FLOATS, n++) {
            if (slices) {
                size_t rest = t->n - first;
                slices[n] = (struct slice){.first = t->offset + first,
                                           .n = rest < SLICE_FLOATS ? rest : SLICE_FLOATS,
                                           .l2 = l2_of(config, t)};
            }
        }
    }
    return n;
}

void optimizer_free(struct optimizer *optimizer) {
    if (!optimizer) {
        return;
    }
    for (int i = 0; i < MAX_SLOTS; i++) {
        free(optimizer->slots[i]);
    }
    free(optimizer->slices);
    free(optimizer->penalties);
    free(optimizer->squares);
    free(optimizer);
}

static bool allocate(struct optimizer *o, const struct run_config *config) {
    o->n_slices = cut_slices(config, o->net, NULL);
    o->slices = calloc((size_t)o->n_slices, sizeof(*o->slices));
    o->penalties = calloc((size_t)o->n_slices, sizeof(*o->penalties));
    o->squares = calloc((size_t)o->n_slices, sizeof(*o->squares));
    bool complete = o->slices && o->penalties && o->squares;
    for (int i = 0; i < o->n_slots; i++) {
        o->slots[i] = calloc(o->net->n_params, sizeof(float));
        complete = complete && o->slots[i];
    }
    return complete;
}

enum status optimizer_create(const struct run_config *config, const struct resnet *net,
                             struct optimizer **ret_optimizer, struct error *error) {
    struct optimizer *o = calloc(1, sizeof(*o));
    if (o) {
        o->net = net;
        o->kind = config->optimizer;
        o->momentum = config->momentum;
        o->nesterov = config->nesterov;
        o->grad_clip = config->grad_clip;
        o->n_slots = config->optimizer == OPTIMIZER_ADAM ? 2 : 1;
    }
    if (!o || !allocate(o, config)) {
        optimizer_free(o);
        return error_set(error, STATUS_NO_MEMORY, "no memory for the optimizer");
    }
    (void)cut_slices(config, net, o->slices);
    *ret_optimizer = o;
    return STATUS_OK;
}

/* The rules are plain loops that the compiler vectorises. Nothing is contracted or reordered
 * (-ffp-contract=off, one element an iteration), so an element's bits depend neither on the width
 * of the registers nor on where it lies. */

static void adam_slice(const struct optimizer *o, const struct slice *s) {
    const double beta1 = 0.9;
    const double beta2 = 0.999;
    double t = (double)o->steps;
    const float rate = (float)(o->lr * sqrt(1.0 - pow(beta2, t)) / (1.0 - pow(beta1, t)));
    const float l2 = (float)(2.0 * s->l2);
    const float scale = o->scale;
    float *restrict w = o->params + s->first;
    const float *restrict gradient = o->gradient + s->first;
    float *restrict m = o->slots[0] + s->first;
    float *restrict v = o->slots[1] + s->first;
    for (size_t i = 0; i < s->n; i++) {
        float g = scale * (gradient[i] + l2 * w[i]);
        m[i] = 0.9F * m[i] + 0.1F * g;
        v[i] = 0.999F * v[i] + 0.001F * (g * g);
        w[i] -= rate * m[i] / (sqrtf(v[i]) + 1e-7F);
    }
}

static void rmsprop_slice(const struct optimizer *o, const struct slice *s) {
    const float rate = (float)o->lr;
    const float l2 = (float)(2.0 * s->l2);
    const float scale = o->scale;
    float *restrict w = o->params + s->first;
    const float *restrict gradient = o->gradient + s->first;
    float *restrict v = o->slots[0] + s->first;
    for (size_t i = 0; i < s->n; i++) {
        float g = scale * (gradient[i] + l2 * w[i]);
        v[i] = 0.9F * v[i] + 0.1F * (g * g);
        w[i] -= rate * g / (sqrtf(v[i]) + 1e-7F);
    }
}

static void sgd_slice(const struct optimizer *o, const struct slice *s) {
    const float rate = (float)o->lr;
    const float mu = (float)o->momentum;
    const float l2 = (float)(2.0 * s->l2);
    const float scale = o->scale;
    /* g + mu * v for Nesterov, v otherwise. */
    const float of_v = o->nesterov ? mu : 1.0F;
    const float of_g = o->nesterov ? 1.0F : 0.0F;
    float *restrict w = o->params + s->first;
    const float *restrict gradient = o->gradient + s->first;
    float *restrict v = o->slots[0] + s->first;
    for (size_t i = 0; i < s->n; i++) {
        float g = scale * (gradient[i] + l2 * w[i]);
        v[i] = mu * v[i] + g;
        w[i] -= rate * (of_g * g + of_v * v[i]);
    }
}

static double sum_squares(const float *values, size_t n) {
    double sum[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        for (size_t lane = 0; lane < 8; lane++) {
            sum[lane] += (double)values[i + lane] * (double)values[i + lane];
        }
    }
    for (; i < n; i++) {
        sum[0] += (double)values[i] * (double)values[i];
    }
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

static void step_slice(void *user, int piece, int member) {
    (void)member;
    struct optimizer *o = user;
    const struct slice *s = &o->slices[piece];
    o->penalties[piece] = s->l2 > 0.0 ? s->l2 * sum_squares(o->params + s->first, s->n) : 0.0;
    switch (o->kind) {
    case OPTIMIZER_ADAM:
        adam_slice(o, s);
        break;
    case OPTIMIZER_RMSPROP:
        rmsprop_slice(o, s);
        break;
    case OPTIMIZER_SGD:
        sgd_slice(o, s);
        break;
    }
}

/* ---- clipping ---- */

static void norm_slice(void *user, int piece, int member) {
    (void)member;
    struct optimizer *o = user;
    const struct slice *s = &o->slices[piece];
    const float l2 = (float)(2.0 * s->l2);
    const float *w = o->params + s->first;
    const float *gradient = o->gradient + s->first;
    double sum[8] = {0};
    for (size_t i = 0; i < s->n; i++) {
        double g = (double)(gradient[i] + l2 * w[i]);
        sum[i % 8] += g * g;
    }
    o->squares[piece] =
        ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

/* The slices' sums are added in their order, whoever computed them: the same bits for any number of
 * threads. A norm that is not finite makes all of g so, which the losses then show. */
static float clip_scale(struct optimizer *o, struct team *team) {
    if (o->grad_clip <= 0) {
        return 1.0F;
    }
    team_run(team, norm_slice, o, o->n_slices);
    double squares = 0.0;
    for (int i = 0; i < o->n_slices; i++) {
        squares += o->squares[i];
    }
    double scale = o->grad_clip / (sqrt(squares) + 1e-6);
    return scale > 1.0 ? 1.0F : (float)scale;
}

double optimizer_step(struct optimizer *optimizer, struct team *team, float *params,
                      const float *gradient, double lr) {
    optimizer->steps++;
    optimizer->params = params;
    optimizer->gradient = gradient;
    optimizer->lr = lr;
    optimizer->scale = clip_scale(optimizer, team);
    team_run(team, step_slice, optimizer, optimizer->n_slices);
    double penalty = 0.0;
    for (int i = 0; i < optimizer->n_slices; i++) {
        penalty += optimizer->penalties[i];
    }
    return penalty;
}

double optimizer_penalty(const struct optimizer *optimizer, const float *params) {
    double penalty = 0.0;
    for (int i = 0; i < optimizer->n_slices; i++) {
        const struct slice *s = &optimizer->slices[i];
        if (s->l2 > 0.0) {
            penalty += s->l2 * sum_squares(params + s->first, s->n);
        }
    }
    return penalty;
}

int optimizer_slot_count(const struct optimizer *optimizer) {
    return optimizer->n_slots;
}

const char *optimizer_slot_name(const struct optimizer *optimizer, int slot) {
    return optimizer->kind == OPTIMIZER_ADAM && slot == 0 ? "m" : "v";
}

float *optimizer_slot(struct optimizer *optimizer, int slot) {
    return optimizer->slots[slot];
}

int64_t optimizer_steps(const struct optimizer *optimizer) {
    return optimizer->steps;
}

void optimizer_set_steps(struct optimizer *optimizer, int64_t steps) {
    optimizer->steps = steps;
}
