/* What forward, backward and evaluation do with one convolution or one batch normalisation. Layer:
 * core/nn. */
#include "core/nn/engine_internal.h"

static const float *kernel_of(const struct engine *e, const float *params, int conv) {
    return values_of(e, params, e->net->convs[conv].kernel);
}

const float *engine_backward_weights(const struct engine *engine, const float *params, int conv) {
    const float *packed = engine->packed_backward[conv];
    return packed ? packed : kernel_of(engine, params, conv);
}

void engine_convolve(const struct engine *engine, const float *params, int conv, int n_images,
                     const float *src, float *dst, float *scratch,
                     const struct kernel_prefetch *prefetch) {
    const struct conv_plan *plan = &engine->plans[conv];
    const float *packed = engine->packed_forward[conv];
    int bias = engine->net->convs[conv].bias;
    bool adds_bias = bias >= 0 && !engine->net->tensors[bias].frozen;
    plan->forward(plan, n_images, src, packed ? packed : kernel_of(engine, params, conv),
                  adds_bias ? values_of(engine, params, bias) : NULL, dst, scratch, prefetch);
}

void engine_normalise(const struct engine *engine, int bn, int n_images, const float *y,
                      const float *add, float *dst) {
    const struct resnet_bn *n = &engine->net->bns[bn];
    const struct bn_state *s = &engine->bns[bn];
    int pixels = n->side * n->side;
    size_t floats = (size_t)n->c * (size_t)pixels;
    for (size_t at = 0; at < (size_t)n_images * floats; at += floats) {
        if (add) {
            engine->kernels->bn_add_relu(n->c, pixels, y + at, s->scale, s->shift, add + at,
                                         dst + at);
        } else {
            engine->kernels->bn_relu(n->c, pixels, y + at, s->scale, s->shift, dst + at);
        }
    }
}

void engine_two_bns(const struct engine *engine, int bn, int add_bn, struct two_bns *ret) {
    const struct bn_state *s = &engine->bns[bn];
    const struct bn_state *other = &engine->bns[add_bn];
    for (int c = 0; c < engine->net->bns[bn].c; c++) {
        ret->a[c] = s->scale[c];
        ret->b[c] = other->scale[c];
        ret->k[c] = s->shift[c] + other->shift[c];
        ret->one[c] = 1.0F;
        ret->zero[c] = 0.0F;
    }
}

void engine_normalise_two(const struct engine *engine, int bn, int add_bn, int n_images,
                          const float *y, const float *add, float *dst) {
    const struct resnet_bn *n = &engine->net->bns[bn];
    struct two_bns two;
    int pixels = n->side * n->side;
    size_t floats = (size_t)n->c * (size_t)pixels;
    engine_two_bns(engine, bn, add_bn, &two);
    for (size_t at = 0; at < (size_t)n_images * floats; at += floats) {
        engine->kernels->bn_backward(n->c, pixels, y + at, add + at, two.a, two.b, two.k, dst + at);
        engine->kernels->bn_relu(n->c, pixels, dst + at, two.one, two.zero, dst + at);
    }
}

struct packing {
    const struct engine *engine;
    const float *params;
};

/* A convolution's forward kernel, then, in the second half of the pieces, its backward kernel. */
static void pack_piece(void *user, int piece, int member) {
    const struct packing *p = user;
    const struct engine *e = p->engine;
    step_profile_begin(e->profile, member);
    int conv = piece % e->net->n_convs;
    const struct conv_plan *plan = &e->plans[conv];
    const float *weights = kernel_of(e, p->params, conv);
    if (piece < e->net->n_convs) {
        if (e->packed_forward[conv]) {
            plan->pack_forward(plan, weights, e->packed_forward[conv]);
        }
    } else if (e->packed_backward[conv]) {
        plan->pack_backward(plan, weights, e->packed_backward[conv]);
    }
    step_profile_lap(e->profile, member, PART_WEIGHTS);
}

void engine_pack(struct engine *engine, const float *params, bool backward) {
    struct packing packing = {engine, params};
    team_run(engine->team, pack_piece, &packing, engine->net->n_convs * (backward ? 2 : 1));
}
