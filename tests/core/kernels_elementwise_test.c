/* Batch normalisation and ReLU of every variant against the plain reference: small integers, where
 * the bits must agree, and real numbers; all places where the result may lie, and a border around
 * it that must stay untouched. */
#include "tests/core/kernel_buffers.h"

#include "core/base/cleanup.h"
#include "core/kernels/kernels.h"

enum elementwise_place { PLACE_OUT, PLACE_FIRST, PLACE_ADD, N_PLACES };

struct elementwise {
    const struct kernels *kernels;
    int c;
    int n_pixels;
    bool exact;
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
            d->in[i][side] = buffer_make(n);
            buffer_fill(&d->in[i][side], e->exact, 10 + i);
        }
        d->out[side] = buffer_make(n);
        for (int i = 0; i < e->c; i++) {
            d->sums[side][0][i] = 3.0 * i;
            d->sums[side][1][i] = -5.0 * i;
        }
    }
    for (uint32_t i = 0; i < 3; i++) {
        d->coefficients[i] = buffer_make((size_t)e->c);
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
    double worst = buffer_difference(got->data, expected->data, got->n, 1.0);
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
                for (int mode = 0; mode < 2; mode++) {
                    run_elementwise((struct elementwise){
                        .kernels = *k, .c = c, .n_pixels = pixels[i], .exact = mode});
                }
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elementwise_functions_match_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
