/* avx2 and avx512 promise equal bits for equal inputs: a run may go on on another machine, and a
 * result does not depend on which one had the wider registers. Needs a processor with both. */
#include "tests/core/kernel_buffers.h"

#include "core/base/cleanup.h"
#include "core/kernels/ref/ref.h"
#include "tests/core/conv_shapes.h"

enum { MAX_IMAGES = 5, C = 48, PIXELS = 100 };

/* Everything a convolution gives, from random inputs; the same for every variant. */
struct results {
    struct buffer dst[2];      /* without and with bias */
    struct buffer diff_src[2]; /* set and accumulated */
    struct buffer diff_weights;
};

static void results_free(struct results *r) {
    for (int i = 0; i < 2; i++) {
        buffer_free(&r->dst[i]);
        buffer_free(&r->diff_src[i]);
    }
    buffer_free(&r->diff_weights);
}

static struct buffer random_buffer(size_t n, uint32_t seed) {
    struct buffer b = buffer_make(n);
    buffer_fill(&b, false, seed);
    return b;
}

static void run_conv(const struct kernels *k, const struct conv_shape *s, bool winograd, int n,
                     struct results *ret) {
    struct conv_plan p;
    assert_int_equal(k->conv_plan(s, winograd, &p), STATUS_OK);
    CLEANUP(buffer_free)
    struct buffer src = random_buffer((size_t)n * image_floats(s->ic, s->ih), 1);
    CLEANUP(buffer_free)
    struct buffer diff_dst = random_buffer((size_t)n * image_floats(s->oc, s->oh), 2);
    CLEANUP(buffer_free)
    struct buffer weights = random_buffer((size_t)(s->k * s->k * s->ic * s->oc), 3);
    CLEANUP(buffer_free) struct buffer bias = random_buffer((size_t)s->oc, 4);
    CLEANUP(buffer_free) struct buffer forward = buffer_make(p.forward_floats);
    CLEANUP(buffer_free) struct buffer backward = buffer_make(p.backward_floats);
    CLEANUP(buffer_free) struct buffer scratch = buffer_make(p.scratch_floats);
    CLEANUP(buffer_free) struct buffer accumulator = buffer_make(p.accumulator_floats);
    p.pack_forward(&p, weights.data, forward.data);
    if (s->ic != 3) {
        p.pack_backward(&p, weights.data, backward.data);
    }
    for (int i = 0; i < 2; i++) {
        ret->dst[i] = buffer_make(diff_dst.n);
        p.forward(&p, n, src.data, forward.data, i ? bias.data : NULL, ret->dst[i].data,
                  scratch.data, NULL);
        ret->diff_src[i] = random_buffer(src.n, 5);
        if (s->ic != 3) {
            p.backward_data(&p, n, diff_dst.data, backward.data, ret->diff_src[i].data, i,
                            scratch.data, NULL);
        }
        p.weights_add(&p, n, src.data, diff_dst.data, accumulator.data, i == 0, scratch.data, NULL);
    }
    ret->diff_weights = buffer_make(weights.n);
    p.weights_finish(&p, accumulator.data, ret->diff_weights.data);
}

static void assert_same_bits(const char *shape, bool winograd, int n, const char *what,
                             const struct buffer *a, const struct buffer *b) {
    if (memcmp(a->data, b->data, a->n * sizeof(float)) != 0) {
        fail_msg("%s%s, %d images, %s: avx2 and avx512 differ", shape, winograd ? " winograd" : "",
                 n, what);
    }
}

static void compare_conv(const struct named_shape *named, bool winograd, int n) {
    CLEANUP(results_free) struct results a;
    CLEANUP(results_free) struct results b;
    run_conv(kernels_find("avx2"), &named->shape, winograd, n, &a);
    run_conv(kernels_find("avx512"), &named->shape, winograd, n, &b);
    for (int i = 0; i < 2; i++) {
        assert_same_bits(named->name, winograd, n, "forward", &a.dst[i], &b.dst[i]);
        assert_same_bits(named->name, winograd, n, "backward_data", &a.diff_src[i], &b.diff_src[i]);
    }
    assert_same_bits(named->name, winograd, n, "weights", &a.diff_weights, &b.diff_weights);
}

static void skip_without_both(void) {
    if (!kernels_find("avx2") || !kernels_find("avx512")) {
        print_message("SKIPPED: this processor does not have both AVX2 and AVX-512\n");
        skip();
    }
}

static void convolutions_give_the_same_bits(void **state) {
    (void)state;
    skip_without_both();
    for (int i = 0; i < N_CONV_SHAPES; i++) {
        for (int n = 1; n <= MAX_IMAGES; n++) {
            compare_conv(&conv_shapes[i], false, n);
            compare_conv(&conv_shapes[i], true, n);
        }
    }
}

/* All element-wise functions: results behind each other, then the sums. */
static struct buffer run_elementwise(const struct kernels *k, double sums[6][C]) {
    const size_t n = (size_t)C * PIXELS;
    CLEANUP(buffer_free) struct buffer in = random_buffer(4 * n, 1);
    CLEANUP(buffer_free) struct buffer coefficients = random_buffer((size_t)3 * 64, 2);
    const float *x = in.data;
    const float *a = coefficients.data;
    struct buffer out = buffer_make(5 * n);
    float *to = out.data;
    k->bn_relu(C, PIXELS, x, a, a + 64, to);
    k->bn_add_relu(C, PIXELS, x, a, a + 64, x + n, to + n);
    k->bn_backward(C, PIXELS, x, x + n, a, a + 64, a + 128, to + 2 * n);
    k->relu_backward(C, PIXELS, x, NULL, x + n, x + 2 * n, to + 3 * n, sums[0], sums[1]);
    k->relu_backward(C, PIXELS, x, x + 3 * n, x + n, x + 2 * n, to + 4 * n, sums[2], sums[3]);
    k->bn_sums(C, PIXELS, x, sums[4], sums[5]);
    return out;
}

static void elementwise_functions_give_the_same_bits(void **state) {
    (void)state;
    skip_without_both();
    double sums[2][6][C] = {0};
    CLEANUP(buffer_free) struct buffer a = run_elementwise(kernels_find("avx2"), sums[0]);
    CLEANUP(buffer_free) struct buffer b = run_elementwise(kernels_find("avx512"), sums[1]);
    assert_memory_equal(a.data, b.data, a.n * sizeof(float));
    assert_memory_equal(sums[0], sums[1], sizeof(sums[0]));
}

/* The same of kept tensors: `out` holds what is kept and what is not in turns. */
static struct buffer run_kept(const struct kernels *k, int type, double sums[6][C]) {
    const struct kept_functions *f = k->kept[type];
    const size_t room = (size_t)C * PIXELS;
    CLEANUP(buffer_free) struct buffer in = random_buffer(4 * room, 1);
    CLEANUP(buffer_free) struct buffer kept = buffer_make(4 * room);
    CLEANUP(buffer_free) struct buffer coefficients = random_buffer((size_t)3 * 64, 2);
    const float *x = in.data;
    const float *a = coefficients.data;
    struct buffer out = buffer_make(8 * room);
    float *to = out.data;
    for (size_t i = 0; i < 4; i++) {
        f->narrow(room, x + i * room, kept.data + i * room);
    }
    memset(to, 0, out.n * sizeof(float));
    f->bn_relu(C, PIXELS, kept.data, a, a + 64, NULL, to, NULL);
    f->bn_relu(C, PIXELS, kept.data, a, a + 64, kept.data + room, to + room, to + 2 * room);
    f->bn_backward(C, PIXELS, kept.data, kept.data + room, a, a + 64, a + 128, to + 3 * room);
    f->relu_backward(C, PIXELS, x, NULL, x + room, kept.data, to + 4 * room, sums[0], sums[1]);
    f->relu_backward(C, PIXELS, x, kept.data + room, x + 2 * room, kept.data, to + 5 * room,
                     sums[2], sums[3]);
    f->bn_sums(C, PIXELS, x, to + 6 * room, sums[4], sums[5]);
    f->widen(room, kept.data, to + 7 * room);
    return out;
}

static void functions_on_kept_tensors_give_the_same_bits(void **state) {
    (void)state;
    skip_without_both();
    for (int type = KEPT_F32_STREAMED; type < N_KEPT_TYPES; type++) {
        double sums[2][6][C] = {0};
        CLEANUP(buffer_free) struct buffer a = run_kept(kernels_find("avx2"), type, sums[0]);
        CLEANUP(buffer_free) struct buffer b = run_kept(kernels_find("avx512"), type, sums[1]);
        assert_memory_equal(a.data, b.data, a.n * sizeof(float));
        assert_memory_equal(sums[0], sums[1], sizeof(sums[0]));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions_give_the_same_bits),
        cmocka_unit_test(elementwise_functions_give_the_same_bits),
        cmocka_unit_test(functions_on_kept_tensors_give_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
