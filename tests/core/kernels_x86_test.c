/* The convolutions of every variant of the kernels against the plain reference, over every shape of
 * ResNet: small integers, where the direct kernels must give the same bits, and real numbers with a
 * tolerance. Around every output lies a border that must stay untouched. */
#include "tests/core/kernel_buffers.h"

#include "core/base/cleanup.h"
#include "core/kernels/ref/ref.h"
#include "core/kernels/x86/x86.h"
#include "tests/core/conv_shapes.h"

enum { MAX_IMAGES = 9 };

/* ---- what the reference says about one shape, once for all variants ---- */

struct reference {
    struct conv_shape shape;
    struct buffer src, diff_dst, weights, bias; /* MAX_IMAGES images */
    struct buffer start;                        /* diff_src before a call that accumulates */
    struct buffer dst[2];                       /* without and with bias */
    struct buffer diff_src[2];                  /* set and accumulated */
    struct buffer diff_weights[MAX_IMAGES];     /* of the first 1, 2, ... images */
};

static void reference_free(struct reference *r) {
    struct buffer *all[] = {&r->src,    &r->diff_dst, &r->weights,     &r->bias,       &r->start,
                            &r->dst[0], &r->dst[1],   &r->diff_src[0], &r->diff_src[1]};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        buffer_free(all[i]);
    }
    for (int i = 0; i < MAX_IMAGES; i++) {
        buffer_free(&r->diff_weights[i]);
    }
}

static void reference_make_inputs(struct reference *r, const struct conv_shape *s, bool exact) {
    *r = (struct reference){.shape = *s};
    r->src = buffer_make(MAX_IMAGES * image_floats(s->ic, s->ih));
    r->start = buffer_make(r->src.n);
    r->diff_dst = buffer_make(MAX_IMAGES * image_floats(s->oc, s->oh));
    r->weights = buffer_make((size_t)(s->k * s->k * s->ic * s->oc));
    r->bias = buffer_make((size_t)s->oc);
    buffer_fill(&r->src, exact, 1);
    buffer_fill(&r->diff_dst, exact, 2);
    buffer_fill(&r->weights, exact, 3);
    buffer_fill(&r->bias, exact, 4);
    buffer_fill(&r->start, exact, 5);
    for (size_t i = 3; s->ic == 3 && i < r->src.n; i += 4) {
        r->src.data[i] = 0.0F;
    }
}

static void reference_make_results(struct reference *r, int n_images) {
    struct conv_plan plan;
    assert_int_equal(kernels_ref.conv_plan(&r->shape, false, &plan), STATUS_OK);
    for (int i = 0; i < 2; i++) {
        r->dst[i] = buffer_make(r->diff_dst.n);
        plan.forward(&plan, n_images, r->src.data, r->weights.data, i ? r->bias.data : NULL,
                     r->dst[i].data, NULL, NULL);
        r->diff_src[i] = buffer_prefix(&r->start, r->start.n);
        if (r->shape.ic != 3) {
            plan.backward_data(&plan, n_images, r->diff_dst.data, r->weights.data,
                               r->diff_src[i].data, i, NULL, NULL);
        }
    }
    CLEANUP(buffer_free) struct buffer accumulator = buffer_make(plan.accumulator_floats);
    const size_t src_image = image_floats(r->shape.ic, r->shape.ih);
    const size_t dst_image = image_floats(r->shape.oc, r->shape.oh);
    for (int i = 0; i < n_images; i++) {
        r->diff_weights[i] = buffer_make(r->weights.n);
        plan.weights_add(&plan, 1, r->src.data + (size_t)i * src_image,
                         r->diff_dst.data + (size_t)i * dst_image, accumulator.data, i == 0, NULL,
                         NULL);
        plan.weights_finish(&plan, accumulator.data, r->diff_weights[i].data);
    }
}

/* ---- one convolution in one variant ---- */

struct conv_case {
    const struct kernels *kernels;
    const char *name;
    struct conv_shape shape;
    const struct reference *reference;
    bool winograd;
    bool exact;
    int n_images;
};

struct conv_data {
    struct conv_plan plan;
    struct buffer src, diff_dst, weights, bias;
    struct buffer forward, backward; /* packed, or the weights as they are */
    struct buffer scratch, accumulator;
};

static void conv_data_free(struct conv_data *d) {
    struct buffer *all[] = {&d->src,     &d->diff_dst, &d->weights, &d->bias,
                            &d->forward, &d->backward, &d->scratch, &d->accumulator};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        buffer_free(all[i]);
    }
}

static struct buffer pack(const struct conv_data *d, bool backward) {
    const struct conv_plan *plan = &d->plan;
    size_t n = backward ? plan->backward_floats : plan->forward_floats;
    if (!n) {
        return buffer_prefix(&d->weights, d->weights.n);
    }
    struct buffer packed = buffer_make(n);
    (backward ? plan->pack_backward : plan->pack_forward)(plan, d->weights.data, packed.data);
    buffer_check_borders(&packed);
    return packed;
}

static size_t src_floats(const struct conv_case *c) {
    return (size_t)c->n_images * image_floats(c->shape.ic, c->shape.ih);
}

static size_t dst_floats(const struct conv_case *c) {
    return (size_t)c->n_images * image_floats(c->shape.oc, c->shape.oh);
}

static void conv_data_make(const struct conv_case *c, struct conv_data *d) {
    const struct reference *r = c->reference;
    *d = (struct conv_data){0};
    assert_int_equal(c->kernels->conv_plan(&c->shape, c->winograd, &d->plan), STATUS_OK);
    assert_int_equal(d->plan.winograd, c->winograd);
    d->src = buffer_prefix(&r->src, src_floats(c));
    d->diff_dst = buffer_prefix(&r->diff_dst, dst_floats(c));
    d->weights = buffer_prefix(&r->weights, r->weights.n);
    d->bias = buffer_prefix(&r->bias, r->bias.n);
    d->forward = pack(d, false);
    d->backward = pack(d, c->shape.ic != 3);
    d->scratch = buffer_make(d->plan.scratch_floats);
    d->accumulator = buffer_make(d->plan.accumulator_floats);
}

/* A sum of `length` products in float is off by about sqrt(length) roundings of its size.
 * Winograd's transforms multiply that by up to a hundred in theory, by 8 here. */
static double tolerance(const struct conv_case *c, int length) {
    double direct = c->exact ? 0.0 : 8.0 * 0x1p-23 * sqrt(length);
    return c->winograd ? 8.0 * 8.0 * 0x1p-23 * sqrt(length) : direct;
}

/* length: of the sums in the result. factor: of what is expected to the reference. */
static void check(const struct conv_case *c, const char *what, int length, const struct buffer *got,
                  const struct buffer *expected, double factor) {
    double worst = buffer_difference(got->data, expected->data, got->n, factor);
    buffer_check_borders(got);
    if (!(worst <= tolerance(c, length))) {
        fail_msg("%s %s%s, %s, %d images, %s: off by %.3g of the RMS", c->kernels->name, c->name,
                 c->winograd ? " winograd" : "", what, c->n_images, c->exact ? "exact" : "real",
                 worst);
    }
}

static void check_forward(const struct conv_case *c, struct conv_data *d, bool with_bias) {
    CLEANUP(buffer_free) struct buffer got = buffer_make(dst_floats(c));
    d->plan.forward(&d->plan, c->n_images, d->src.data, d->forward.data,
                    with_bias ? d->bias.data : NULL, got.data, d->scratch.data, NULL);
    check(c, with_bias ? "forward with bias" : "forward", c->shape.k * c->shape.k * c->shape.ic,
          &got, &c->reference->dst[with_bias], 1.0);
}

static void check_backward(const struct conv_case *c, struct conv_data *d, bool accumulate) {
    CLEANUP(buffer_free)
    struct buffer got = buffer_prefix(&c->reference->start, src_floats(c));
    if (!accumulate) {
        memset(got.data, 0x7f, got.n * sizeof(float)); /* huge: must not matter */
    }
    d->plan.backward_data(&d->plan, c->n_images, d->diff_dst.data, d->backward.data, got.data,
                          accumulate, d->scratch.data, NULL);
    check(c, accumulate ? "backward_data, accumulate" : "backward_data",
          c->shape.k * c->shape.k * c->shape.oc, &got, &c->reference->diff_src[accumulate], 1.0);
}

/* One call, then the same again on top. */
static void check_weights(const struct conv_case *c, struct conv_data *d) {
    CLEANUP(buffer_free) struct buffer got = buffer_make(d->weights.n);
    for (int call = 0; call < 2; call++) {
        d->plan.weights_add(&d->plan, c->n_images, d->src.data, d->diff_dst.data,
                            d->accumulator.data, call == 0, d->scratch.data, NULL);
        d->plan.weights_finish(&d->plan, d->accumulator.data, got.data);
        check(c, call ? "weights, second call" : "weights, first call",
              (call + 1) * c->n_images * c->shape.oh * c->shape.oh, &got,
              &c->reference->diff_weights[c->n_images - 1], call ? 2.0 : 1.0);
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

struct conv_table {
    conv_check *run;
    int first_images, last_images;
    bool exact;
    bool inputs_only; /* `run` does not look at the results of the reference */
};

static void for_each_variant(const struct conv_table *table, struct conv_case c) {
    for (const struct kernels *const *k = kernels_available() + 1; *k; k++) {
        c.kernels = *k;
        for (int winograd = 0; winograd <= has_winograd(*k, &c.shape); winograd++) {
            c.winograd = winograd;
            for (int n = table->first_images; n <= table->last_images; n++) {
                c.n_images = n;
                table->run(&c);
            }
        }
    }
}

/* Every shape, every variant but the reference, direct and Winograd, all numbers of images. */
static void for_each_conv(const struct conv_table *table) {
    for (int i = 0; i < N_CONV_SHAPES; i++) {
        CLEANUP(reference_free) struct reference reference;
        reference_make_inputs(&reference, &conv_shapes[i].shape, table->exact);
        if (!table->inputs_only) {
            reference_make_results(&reference, table->last_images);
        }
        for_each_variant(table, (struct conv_case){.name = conv_shapes[i].name,
                                                   .shape = conv_shapes[i].shape,
                                                   .reference = &reference,
                                                   .exact = table->exact});
    }
}

static void integers_give_the_bits_of_the_reference(void **state) {
    (void)state;
    for_each_conv(&(struct conv_table){
        .run = check_conv, .first_images = 1, .last_images = MAX_IMAGES, .exact = true});
}

static void reals_stay_within_the_tolerance(void **state) {
    (void)state;
    for_each_conv(&(struct conv_table){.run = check_conv, .first_images = 1, .last_images = 5});
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
        dst[i] = buffer_make(d.diff_dst.n);
        diff_src[i] = buffer_make(d.src.n);
        weights[i] = buffer_make(d.weights.n);
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
    for_each_conv(&(struct conv_table){
        .run = check_one_by_one, .first_images = 7, .last_images = 7, .inputs_only = true});
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
    for_each_conv(&(struct conv_table){
        .run = check_unsupported, .first_images = 1, .last_images = 1, .inputs_only = true});
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
        cmocka_unit_test(images_in_one_call_give_the_bits_of_single_calls),
        cmocka_unit_test(other_shapes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
