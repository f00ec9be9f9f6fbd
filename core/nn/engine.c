/* Making an engine: plans, memory, packing. Layer: core/nn. */
#include "core/nn/engine_internal.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static size_t max_size(size_t a, size_t b) {
    return a > b ? a : b;
}

/* Chunks depend on the batch alone. As many as possible up to MAX_CHUNKS, but none of less than
 * four images: these go through a convolution of 64 channels together, and each chunk has weight
 * gradients of its own. */
static int chunk_images_for(int n_images) {
    int images = (n_images + MAX_CHUNKS - 1) / MAX_CHUNKS;
    return (images + 3) / 4 * 4;
}

static enum kept_type kept_type_for(const struct engine_options *options) {
    if (options->bf16) {
        return options->streamed ? KEPT_BF16_STREAMED : KEPT_BF16;
    }
    return options->streamed ? KEPT_F32_STREAMED : KEPT_F32;
}

static float *take_floats(struct arena *arena, size_t n) {
    return arena_take(arena, n * sizeof(float));
}

/* floats: of one image. */
static void *take_kept(const struct engine *e, struct arena *arena, size_t floats) {
    return arena_take(arena, kept_bytes(e, (size_t)e->max_images * floats));
}

/* The tensors of the batch. */
static void layout_batch(struct engine *e, struct arena *arena) {
    const struct resnet *net = e->net;
    size_t n = (size_t)e->max_images;
    e->images = take_floats(arena, n * ENGINE_IMAGE_FLOATS);
    e->labels = arena_take(arena, n);
    e->others = arena_take(arena, n * sizeof(*e->others));
    e->image_losses = arena_take(arena, n * sizeof(*e->image_losses));
    e->logits = take_floats(arena, n * (size_t)net->n_classes);
    e->y[0] = take_kept(e, arena, TENSOR_FLOATS);
    e->out[0] = take_kept(e, arena, TENSOR_FLOATS);
    for (int b = 0; b < net->n_blocks; b++) {
        size_t floats = conv_dst_floats(e, net->blocks[b].conv2);
        e->y[net->blocks[b].bn1] = take_kept(e, arena, floats);
        e->y[net->blocks[b].bn2] = take_kept(e, arena, floats);
        e->out[b + 1] = take_kept(e, arena, floats);
    }
    e->shortcut[1] = take_kept(e, arena, TENSOR_FLOATS / 2);
    e->shortcut[2] = take_kept(e, arena, TENSOR_FLOATS / 4);
    e->grad_mid = take_kept(e, arena, TENSOR_FLOATS);
    e->grad[0] = take_kept(e, arena, TENSOR_FLOATS);
    e->grad[1] = take_kept(e, arena, TENSOR_FLOATS);
}

static void layout_weights(struct engine *e, struct arena *arena) {
    e->bns = arena_take(arena, (size_t)e->net->n_bns * sizeof(*e->bns));
    for (int i = 0; i < e->net->n_convs; i++) {
        if (e->plans[i].forward_floats) {
            e->packed_forward[i] = take_floats(arena, e->plans[i].forward_floats);
        }
        if (e->plans[i].backward_floats && e->max_images > 0) {
            e->packed_backward[i] = take_floats(arena, e->plans[i].backward_floats);
        }
    }
}

static void layout_members(struct engine *e, struct arena *arena) {
    size_t conv = 0;
    size_t accumulator = 0;
    size_t shortcut = 0;
    for (int i = 0; i < e->net->n_convs; i++) {
        const struct conv_plan *plan = &e->plans[i];
        conv = max_size(conv, plan->scratch_floats);
        size_t *target = plan->shape.k == 1 ? &shortcut : &accumulator;
        *target = max_size(*target, plan->accumulator_floats);
    }
    for (int i = 0; i < e->n_members; i++) {
        struct member_space *m = &e->members[i];
        m->conv = take_floats(arena, conv);
        m->diff = take_floats(arena, TENSOR_FLOATS);
        m->act = take_floats(arena, 2 * TENSOR_FLOATS);
        m->diff_src = take_floats(arena, 2 * TENSOR_FLOATS);
        m->accumulator = take_floats(arena, accumulator);
        m->shortcut_accumulator = take_floats(arena, shortcut);
        m->evaluate = take_floats(arena, EVALUATE_GROUP * TENSOR_FLOATS);
    }
}

static void layout_partials(struct engine *e, struct arena *arena) {
    size_t chunks = MAX_CHUNKS;
    e->losses = arena_take(arena, chunks * sizeof(*e->losses));
    e->correct = arena_take(arena, chunks * sizeof(*e->correct));
    e->sums = arena_take(arena, chunks * sizeof(*e->sums));
    e->shortcut_sums = arena_take(arena, chunks * sizeof(*e->shortcut_sums));
    if (e->max_images == 0) {
        return;
    }
    chunks = max_size(1, (size_t)(e->max_images + 3) / 4);
    chunks = chunks < MAX_CHUNKS ? chunks : MAX_CHUNKS;
    for (int i = 0; i < 2; i++) {
        e->kernel_partials[i] = arena_take(arena, chunks * sizeof(*e->kernel_partials[i]));
    }
    e->shortcut_partials = arena_take(arena, chunks * sizeof(*e->shortcut_partials));
    e->dense_partials = arena_take(arena, chunks * dense_floats(e) * sizeof(*e->dense_partials));
}

static void layout(struct engine *engine, struct arena *arena) {
    layout_weights(engine, arena);
    layout_members(engine, arena);
    layout_partials(engine, arena);
    if (engine->max_images > 0) {
        layout_batch(engine, arena);
    }
}

static enum status plan_convs(struct engine *e, bool winograd, struct error *error) {
    for (int i = 0; i < e->net->n_convs; i++) {
        enum status status = e->kernels->conv_plan(&e->net->convs[i].shape, winograd, &e->plans[i]);
        if (status != STATUS_OK) {
            return error_set(error, status, "the %s kernels have no convolution %d of this network",
                             e->kernels->name, i);
        }
    }
    return STATUS_OK;
}

static enum status prepare(const struct engine_options *options, int n_threads, struct engine *e,
                           struct error *error) {
    *e = (struct engine){
        .net = options->net,
        .kernels = options->kernels,
        .team = options->team,
        .max_images = options->max_images,
        .profile = options->profile,
        .label_smoothing = options->label_smoothing,
        .kept = kept_type_for(options),
        .n_members = n_threads,
    };
    if (options->max_images < 0) {
        return error_set(error, STATUS_INVALID, "a batch cannot have %d images",
                         options->max_images);
    }
    return plan_convs(e, options->winograd, error);
}

int64_t engine_memory_bytes(const struct engine_options *options, int n_threads) {
    assert(options->net && options->kernels);
    assert(n_threads >= 1 && n_threads <= TEAM_MAX_THREADS);
    struct engine *e = malloc(sizeof(*e));
    struct arena counting = {0};
    if (e && prepare(options, n_threads, e, NULL) == STATUS_OK) {
        layout(e, &counting);
    }
    free(e);
    return (int64_t)(counting.used + sizeof(*e));
}

enum status engine_create(const struct engine_options *options, struct engine **ret_engine,
                          struct error *error) {
    assert(options->net && options->kernels && options->team);
    struct engine *e = malloc(sizeof(*e));
    if (!e) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for an engine");
    }
    struct arena counting = {0};
    enum status status = prepare(options, team_size(options->team), e, error);
    if (status == STATUS_OK) {
        layout(e, &counting);
        status = arena_open(&e->arena, counting.used, error);
    }
    if (status != STATUS_OK) {
        engine_free(e);
        return status;
    }
    layout(e, &e->arena);
    engine_plan_passes(e);
    if (e->max_images > 0) {
        memset(e->others, 0, (size_t)e->max_images * sizeof(*e->others));
    }
    *ret_engine = e;
    return STATUS_OK;
}

void engine_free(struct engine *engine) {
    if (engine) {
        arena_close(&engine->arena);
        free(engine);
    }
}

float *engine_images(struct engine *engine) {
    assert(engine->max_images > 0);
    return engine->images;
}

uint8_t *engine_labels(struct engine *engine) {
    assert(engine->max_images > 0);
    return engine->labels;
}

struct engine_other *engine_others(struct engine *engine) {
    assert(engine->max_images > 0);
    return engine->others;
}

const float *engine_block_output(const struct engine *engine, int block) {
    assert(engine->max_images > 0 && block >= 0 && block <= engine->net->n_blocks);
    assert(engine->kept == KEPT_F32 || engine->kept == KEPT_F32_STREAMED);
    return engine->out[block];
}

const float *engine_logits(const struct engine *engine) {
    return engine->logits;
}

void engine_batch_statistics(const struct engine *engine, const float *params, int bn,
                             double *ret_mean, double *ret_variance) {
    assert(bn >= 0 && bn < engine->net->n_bns);
    const struct bn_state *state = &engine->bns[bn];
    int conv = engine->net->bns[bn].conv;
    const float *bias = bias_of(engine, params, conv);
    for (int c = 0; c < engine->net->bns[bn].c; c++) {
        ret_mean[c] = state->mean[c] + (bias ? (double)bias[c] : 0.0);
        ret_variance[c] = state->variance[c];
    }
}

struct step step_begin(struct engine *engine, int n_images, const float *params, float *gradient) {
    int chunk_images = chunk_images_for(n_images);
    return (struct step){.engine = engine,
                         .n_images = n_images,
                         .chunk_images = chunk_images,
                         .n_chunks = (n_images + chunk_images - 1) / chunk_images,
                         .params = params,
                         .gradient = gradient};
}

void step_finish_pass(const struct step *step, float *moving) {
    const struct pass *p = step->pass;
    const struct engine *e = step->engine;
    if (p->kind == PASS_FORWARD) {
        reduce_statistics(step, p->bn, e->sums, moving);
        if (p->shortcut_bn >= 0) {
            reduce_statistics(step, p->shortcut_bn, e->shortcut_sums, moving);
        }
    } else if (p->grad_in) {
        reduce_bn_gradient(step, p->in.bn, e->sums);
        if (p->in.add_bn >= 0) {
            reduce_bn_gradient(step, p->in.add_bn, e->shortcut_sums);
        }
    }
}

static void clear_frozen(const struct resnet *net, float *gradient) {
    for (int i = 0; i < net->n_tensors; i++) {
        const struct tensor *t = &net->tensors[i];
        if (t->frozen) {
            memset(gradient + t->offset, 0, t->n * sizeof(*gradient));
        }
    }
}

void engine_train(struct engine *engine, int n_images, const float *params, float *moving,
                  float *gradient, struct engine_result *ret_result) {
    assert(n_images >= 1 && n_images <= engine->max_images);
    assert(params && moving && gradient && ret_result);
    assert((uintptr_t)params % 64 == 0); /* kernels may read it as it is */
    struct step step = step_begin(engine, n_images, params, gradient);
    engine_pack(engine, params, true);
    for (int i = 0; i < engine->n_passes; i++) {
        step.pass = &engine->passes[i];
        team_run(engine->team, pass_run, &step, step.n_chunks);
        step_finish_pass(&step, moving);
    }
    for (int share = 0; share < step.n_chunks; share++) {
        reduce_weights(&step, step.pass, share); /* of the stem */
    }
    clear_frozen(engine->net, gradient);
    reduce_losses(&step, ret_result);
}

void engine_losses(struct engine *engine, int n_images, const float *params, float *moving,
                   double *ret_losses, struct engine_result *ret_result) {
    assert(n_images >= 1 && n_images <= engine->max_images);
    assert(params && moving && ret_losses && ret_result && (uintptr_t)params % 64 == 0);
    struct step step = step_begin(engine, n_images, params, NULL);
    engine_pack(engine, params, false);
    for (int i = 0; i < engine->n_passes && engine->passes[i].kind != PASS_BACKWARD; i++) {
        step.pass = &engine->passes[i];
        team_run(engine->team, pass_run, &step, step.n_chunks);
        if (step.pass->kind == PASS_FORWARD) {
            step_finish_pass(&step, moving);
        }
    }
    memcpy(ret_losses, engine->image_losses, (size_t)n_images * sizeof(*ret_losses));
    reduce_losses(&step, ret_result);
}
