/* Making an engine: plans, memory, packing. Layer: core/nn. */
#include "core/nn/engine_internal.h"

#include <stdlib.h>
#include <string.h>

static size_t max_size(size_t a, size_t b) {
    return a > b ? a : b;
}

size_t conv_src_floats(const struct engine *engine, int conv) {
    const struct conv_shape *s = &engine->plans[conv].shape;
    return (size_t)(s->ic == 3 ? 4 : s->ic) * (size_t)(s->ih * s->ih);
}

size_t conv_dst_floats(const struct engine *engine, int conv) {
    const struct conv_shape *s = &engine->plans[conv].shape;
    return (size_t)s->oc * (size_t)(s->oh * s->oh);
}

/* Chunks depend on the batch alone. Eight images keep the cost of a chunk's own weight gradients
 * small; at most MAX_CHUNKS of them, in whole groups of four. */
static int chunk_images_for(int n_images) {
    if (n_images <= 32) {
        return 4;
    }
    int images = (n_images + MAX_CHUNKS - 1) / MAX_CHUNKS;
    images = (images + 3) / 4 * 4;
    return images < 8 ? 8 : images;
}

struct image_range engine_chunk(const struct engine *engine, int chunk) {
    int first = chunk * engine->chunk_images;
    int end = first + engine->chunk_images;
    return (struct image_range){first, end < engine->n_images ? end : engine->n_images};
}

static struct image_range first_images(struct image_range range, int n) {
    int end = range.first + n;
    return (struct image_range){range.first, end < range.end ? end : range.end};
}

struct image_range engine_next_group(const struct engine *engine, int chunk, int i, int group) {
    struct image_range rest = engine_chunk(engine, chunk);
    rest.first = i + group;
    if (rest.first < rest.end) {
        return first_images(rest, group);
    }
    int next = engine->backwards ? chunk - engine->n_members : chunk + engine->n_members;
    if (next < 0 || next >= engine->n_chunks) {
        return (struct image_range){0};
    }
    return first_images(engine_chunk(engine, next), group);
}

static void pass_piece(void *user, int piece, int member) {
    struct engine *e = user;
    int chunk = e->backwards ? e->n_chunks - 1 - piece : piece;
    memset(e->sums[chunk], 0, sizeof(e->sums[chunk]));
    e->pass(e, chunk, &e->members[member]);
}

void engine_run(struct engine *engine, engine_pass *pass) {
    engine->pass = pass;
    engine->backwards = !engine->backwards;
    team_run(engine->team, pass_piece, engine, engine->n_chunks);
}

const float *forward_weights(const struct engine *engine, int conv) {
    const float *packed = engine->packed_forward[conv];
    return packed ? packed : tensor_values(engine, engine->net->convs[conv].kernel);
}

const float *backward_weights(const struct engine *engine, int conv) {
    const float *packed = engine->packed_backward[conv];
    return packed ? packed : tensor_values(engine, engine->net->convs[conv].kernel);
}

static float *take_floats(struct arena *arena, size_t n) {
    return arena_take(arena, n * sizeof(float));
}

/* The tensors of the batch. */
static void layout_batch(struct engine *e, struct arena *arena) {
    const struct resnet *net = e->net;
    size_t n = (size_t)e->max_images;
    e->images = take_floats(arena, n * ENGINE_IMAGE_FLOATS);
    e->labels = arena_take(arena, n);
    e->logits = take_floats(arena, n * RESNET_CLASSES);
    e->stem = take_floats(arena, n * TENSOR_FLOATS);
    e->out[0] = take_floats(arena, n * TENSOR_FLOATS);
    for (int b = 0; b < net->n_blocks; b++) {
        size_t floats = conv_dst_floats(e, net->blocks[b].conv2);
        e->y1[b] = take_floats(arena, n * floats);
        e->y2[b] = take_floats(arena, n * floats);
        e->out[b + 1] = take_floats(arena, n * floats);
    }
    e->shortcut[1] = take_floats(arena, n * TENSOR_FLOATS / 2);
    e->shortcut[2] = take_floats(arena, n * TENSOR_FLOATS / 4);
    e->grad_mid = take_floats(arena, n * TENSOR_FLOATS);
    e->grad[0] = take_floats(arena, n * TENSOR_FLOATS);
    e->grad[1] = take_floats(arena, n * TENSOR_FLOATS);
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
        m->act = take_floats(arena, TENSOR_FLOATS);
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
    if (e->max_images == 0) {
        return;
    }
    chunks = max_size(1, (size_t)(e->max_images + 3) / 4);
    chunks = chunks < MAX_CHUNKS ? chunks : MAX_CHUNKS;
    e->kernel_partials = arena_take(arena, chunks * sizeof(*e->kernel_partials));
    e->shortcut_partials = arena_take(arena, chunks * sizeof(*e->shortcut_partials));
    e->dense_partials = arena_take(arena, chunks * sizeof(*e->dense_partials));
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
        .n_members = n_threads,
    };
    if (options->max_images < 0) {
        return error_set(error, STATUS_INVALID, "a batch cannot have %d images",
                         options->max_images);
    }
    return plan_convs(e, options->winograd, error);
}

int64_t engine_memory_bytes(const struct engine_options *options, int n_threads) {
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
    return engine->images;
}

uint8_t *engine_labels(struct engine *engine) {
    return engine->labels;
}

const float *engine_block_output(const struct engine *engine, int block) {
    return engine->out[block];
}

const float *engine_logits(const struct engine *engine) {
    return engine->logits;
}

void engine_batch_statistics(const struct engine *engine, int bn, double *ret_mean,
                             double *ret_variance) {
    const struct bn_state *state = &engine->bns[bn];
    const float *bias = tensor_values(engine, engine->net->convs[engine->net->bns[bn].conv].bias);
    for (int c = 0; c < engine->net->bns[bn].c; c++) {
        ret_mean[c] = state->mean[c] + (double)bias[c];
        ret_variance[c] = state->variance[c];
    }
}

/* A convolution's forward weights, then, in the second half of the pieces, its backward weights. */
static void pack_piece(void *user, int piece, int member) {
    (void)member;
    struct engine *e = user;
    int conv = piece % e->net->n_convs;
    const struct conv_plan *plan = &e->plans[conv];
    const float *weights = tensor_values(e, e->net->convs[conv].kernel);
    if (piece < e->net->n_convs) {
        if (e->packed_forward[conv]) {
            plan->pack_forward(plan, weights, e->packed_forward[conv]);
        }
    } else if (e->packed_backward[conv]) {
        plan->pack_backward(plan, weights, e->packed_backward[conv]);
    }
}

void engine_pack(struct engine *engine, bool backward) {
    team_run(engine->team, pack_piece, engine, engine->net->n_convs * (backward ? 2 : 1));
}

void engine_train(struct engine *engine, int n_images, const float *params, float *moving,
                  float *gradient, struct engine_result *ret_result) {
    engine->n_images = n_images;
    engine->chunk_images = chunk_images_for(n_images);
    engine->n_chunks = (n_images + engine->chunk_images - 1) / engine->chunk_images;
    engine->params = params;
    engine->gradient = gradient;
    engine_pack(engine, true);
    engine_forward(engine, moving);
    engine_head(engine, ret_result);
    engine_backward(engine);
}
