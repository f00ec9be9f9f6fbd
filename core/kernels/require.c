/* The preconditions of the kernels. Layer: core/kernels. */
#include "core/kernels/require.h"

#ifndef NDEBUG

#include <assert.h>
#include <stdint.h>

#include "core/kernels/ref/ref.h"

enum { ALIGNMENT = 64, MAX_CHANNELS = 64, MAX_RANGES = 6 };

static bool is_aligned(const void *p) {
    return p && (uintptr_t)p % ALIGNMENT == 0;
}

static bool are_apart(const float *a, size_t n_a, const float *b, size_t n_b) {
    uintptr_t start_a = (uintptr_t)a;
    uintptr_t start_b = (uintptr_t)b;
    return start_a + n_a * sizeof(float) <= start_b || start_b + n_b * sizeof(float) <= start_a;
}

static size_t src_floats(const struct conv_plan *plan, int n_images) {
    return (size_t)n_images * image_floats(plan->shape.ic, plan->shape.ih);
}

static size_t dst_floats(const struct conv_plan *plan, int n_images) {
    return (size_t)n_images * image_floats(plan->shape.oc, plan->shape.oh);
}

static size_t weight_floats(const struct conv_plan *plan) {
    const struct conv_shape *s = &plan->shape;
    return (size_t)(s->k * s->k * s->ic) * (size_t)s->oc;
}

static void require_call(const struct conv_plan *plan, int n_images, const float *scratch,
                         const struct kernel_prefetch *prefetch) {
    assert(plan);
    assert(conv_shape_check(&plan->shape) == STATUS_OK);
    assert(n_images >= 1);
    assert(is_aligned(scratch) || plan->scratch_floats == 0);
    assert(!prefetch || (prefetch->n_ranges >= 0 && prefetch->n_ranges <= MAX_RANGES));
    for (int i = 0; prefetch && i < prefetch->n_ranges; i++) {
        assert(prefetch->ranges[i].start || prefetch->ranges[i].n_bytes == 0);
    }
}

/* An output must not touch the inputs and the scratch of the same call. */
static void require_output(const struct conv_plan *plan, const float *out, size_t n_out,
                           const float *in, size_t n_in, const float *scratch) {
    assert(is_aligned(in));
    assert(is_aligned(out));
    assert(are_apart(out, n_out, in, n_in));
    assert(are_apart(out, n_out, scratch, plan->scratch_floats));
    assert(are_apart(in, n_in, scratch, plan->scratch_floats));
}

void require_pack(const struct conv_plan *plan, const float *weights, const float *packed) {
    assert(plan);
    assert(is_aligned(weights));
    assert(is_aligned(packed));
    assert(are_apart(weights, weight_floats(plan), packed, weight_floats(plan)));
}

void require_forward(const struct conv_plan *plan, int n_images, const float *src,
                     const float *weights, const float *bias, const float *dst,
                     const float *scratch, const struct kernel_prefetch *prefetch) {
    require_call(plan, n_images, scratch, prefetch);
    require_output(plan, dst, dst_floats(plan, n_images), src, src_floats(plan, n_images), scratch);
    assert(is_aligned(weights));
    assert(!bias || is_aligned(bias));
}

void require_backward_data(const struct conv_plan *plan, int n_images, const float *diff_dst,
                           const float *weights, const float *diff_src, const float *scratch,
                           const struct kernel_prefetch *prefetch) {
    require_call(plan, n_images, scratch, prefetch);
    assert(plan->shape.ic != 3);
    require_output(plan, diff_src, src_floats(plan, n_images), diff_dst, dst_floats(plan, n_images),
                   scratch);
    assert(is_aligned(weights));
}

void require_weights_add(const struct conv_plan *plan, int n_images, const float *src,
                         const float *diff_dst, const float *accumulator, const float *scratch,
                         const struct kernel_prefetch *prefetch) {
    require_call(plan, n_images, scratch, prefetch);
    require_output(plan, accumulator, plan->accumulator_floats, src, src_floats(plan, n_images),
                   scratch);
    require_output(plan, accumulator, plan->accumulator_floats, diff_dst,
                   dst_floats(plan, n_images), scratch);
}

void require_weights_finish(const struct conv_plan *plan, const float *accumulator,
                            const float *diff_weights) {
    assert(plan);
    assert(is_aligned(accumulator));
    assert(is_aligned(diff_weights));
    assert(are_apart(accumulator, plan->accumulator_floats, diff_weights, weight_floats(plan)));
}

static void require_image(int c, int n_pixels) {
    assert(c >= 16 && c <= MAX_CHANNELS && c % 16 == 0);
    assert(n_pixels >= 4 && n_pixels % 4 == 0);
}

/* dst is `in` itself, where the contract allows that, or apart from it. */
static void require_image_input(int c, int n_pixels, const float *in, const float *dst,
                                bool may_be_dst) {
    const size_t n = (size_t)c * (size_t)n_pixels;
    assert(is_aligned(in));
    assert((may_be_dst && in == dst) || are_apart(in, n, dst, n));
}

void require_bn_sums(int c, int n_pixels, const float *src, const double *sum,
                     const double *sum_squares) {
    require_image(c, n_pixels);
    assert(is_aligned(src));
    assert(sum && sum_squares && sum != sum_squares);
}

void require_bn_add_relu(int c, int n_pixels, const float *src, const float *scale,
                         const float *shift, const float *add, const float *dst) {
    require_image(c, n_pixels);
    assert(is_aligned(dst) && is_aligned(scale) && is_aligned(shift));
    require_image_input(c, n_pixels, src, dst, true);
    if (add) {
        require_image_input(c, n_pixels, add, dst, true);
    }
}

void require_bn_backward(int c, int n_pixels, const float *diff, const float *src, const float *a,
                         const float *b, const float *k, const float *dst) {
    require_image(c, n_pixels);
    assert(is_aligned(dst) && is_aligned(a) && is_aligned(b) && is_aligned(k));
    require_image_input(c, n_pixels, diff, dst, true);
    require_image_input(c, n_pixels, src, dst, false);
}

void require_relu_backward(int c, int n_pixels, const float *diff, const float *add,
                           const float *act, const float *src, const float *dst, const double *sum,
                           const double *sum_src) {
    require_image(c, n_pixels);
    assert(is_aligned(dst));
    require_image_input(c, n_pixels, diff, dst, true);
    require_image_input(c, n_pixels, act, dst, false);
    require_image_input(c, n_pixels, src, dst, false);
    if (add) {
        require_image_input(c, n_pixels, add, dst, true);
    }
    assert(sum && sum_src && sum != sum_src);
}

/* Kept tensors are only compared by their starts: a bfloat16 takes half of the room. */
void require_kept_sums(int c, int n_pixels, const float *src, const void *kept, const double *sum,
                       const double *sum_squares) {
    require_bn_sums(c, n_pixels, src, sum, sum_squares);
    assert(is_aligned(kept) && kept != src);
}

void require_kept_bn_relu(int c, int n_pixels, const void *src, const float *scale,
                          const float *shift, const void *add, const float *dst, const void *kept) {
    require_image(c, n_pixels);
    assert(is_aligned(src) && is_aligned(scale) && is_aligned(shift) && is_aligned(dst));
    assert(!add || (is_aligned(add) && add != dst));
    assert(!kept || (is_aligned(kept) && kept != src && kept != add && kept != dst));
    assert(src != dst);
}

void require_kept_bn_backward(int c, int n_pixels, const void *diff, const void *src,
                              const float *a, const float *b, const float *k, const float *dst) {
    require_image(c, n_pixels);
    assert(is_aligned(diff) && is_aligned(src) && is_aligned(dst));
    assert(is_aligned(a) && is_aligned(b) && is_aligned(k));
    assert(dst != diff && dst != src);
}

void require_kept_relu_backward(int c, int n_pixels, const float *diff, const void *add,
                                const float *act, const void *src, const void *dst,
                                const double *sum, const double *sum_src) {
    require_image(c, n_pixels);
    assert(is_aligned(diff) && is_aligned(act) && is_aligned(src) && is_aligned(dst));
    assert(!add || is_aligned(add));
    assert(dst != diff && dst != act && dst != src);
    assert(sum && sum_src && sum != sum_src);
}

void require_kept_copy(size_t n, const void *src, const void *dst) {
    assert(n % 64 == 0 && is_aligned(src) && is_aligned(dst) && src != dst);
}

#endif
