/* What the files of the engine share. Layer: core/nn; nobody else includes this.
 *
 * A block keeps three tensors an image: the outputs of its two convolutions before batch
 * normalisation (y1, y2) and its own output (out). What lies between is made again in cache, image
 * group by image group, when the next convolution or the way back needs it.
 */
#ifndef CUTOUTD_CORE_NN_ENGINE_INTERNAL_H
#define CUTOUTD_CORE_NN_ENGINE_INTERNAL_H

#include "core/base/arena.h"
#include "core/nn/engine.h"

enum {
    MAX_CHUNKS = 64,
    MAX_CHANNELS = 64,
    TENSOR_FLOATS = 32 * 32 * 16,    /* one image at 16 channels; also 2 at 32, 4 at 64 */
    MAX_KERNEL_FLOATS = 9 * 64 * 64, /* of a 3x3 convolution */
    MAX_SHORTCUT_FLOATS = 32 * 64,   /* of a 1x1 convolution */
    DENSE_FLOATS = (RESNET_FEATURES + 1) * RESNET_CLASSES,
    EVALUATE_GROUP = 4,
};

/* Batch statistics of one BN and the coefficients that follow from them. */
struct bn_state {
    double mean[MAX_CHANNELS];     /* of the convolution's output without its bias */
    double variance[MAX_CHANNELS]; /* biased */
    double inverse_std[MAX_CHANNELS];
    float scale[MAX_CHANNELS]; /* forward: y * scale + shift */
    float shift[MAX_CHANNELS];
    float a[MAX_CHANNELS]; /* backward: a * g + b * y + k */
    float b[MAX_CHANNELS];
    float k[MAX_CHANNELS];
};

/* Scratch space of one member of the team. */
struct member_space {
    float *conv;        /* working space of a kernel */
    float *diff;        /* gradient at a convolution's output, one group */
    float *act;         /* activation in front of a convolution, one group */
    float *diff_src;    /* gradient at a convolution's input, one group of the wider side */
    float *accumulator; /* of weights_add */
    float *shortcut_accumulator;
    float *evaluate; /* EVALUATE_GROUP images at 16 channels */
};

struct engine {
    const struct resnet *net;
    const struct kernels *kernels;
    struct team *team;
    int max_images;
    int n_members;
    struct arena arena;

    struct conv_plan plans[RESNET_MAX_CONVS];
    float *packed_forward[RESNET_MAX_CONVS]; /* NULL: the variant reads HWIO */
    float *packed_backward[RESNET_MAX_CONVS];
    struct bn_state *bns; /* [n_bns] */

    float *images;                     /* [max_images][32][32][4] */
    uint8_t *labels;                   /* [max_images] */
    float *stem;                       /* [max_images] stem convolution's output */
    float *out[RESNET_MAX_BLOCKS + 1]; /* out[b]: input of block b; out[n_blocks]: of the head */
    float *y1[RESNET_MAX_BLOCKS];
    float *y2[RESNET_MAX_BLOCKS];
    float *shortcut[3]; /* [stage] output of its 1x1 convolution, consumed by the next pass */
    float *grad_mid;    /* gradient between the two convolutions of a block */
    float *grad[2];     /* gradient at a block's output, behind its ReLU mask; alternating */
    float *logits;      /* [max_images][10] */

    struct member_space members[TEAM_MAX_THREADS];

    /* Partial sums, one row a chunk. */
    double (*sums)[2][MAX_CHANNELS];
    double *losses;
    int *correct;
    float (*kernel_partials)[MAX_KERNEL_FLOATS];
    float (*shortcut_partials)[MAX_SHORTCUT_FLOATS];
    double (*dense_partials)[DENSE_FLOATS];

    /* The current step; constant while the team works on it. */
    int n_images;
    int chunk_images;
    int n_chunks;
    const float *params;
    float *gradient;
    void (*pass)(struct engine *engine, int chunk, struct member_space *m);
    bool backwards; /* the pass takes the last chunk first */
    int block;      /* of the current pass */
    int grad_now;   /* which of grad[2] holds the gradient at the current block's output */
    struct {
        int tensor;
        const float *partials;
        size_t stride;
    } reducing;

    /* The current evaluation. */
    engine_source *source;
    void *source_user;
    int evaluate_first;
    float *evaluate_logits;
};

struct image_range {
    int first;
    int end;
};

static inline int smaller(int a, int b) {
    return a < b ? a : b;
}

/* The images of a chunk. */
struct image_range engine_chunk(const struct engine *engine, int chunk);

/* The group of at most `group` images that the same member will probably take after the one that
 * starts at image `i`: the next of the chunk, or the first of the chunk that it will claim when all
 * members go at the same pace. Empty at the end. Only for prefetching. */
struct image_range engine_next_group(const struct engine *engine, int chunk, int i, int group);

/* Work on one chunk with the member's scratch space. */
typedef void engine_pass(struct engine *engine, int chunk, struct member_space *m);

/* Runs a pass over all chunks of the current batch, their BN sums set to zero first. Passes go
 * through the batch in turns forwards and backwards, so that each finds what the one before touched
 * last still in the cache. */
void engine_run(struct engine *engine, engine_pass *pass);

static inline const float *tensor_values(const struct engine *engine, int tensor) {
    return engine->params + engine->net->tensors[tensor].offset;
}

/* The weights of a convolution as its plan wants them. */
const float *forward_weights(const struct engine *engine, int conv);
const float *backward_weights(const struct engine *engine, int conv);

/* Floats of one image at the input and the output of a convolution. */
size_t conv_src_floats(const struct engine *engine, int conv);
size_t conv_dst_floats(const struct engine *engine, int conv);

/* Images that go through a convolution together: as many as fill TENSOR_FLOATS at its output. */
static inline int conv_group(const struct engine *engine, int conv) {
    return engine->plans[conv].shape.oc / 16;
}

/* Adds some images of a tensor to what a kernel should fetch while it computes. */
static inline void prefetch_images(struct kernel_prefetch *prefetch, const float *tensor,
                                   size_t image_floats, struct image_range images) {
    size_t n = (size_t)(images.end - images.first);
    prefetch->ranges[prefetch->n_ranges].start = tensor + (size_t)images.first * image_floats;
    prefetch->ranges[prefetch->n_ranges].n_bytes = n * image_floats * sizeof(*tensor);
    prefetch->n_ranges++;
}

void engine_pack(struct engine *engine, bool backward);

/* forward.c: from the images to y2 of the last block, all batch statistics done. */
void engine_forward(struct engine *engine, float *moving);

/* head.c: last block's output, pooling, dense, softmax, loss, and the way back to the gradient at
 * the last block's output. */
void engine_head(struct engine *engine, struct engine_result *ret_result);

/* The dense layer and the cross-entropy of one image. features: [4][8][8][16]. ret_probability may
 * be NULL. Returns the loss. */
double head_image(const float *features, const float *kernel, const float *bias, int label,
                  double ret_pooled[RESNET_FEATURES], double ret_logits[RESNET_CLASSES],
                  double *ret_probability, int *ret_correct);

/* backward.c: gradients of everything in front of the head. */
void engine_backward(struct engine *engine);

#endif
