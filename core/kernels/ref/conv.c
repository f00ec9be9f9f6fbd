/* Convolutions as the textbook writes them, with double accumulators: the specification that every
 * other variant is tested against. Slow on purpose. Layer: core/kernels.
 */
#include "core/kernels/ref/ref.h"

#include <string.h>

#include "core/kernels/require.h"

enum { MAX_CHANNELS = 64 };

enum status conv_shape_check(const struct conv_shape *shape) {
    bool channels = (shape->ic == 3 || shape->ic == 16 || shape->ic == 32 || shape->ic == 64) &&
                    (shape->oc == 16 || shape->oc == 32 || shape->oc == 64);
    bool window = (shape->k == 3 && (shape->stride == 1 || shape->stride == 2)) ||
                  (shape->k == 1 && shape->stride == 2);
    bool sides = shape->oh >= 4 && shape->oh % 4 == 0 && shape->ih == shape->oh * shape->stride;
    bool stem = shape->ic != 3 || (shape->k == 3 && shape->stride == 1);
    return channels && window && sides && stem ? STATUS_OK : STATUS_UNSUPPORTED;
}

static size_t weight_offset(const struct conv_shape *s, int kh, int kw, int ic) {
    return ((size_t)(kh * s->k + kw) * (size_t)s->ic + (size_t)ic) * (size_t)s->oc;
}

/* One output pixel, all output channels. */
static void forward_pixel(const struct conv_shape *s, const float *src, const float *weights,
                          const float *bias, int oh, int ow, float *dst) {
    double sum[MAX_CHANNELS];
    for (int oc = 0; oc < s->oc; oc++) {
        sum[oc] = bias ? (double)bias[oc] : 0.0;
    }
    for (int kh = 0; kh < s->k; kh++) {
        for (int kw = 0; kw < s->k; kw++) {
            int ih = oh * s->stride + kh - conv_padding(s);
            int iw = ow * s->stride + kw - conv_padding(s);
            if (ih < 0 || ih >= s->ih || iw < 0 || iw >= s->ih) {
                continue;
            }
            for (int ic = 0; ic < s->ic; ic++) {
                double value = (double)src[image_offset(s->ic, s->ih, ic, ih, iw)];
                const float *w = weights + weight_offset(s, kh, kw, ic);
                for (int oc = 0; oc < s->oc; oc++) {
                    sum[oc] += value * (double)w[oc];
                }
            }
        }
    }
    for (int oc = 0; oc < s->oc; oc++) {
        dst[image_offset(s->oc, s->oh, oc, oh, ow)] = (float)sum[oc];
    }
}

static void ref_forward(const struct conv_plan *plan, int n_images, const float *src,
                        const float *weights, const float *bias, float *dst, float *scratch,
                        const struct kernel_prefetch *prefetch) {
    REQUIRE(forward(plan, n_images, src, weights, bias, dst, scratch, prefetch));
    (void)scratch;
    (void)prefetch;
    const struct conv_shape *s = &plan->shape;
    for (int n = 0; n < n_images; n++) {
        for (int oh = 0; oh < s->oh; oh++) {
            for (int ow = 0; ow < s->oh; ow++) {
                forward_pixel(s, src, weights, bias, oh, ow, dst);
            }
        }
        src += image_floats(s->ic, s->ih);
        dst += image_floats(s->oc, s->oh);
    }
}

/* One input pixel, all input channels. */
static void backward_pixel(const struct conv_shape *s, const float *diff_dst, const float *weights,
                           int ih, int iw, bool accumulate, float *diff_src) {
    double sum[MAX_CHANNELS] = {0};
    for (int kh = 0; kh < s->k; kh++) {
        for (int kw = 0; kw < s->k; kw++) {
            int row = ih + conv_padding(s) - kh;
            int column = iw + conv_padding(s) - kw;
            if (row < 0 || column < 0 || row % s->stride || column % s->stride ||
                row / s->stride >= s->oh || column / s->stride >= s->oh) {
                continue;
            }
            for (int oc = 0; oc < s->oc; oc++) {
                double value = (double)
                    diff_dst[image_offset(s->oc, s->oh, oc, row / s->stride, column / s->stride)];
                const float *w = weights + weight_offset(s, kh, kw, 0) + oc;
                for (int ic = 0; ic < s->ic; ic++) {
                    sum[ic] += value * (double)w[(size_t)ic * (size_t)s->oc];
                }
            }
        }
    }
    for (int ic = 0; ic < s->ic; ic++) {
        float *target = diff_src + image_offset(s->ic, s->ih, ic, ih, iw);
        *target = accumulate ? (float)((double)*target + sum[ic]) : (float)sum[ic];
    }
}

static void ref_backward_data(const struct conv_plan *plan, int n_images, const float *diff_dst,
                              const float *weights, float *diff_src, bool accumulate,
                              float *scratch, const struct kernel_prefetch *prefetch) {
    REQUIRE(backward_data(plan, n_images, diff_dst, weights, diff_src, scratch, prefetch));
    (void)scratch;
    (void)prefetch;
    const struct conv_shape *s = &plan->shape;
    for (int n = 0; n < n_images; n++) {
        for (int ih = 0; ih < s->ih; ih++) {
            for (int iw = 0; iw < s->ih; iw++) {
                backward_pixel(s, diff_dst, weights, ih, iw, accumulate, diff_src);
            }
        }
        diff_dst += image_floats(s->oc, s->oh);
        diff_src += image_floats(s->ic, s->ih);
    }
}

/* One image into the running sum, which is double here: [kh][kw][ic][oc]. */
static void weights_add_image(const struct conv_shape *s, const float *src, const float *diff_dst,
                              double *sum) {
    for (int kh = 0; kh < s->k; kh++) {
        for (int kw = 0; kw < s->k; kw++) {
            for (int oh = 0; oh < s->oh; oh++) {
                for (int ow = 0; ow < s->oh; ow++) {
                    int ih = oh * s->stride + kh - conv_padding(s);
                    int iw = ow * s->stride + kw - conv_padding(s);
                    if (ih < 0 || ih >= s->ih || iw < 0 || iw >= s->ih) {
                        continue;
                    }
                    for (int ic = 0; ic < s->ic; ic++) {
                        double value = (double)src[image_offset(s->ic, s->ih, ic, ih, iw)];
                        double *row = sum + weight_offset(s, kh, kw, ic);
                        for (int oc = 0; oc < s->oc; oc++) {
                            row[oc] +=
                                value * (double)diff_dst[image_offset(s->oc, s->oh, oc, oh, ow)];
                        }
                    }
                }
            }
        }
    }
}

static size_t n_weights(const struct conv_shape *s) {
    return (size_t)(s->k * s->k * s->ic) * (size_t)s->oc;
}

static void ref_weights_add(const struct conv_plan *plan, int n_images, const float *src,
                            const float *diff_dst, float *accumulator, bool first, float *scratch,
                            const struct kernel_prefetch *prefetch) {
    REQUIRE(weights_add(plan, n_images, src, diff_dst, accumulator, scratch, prefetch));
    (void)scratch;
    (void)prefetch;
    const struct conv_shape *s = &plan->shape;
    double *sum = (double *)(void *)accumulator;
    if (first) {
        memset(sum, 0, n_weights(s) * sizeof(*sum));
    }
    for (int n = 0; n < n_images; n++) {
        weights_add_image(s, src, diff_dst, sum);
        src += image_floats(s->ic, s->ih);
        diff_dst += image_floats(s->oc, s->oh);
    }
}

static void ref_weights_finish(const struct conv_plan *plan, const float *accumulator,
                               float *diff_weights) {
    REQUIRE(weights_finish(plan, accumulator, diff_weights));
    const double *sum = (const double *)(const void *)accumulator;
    for (size_t i = 0; i < n_weights(&plan->shape); i++) {
        diff_weights[i] = (float)sum[i];
    }
}

static enum status ref_conv_plan(const struct conv_shape *shape, bool winograd,
                                 struct conv_plan *ret_plan) {
    (void)winograd;
    TRY(conv_shape_check(shape));
    *ret_plan = (struct conv_plan){
        .shape = *shape,
        .accumulator_floats = 2 * n_weights(shape), /* doubles */
        .forward = ref_forward,
        .backward_data = ref_backward_data,
        .weights_add = ref_weights_add,
        .weights_finish = ref_weights_finish,
    };
    return STATUS_OK;
}

const struct kernels kernels_ref = {
    .name = "ref",
    .conv_plan = ref_conv_plan,
    .kept = {[KEPT_F32_STREAMED] = &ref_kept_f32,
             [KEPT_BF16] = &ref_kept_bf16,
             [KEPT_BF16_STREAMED] = &ref_kept_bf16},
    .bn_sums = ref_bn_sums,
    .bn_relu = ref_bn_relu,
    .bn_add_relu = ref_bn_add_relu,
    .bn_backward = ref_bn_backward,
    .relu_backward = ref_relu_backward,
};
