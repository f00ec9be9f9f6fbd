/* Weights for the direct kernels. Layer: core/kernels. Plain C: it runs once a step. */
#include "core/kernels/x86/pack.h"

#include <assert.h>
#include <string.h>

size_t conv_weight_count(const struct conv_shape *shape) {
    return (size_t)(shape->k * shape->k) * (size_t)(shape->ic * shape->oc);
}

/* Where the lines of one (slice, kh, in) start in HWIO. */
struct line_group {
    int out; /* first channel out */
    int in;
    int kh;
};

static int channels_of_slice(int n_in) {
    return n_in < 16 ? n_in : 16;
}

static int groups_in(const struct conv_shape *s, int n_in, int n_out, int blocks) {
    int in_slices = n_in < 16 ? 1 : n_in / 16;
    return n_out / (16 * blocks) * in_slices * s->k * channels_of_slice(n_in);
}

/* The index-th group in packed order: [out / (16 * blocks)][in / 16][kh][in % 16]. */
static struct line_group group_at(const struct conv_shape *s, int n_in, int blocks, int index) {
    int channels = channels_of_slice(n_in);
    int in_slices = n_in < 16 ? 1 : n_in / 16;
    int slice = index / (s->k * channels);
    return (struct line_group){
        .out = slice / in_slices * 16 * blocks,
        .in = slice % in_slices * 16 + index % channels,
        .kh = index / channels % s->k,
    };
}

static const float *weight_at(const struct conv_shape *s, const float *weights, int kh, int kw,
                              int ic, int oc) {
    return weights + ((kh * s->k + kw) * s->ic + ic) * s->oc + oc;
}

static void pack_line(const struct conv_shape *s, enum pack_direction direction,
                      const float *weights, struct line_group g, int kw, int block, float *line) {
    int out = g.out + block * 16;
    if (direction == PACK_FORWARD) {
        memcpy(line, weight_at(s, weights, g.kh, kw, g.in, out), 16 * sizeof(*line));
        return;
    }
    bool flip = direction == PACK_TRANSPOSED_FLIPPED;
    int kh = flip ? s->k - 1 - g.kh : g.kh;
    const float *from = weight_at(s, weights, kh, flip ? s->k - 1 - kw : kw, out, g.in);
    for (int lane = 0; lane < 16; lane++) {
        line[lane] = from[lane * s->oc];
    }
}

void pack_weights(const struct conv_shape *shape, enum pack_direction direction, int blocks,
                  const float *weights, float *packed) {
    assert(blocks == 1 || blocks == 2);
    bool forward = direction == PACK_FORWARD;
    int n_in = forward ? shape->ic : shape->oc;
    int n_out = forward ? shape->oc : shape->ic;
    int n = groups_in(shape, n_in, n_out, blocks);
    int lines = shape->k * blocks;
    for (int i = 0; i < n; i++) {
        struct line_group g = group_at(shape, n_in, blocks, i);
        for (int line = 0; line < lines; line++) {
            pack_line(shape, direction, weights, g, line / blocks, line % blocks,
                      packed + (i * lines + line) * 16);
        }
    }
}

void unpack_gradient(const struct conv_shape *shape, const float *packed, float *weights) {
    int n = groups_in(shape, shape->ic, shape->oc, 1);
    for (int i = 0; i < n; i++) {
        struct line_group g = group_at(shape, shape->ic, 1, i);
        for (int kw = 0; kw < shape->k; kw++) {
            size_t offset = (size_t)(weight_at(shape, weights, g.kh, kw, g.in, g.out) - weights);
            memcpy(weights + offset, packed + (i * shape->k + kw) * 16, 16 * sizeof(*packed));
        }
    }
}
