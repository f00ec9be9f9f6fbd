/* Validation: the network with its moving statistics. Layer: core/nn.
 *
 * No image needs another one, so a group of four goes from pixels to logits on one thread without
 * leaving its cache: one by one through the first stage, in pairs through the second, all four
 * through the third (the same amount of data each time).
 */
#include "core/nn/engine_internal.h"

#include <assert.h>
#include <math.h>

struct evaluation {
    struct step step;
    engine_source *source;
    void *user;
    int first;        /* index of image 0 at the source */
    float *logits;    /* [n_images][classes] or NULL */
    uint8_t *classes; /* [n_images] or NULL */
};

/* scale and shift of every BN from its moving statistics. The convolution's bias is not added by
 * the kernels, so it goes into the mean. */
void engine_evaluate_prepare(struct engine *engine, const float *params, const float *moving) {
    assert(params && moving && (uintptr_t)params % 64 == 0);
    engine->evaluate_params = params;
    for (int i = 0; i < engine->net->n_bns; i++) {
        const struct resnet_bn *n = &engine->net->bns[i];
        struct bn_state *s = &engine->bns[i];
        const float *gamma = values_of(engine, params, n->gamma);
        const float *beta = values_of(engine, params, n->beta);
        const float *bias = bias_of(engine, params, n->conv);
        const float *mean = values_of(engine, moving, n->moving_mean);
        const float *variance = values_of(engine, moving, n->moving_variance);
        for (int c = 0; c < n->c; c++) {
            double scale = (double)gamma[c] / sqrt((double)variance[c] + engine->net->bn_epsilon);
            double bias_c = bias ? (double)bias[c] : 0.0;
            s->scale[c] = (float)scale;
            s->shift[c] = (float)((double)beta[c] + (bias_c - (double)mean[c]) * scale);
        }
    }
    engine_pack(engine, params, false);
}

/* One block over n images. src and dst may be the same or overlap: src is read to its end before
 * dst is written. */
static void run_block(const struct engine *e, const struct resnet_block *block, int n,
                      const float *src, float *dst, const struct member_space *m) {
    const float *params = e->evaluate_params;
    const float *add = src;
    engine_convolve(e, params, block->conv1, n, src, m->act, m->conv, NULL);
    engine_normalise(e, block->bn1, n, m->act, NULL, m->act);
    engine_convolve(e, params, block->conv2, n, m->act, m->diff, m->conv, NULL);
    if (block->shortcut >= 0) {
        engine_convolve(e, params, block->shortcut, n, src, m->diff_src, m->conv, NULL);
        add = m->diff_src;
    }
    if (block->shortcut_bn >= 0) {
        engine_normalise_two(e, block->bn2, block->shortcut_bn, n, m->diff, add, dst);
    } else {
        engine_normalise(e, block->bn2, n, m->diff, add, dst);
    }
}

static void run_stage(const struct engine *e, int stage, int n_images,
                      const struct member_space *m) {
    int per_stage = e->net->n_blocks / 3;
    const struct resnet_block *first = &e->net->blocks[stage * per_stage];
    int group = 1 << stage;
    for (int i = 0; i < n_images; i += group) {
        int n = smaller(group, n_images - i);
        const float *src = m->evaluate + (size_t)i * conv_src_floats(e, first->conv1);
        float *dst = m->evaluate + (size_t)i * conv_dst_floats(e, first->conv1);
        for (int b = 0; b < per_stage; b++, src = dst) {
            run_block(e, first + b, n, src, dst, m);
        }
    }
}

static void evaluate_chunk(void *user, int chunk, int member) {
    const struct evaluation *v = user;
    const struct engine *e = v->step.engine;
    const struct member_space *m = &e->members[member];
    struct image_range range = step_chunk(&v->step, chunk);
    int n = range.end - range.first;
    uint8_t labels[EVALUATE_GROUP];
    for (int i = 0; i < n; i++) {
        float *x = m->evaluate + (size_t)i * TENSOR_FLOATS;
        labels[i] = v->source(v->user, v->first + range.first + i, m->diff_src);
        assert(labels[i] < e->net->n_classes);
        engine_convolve(e, e->evaluate_params, 0, 1, m->diff_src, x, m->conv, NULL);
        engine_normalise(e, 0, 1, x, NULL, x);
    }
    for (int stage = 0; stage < 3; stage++) {
        run_stage(e, stage, n, m);
    }
    e->losses[chunk] = 0.0;
    e->correct[chunk] = 0;
    for (int i = 0; i < n; i++) {
        double pooled[RESNET_FEATURES];
        double logits[RESNET_MAX_CLASSES];
        int correct = 0;
        e->losses[chunk] +=
            head_image(e->net, e->evaluate_params, m->evaluate + (size_t)i * (TENSOR_FLOATS / 4),
                       labels[i], pooled, logits, NULL, &correct);
        e->correct[chunk] += correct;
        if (v->classes) {
            v->classes[range.first + i] = (uint8_t)head_class(e->net->n_classes, logits);
        }
        for (int j = 0; j < e->net->n_classes && v->logits; j++) {
            v->logits[(range.first + i) * e->net->n_classes + j] = (float)logits[j];
        }
    }
}

void engine_evaluate(struct engine *engine, engine_source *source, void *user, int first,
                     int n_images, float *ret_logits, uint8_t *ret_classes,
                     struct engine_result *ret_result) {
    assert(source && ret_result &&
           engine->evaluate_params); /* engine_evaluate_prepare was called */
    assert(first >= 0 && n_images >= 1 && n_images <= ENGINE_EVALUATE_MAX);
    struct evaluation evaluation = {
        .step = {.engine = engine,
                 .n_images = n_images,
                 .chunk_images = EVALUATE_GROUP,
                 .n_chunks = (n_images + EVALUATE_GROUP - 1) / EVALUATE_GROUP},
        .source = source,
        .user = user,
        .first = first,
        .logits = ret_logits,
        .classes = ret_classes,
    };
    team_run(engine->team, evaluate_chunk, &evaluation, evaluation.step.n_chunks);
    reduce_losses(&evaluation.step, ret_result);
}
