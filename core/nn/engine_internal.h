/* What the files of the engine share. Layer: core/nn; beside them only tests include this.
 *
 * engine_create writes the network down as a list of passes over the batch: one forward for each
 * convolution that feeds a batch normalisation, the head, and one backward for each of them again.
 * engine_train runs the list. A block keeps three tensors: the outputs of its two convolutions and
 * its own output. What lies between is made again in cache when a pass needs it.
 *
 * What is kept for the whole batch is float or bfloat16 (enum kept_type); everything else is float.
 * Only kept.c knows which.
 *
 * Who calls whom: engine.c -> plan.c, pass.c, reduce.c; pass.c -> kept.c; these and evaluate.c ->
 * conv.c, head.c.
 */
#ifndef CUTOUTD_CORE_NN_ENGINE_INTERNAL_H
#define CUTOUTD_CORE_NN_ENGINE_INTERNAL_H

#include "core/base/arena.h"
#include "core/nn/engine.h"

enum {
    MAX_CHUNKS = 64,
    MAX_CHANNELS = 64,
    MAX_PASSES = 2 * RESNET_MAX_BNS + 1,
    TENSOR_FLOATS = 32 * 32 * 16,    /* one image at 16 channels; also 2 at 32, 4 at 64 */
    MAX_KERNEL_FLOATS = 9 * 64 * 64, /* of a 3x3 convolution */
    MAX_SHORTCUT_FLOATS = 32 * 64,   /* of a 1x1 convolution */
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

/* Scratch space of one member of the team. A group: as many images as fill TENSOR_FLOATS at the
 * output of the pass's convolution. */
struct member_space {
    float *conv;                 /* working space of a kernel */
    float *diff;                 /* [group][C/16][S][S][16] gradient at the convolution's output */
    float *act;                  /* [group][C/16][S][S][16] activation in front, twice as wide */
    float *diff_src;             /* [group][C/16][S][S][16] gradient at its input, twice as wide */
    float *accumulator;          /* of weights_add, in the variant's layout */
    float *shortcut_accumulator; /* likewise */
    float *evaluate;             /* [EVALUATE_GROUP][32][32][16] */
};

enum pass_kind { PASS_FORWARD, PASS_HEAD, PASS_BACKWARD };

/* What stands in front of a convolution or of the head: act = max(0, bn(y) + add), or with a BN of
 * the shortcut max(0, bn(y) + add_bn(add)). */
struct pass_input {
    int bn;       /* -1: the images themselves */
    int add_bn;   /* -1: none */
    void *y;      /* kept [n][C/16][S][S][16] */
    void *add;    /* of the same shape; NULL: nothing is added */
    void *act;    /* of the same shape; NULL: kept nowhere, made in scratch when needed */
    size_t bytes; /* of one image */
};

/* One walk over all images of the batch. n: max_images. S: a side in pixels, C: channels. */
struct pass {
    enum pass_kind kind;
    struct pass_input in;
    int group;       /* images that go through the convolution together */
    int conv;        /* -1: the head */
    int shortcut;    /* 1x1 convolution of the same input; -1: none */
    int shortcut_bn; /* behind it; -1: none */

    /* Forward writes the convolutions' outputs and sums y for its BN. Backward reads y. */
    int bn;           /* behind conv */
    void *y;          /* kept [n][C/16][S][S][16] */
    void *shortcut_y; /* of the same shape */
    size_t bytes;     /* of one image of y */

    /* Backward and head: gradients, each behind the ReLU mask of its place. */
    void *grad;       /* of the shape of y: behind bn */
    void *block_grad; /* of the shape of y: at the block's output, for its shortcut */
    void *grad_in;    /* of the shape of in.y: target, summed for in.bn; NULL: the stem */

    /* Backward: weight gradients of each chunk, added up by the next pass. */
    float (*partials)[MAX_KERNEL_FLOATS]; /* [chunks] kernels in HWIO */
};

struct engine {
    const struct resnet *net;
    const struct kernels *kernels;
    struct team *team;
    int max_images;
    int n_members;
    struct step_profile *profile; /* NULL: none */
    struct arena arena;
    const float *evaluate_params; /* of the last engine_evaluate_prepare */
    double label_smoothing;
    enum kept_type kept; /* of the tensors that are called kept below */

    struct conv_plan plans[RESNET_MAX_CONVS];
    float *packed_forward[RESNET_MAX_CONVS]; /* NULL: the variant reads HWIO */
    float *packed_backward[RESNET_MAX_CONVS];
    struct bn_state *bns; /* [n_bns] */

    /* Tensors of the batch; n: max_images. */
    float *images;               /* [n][32][32][4] */
    uint8_t *labels;             /* [n] */
    struct engine_other *others; /* [n] */
    double *image_losses;        /* [n] */
    float *logits;               /* [n][classes] */
    /* Kept, each [n][C/16][S][S][16]. */
    void *y[RESNET_MAX_BNS];          /* of the convolution in front of BN i */
    void *out[RESNET_MAX_BLOCKS + 1]; /* input of block b; the last: output */
    void *shortcut[3];                /* of the stage's 1x1 convolution, read by one pass */
    void *grad_mid;                   /* gradient between the two convolutions of a block */
    void *grad[2];                    /* gradient at a block's output; alternating */

    struct member_space members[TEAM_MAX_THREADS];

    /* Sums of each chunk. Two sets of kernel gradients: one is added up while the next is made. */
    double (*sums)[2][MAX_CHANNELS];                /* [chunks] */
    double (*shortcut_sums)[2][MAX_CHANNELS];       /* [chunks] of the BN of a shortcut */
    double *losses;                                 /* [chunks] */
    int *correct;                                   /* [chunks] */
    float (*kernel_partials[2])[MAX_KERNEL_FLOATS]; /* [chunks] */
    float (*shortcut_partials)[MAX_SHORTCUT_FLOATS];
    double *dense_partials; /* [chunks][dense_floats] */

    int n_passes;
    struct pass passes[MAX_PASSES];
};

/* One call of engine_train or engine_evaluate: how its images are cut, and what it works on. */
struct step {
    struct engine *engine;
    const struct pass *pass; /* of engine_train: what the team runs now */
    int n_images;
    int chunk_images;
    int n_chunks;
    const float *params;
    float *gradient;
};

struct image_range {
    int first;
    int end;
};

static inline const float *values_of(const struct engine *engine, const float *params, int tensor) {
    return params + engine->net->tensors[tensor].offset;
}

static inline int smaller(int a, int b) {
    return a < b ? a : b;
}

/* NULL: the convolution has none. */
static inline const float *bias_of(const struct engine *engine, const float *params, int conv) {
    int bias = engine->net->convs[conv].bias;
    return bias >= 0 ? values_of(engine, params, bias) : NULL;
}

static inline struct image_range step_chunk(const struct step *s, int chunk) {
    int first = chunk * s->chunk_images;
    return (struct image_range){first, smaller(first + s->chunk_images, s->n_images)};
}

/* Floats of one image at the input and the output of a convolution. */
static inline size_t conv_src_floats(const struct engine *engine, int conv) {
    const struct conv_shape *s = &engine->plans[conv].shape;
    return (size_t)(s->ic == 3 ? 4 : s->ic) * (size_t)(s->ih * s->ih);
}

static inline size_t conv_dst_floats(const struct engine *engine, int conv) {
    const struct conv_shape *s = &engine->plans[conv].shape;
    return (size_t)s->oc * (size_t)(s->oh * s->oh);
}

/* Numbers of the dense layer: kernel and bias. */
static inline size_t dense_floats(const struct engine *engine) {
    return (RESNET_FEATURES + 1) * (size_t)engine->net->n_classes;
}

/* Bytes of n numbers of a kept tensor. */
static inline size_t kept_bytes(const struct engine *engine, size_t n) {
    return n * (engine->kept == KEPT_BF16 || engine->kept == KEPT_BF16_STREAMED ? sizeof(uint16_t)
                                                                                : sizeof(float));
}

/* Whether a pass works in kept tensors themselves; otherwise it works in scratch and copies. */
static inline bool kept_in_place(const struct engine *engine) {
    return engine->kept == KEPT_F32;
}

/* Whether they are written past the caches. */
static inline bool kept_streams(const struct engine *engine) {
    return engine->kept == KEPT_F32_STREAMED || engine->kept == KEPT_BF16_STREAMED;
}

/* plan.c: fills engine->passes. The engine's tensors have their places. */
void engine_plan_passes(struct engine *engine);

/* engine.c: how a batch is cut. */
struct step step_begin(struct engine *engine, int n_images, const float *params, float *gradient);

/* engine.c: what follows from the sums of step->pass when all chunks are done. */
void step_finish_pass(const struct step *step, float *moving);

/* pass.c, a team_task: runs the pass of a struct step over one chunk, and a share of adding up what
 * the backward pass before has left. */
void pass_run(void *user_step, int chunk, int member);

/* reduce.c: what follows from the chunks' sums of y and y^2: statistics, coefficients, moving. */
void reduce_statistics(const struct step *step, int bn, double (*sums)[2][MAX_CHANNELS],
                       float *moving);

/* reduce.c: what follows from the chunks' sums of g and g * y: coefficients, and the gradients of
 * gamma, beta, and of the bias of a shortcut that is added behind this BN. */
void reduce_bn_gradient(const struct step *step, int bn, double (*sums)[2][MAX_CHANNELS]);

/* reduce.c: of all chunks. */
void reduce_losses(const struct step *step, struct engine_result *ret_result);

/* reduce.c: adds up the weight gradients that the chunks of a pass have left. `share` of n_chunks:
 * that part of each tensor. */
void reduce_weights(const struct step *step, const struct pass *pass, int share);

/* conv.c: packs all kernels. */
void engine_pack(struct engine *engine, const float *params, bool backward);

/* conv.c: the kernel for backward_data as the convolution's plan wants it. */
const float *engine_backward_weights(const struct engine *engine, const float *params, int conv);

/* conv.c: dst = convolution of n images, with its bias unless a BN takes it away again. */
void engine_convolve(const struct engine *engine, const float *params, int conv, int n_images,
                     const float *src, float *dst, float *scratch,
                     const struct kernel_prefetch *prefetch);

/* conv.c: dst = max(0, bn(y) + add) of n images; add: or NULL. dst may be y or add. */
void engine_normalise(const struct engine *engine, int bn, int n_images, const float *y,
                      const float *add, float *dst);

/* conv.c: what dst = max(0, bn(y) + add_bn(add)) is made of: dst = max(0, a * y + (b * add + k)).
 */
struct two_bns {
    _Alignas(64) float a[MAX_CHANNELS];
    _Alignas(64) float b[MAX_CHANNELS];
    _Alignas(64) float k[MAX_CHANNELS];
    _Alignas(64) float one[MAX_CHANNELS];
    _Alignas(64) float zero[MAX_CHANNELS];
};
void engine_two_bns(const struct engine *engine, int bn, int add_bn, struct two_bns *ret);

/* conv.c: dst = max(0, bn(y) + add_bn(add)) of n images. dst may be y. */
void engine_normalise_two(const struct engine *engine, int bn, int add_bn, int n_images,
                          const float *y, const float *add, float *dst);

/* kept.c: all of the following are about n images. `space` is memory for them as floats, and
 * pointers to kept tensors point to the first of these images.
 *
 * As floats what is kept: the tensor itself or space. */
const float *kept_read(const struct engine *engine, size_t n_floats, const void *kept,
                       float *space);

/* Where a convolution puts what will be kept: the tensor itself or space. */
float *kept_place(const struct engine *engine, void *kept, float *space);

/* Keeps what a convolution has put to kept_place: as it is, or while it is summed for a BN. */
void kept_write(const struct engine *engine, size_t n_floats, const float *src, void *kept);
void kept_sum(const struct engine *engine, int bn, int n_images, const float *src, void *kept,
              double sums[2][MAX_CHANNELS]);

/* max(0, bn(y) + add), kept in act (NULL: not kept). Returns it as floats: act itself or space. */
const float *kept_normalise(const struct engine *engine, int bn, int n_images, const void *y,
                            const void *add, void *act, float *space);

/* The same with max(0, bn(y) + add_bn(add)). */
const float *kept_normalise_two(const struct engine *engine, int bn, int add_bn, int n_images,
                                const void *y, const void *add, void *act, float *space);

/* The sums of the gradient `grad`, which is behind the ReLU whose output is act, for a BN beside
 * the one that it was summed for: y is that one's input. space: for grad as floats. */
void kept_sum_gradient(const struct engine *engine, int bn, int n_images, void *grad,
                       const float *act, const void *y, float *space, double sums[2][MAX_CHANNELS]);

/* diff = a * grad + b * y + k of the BN. */
void kept_bn_backward(const struct engine *engine, int bn, int n_images, const void *grad,
                      const void *y, float *diff);

/* grad_in = the gradient diff + add (NULL: nothing) through the ReLU whose output is act, and its
 * sums for the BN whose input is y. grad_in may be add. */
void kept_relu_backward(const struct engine *engine, int bn, int n_images, const float *diff,
                        const void *add, const float *act, const void *y, void *grad_in,
                        double sums[2][MAX_CHANNELS]);

/* head.c: the dense layer and the cross-entropy of one image. features: [4][8][8][16].
 * ret_logits, ret_probability (may be NULL): [classes]. Returns the loss. */
double head_image(const struct resnet *net, const float *params, const float *features, int label,
                  double ret_pooled[RESNET_FEATURES], double *ret_logits, double *ret_probability,
                  int *ret_correct);

/* head.c: the loss of a target that is no single class, from that of class `label`, and its
 * gradient in place of ret_diff, the probabilities. */
double head_soft_target(int n_classes, double smoothing, int label,
                        const struct engine_other *other, double loss, const double *logits,
                        double *ret_diff);

/* head.c: the class that the logits speak for: the first with the largest one. */
int head_class(int n_classes, const double *logits);

/* head.c: the gradient of the logits, spread over the pixels: [4][8][8][16]. */
void head_spread(const struct resnet *net, const float *params, const double *diff_logits,
                 float *ret_diff_features);

/* head.c: adds an image's gradient of the dense layer: kernel [64][classes], then bias [classes].
 */
void head_add_gradient(int n_classes, const double pooled[RESNET_FEATURES],
                       const double *diff_logits, double *sum);

#endif
