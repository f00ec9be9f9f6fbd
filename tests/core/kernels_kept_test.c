/* Tensors that are kept as bfloat16, or written past the caches: every variant against the plain
 * reference, and against its own functions on floats. */
#include "tests/core/kernel_buffers.h"

#include "core/base/cleanup.h"
#include "core/kernels/kernels.h"

enum { C = 32, PIXELS = 100, N = C * PIXELS, N_IN = 4, N_SPECIAL = 64 };

/* One call's memory. Kept tensors lie in buffers that are large enough for floats. */
struct data {
    struct buffer in[N_IN];   /* floats */
    struct buffer kept[N_IN]; /* the same, kept */
    struct buffer coefficients;
    struct buffer dst;      /* floats */
    struct buffer kept_dst; /* kept */
    double sums[2][C];
};

static struct buffer zero_buffer(size_t n) {
    struct buffer b = buffer_make(n);
    memset(b.data, 0, n * sizeof(float));
    return b;
}

static void data_make(struct data *d, const struct kept_functions *f, bool exact) {
    *d = (struct data){0};
    for (uint32_t i = 0; i < N_IN; i++) {
        d->in[i] = buffer_make(N);
        buffer_fill(&d->in[i], exact, 30 + i);
        d->kept[i] = zero_buffer(N);
        f->narrow(N, d->in[i].data, d->kept[i].data);
    }
    d->coefficients = buffer_make((size_t)3 * 64);
    buffer_fill(&d->coefficients, exact, 40);
    d->dst = zero_buffer(N);
    d->kept_dst = zero_buffer(N);
}

static void data_free(struct data *d) {
    for (int i = 0; i < N_IN; i++) {
        buffer_free(&d->in[i]);
        buffer_free(&d->kept[i]);
    }
    buffer_free(&d->coefficients);
    buffer_free(&d->dst);
    buffer_free(&d->kept_dst);
}

static void call_sums(const struct kept_functions *f, struct data *d) {
    f->bn_sums(C, PIXELS, d->in[0].data, d->kept_dst.data, d->sums[0], d->sums[1]);
}

static void call_relu(const struct kept_functions *f, struct data *d) {
    const float *a = d->coefficients.data;
    f->bn_relu(C, PIXELS, d->kept[0].data, a, a + 64, NULL, d->dst.data, NULL);
}

static void call_relu_kept(const struct kept_functions *f, struct data *d) {
    const float *a = d->coefficients.data;
    f->bn_relu(C, PIXELS, d->kept[0].data, a, a + 64, NULL, d->dst.data, d->kept_dst.data);
}

static void call_add_relu(const struct kept_functions *f, struct data *d) {
    const float *a = d->coefficients.data;
    f->bn_relu(C, PIXELS, d->kept[0].data, a, a + 64, d->kept[1].data, d->dst.data,
               d->kept_dst.data);
}

static void call_backward(const struct kept_functions *f, struct data *d) {
    const float *a = d->coefficients.data;
    f->bn_backward(C, PIXELS, d->kept[0].data, d->kept[1].data, a, a + 64, a + 128, d->dst.data);
}

static void call_relu_backward(const struct kept_functions *f, struct data *d) {
    f->relu_backward(C, PIXELS, d->in[0].data, NULL, d->in[2].data, d->kept[3].data,
                     d->kept_dst.data, d->sums[0], d->sums[1]);
}

static void call_relu_backward_add(const struct kept_functions *f, struct data *d) {
    f->relu_backward(C, PIXELS, d->in[0].data, d->kept[1].data, d->in[2].data, d->kept[3].data,
                     d->kept_dst.data, d->sums[0], d->sums[1]);
}

/* The gradient goes to where the other one, which is added, was. */
static void call_relu_backward_into_add(const struct kept_functions *f, struct data *d) {
    f->relu_backward(C, PIXELS, d->in[0].data, d->kept[1].data, d->in[2].data, d->kept[3].data,
                     d->kept[1].data, d->sums[0], d->sums[1]);
    memcpy(d->kept_dst.data, d->kept[1].data, N * sizeof(float));
}

static void call_narrow(const struct kept_functions *f, struct data *d) {
    f->narrow(N, d->in[0].data, d->kept_dst.data);
}

static void call_widen(const struct kept_functions *f, struct data *d) {
    f->widen(N, d->kept[0].data, d->dst.data);
}

static const struct {
    const char *name;
    void (*call)(const struct kept_functions *f, struct data *d);
} calls[] = {
    {"bn_sums", call_sums},
    {"bn_relu", call_relu},
    {"bn_relu, kept", call_relu_kept},
    {"bn_relu with add", call_add_relu},
    {"bn_backward", call_backward},
    {"relu_backward", call_relu_backward},
    {"relu_backward with add", call_relu_backward_add},
    {"relu_backward into add", call_relu_backward_into_add},
    {"narrow", call_narrow},
    {"widen", call_widen},
};

enum { N_CALLS = sizeof(calls) / sizeof(calls[0]) };

static bool is_bf16(int type) {
    return type == KEPT_BF16 || type == KEPT_BF16_STREAMED;
}

/* As floats, by the reference. */
static void widen_kept(int type, const struct buffer *kept, struct buffer *ret) {
    kernels_ref.kept[type]->widen(N, kept->data, ret->data);
}

static void check_close(const char *what, const char *name, int type, const struct buffer *got,
                        const struct buffer *expected, double tolerance) {
    buffer_check_borders(got);
    double worst = buffer_difference(got->data, expected->data, N, 1.0);
    if (!(worst <= tolerance)) {
        fail_msg("%s %s, type %d: off by %.3g", name, what, type, worst);
    }
}

/* Sums of integers this small have the same bits in every order. With real numbers a variant that
 * uses fused multiply-adds may round to the neighbour: a part in 256. */
static void compare(const struct kernels *k, int type, int i, bool exact) {
    CLEANUP(data_free) struct data d;
    CLEANUP(data_free) struct data expected;
    CLEANUP(buffer_free) struct buffer a = zero_buffer(N);
    CLEANUP(buffer_free) struct buffer b = zero_buffer(N);
    data_make(&d, k->kept[type], exact);
    data_make(&expected, kernels_ref.kept[type], exact);
    calls[i].call(k->kept[type], &d);
    calls[i].call(kernels_ref.kept[type], &expected);
    double tolerance = exact ? 0.0 : is_bf16(type) ? 0.02 : 1e-6;
    check_close(calls[i].name, k->name, type, &d.dst, &expected.dst, tolerance);
    widen_kept(type, &d.kept_dst, &a);
    widen_kept(type, &expected.kept_dst, &b);
    check_close(calls[i].name, k->name, type, &a, &b, tolerance);
    for (int c = 0; c < C; c++) {
        for (int which = 0; which < 2; which++) {
            double distance = fabs(d.sums[which][c] - expected.sums[which][c]);
            assert_true(distance <= (exact ? 0.0 : is_bf16(type) ? 0.1 : 1e-5));
        }
    }
}

static void every_variant_agrees_with_the_reference(void **state) {
    (void)state;
    for (const struct kernels *const *k = kernels_available(); *k; k++) {
        for (int type = KEPT_F32_STREAMED; type < N_KEPT_TYPES; type++) {
            for (int i = 0; i < N_CALLS; i++) {
                compare(*k, type, i, true);
                compare(*k, type, i, false);
            }
        }
    }
}

/* Whether what is written past the caches, and the sums on the way, have the same bits. */
static void streaming_changes_no_bit(void **state) {
    (void)state;
    for (const struct kernels *const *k = kernels_available(); *k; k++) {
        for (int i = 0; i < N_CALLS; i++) {
            CLEANUP(data_free) struct data a;
            CLEANUP(data_free) struct data b;
            data_make(&a, (*k)->kept[KEPT_BF16], false);
            data_make(&b, (*k)->kept[KEPT_BF16_STREAMED], false);
            calls[i].call((*k)->kept[KEPT_BF16], &a);
            calls[i].call((*k)->kept[KEPT_BF16_STREAMED], &b);
            assert_memory_equal(a.dst.data, b.dst.data, N * sizeof(float));
            assert_memory_equal(a.kept_dst.data, b.kept_dst.data, N * sizeof(float));
            assert_memory_equal(a.sums, b.sums, sizeof(a.sums));
        }
    }
}

/* Streamed floats are floats: the functions of struct kernels give the same bits. */
static void streamed_floats_have_the_bits_of_floats(void **state) {
    (void)state;
    for (const struct kernels *const *kernels = kernels_available(); *kernels; kernels++) {
        const struct kernels *k = *kernels;
        const struct kept_functions *f = k->kept[KEPT_F32_STREAMED];
        CLEANUP(data_free) struct data d;
        CLEANUP(buffer_free) struct buffer out = zero_buffer(N);
        double sums[2][C] = {{0}};
        data_make(&d, f, false);
        const float *a = d.coefficients.data;
        call_add_relu(f, &d);
        k->bn_add_relu(C, PIXELS, d.in[0].data, a, a + 64, d.in[1].data, out.data);
        assert_memory_equal(d.dst.data, out.data, N * sizeof(float));
        assert_memory_equal(d.kept_dst.data, out.data, N * sizeof(float));
        call_relu(f, &d);
        k->bn_relu(C, PIXELS, d.in[0].data, a, a + 64, out.data);
        assert_memory_equal(d.dst.data, out.data, N * sizeof(float));
        call_backward(f, &d);
        k->bn_backward(C, PIXELS, d.in[0].data, d.in[1].data, a, a + 64, a + 128, out.data);
        assert_memory_equal(d.dst.data, out.data, N * sizeof(float));
        call_relu_backward_add(f, &d);
        k->relu_backward(C, PIXELS, d.in[0].data, d.in[1].data, d.in[2].data, d.in[3].data,
                         out.data, sums[0], sums[1]);
        assert_memory_equal(d.kept_dst.data, out.data, N * sizeof(float));
        call_sums(f, &d);
        k->bn_sums(C, PIXELS, d.in[0].data, sums[0], sums[1]);
        assert_memory_equal(d.sums, sums, sizeof(sums));
    }
}

/* ---- rounding ---- */

static float from_bits(uint32_t bits) {
    float value = 0.0F;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static void bf16_is_the_nearest_and_ties_go_to_even(void **state) {
    (void)state;
    static const struct {
        uint32_t bits;
        uint16_t rounded;
    } cases[] = {
        {0x00000000, 0x0000}, {0x80000000, 0x8000}, {0x3f800000, 0x3f80},
        {0x3f807fff, 0x3f80},                       /* just below the middle */
        {0x3f808000, 0x3f80},                       /* the middle: down to even */
        {0x3f808001, 0x3f81}, {0x3f818000, 0x3f82}, /* up to even */
        {0xbf818000, 0xbf82}, {0x3fffffff, 0x4000}, /* into the exponent */
        {0x7f7fffff, 0x7f80},                       /* beyond the largest: infinity */
        {0x7f800000, 0x7f80}, {0xff800000, 0xff80}, {0x00000001, 0x0000},
        {0x00018000, 0x0002}, {0x80808001, 0x8081},
    };
    enum { N_CASES = sizeof(cases) / sizeof(cases[0]) };
    CLEANUP(buffer_free) struct buffer in = zero_buffer(N_SPECIAL);
    CLEANUP(buffer_free) struct buffer out = zero_buffer(N_SPECIAL);
    CLEANUP(buffer_free) struct buffer back = zero_buffer(N_SPECIAL);
    for (size_t i = 0; i < N_CASES; i++) {
        in.data[i] = from_bits(cases[i].bits);
    }
    for (const struct kernels *const *k = kernels_available(); *k; k++) {
        for (int type = KEPT_BF16; type <= KEPT_BF16_STREAMED; type++) {
            (*k)->kept[type]->narrow(N_SPECIAL, in.data, out.data);
            (*k)->kept[type]->widen(N_SPECIAL, out.data, back.data);
            for (size_t i = 0; i < N_CASES; i++) {
                uint16_t got = 0;
                uint32_t wide = (uint32_t)cases[i].rounded << 16;
                memcpy(&got, (char *)out.data + 2 * i, sizeof(got));
                if (got != cases[i].rounded) {
                    fail_msg("%s: %08x becomes %04x", (*k)->name, cases[i].bits, got);
                }
                assert_memory_equal(&back.data[i], &wide, sizeof(wide));
            }
        }
    }
}

/* Every NaN, also one whose bits are all in the lower half, which rounding would cut off. */
static void no_nan_is_lost(void **state) {
    (void)state;
    static const uint32_t nans[] = {0x7fc00000, 0xffc00000, 0x7f800001,
                                    0xff80ffff, 0x7fffffff, 0xffffffff};
    for (const struct kernels *const *k = kernels_available(); *k; k++) {
        for (int type = KEPT_F32_STREAMED; type < N_KEPT_TYPES; type++) {
            for (size_t nan = 0; nan < sizeof(nans) / sizeof(nans[0]); nan++) {
                const struct kept_functions *f = (*k)->kept[type];
                const size_t at = 16 * 5 + 3; /* channel 3 */
                CLEANUP(data_free) struct data d;
                CLEANUP(buffer_free) struct buffer wide = zero_buffer(N);
                data_make(&d, f, false);
                d.in[0].data[at] = from_bits(nans[nan]);
                f->narrow(N, d.in[0].data, d.kept[0].data);
                call_sums(f, &d);
                widen_kept(type, &d.kept_dst, &wide);
                assert_true(isnan(wide.data[at]) && isnan(d.sums[0][3]) && !isnan(d.sums[0][2]));
                call_add_relu(f, &d);
                widen_kept(type, &d.kept_dst, &wide);
                assert_true(isnan(wide.data[at]) && isnan(d.dst.data[at]));
                assert_true(!isnan(wide.data[at + 1]));
                call_backward(f, &d);
                assert_true(isnan(d.dst.data[at]));
                call_relu_backward_add(f, &d);
                widen_kept(type, &d.kept_dst, &wide);
                assert_true(isnan(wide.data[at]));
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_variant_agrees_with_the_reference),
        cmocka_unit_test(streaming_changes_no_bit),
        cmocka_unit_test(streamed_floats_have_the_bits_of_floats),
        cmocka_unit_test(bf16_is_the_nearest_and_ties_go_to_even),
        cmocka_unit_test(no_nan_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
