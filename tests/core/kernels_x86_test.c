/* Every variant of the kernels against the plain reference, over every convolution of ResNet:
 * small integers, where the direct kernels must give the same bits, and real numbers with a
 * tolerance. Around every output lies a border that must stay untouched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "core/kernels/ref/ref.h"
#include "core/kernels/x86/x86.h"
#include "tests/core/conv_shapes.h"

enum { BORDER = 64, MAX_IMAGES = 9 };

static const float CANARY = -7.25e20F;

/* ---- buffers ---- */

struct buffer {
    float *memory;
    float *data; /* [n], between two borders */
    size_t n;
};

/* misaligned: by 4 bytes, where the contract promises 64. */
static struct buffer buffer_make(size_t n, bool misaligned) {
    struct buffer b = {.n = n};
    size_t floats = (n + 2 * BORDER + 16 + 15) / 16 * 16;
    b.memory = aligned_alloc(64, floats * sizeof(float));
    assert_non_null(b.memory);
    for (size_t i = 0; i < floats; i++) {
        b.memory[i] = CANARY;
    }
    b.data = b.memory + BORDER + (misaligned ? 1 : 0);
    return b;
}

static void buffer_free(struct buffer *b) {
    free(b->memory);
}

static void buffer_check_borders(const struct buffer *b) {
    for (int i = 1; i <= BORDER; i++) {
        assert_true(b->data[-i] == CANARY);
        assert_true(b->data[b->n + (size_t)i - 1] == CANARY);
    }
}

static uint32_t random_next(uint32_t *state) {
    *state = *state * 1664525U + 1013904223U;
    return *state >> 8;
}

/* exact: integers -2 .. 2; otherwise reals in [-1, 1). */
static void buffer_fill(struct buffer *b, bool exact, uint32_t seed) {
    for (size_t i = 0; i < b->n; i++) {
        uint32_t r = random_next(&seed);
        b->data[i] = exact ? (float)(r % 5U) - 2.0F : (float)r * 0x1p-23F - 1.0F;
    }
}

static void buffer_copy(struct buffer *to, const struct buffer *from) {
    assert_int_equal(to->n, from->n);
    memcpy(to->data, from->data, from->n * sizeof(float));
}

/* The largest difference, in units of the reference's root mean square; 0: all bits agree. */
static double difference(const float *got, const float *expected, size_t n) {
    double squares = 0.0;
    double worst = 0.0;
    for (size_t i = 0; i < n; i++) {
        double distance = fabs((double)got[i] - (double)expected[i]);
        assert_true(isfinite((double)got[i]));
        squares += (double)expected[i] * (double)expected[i];
        worst = distance > worst ? distance : worst;
    }
    return worst > 0.0 ? worst / (sqrt(squares / (double)n) + 1e-30) : 0.0;
}

/* ---- one convolution in one variant ---- */

struct conv_case {
    const struct kernels *kernels;
    const char *name;
    struct conv_shape shape;
    bool winograd;
    bool exact;
    bool misaligned;
    int n_images;
};

struct conv_data {
    struct conv_plan plan;
    struct conv_plan ref;
    struct buffer src, diff_dst, weights, bias;
    struct buffer forward, backward; /* packed, or the weights as they are */
    struct buffer scratch, accumulator, ref_accumulator;
};

static void conv_data_free(struct conv_data *d) {
    struct buffer *all[] = {&d->src,     &d->diff_dst,    &d->weights,
                            &d->bias,    &d->forward,     &d->backward,
                            &d->scratch, &d->accumulator, &d->ref_accumulator};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        buffer_free(all[i]);
    }
}

static struct buffer pack(const struct conv_data *d, bool backward, int n_parts) {
    const struct conv_plan *plan = &d->plan;
    size_t n = backward ? plan->backward_floats : plan->forward_floats;
    if (!n) {
        struct buffer copy = buffer_make(d->weights.n, false);
        buffer_copy(&copy, &d->weights);
        return copy;
    }
    struct buffer packed = buffer_make(n, false);
    for (int part = 0; part < n_parts; part++) {
        (backward ? plan->pack_backward : plan->pack_forward)(plan, d->weights.data, packed.data,
                                                              part, n_parts);
    }
    buffer_check_borders(&packed);
    return packed;
}

static void conv_data_make(const struct conv_case *c, struct conv_data *d) {
    const struct conv_shape *s = &c->shape;
    size_t n = (size_t)c->n_images;
    *d = (struct conv_data){0};
    assert_int_equal(c->kernels->conv_plan(s, c->winograd, &d->plan), STATUS_OK);
    assert_int_equal(kernels_ref.conv_plan(s, false, &d->ref), STATUS_OK);
    assert_int_equal(d->plan.winograd, c->winograd);
    d->src = buffer_make(n * image_floats(s->ic, s->ih), c->misaligned);
    d->diff_dst = buffer_make(n * image_floats(s->oc, s->oh), c->misaligned);
    d->weights = buffer_make((size_t)(s->k * s->k * s->ic * s->oc), c->misaligned);
    d->bias = buffer_make((size_t)s->oc, c->misaligned);
    buffer_fill(&d->src, c->exact, 1);
    buffer_fill(&d->diff_dst, c->exact, 2);
    buffer_fill(&d->weights, c->exact, 3);
    buffer_fill(&d->bias, c->exact, 4);
    for (size_t i = 3; s->ic == 3 && i < d->src.n; i += 4) {
        d->src.data[i] = 0.0F;
    }
    d->forward = pack(d, false, 1);
    d->backward = pack(d, s->ic != 3, 3);
    d->scratch = buffer_make(d->plan.scratch_floats, false);
    d->accumulator = buffer_make(d->plan.accumulator_floats, false);
    d->ref_accumulator = buffer_make(d->ref.accumulator_floats, false);
}

/* Direct: the result may differ in the rounding of each of up to 1024 * 9 additions. Winograd: its
 * transforms multiply rounding errors by up to a hundred. */
static void check(const struct conv_case *c, const char *what, const struct buffer *got,
                  const struct buffer *expected) {
    double limit = c->winograd ? 3e-4 : c->exact ? 0.0 : 3e-5;
    double worst = difference(got->data, expected->data, got->n);
    buffer_check_borders(got);
    if (!(worst <= limit)) {
        fail_msg("%s %s%s, %s, %d images, %s%s: off by %.3g of the RMS", c->kernels->name, c->name,
                 c->winograd ? " winograd" : "", what, c->n_images, c->exact ? "exact" : "real",
                 c->misaligned ? ", misaligned" : "", worst);
    }
}

static void check_forward(const struct conv_case *c, struct conv_data *d, bool with_bias) {
    const float *bias = with_bias ? d->bias.data : NULL;
    CLEANUP(buffer_free) struct buffer got = buffer_make(d->diff_dst.n, c->misaligned);
    CLEANUP(buffer_free) struct buffer expected = buffer_make(d->diff_dst.n, false);
    d->plan.forward(&d->plan, c->n_images, d->src.data, d->forward.data, bias, got.data,
                    d->scratch.data, NULL);
    d->ref.forward(&d->ref, c->n_images, d->src.data, d->weights.data, bias, expected.data, NULL,
                   NULL);
    check(c, with_bias ? "forward with bias" : "forward", &got, &expected);
}

static void check_backward(const struct conv_case *c, struct conv_data *d, bool accumulate) {
    CLEANUP(buffer_free) struct buffer got = buffer_make(d->src.n, c->misaligned);
    CLEANUP(buffer_free) struct buffer expected = buffer_make(d->src.n, false);
    if (accumulate) {
        buffer_fill(&got, c->exact, 5);
        buffer_copy(&expected, &got);
    }
    d->plan.backward_data(&d->plan, c->n_images, d->diff_dst.data, d->backward.data, got.data,
                          accumulate, d->scratch.data, NULL);
    d->ref.backward_data(&d->ref, c->n_images, d->diff_dst.data, d->weights.data, expected.data,
                         accumulate, NULL, NULL);
    check(c, accumulate ? "backward_data, accumulate" : "backward_data", &got, &expected);
}

/* One call, then a second one on top. */
static void check_weights(const struct conv_case *c, struct conv_data *d) {
    CLEANUP(buffer_free) struct buffer got = buffer_make(d->weights.n, c->misaligned);
    CLEANUP(buffer_free) struct buffer expected = buffer_make(d->weights.n, false);
    for (int call = 0; call < 2; call++) {
        d->plan.weights_add(&d->plan, c->n_images, d->src.data, d->diff_dst.data,
                            d->accumulator.data, call == 0, d->scratch.data, NULL);
        d->ref.weights_add(&d->ref, c->n_images, d->src.data, d->diff_dst.data,
                           d->ref_accumulator.data, call == 0, NULL, NULL);
        d->plan.weights_finish(&d->plan, d->accumulator.data, got.data);
        d->ref.weights_finish(&d->ref, d->ref_accumulator.data, expected.data);
        check(c, call ? "weights, second call" : "weights, first call", &got, &expected);
    }
}

static void check_conv(const struct conv_case *c) {
    CLEANUP(conv_data_free) struct conv_data d;
    conv_data_make(c, &d);
    check_forward(c, &d, false);
    check_forward(c, &d, true);
    if (c->shape.ic != 3) {
        check_backward(c, &d, false);
        check_backward(c, &d, true);
    }
    check_weights(c, &d);
    buffer_check_borders(&d.scratch);
    buffer_check_borders(&d.accumulator);
}

/* ---- what goes through the table ---- */

typedef void conv_check(const struct conv_case *c);

static bool is_x86(const struct kernels *kernels) {
    return !strncmp(kernels->name, "avx", 3);
}

static bool has_winograd(const struct kernels *kernels, const struct conv_shape *s) {
    return kernels->has_winograd && s->k == 3 && s->stride == 1 && s->ic != 3;
}

/* Every variant but the reference, every shape, direct and Winograd. */
static void for_each_conv(const struct conv_case *prototype, conv_check *run) {
    for (const struct kernels *const *k = kernels_available() + 1; *k; k++) {
        for (int i = 0; i < N_CONV_SHAPES; i++) {
            struct conv_case c = *prototype;
            c.kernels = *k;
            c.name = conv_shapes[i].name;
            c.shape = conv_shapes[i].shape;
            for (int winograd = 0; winograd <= has_winograd(*k, &c.shape); winograd++) {
                c.winograd = winograd;
                run(&c);
            }
        }
    }
}

static void integers_give_the_bits_of_the_reference(void **state) {
    (void)state;
    for (int n = 1; n <= MAX_IMAGES; n += 2) {
        for_each_conv(&(struct conv_case){.n_images = n, .exact = true}, check_conv);
    }
}

static void reals_stay_within_the_tolerance(void **state) {
    (void)state;
    for (int n = 2; n <= MAX_IMAGES; n += 2) {
        for_each_conv(&(struct conv_case){.n_images = n}, check_conv);
    }
}

static void misaligned_pointers_do_no_harm(void **state) {
    (void)state;
    for_each_conv(&(struct conv_case){.n_images = 3, .exact = true, .misaligned = true},
                  check_conv);
}

/* ---- many images at once = one after the other, bit by bit ---- */

static void assert_same_bits(const struct conv_case *c, const char *what, const struct buffer *a,
                             const struct buffer *b) {
    if (memcmp(a->data, b->data, a->n * sizeof(float)) != 0) {
        fail_msg("%s %s%s, %s: other bits", c->kernels->name, c->name,
                 c->winograd ? " winograd" : "", what);
    }
}

/* Something to fetch, of sizes that are no multiple of a line. */
static struct kernel_prefetch some_prefetch(const struct conv_data *d) {
    struct kernel_prefetch p = {.n_ranges = 3};
    p.ranges[0].start = d->src.data;
    p.ranges[0].n_bytes = d->src.n * sizeof(float);
    p.ranges[1].start = d->diff_dst.data + 1;
    p.ranges[1].n_bytes = 100;
    p.ranges[2].start = d->weights.data;
    p.ranges[2].n_bytes = 0;
    return p;
}

static void one_by_one(const struct conv_case *c, struct conv_data *d, struct buffer dst[2],
                       struct buffer diff_src[2], struct buffer weights[2]) {
    const struct conv_plan *plan = &d->plan;
    const size_t src_image = image_floats(c->shape.ic, c->shape.ih);
    const size_t dst_image = image_floats(c->shape.oc, c->shape.oh);
    const struct kernel_prefetch prefetch = some_prefetch(d);
    for (int step = 0; step < 2; step++) { /* 0: all at once, 1: one by one */
        int n = step ? 1 : c->n_images;
        for (int i = 0; i < c->n_images; i += n) {
            const float *src = d->src.data + (size_t)i * src_image;
            const float *diff_dst = d->diff_dst.data + (size_t)i * dst_image;
            const struct kernel_prefetch *hint = step ? NULL : &prefetch;
            plan->forward(plan, n, src, d->forward.data, d->bias.data,
                          dst[step].data + (size_t)i * dst_image, d->scratch.data, hint);
            if (c->shape.ic != 3) {
                plan->backward_data(plan, n, diff_dst, d->backward.data,
                                    diff_src[step].data + (size_t)i * src_image, false,
                                    d->scratch.data, hint);
            }
            plan->weights_add(plan, n, src, diff_dst, d->accumulator.data, i == 0, d->scratch.data,
                              hint);
        }
        plan->weights_finish(plan, d->accumulator.data, weights[step].data);
    }
}

static void check_one_by_one(const struct conv_case *c) {
    CLEANUP(conv_data_free) struct conv_data d;
    conv_data_make(c, &d);
    struct buffer dst[2];
    struct buffer diff_src[2];
    struct buffer weights[2];
    for (int i = 0; i < 2; i++) {
        dst[i] = buffer_make(d.diff_dst.n, false);
        diff_src[i] = buffer_make(d.src.n, false);
        weights[i] = buffer_make(d.weights.n, false);
    }
    one_by_one(c, &d, dst, diff_src, weights);
    assert_same_bits(c, "forward", &dst[0], &dst[1]);
    assert_same_bits(c, "backward_data", &diff_src[0], &diff_src[1]);
    assert_same_bits(c, "weights", &weights[0], &weights[1]);
    for (int i = 0; i < 2; i++) {
        buffer_free(&dst[i]);
        buffer_free(&diff_src[i]);
        buffer_free(&weights[i]);
    }
}

static void images_in_one_call_give_the_bits_of_single_calls(void **state) {
    (void)state;
    for_each_conv(&(struct conv_case){.n_images = 7}, check_one_by_one);
}

static void check_parts(const struct conv_case *c) {
    CLEANUP(conv_data_free) struct conv_data d;
    conv_data_make(c, &d);
    for (int backward = 0; backward <= (c->shape.ic != 3); backward++) {
        CLEANUP(buffer_free) struct buffer whole = pack(&d, backward, 1);
        CLEANUP(buffer_free) struct buffer parts = pack(&d, backward, 7);
        assert_same_bits(c, "pack", &whole, &parts);
    }
}

static void packing_in_parts_gives_the_same_bits(void **state) {
    (void)state;
    for_each_conv(&(struct conv_case){.n_images = 1}, check_parts);
}

static void check_unsupported(const struct conv_case *c) {
    struct conv_plan plan;
    struct conv_shape shape = c->shape;
    shape.oc = 48;
    assert_int_equal(c->kernels->conv_plan(&shape, c->winograd, &plan), STATUS_UNSUPPORTED);
    shape = c->shape;
    shape.stride = 3;
    assert_int_equal(c->kernels->conv_plan(&shape, c->winograd, &plan), STATUS_UNSUPPORTED);
}

static void other_shapes_are_refused(void **state) {
    (void)state;
    for_each_conv(&(struct conv_case){.n_images = 1}, check_unsupported);
}

/* ---- element-wise ---- */

enum elementwise_place { PLACE_OUT, PLACE_FIRST, PLACE_ADD, N_PLACES };

struct elementwise {
    const struct kernels *kernels;
    int c;
    int n_pixels;
    bool exact;
    bool misaligned;
    enum elementwise_place place; /* where dst lies */
};

/* [0]: the variant's, [1]: the reference's. */
struct elementwise_data {
    struct buffer in[4][2];
    struct buffer out[2];
    struct buffer coefficients[3];
    double sums[2][2][64];
};

static void elementwise_make(const struct elementwise *e, struct elementwise_data *d) {
    size_t n = (size_t)(e->c * e->n_pixels);
    *d = (struct elementwise_data){0};
    for (int side = 0; side < 2; side++) {
        for (uint32_t i = 0; i < 4; i++) {
            d->in[i][side] = buffer_make(n, e->misaligned);
            buffer_fill(&d->in[i][side], e->exact, 10 + i);
        }
        d->out[side] = buffer_make(n, e->misaligned);
        for (int i = 0; i < e->c; i++) {
            d->sums[side][0][i] = 3.0 * i;
            d->sums[side][1][i] = -5.0 * i;
        }
    }
    for (uint32_t i = 0; i < 3; i++) {
        d->coefficients[i] = buffer_make((size_t)e->c, e->misaligned);
        buffer_fill(&d->coefficients[i], e->exact, 20 + i);
    }
}

static void elementwise_free(struct elementwise_data *d) {
    for (int side = 0; side < 2; side++) {
        for (int i = 0; i < 4; i++) {
            buffer_free(&d->in[i][side]);
        }
        buffer_free(&d->out[side]);
    }
    for (int i = 0; i < 3; i++) {
        buffer_free(&d->coefficients[i]);
    }
}

static struct buffer *target(const struct elementwise *e, struct elementwise_data *d, int side) {
    switch (e->place) {
    case PLACE_FIRST:
        return &d->in[0][side];
    case PLACE_ADD:
        return &d->in[1][side];
    case PLACE_OUT:
    case N_PLACES:
        break;
    }
    return &d->out[side];
}

static void elementwise_check(const struct elementwise *e, struct elementwise_data *d,
                              const char *what) {
    const struct buffer *got = target(e, d, 0);
    const struct buffer *expected = target(e, d, 1);
    buffer_check_borders(got);
    double worst = difference(got->data, expected->data, got->n);
    if (!(worst <= (e->exact ? 0.0 : 1e-6))) {
        fail_msg("%s %s, %d channels, %d pixels, dst %d: off by %.3g", e->kernels->name, what, e->c,
                 e->n_pixels, (int)e->place, worst);
    }
    for (int i = 0; i < e->c; i++) {
        for (int which = 0; which < 2; which++) {
            double distance = fabs(d->sums[0][which][i] - d->sums[1][which][i]);
            assert_true(distance <= (e->exact ? 0.0 : 1e-7 * (e->n_pixels + 5.0 * i)));
        }
    }
}

static void run_sums(const struct elementwise *e) {
    CLEANUP(elementwise_free) struct elementwise_data d;
    elementwise_make(e, &d);
    for (int side = 0; side < 2; side++) {
        const struct kernels *k = side ? &kernels_ref : e->kernels;
        k->bn_sums(e->c, e->n_pixels, d.in[0][side].data, d.sums[side][0], d.sums[side][1]);
        memset(d.out[side].data, 0, d.out[side].n * sizeof(float));
    }
    elementwise_check(e, &d, "bn_sums");
}

static void run_bn_relu(const struct elementwise *e) {
    CLEANUP(elementwise_free) struct elementwise_data d;
    elementwise_make(e, &d);
    for (int side = 0; side < 2; side++) {
        const struct kernels *k = side ? &kernels_ref : e->kernels;
        k->bn_relu(e->c, e->n_pixels, d.in[0][side].data, d.coefficients[0].data,
                   d.coefficients[1].data, target(e, &d, side)->data);
    }
    elementwise_check(e, &d, "bn_relu");
}

static void run_bn_add_relu(const struct elementwise *e) {
    CLEANUP(elementwise_free) struct elementwise_data d;
    elementwise_make(e, &d);
    for (int side = 0; side < 2; side++) {
        const struct kernels *k = side ? &kernels_ref : e->kernels;
        k->bn_add_relu(e->c, e->n_pixels, d.in[0][side].data, d.coefficients[0].data,
                       d.coefficients[1].data, d.in[1][side].data, target(e, &d, side)->data);
    }
    elementwise_check(e, &d, "bn_add_relu");
}

static void run_bn_backward(const struct elementwise *e) {
    CLEANUP(elementwise_free) struct elementwise_data d;
    elementwise_make(e, &d);
    for (int side = 0; side < 2; side++) {
        const struct kernels *k = side ? &kernels_ref : e->kernels;
        k->bn_backward(e->c, e->n_pixels, d.in[0][side].data, d.in[2][side].data,
                       d.coefficients[0].data, d.coefficients[1].data, d.coefficients[2].data,
                       target(e, &d, side)->data);
    }
    elementwise_check(e, &d, "bn_backward");
}

static void run_relu_backward(const struct elementwise *e, bool with_add) {
    CLEANUP(elementwise_free) struct elementwise_data d;
    elementwise_make(e, &d);
    for (int side = 0; side < 2; side++) {
        const struct kernels *k = side ? &kernels_ref : e->kernels;
        k->relu_backward(e->c, e->n_pixels, d.in[0][side].data,
                         with_add ? d.in[1][side].data : NULL, d.in[2][side].data,
                         d.in[3][side].data, target(e, &d, side)->data, d.sums[side][0],
                         d.sums[side][1]);
    }
    elementwise_check(e, &d, with_add ? "relu_backward with add" : "relu_backward");
}

static void run_elementwise(struct elementwise e) {
    run_sums(&e);
    for (int place = 0; place < N_PLACES; place++) {
        e.place = (enum elementwise_place)place;
        run_bn_add_relu(&e);
        run_relu_backward(&e, true);
        if (e.place != PLACE_ADD) {
            run_bn_relu(&e);
            run_bn_backward(&e);
            run_relu_backward(&e, false);
        }
    }
}

static void elementwise_functions_match_the_reference(void **state) {
    (void)state;
    static const int pixels[] = {4, 64, 100, 256, 1024};
    for (const struct kernels *const *k = kernels_available() + 1; *k; k++) {
        for (int c = 16; c <= 64; c += 16) {
            for (size_t i = 0; i < sizeof(pixels) / sizeof(pixels[0]); i++) {
                for (int mode = 0; mode < 4; mode++) {
                    run_elementwise((struct elementwise){.kernels = *k,
                                                         .c = c,
                                                         .n_pixels = pixels[i],
                                                         .exact = mode & 1,
                                                         .misaligned = mode & 2});
                }
            }
        }
    }
}

/* ---- which variants ran ---- */

/* Says which of the fast variants this processor could not show. */
static void fast_variants_are_available(void **state) {
    (void)state;
    int n = 0;
    for (const struct kernels *const *k = kernels_available(); *k; k++) {
        n += is_x86(*k);
    }
    if (!kernels_find("avx512")) {
        print_message("SKIPPED: this processor has no AVX-512, kernels_avx512 was not tested\n");
    }
    if (!kernels_find("avx2")) {
        print_message("SKIPPED: this processor has no AVX2, kernels_avx2 was not tested\n");
    }
    if (!n) {
        skip();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fast_variants_are_available),
        cmocka_unit_test(integers_give_the_bits_of_the_reference),
        cmocka_unit_test(reals_stay_within_the_tolerance),
        cmocka_unit_test(misaligned_pointers_do_no_harm),
        cmocka_unit_test(images_in_one_call_give_the_bits_of_single_calls),
        cmocka_unit_test(packing_in_parts_gives_the_same_bits),
        cmocka_unit_test(other_shapes_are_refused),
        cmocka_unit_test(elementwise_functions_match_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
