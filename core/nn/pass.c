/* One pass over one chunk: make the input, convolve, sum. Layer: core/nn.
 *
 * Sums for a batch normalisation are taken while its numbers are still in cache. The gradient
 * through one needs two sums over the whole batch, of the gradient g behind it and of g * y: the
 * pass that makes g sums them in passing, the next one applies a * g + b * y + k on load.
 */
#include "core/nn/engine_internal.h"

#include <assert.h>
#include <string.h>

/* Some images of a chunk on their way through a pass, and what the member will probably see next.
 */
struct group {
    const struct step *step;
    const struct pass *pass;
    const struct member_space *space;
    int chunk;
    int member;
    int first; /* image of the batch */
    int n;
    struct image_range next;
};

/* The group that the same member will probably take after this one. */
static struct image_range next_group(const struct group *g) {
    struct image_range rest = step_chunk(g->step, g->chunk);
    rest.first = g->first + g->n;
    if (rest.first >= rest.end) {
        int chunk = team_next_piece(g->step->engine->team, g->member);
        if (chunk < 0) {
            return (struct image_range){0};
        }
        rest = step_chunk(g->step, chunk);
    }
    return (struct image_range){rest.first, smaller(rest.first + g->pass->group, rest.end)};
}

/* What was done since the last call was `part`. */
static inline void lap(const struct group *g, enum step_part part) {
    step_profile_lap(g->step->engine->profile, g->member, part);
}

static inline enum step_part part_of(const struct group *g, int conv) {
    return step_part_of(&g->step->engine->plans[conv].shape);
}

/* Names the next group's images of a tensor for a kernel to fetch while it computes. */
static void fetch(struct kernel_prefetch *prefetch, const struct group *g, const float *tensor,
                  size_t floats) {
    if (tensor && g->next.end > g->next.first) {
        assert(prefetch->n_ranges < (int)(sizeof(prefetch->ranges) / sizeof(prefetch->ranges[0])));
        prefetch->ranges[prefetch->n_ranges].start = tensor + (size_t)g->next.first * floats;
        prefetch->ranges[prefetch->n_ranges++].n_bytes =
            (size_t)(g->next.end - g->next.first) * floats * sizeof(*tensor);
    }
}

/* The tensor's first image of the group; NULL stays NULL. */
static inline float *at(const struct group *g, float *tensor, size_t floats) {
    return tensor ? tensor + (size_t)g->first * floats : NULL;
}

/* What the convolution reads. A backward pass finds it where the forward pass kept it. */
static const float *make_input(const struct group *g) {
    const struct pass_input *in = &g->pass->in;
    float *act = in->act ? at(g, in->act, in->floats) : g->space->act;
    if (in->bn >= 0 && !(in->act && g->pass->kind == PASS_BACKWARD)) {
        engine_normalise(g->step->engine, in->bn, g->n, at(g, in->y, in->floats),
                         at(g, in->add, in->floats), act);
    }
    return act;
}

static void forward(const struct group *g) {
    const struct engine *e = g->step->engine;
    const struct pass *p = g->pass;
    const struct resnet_bn *bn = &e->net->bns[p->bn];
    struct kernel_prefetch soon = {0};
    fetch(&soon, g, p->in.y, p->in.floats);
    fetch(&soon, g, p->in.add, p->in.floats);
    fetch(&soon, g, p->in.act, p->in.floats);
    fetch(&soon, g, p->y, p->floats);

    const float *act = make_input(g);
    float *y = at(g, p->y, p->floats);
    lap(g, PART_BN);
    engine_convolve(e, g->step->params, p->conv, g->n, act, y, g->space->conv, &soon);
    lap(g, part_of(g, p->conv));
    for (int j = 0; j < g->n; j++) {
        e->kernels->bn_sums(bn->c, bn->side * bn->side, y + (size_t)j * p->floats,
                            e->sums[g->chunk][0], e->sums[g->chunk][1]);
    }
    lap(g, PART_BN);
    if (p->shortcut >= 0) {
        engine_convolve(e, g->step->params, p->shortcut, g->n, act, at(g, p->shortcut_y, p->floats),
                        g->space->conv, NULL);
        lap(g, part_of(g, p->shortcut));
    }
}

/* The gradient through the ReLU in front of a pass, summed for the BN before it. */
static void leave(const struct group *g, const float *diff, const float *add, const float *act) {
    const struct engine *e = g->step->engine;
    const struct pass_input *in = &g->pass->in;
    const struct resnet_bn *bn = &e->net->bns[in->bn];
    for (int j = 0; j < g->n; j++) {
        size_t i = (size_t)j * in->floats;
        e->kernels->relu_backward(bn->c, bn->side * bn->side, diff + i, add ? add + i : NULL,
                                  act + i, at(g, in->y, in->floats) + i,
                                  at(g, g->pass->grad_in, in->floats) + i, e->sums[g->chunk][0],
                                  e->sums[g->chunk][1]);
    }
}

/* Pooling, dense layer, softmax, loss and the way back to the gradient at the last block's output.
 */
static void head(const struct group *g) {
    const struct step *s = g->step;
    const struct engine *e = s->engine;
    double pooled[RESNET_FEATURES];
    double logits[RESNET_CLASSES];
    double diff[RESNET_CLASSES];
    int label = e->labels[g->first];
    int correct = 0;
    assert(label < RESNET_CLASSES);
    const float *out = make_input(g);
    lap(g, PART_BN);
    e->losses[g->chunk] +=
        head_image(e->net, s->params, out, label, pooled, logits, diff, &correct);
    e->correct[g->chunk] += correct;
    for (int j = 0; j < RESNET_CLASSES; j++) {
        e->logits[(size_t)g->first * RESNET_CLASSES + (size_t)j] = (float)logits[j];
        diff[j] = (diff[j] - (j == label ? 1.0 : 0.0)) / s->n_images;
    }
    head_add_gradient(pooled, diff, e->dense_partials[g->chunk]);
    head_spread(e->net, s->params, diff, g->space->diff);
    lap(g, PART_HEAD);
    leave(g, g->space->diff, NULL, out);
    lap(g, PART_BN);
}

static void backward(const struct group *g, bool first) {
    const struct engine *e = g->step->engine;
    const struct pass *p = g->pass;
    const struct member_space *m = g->space;
    const struct resnet_bn *bn = &e->net->bns[p->bn];
    const struct bn_state *state = &e->bns[p->bn];
    const struct conv_plan *plan = &e->plans[p->conv];
    struct kernel_prefetch soon = {0};
    struct kernel_prefetch later = {0};
    fetch(&soon, g, p->grad, p->floats);
    fetch(&soon, g, p->y, p->floats);
    fetch(&later, g, p->in.act, p->in.floats);
    fetch(&later, g, p->block_grad, p->floats);
    fetch(&later, g, p->in.y, p->in.floats);
    fetch(&later, g, p->grad_in != p->block_grad ? p->grad_in : NULL, p->in.floats);

    const float *act = make_input(g);
    for (int j = 0; j < g->n; j++) {
        size_t i = (size_t)j * p->floats;
        e->kernels->bn_backward(bn->c, bn->side * bn->side, at(g, p->grad, p->floats) + i,
                                at(g, p->y, p->floats) + i, state->a, state->b, state->k,
                                m->diff + i);
    }
    lap(g, PART_BN);
    plan->weights_add(plan, g->n, act, m->diff, m->accumulator, first, m->conv, &soon);
    if (!p->grad_in) {
        lap(g, part_of(g, p->conv));
        return;
    }
    plan->backward_data(plan, g->n, m->diff, engine_backward_weights(e, g->step->params, p->conv),
                        m->diff_src, false, m->conv, &later);
    lap(g, part_of(g, p->conv));
    const float *block_grad = at(g, p->block_grad, p->floats);
    if (p->shortcut >= 0) {
        plan = &e->plans[p->shortcut];
        plan->weights_add(plan, g->n, act, block_grad, m->shortcut_accumulator, first, m->conv,
                          NULL);
        plan->backward_data(plan, g->n, block_grad,
                            engine_backward_weights(e, g->step->params, p->shortcut), m->diff_src,
                            true, m->conv, NULL);
        lap(g, part_of(g, p->shortcut));
        block_grad = NULL;
    }
    leave(g, m->diff_src, block_grad, act);
    lap(g, PART_BN);
}

static void begin_chunk(const struct engine *e, const struct pass *p, int chunk) {
    memset(e->sums[chunk], 0, sizeof(e->sums[chunk]));
    if (p->kind == PASS_HEAD) {
        memset(e->dense_partials[chunk], 0, sizeof(e->dense_partials[chunk]));
        e->losses[chunk] = 0.0;
        e->correct[chunk] = 0;
    }
}

static void end_chunk(const struct engine *e, const struct pass *p, int chunk,
                      const struct member_space *m) {
    if (p->kind == PASS_BACKWARD) {
        const struct conv_plan *plan = &e->plans[p->conv];
        plan->weights_finish(plan, m->accumulator, p->partials[chunk]);
    }
    if (p->kind == PASS_BACKWARD && p->shortcut >= 0) {
        const struct conv_plan *plan = &e->plans[p->shortcut];
        plan->weights_finish(plan, m->shortcut_accumulator, e->shortcut_partials[chunk]);
    }
}

void pass_run(void *user_step, int chunk, int member) {
    const struct step *step = user_step;
    const struct pass *pass = step->pass;
    struct image_range range = step_chunk(step, chunk);
    struct group g = {.step = step,
                      .pass = pass,
                      .space = &step->engine->members[member],
                      .chunk = chunk,
                      .member = member};
    assert(range.first < range.end);
    step_profile_begin(step->engine->profile, member);
    begin_chunk(step->engine, pass, chunk);
    for (g.first = range.first; g.first < range.end; g.first += g.n) {
        g.n = smaller(pass->group, range.end - g.first);
        g.next = next_group(&g);
        switch (pass->kind) {
        case PASS_FORWARD:
            forward(&g);
            break;
        case PASS_HEAD:
            head(&g);
            break;
        case PASS_BACKWARD:
            backward(&g, g.first == range.first);
            break;
        }
    }
    end_chunk(step->engine, pass, chunk, g.space);
    if (pass->kind == PASS_BACKWARD) {
        reduce_weights(step, pass - 1, chunk); /* as many shares as chunks */
        lap(&g, PART_WEIGHTS);
    }
}
