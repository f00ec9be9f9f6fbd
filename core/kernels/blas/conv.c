/* Convolutions as matrix products: im2col and OpenBLAS' sgemm, one image at a time.
 *
 * Layer: core/kernels. Thread rule: as core/kernels/kernels.h; OpenBLAS runs with one thread a
 * call.
 *
 * With `columns` the matrix [pixels of the output][kh*kw*ic] of an image, weights in HWIO are the
 * matrix [kh*kw*ic][oc] as they lie, so nothing is packed:
 *     dst         = columns * weights            [pixels][oc]
 *     columns'    = diff_dst * weights^T         then added back to its pixels (col2im)
 *     diff_weights = columns^T * diff_dst
 * Images with more than 16 channels are [C/16][pixels][16] and pass through a [pixels][C] copy.
 */
#include "core/kernels/ref/ref.h"

#include <cblas.h>
#include <string.h>

#include "core/kernels/require.h"

struct sizes {
    int pixels; /* of the output */
    int rows;   /* kh*kw*ic, the width of `columns` */
};

static struct sizes sizes_of(const struct conv_shape *s) {
    return (struct sizes){.pixels = s->oh * s->oh, .rows = s->k * s->k * s->ic};
}

static size_t columns_floats(const struct conv_shape *s) {
    return (size_t)(s->oh * s->oh) * (size_t)(s->k * s->k * s->ic);
}

/* Copies (or adds back) the ic values of one input pixel from (to) its row in `columns`. */
static void gather_pixel(const struct conv_shape *s, const float *src, int ih, int iw, float *row) {
    for (int ic = 0; ic < s->ic; ic += 16) {
        int n = s->ic < 16 ? s->ic : 16;
        memcpy(row + ic, src + image_offset(s->ic, s->ih, ic, ih, iw), (size_t)n * sizeof(*row));
    }
}

static void scatter_pixel(const struct conv_shape *s, const float *row, int ih, int iw,
                          float *diff_src) {
    for (int ic = 0; ic < s->ic; ic += 16) {
        float *target = diff_src + image_offset(s->ic, s->ih, ic, ih, iw);
        for (int lane = 0; lane < 16; lane++) {
            target[lane] += row[ic + lane];
        }
    }
}

static void im2col(const struct conv_shape *s, const float *src, float *columns) {
    float *row = columns;
    for (int oh = 0; oh < s->oh; oh++) {
        for (int ow = 0; ow < s->oh; ow++) {
            for (int tap = 0; tap < s->k * s->k; tap++, row += s->ic) {
                int ih = oh * s->stride + tap / s->k - conv_padding(s);
                int iw = ow * s->stride + tap % s->k - conv_padding(s);
                if (ih < 0 || ih >= s->ih || iw < 0 || iw >= s->ih) {
                    memset(row, 0, (size_t)s->ic * sizeof(*row));
                } else {
                    gather_pixel(s, src, ih, iw, row);
                }
            }
        }
    }
}

static void col2im_add(const struct conv_shape *s, const float *columns, float *diff_src) {
    const float *row = columns;
    for (int oh = 0; oh < s->oh; oh++) {
        for (int ow = 0; ow < s->oh; ow++) {
            for (int tap = 0; tap < s->k * s->k; tap++, row += s->ic) {
                int ih = oh * s->stride + tap / s->k - conv_padding(s);
                int iw = ow * s->stride + tap % s->k - conv_padding(s);
                if (ih >= 0 && ih < s->ih && iw >= 0 && iw < s->ih) {
                    scatter_pixel(s, row, ih, iw, diff_src);
                }
            }
        }
    }
}

/* [C/16][pixels][16] -> [pixels][C]; with 16 channels they are the same and nothing is copied. */
static const float *flatten(int c, int pixels, const float *blocked, float *scratch) {
    if (c == 16) {
        return blocked;
    }
    for (int block = 0; block < c / 16; block++) {
        for (int i = 0; i < pixels; i++, blocked += 16) {
            memcpy(scratch + (size_t)i * (size_t)c + (size_t)block * 16, blocked,
                   16 * sizeof(*blocked));
        }
    }
    return scratch;
}

/* [pixels][C] (+ bias) -> [C/16][pixels][16]; flat may be blocked when C is 16. */
static void unflatten(int c, int pixels, const float *flat, const float *bias, float *blocked) {
    static const float zero[64];
    const float *add = bias ? bias : zero;
    for (int block = 0; block < c; block += 16) {
        for (int i = 0; i < pixels; i++, blocked += 16) {
            for (int lane = 0; lane < 16; lane++) {
                blocked[lane] = flat[i * c + block + lane] + add[block + lane];
            }
        }
    }
}

static void blas_forward(const struct conv_plan *plan, int n_images, const float *src,
                         const float *weights, const float *bias, float *dst, float *scratch,
                         const struct kernel_prefetch *prefetch) {
    REQUIRE(forward(plan, n_images, src, weights, bias, dst, scratch, prefetch));
    (void)prefetch;
    const struct conv_shape *s = &plan->shape;
    struct sizes z = sizes_of(s);
    float *flat = scratch + columns_floats(s);
    for (int n = 0; n < n_images; n++) {
        im2col(s, src, scratch);
        float *product = s->oc == 16 ? dst : flat;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, z.pixels, s->oc, z.rows, 1.0F,
                    scratch, z.rows, weights, s->oc, 0.0F, product, s->oc);
        if (s->oc != 16 || bias) {
            unflatten(s->oc, z.pixels, product, bias, dst);
        }
        src += image_floats(s->ic, s->ih);
        dst += image_floats(s->oc, s->oh);
    }
}

static void blas_backward_data(const struct conv_plan *plan, int n_images, const float *diff_dst,
                               const float *weights, float *diff_src, bool accumulate,
                               float *scratch, const struct kernel_prefetch *prefetch) {
    REQUIRE(backward_data(plan, n_images, diff_dst, weights, diff_src, scratch, prefetch));
    (void)prefetch;
    const struct conv_shape *s = &plan->shape;
    struct sizes z = sizes_of(s);
    for (int n = 0; n < n_images; n++) {
        const float *flat = flatten(s->oc, z.pixels, diff_dst, scratch + columns_floats(s));
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, z.pixels, z.rows, s->oc, 1.0F, flat,
                    s->oc, weights, s->oc, 0.0F, scratch, z.rows);
        if (!accumulate) {
            memset(diff_src, 0, image_floats(s->ic, s->ih) * sizeof(*diff_src));
        }
        col2im_add(s, scratch, diff_src);
        diff_dst += image_floats(s->oc, s->oh);
        diff_src += image_floats(s->ic, s->ih);
    }
}

static void blas_weights_add(const struct conv_plan *plan, int n_images, const float *src,
                             const float *diff_dst, float *accumulator, bool first, float *scratch,
                             const struct kernel_prefetch *prefetch) {
    REQUIRE(weights_add(plan, n_images, src, diff_dst, accumulator, scratch, prefetch));
    (void)prefetch;
    const struct conv_shape *s = &plan->shape;
    struct sizes z = sizes_of(s);
    for (int n = 0; n < n_images; n++) {
        im2col(s, src, scratch);
        const float *flat = flatten(s->oc, z.pixels, diff_dst, scratch + columns_floats(s));
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, z.rows, s->oc, z.pixels, 1.0F, scratch,
                    z.rows, flat, s->oc, first && n == 0 ? 0.0F : 1.0F, accumulator, s->oc);
        src += image_floats(s->ic, s->ih);
        diff_dst += image_floats(s->oc, s->oh);
    }
}

static void blas_weights_finish(const struct conv_plan *plan, const float *accumulator,
                                float *diff_weights) {
    REQUIRE(weights_finish(plan, accumulator, diff_weights));
    memcpy(diff_weights, accumulator, plan->accumulator_floats * sizeof(*accumulator));
}

static enum status blas_conv_plan(const struct conv_shape *shape, bool winograd,
                                  struct conv_plan *ret_plan) {
    (void)winograd;
    TRY(conv_shape_check(shape));
    openblas_set_num_threads(1); /* a call: parallelism is the team's, and so are the bits */
    *ret_plan = (struct conv_plan){
        .shape = *shape,
        .accumulator_floats = (size_t)(shape->k * shape->k * shape->ic) * (size_t)shape->oc,
        .scratch_floats = columns_floats(shape) + image_floats(shape->oc, shape->oh),
        .forward = blas_forward,
        .backward_data = blas_backward_data,
        .weights_add = blas_weights_add,
        .weights_finish = blas_weights_finish,
    };
    return STATUS_OK;
}

const struct kernels kernels_blas = {
    .name = "blas",
    .conv_plan = blas_conv_plan,
    .kept = {[KEPT_F32_STREAMED] = &ref_kept_f32,
             [KEPT_BF16] = &ref_kept_bf16,
             [KEPT_BF16_STREAMED] = &ref_kept_bf16},
    .bn_sums = ref_bn_sums,
    .bn_relu = ref_bn_relu,
    .bn_add_relu = ref_bn_add_relu,
    .bn_backward = ref_bn_backward,
    .relu_backward = ref_relu_backward,
};
