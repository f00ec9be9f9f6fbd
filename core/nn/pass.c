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
    bool begins; /* the first group of its chunk */
    bool ends;   /* the last */
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

/* Names the next group's images of a tensor for a kernel to fetch while it computes. bytes: of one
 * image. */
static void fetch(struct kernel_prefetch *prefetch, const struct group *g, const void *tensor,
                  size_t bytes) {
    if (tensor && g->next.end > g->next.first) {
        assert(prefetch->n_ranges < (int)(sizeof(prefetch->ranges) / sizeof(prefetch->ranges[0])));
        prefetch->ranges[prefetch->n_ranges].start =
            (const char *)tensor + (size_t)g->next.first * bytes;
        prefetch->ranges[prefetch->n_ranges++].n_bytes =
            (size_t)(g->next.end - g->next.first) * bytes;
    }
}

/* Likewise of a tensor that is written: what is streamed past the caches is not wanted there. */
static void fetch_target(struct kernel_prefetch *prefetch, const struct group *g,
                         const void *tensor, size_t bytes) {
    if (!kept_streams(g->step->engine)) {
        fetch(prefetch, g, tensor, bytes);
    }
}

/* The tensor's first image of the group; NULL stays NULL. */
static inline void *at(const struct group *g, void *tensor, size_t bytes) {
    return tensor ? (char *)tensor + (size_t)g->first * bytes : NULL;
}

/* Floats of the group in front of the pass's convolution, and behind it. */
static inline size_t floats_in(const struct group *g) {
    return (size_t)g->n * conv_src_floats(g->step->engine, g->pass->conv);
}

static inline size_t floats_out(const struct group *g) {
    return (size_t)g->n * conv_dst_floats(g->step->engine, g->pass->conv);
}

/* What the convolution reads. A backward pass finds it where the forward pass kept it. */
static const float *make_input(const struct group *g) {
    const struct engine *e = g->step->engine;
    const struct pass_input *in = &g->pass->in;
    if (in->bn < 0) {
        return at(g, e->images, in->bytes);
    }
    if (in->act && g->pass->kind == PASS_BACKWARD) {
        return kept_read(e, floats_in(g), at(g, in->act, in->bytes), g->space->act);
    }
    if (in->add_bn >= 0) {
        return kept_normalise_two(e, in->bn, in->add_bn, g->n, at(g, in->y, in->bytes),
                                  at(g, in->add, in->bytes), at(g, in->act, in->bytes),
                                  g->space->act);
    }
    return kept_normalise(e, in->bn, g->n, at(g, in->y, in->bytes), at(g, in->add, in->bytes),
                          at(g, in->act, in->bytes), g->space->act);
}

static void forward(const struct group *g) {
    const struct engine *e = g->step->engine;
    const struct pass *p = g->pass;
    const struct pass_input *in = &p->in;
    struct kernel_prefetch soon = {0};
    fetch(&soon, g, in->bn < 0 ? e->images : in->y, in->bytes);
    fetch(&soon, g, in->add, in->bytes);
    fetch_target(&soon, g, in->act, in->bytes);
    fetch_target(&soon, g, p->y, p->bytes);

    const float *act = make_input(g);
    lap(g, PART_BN);
    float *y = kept_place(e, at(g, p->y, p->bytes), g->space->diff);
    engine_convolve(e, g->step->params, p->conv, g->n, act, y, g->space->conv, &soon);
    lap(g, part_of(g, p->conv));
    kept_sum(e, p->bn, g->n, y, at(g, p->y, p->bytes), e->sums[g->chunk]);
    lap(g, PART_BN);
    if (p->shortcut >= 0) {
        y = kept_place(e, at(g, p->shortcut_y, p->bytes), g->space->diff);
        engine_convolve(e, g->step->params, p->shortcut, g->n, act, y, g->space->conv, NULL);
        if (p->shortcut_bn >= 0) {
            kept_sum(e, p->shortcut_bn, g->n, y, at(g, p->shortcut_y, p->bytes),
                     e->shortcut_sums[g->chunk]);
        } else {
            kept_write(e, floats_out(g), y, at(g, p->shortcut_y, p->bytes));
        }
        lap(g, part_of(g, p->shortcut));
    }
}

/* The gradient through the ReLU in front of a pass, summed for the BN before it, and for that of
 * the shortcut beside it. diff is used up. */
static void leave(const struct group *g, float *diff, const void *add, const float *act) {
    const struct engine *e = g->step->engine;
    const struct pass_input *in = &g->pass->in;
    void *grad_in = at(g, g->pass->grad_in, in->bytes);
    kept_relu_backward(e, in->bn, g->n, diff, add, act, at(g, in->y, in->bytes), grad_in,
                       e->sums[g->chunk]);
    if (in->add_bn >= 0) {
        kept_sum_gradient(e, in->add_bn, g->n, grad_in, act, at(g, in->add, in->bytes), diff,
                          e->shortcut_sums[g->chunk]);
    }
}

/* Pooling, dense layer, softmax, loss and the way back to the gradient at the last block's output.
 */
static void head(const struct group *g) {
    const struct step *s = g->step;
    const struct engine *e = s->engine;
    double pooled[RESNET_FEATURES];
    double logits[RESNET_MAX_CLASSES];
    double diff[RESNET_MAX_CLASSES];
    const int n_classes = e->net->n_classes;
    int label = e->labels[g->first];
    int correct = 0;
    assert(label < n_classes);
    const struct engine_other *other = &e->others[g->first];
    const float *out = make_input(g);
    lap(g, PART_BN);
    double loss = head_image(e->net, s->params, out, label, pooled, logits, diff, &correct);
    if (other->share > 0.0F || e->label_smoothing > 0.0) {
        loss = head_soft_target(n_classes, e->label_smoothing, label, other, loss, logits, diff);
        correct = head_class(n_classes, logits) == (other->share > 0.5F ? other->label : label);
    } else {
        diff[label] -= 1.0;
    }
    e->image_losses[g->first] = loss;
    e->losses[g->chunk] += loss;
    e->correct[g->chunk] += correct;
    for (int j = 0; j < n_classes; j++) {
        e->logits[(size_t)g->first * (size_t)n_classes + (size_t)j] = (float)logits[j];
        diff[j] /= s->n_images;
    }
    head_add_gradient(n_classes, pooled, diff,
                      e->dense_partials + (size_t)g->chunk * dense_floats(e));
    head_spread(e->net, s->params, diff, g->space->diff);
    lap(g, PART_HEAD);
    leave(g, g->space->diff, NULL, out);
    lap(g, PART_BN);
}

/* The gradient of a convolution's weights, as soon as the chunk's last images are in it: large ones
 * will not stay in cache until something else has run. */
static void finish_weights(const struct group *g, int conv, const float *accumulator,
                           float *partial) {
    if (g->ends) {
        const struct conv_plan *plan = &g->step->engine->plans[conv];
        plan->weights_finish(plan, accumulator, partial);
        lap(g, PART_WEIGHTS);
    }
}

/* The shortcut's convolution: block_grad is the gradient at its output, or behind its BN. */
static void backward_shortcut(const struct group *g, const float *act, const void *block_grad) {
    const struct engine *e = g->step->engine;
    const struct member_space *m = g->space;
    const int conv = g->pass->shortcut;
    const struct conv_plan *plan = &e->plans[conv];
    const float *diff = m->diff;
    if (g->pass->shortcut_bn >= 0) {
        kept_bn_backward(e, g->pass->shortcut_bn, g->n, block_grad,
                         at(g, g->pass->shortcut_y, g->pass->bytes), m->diff);
    } else {
        diff = kept_read(e, floats_out(g), block_grad, m->diff);
    }
    plan->weights_add(plan, g->n, act, diff, m->shortcut_accumulator, g->begins, m->conv, NULL);
    plan->backward_data(plan, g->n, diff, engine_backward_weights(e, g->step->params, conv),
                        m->diff_src, true, m->conv, NULL);
    lap(g, part_of(g, conv));
    finish_weights(g, conv, m->shortcut_accumulator, e->shortcut_partials[g->chunk]);
}

static void backward(const struct group *g) {
    const struct engine *e = g->step->engine;
    const struct pass *p = g->pass;
    const struct pass_input *in = &p->in;
    const struct member_space *m = g->space;
    const struct conv_plan *plan = &e->plans[p->conv];
    struct kernel_prefetch soon = {0};
    struct kernel_prefetch later = {0};
    fetch(&soon, g, p->grad, p->bytes);
    fetch(&soon, g, p->y, p->bytes);
    fetch(&later, g, in->bn < 0 ? e->images : in->act, in->bytes);
    fetch(&later, g, p->block_grad, p->bytes);
    fetch(&later, g, in->y, in->bytes);
    fetch_target(&later, g, p->grad_in != p->block_grad ? p->grad_in : NULL, in->bytes);

    const float *act = make_input(g);
    kept_bn_backward(e, p->bn, g->n, at(g, p->grad, p->bytes), at(g, p->y, p->bytes), m->diff);
    lap(g, PART_BN);
    plan->weights_add(plan, g->n, act, m->diff, m->accumulator, g->begins, m->conv, &soon);
    lap(g, part_of(g, p->conv));
    finish_weights(g, p->conv, m->accumulator, p->partials[g->chunk]);
    if (!p->grad_in) {
        return;
    }
    plan->backward_data(plan, g->n, m->diff, engine_backward_weights(e, g->step->params, p->conv),
                        m->diff_src, false, m->conv, &later);
    lap(g, part_of(g, p->conv));
    const void *block_grad = at(g, p->block_grad, p->bytes);
    if (p->shortcut >= 0) {
        backward_shortcut(g, act, block_grad);
        block_grad = NULL;
    }
    leave(g, m->diff_src, block_grad, act);
    lap(g, PART_BN);
}

static void begin_chunk(const struct engine *e, const struct pass *p, int chunk) {
    memset(e->sums[chunk], 0, sizeof(e->sums[chunk]));
    memset(e->shortcut_sums[chunk], 0, sizeof(e->shortcut_sums[chunk]));
    if (p->kind == PASS_HEAD) {
        memset(e->dense_partials + (size_t)chunk * dense_floats(e), 0,
               dense_floats(e) * sizeof(*e->dense_partials));
        e->losses[chunk] = 0.0;
        e->correct[chunk] = 0;
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
        g.begins = g.first == range.first;
        g.ends = g.first + g.n == range.end;
        g.next = next_group(&g);
        switch (pass->kind) {
        case PASS_FORWARD:
            forward(&g);
            break;
        case PASS_HEAD:
            head(&g);
            break;
        case PASS_BACKWARD:
            backward(&g);
            break;
        }
    }
    if (pass->kind == PASS_BACKWARD) {
        reduce_weights(step, pass - 1, chunk); /* as many shares as chunks */
        lap(&g, PART_WEIGHTS);
    }
}
