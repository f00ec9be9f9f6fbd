/* Tensors that are kept for the whole batch, as floats, as bfloat16s, or written past the caches.
 * Layer: core/nn.
 *
 * Floats are worked on where they are kept. Everything else is made in scratch and kept from there
 * by the function that goes through it anyway: the sums, the normalisation, the ReLU's gradient.
 */
#include "core/nn/engine_internal.h"

static const struct kept_functions *functions(const struct engine *e) {
    return e->kernels->kept[e->kept];
}

/* One image in front of and behind a BN. */
struct image {
    int c;
    int n_pixels;
    size_t floats;
    size_t bytes; /* of a kept one */
};

static struct image image_of(const struct engine *e, int bn) {
    const struct resnet_bn *n = &e->net->bns[bn];
    const int n_pixels = n->side * n->side;
    const size_t floats = (size_t)n->c * (size_t)n_pixels;
    return (struct image){n->c, n_pixels, floats, kept_bytes(e, floats)};
}

/* Image j; NULL stays NULL. */
static const void *nth(const void *kept, size_t bytes, int j) {
    return kept ? (const char *)kept + (size_t)j * bytes : NULL;
}

static void *nth_target(void *kept, size_t bytes, int j) {
    return kept ? (char *)kept + (size_t)j * bytes : NULL;
}

const float *kept_read(const struct engine *engine, size_t n_floats, const void *kept,
                       float *space) {
    if (kept_bytes(engine, 1) == sizeof(float)) {
        return kept;
    }
    functions(engine)->widen(n_floats, kept, space);
    return space;
}

float *kept_place(const struct engine *engine, void *kept, float *space) {
    return kept_in_place(engine) ? kept : space;
}

void kept_write(const struct engine *engine, size_t n_floats, const float *src, void *kept) {
    if (!kept_in_place(engine)) {
        functions(engine)->narrow(n_floats, src, kept);
    }
}

void kept_sum(const struct engine *engine, int bn, int n_images, const float *src, void *kept,
              double sums[2][MAX_CHANNELS]) {
    const struct image i = image_of(engine, bn);
    for (int j = 0; j < n_images; j++, src += i.floats) {
        if (kept_in_place(engine)) {
            engine->kernels->bn_sums(i.c, i.n_pixels, src, sums[0], sums[1]);
        } else {
            functions(engine)->bn_sums(i.c, i.n_pixels, src, nth_target(kept, i.bytes, j), sums[0],
                                       sums[1]);
        }
    }
}

const float *kept_normalise(const struct engine *engine, int bn, int n_images, const void *y,
                            const void *add, void *act, float *space) {
    const struct image i = image_of(engine, bn);
    const struct bn_state *s = &engine->bns[bn];
    if (kept_in_place(engine)) {
        float *dst = act ? act : space;
        engine_normalise(engine, bn, n_images, y, add, dst);
        return dst;
    }
    for (int j = 0; j < n_images; j++) {
        functions(engine)->bn_relu(i.c, i.n_pixels, nth(y, i.bytes, j), s->scale, s->shift,
                                   nth(add, i.bytes, j), space + (size_t)j * i.floats,
                                   nth_target(act, i.bytes, j));
    }
    return space;
}

const float *kept_normalise_two(const struct engine *engine, int bn, int add_bn, int n_images,
                                const void *y, const void *add, void *act, float *space) {
    const struct image i = image_of(engine, bn);
    struct two_bns two;
    if (kept_in_place(engine)) {
        float *dst = act ? act : space;
        engine_normalise_two(engine, bn, add_bn, n_images, y, add, dst);
        return dst;
    }
    engine_two_bns(engine, bn, add_bn, &two);
    for (int j = 0; j < n_images; j++) {
        float *dst = space + (size_t)j * i.floats;
        functions(engine)->bn_backward(i.c, i.n_pixels, nth(y, i.bytes, j), nth(add, i.bytes, j),
                                       two.a, two.b, two.k, dst);
        engine->kernels->bn_relu(i.c, i.n_pixels, dst, two.one, two.zero, dst);
        if (act) { /* what follows works with the rounded value */
            functions(engine)->narrow(i.floats, dst, nth_target(act, i.bytes, j));
            functions(engine)->widen(i.floats, nth(act, i.bytes, j), dst);
        }
    }
    return space;
}

void kept_sum_gradient(const struct engine *engine, int bn, int n_images, void *grad,
                       const float *act, const void *y, float *space,
                       double sums[2][MAX_CHANNELS]) {
    const struct image i = image_of(engine, bn);
    for (int j = 0; j < n_images; j++, act += i.floats) {
        void *g = nth_target(grad, i.bytes, j);
        const void *y_j = nth(y, i.bytes, j);
        /* Masked a second time it stays what it is. */
        if (kept_in_place(engine)) {
            engine->kernels->relu_backward(i.c, i.n_pixels, g, NULL, act, y_j, g, sums[0], sums[1]);
        } else {
            functions(engine)->widen(i.floats, g, space);
            functions(engine)->relu_backward(i.c, i.n_pixels, space, NULL, act, y_j, g, sums[0],
                                             sums[1]);
        }
    }
}

void kept_bn_backward(const struct engine *engine, int bn, int n_images, const void *grad,
                      const void *y, float *diff) {
    const struct image i = image_of(engine, bn);
    const struct bn_state *s = &engine->bns[bn];
    for (int j = 0; j < n_images; j++, diff += i.floats) {
        if (kept_in_place(engine)) {
            engine->kernels->bn_backward(i.c, i.n_pixels, nth(grad, i.bytes, j), nth(y, i.bytes, j),
                                         s->a, s->b, s->k, diff);
        } else {
            functions(engine)->bn_backward(i.c, i.n_pixels, nth(grad, i.bytes, j),
                                           nth(y, i.bytes, j), s->a, s->b, s->k, diff);
        }
    }
}

void kept_relu_backward(const struct engine *engine, int bn, int n_images, const float *diff,
                        const void *add, const float *act, const void *y, void *grad_in,
                        double sums[2][MAX_CHANNELS]) {
    const struct image i = image_of(engine, bn);
    for (int j = 0; j < n_images; j++, diff += i.floats, act += i.floats) {
        const void *add_j = nth(add, i.bytes, j);
        const void *y_j = nth(y, i.bytes, j);
        void *grad_j = nth_target(grad_in, i.bytes, j);
        if (kept_in_place(engine)) {
            engine->kernels->relu_backward(i.c, i.n_pixels, diff, add_j, act, y_j, grad_j, sums[0],
                                           sums[1]);
        } else {
            functions(engine)->relu_backward(i.c, i.n_pixels, diff, add_j, act, y_j, grad_j,
                                             sums[0], sums[1]);
        }
    }
}
