/* What cutout is compared with: cutmix, mixup, random erasing. Layer: core/data. */
#include <math.h>
#include <string.h>

#include "core/base/rng.h"
#include "core/data/augment.h"

enum { VALUES = 4 /* floats a pixel */, ROW_FLOATS = IMAGE_SIDE * VALUES, ERASING_TRIES = 10 };

/* The words of one copy, one after the other. */
struct stream {
    uint64_t seed;
    struct rng_counter counter;
    uint32_t words[4];
    int used;
};

static struct stream stream_begin(const struct run_config *config, int epoch, int image, int copy) {
    return (struct stream){.seed = config->seed,
                           .counter = {.purpose = RNG_MIX,
                                       .epoch = (uint32_t)epoch,
                                       .image = (uint32_t)image,
                                       .copy = (uint32_t)copy},
                           .used = 4};
}

static uint32_t next_word(struct stream *s) {
    if (s->used == 4) {
        rng_words(s->seed, s->counter, s->words);
        s->counter.draw++;
        s->used = 0;
    }
    return s->words[s->used++];
}

/* In (0, 1). */
static double next_unit(struct stream *s) {
    return ((double)next_word(s) + 0.5) * 0x1p-32;
}

static double next_between(struct stream *s, double from, double to) {
    return from + (to - from) * next_unit(s);
}

static double next_normal(struct stream *s) {
    static const double two_pi = 6.283185307179586;
    double radius = sqrt(-2.0 * log(next_unit(s)));
    return radius * cos(two_pi * next_unit(s));
}

/* Marsaglia and Tsang, 2000, for a shape of at least 1. */
static double next_gamma_above_1(struct stream *s, double shape) {
    const double d = shape - 1.0 / 3.0;
    const double c = 1.0 / sqrt(9.0 * d);
    for (;;) {
        double x = next_normal(s);
        double v = 1.0 + c * x;
        v = v * v * v;
        if (v > 0.0 && log(next_unit(s)) < 0.5 * x * x + d - d * v + d * log(v)) {
            return d * v;
        }
    }
}

static double next_gamma(struct stream *s, double shape) {
    return shape >= 1.0 ? next_gamma_above_1(s, shape)
                        : next_gamma_above_1(s, shape + 1.0) * pow(next_unit(s), 1.0 / shape);
}

/* From Beta(alpha, alpha). */
static double next_share(struct stream *s, double alpha) {
    double a = next_gamma(s, alpha);
    return a / (a + next_gamma(s, alpha));
}

static int clip_to_side(int position) {
    return position < 0 ? 0 : position > IMAGE_SIDE ? IMAGE_SIDE : position;
}

/* A rectangle of `share` of the image around a uniform centre, clipped to it. */
static struct cutout_square next_rectangle(struct stream *s, double share) {
    int side = (int)(IMAGE_SIDE * sqrt(share));
    int y = (int)rng_below(next_word(s), IMAGE_SIDE);
    int x = (int)rng_below(next_word(s), IMAGE_SIDE);
    return (struct cutout_square){.top = clip_to_side(y - side / 2),
                                  .bottom = clip_to_side(y + side / 2),
                                  .left = clip_to_side(x - side / 2),
                                  .right = clip_to_side(x + side / 2)};
}

static void erase(struct stream *s, float *pixels) {
    if (rng_below(next_word(s), 2) == 0) {
        return;
    }
    for (int i = 0; i < ERASING_TRIES; i++) {
        double area = IMAGE_PIXELS * next_between(s, 0.02, 0.33);
        double ratio = exp(next_between(s, log(0.3), log(3.3)));
        int height = (int)lround(sqrt(area * ratio));
        int width = (int)lround(sqrt(area / ratio));
        if (height < IMAGE_SIDE && width < IMAGE_SIDE) {
            int top = (int)rng_below(next_word(s), (uint32_t)(IMAGE_SIDE - height + 1));
            int left = (int)rng_below(next_word(s), (uint32_t)(IMAGE_SIDE - width + 1));
            for (int y = top; y < top + height; y++) {
                memset(pixels + y * ROW_FLOATS + left * VALUES, 0,
                       (size_t)(width * VALUES) * sizeof(*pixels));
            }
            return;
        }
    }
}

/* Returns the share of `other` in what becomes of pixels. */
static float cut_mix(struct stream *s, double alpha, float *pixels, const float *other) {
    const struct cutout_square r = next_rectangle(s, next_share(s, alpha));
    int width = r.right - r.left;
    for (int y = r.top; y < r.bottom; y++) {
        memcpy(pixels + y * ROW_FLOATS + r.left * VALUES, other + y * ROW_FLOATS + r.left * VALUES,
               (size_t)(width * VALUES) * sizeof(*pixels));
    }
    return (float)(width * (r.bottom - r.top)) / IMAGE_PIXELS;
}

static float mix_up(struct stream *s, double alpha, float *restrict pixels,
                    const float *restrict other) {
    float share = (float)next_share(s, alpha);
    for (int i = 0; i < NETWORK_IMAGE_FLOATS; i++) {
        pixels[i] = pixels[i] * (1.0F - share) + other[i] * share;
    }
    return share;
}

void augment_train_instance(const struct run_config *config, const struct normaliser *normaliser,
                            const struct image_set *set, int n_train, int epoch, int image,
                            int copy, float ret_pixels[NETWORK_IMAGE_FLOATS],
                            struct other_label *ret_other) {
    *ret_other = (struct other_label){0};
    augment_train_image(config, normaliser, set, epoch, image, copy, ret_pixels);
    if (config->mix == MIX_NONE) {
        return;
    }
    copy = config->copies == COPIES_ALIASED ? 0 : copy;
    struct stream s = stream_begin(config, epoch, image, copy);
    if (config->mix == MIX_ERASING) {
        erase(&s, ret_pixels);
        return;
    }
    float other[NETWORK_IMAGE_FLOATS];
    int partner = (int)rng_below(next_word(&s), (uint32_t)n_train);
    augment_train_image(config, normaliser, set, epoch, partner, copy, other);
    ret_other->label = set->labels[partner];
    ret_other->share = config->mix == MIX_CUTMIX ? cut_mix(&s, config->mix_alpha, ret_pixels, other)
                                                 : mix_up(&s, config->mix_alpha, ret_pixels, other);
}
