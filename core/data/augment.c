/* One image on its way to the network. Layer: core/data.
 *
 * This runs M times an image inside training: nothing is allocated, an operation that is off costs
 * nothing, and the inner loops run over whole rows of floats so that compilers vectorise them. */
#include "core/data/augment.h"

#include <math.h>
#include <string.h>

#include "core/base/rng.h"

enum { VALUES = 4 /* floats a pixel */, ROW_FLOATS = IMAGE_SIDE * VALUES };

/* The words of one draw. */
struct draw {
    uint32_t words[4];
};

static struct draw draw_make(const struct run_config *config, enum rng_purpose purpose, int epoch,
                             int image, int copy) {
    const struct rng_counter counter = {.purpose = purpose,
                                        .epoch = (uint32_t)epoch,
                                        .image = (uint32_t)image,
                                        .copy = (uint32_t)copy};
    struct draw draw;
    rng_words(config->seed, counter, draw.words);
    return draw;
}

static int clamp_to_side(int position) {
    return position < 0 ? 0 : position >= IMAGE_SIDE ? IMAGE_SIDE - 1 : position;
}

/* bytes: [pixel][3]; dst: [pixel][4]. */
static void normalise(const struct normaliser *normaliser, const uint8_t *restrict bytes,
                      float *restrict dst) {
    const float red = normaliser->scale[0];
    const float green = normaliser->scale[1];
    const float blue = normaliser->scale[2];
    for (int p = 0; p < IMAGE_PIXELS; p++) {
        const float *offset = normaliser->offset[p];
        dst[p * VALUES + 0] = (float)bytes[p * IMAGE_CHANNELS + 0] * red - offset[0];
        dst[p * VALUES + 1] = (float)bytes[p * IMAGE_CHANNELS + 1] * green - offset[1];
        dst[p * VALUES + 2] = (float)bytes[p * IMAGE_CHANNELS + 2] * blue - offset[2];
        dst[p * VALUES + 3] = 0.0F;
    }
}

/* The mean of a and b; weight is that of b, and 0 gives exactly a. */
static void blend(const float *restrict a, const float *restrict b, float weight, int n,
                  float *restrict dst) {
    for (int i = 0; i < n; i++) {
        dst[i] = a[i] * (1.0F - weight) + b[i] * weight;
    }
}

/* Pixel (y, x) of dst is src at (y + dy, x + dx): bilinear, edges replicated. The fractions are the
 * same for all pixels, so each row is one blend of two rows and one of its two neighbours. */
static void shift(const float *restrict src, float dy, float dx, float *restrict dst) {
    const int whole_y = (int)floorf(dy);
    const int whole_x = (int)floorf(dx);
    const float part_y = dy - (float)whole_y;
    const float part_x = dx - (float)whole_x;
    for (int y = 0; y < IMAGE_SIDE; y++) {
        const float *above = src + clamp_to_side(y + whole_y) * ROW_FLOATS;
        const float *below = src + clamp_to_side(y + whole_y + 1) * ROW_FLOATS;
        float row[ROW_FLOATS];
        blend(above, below, part_y, ROW_FLOATS, row);
        float moved[ROW_FLOATS + VALUES]; /* one pixel more: the right neighbour of the last */
        for (int x = 0; x <= IMAGE_SIDE; x++) {
            memcpy(moved + x * VALUES, row + clamp_to_side(x + whole_x) * VALUES,
                   VALUES * sizeof(float));
        }
        blend(moved, moved + VALUES, part_x, ROW_FLOATS, dst + y * ROW_FLOATS);
    }
}

static void set_zero(float *first, int n_floats) {
    memset(first, 0, (size_t)n_floats * sizeof(float));
}

/* One row of a crop: pixel x becomes what was at x + move, zero outside. src may be dst. */
static void crop_row(const float *src, int move, float *dst) {
    int kept = (IMAGE_SIDE - (move < 0 ? -move : move)) * VALUES;
    size_t kept_bytes = (size_t)kept * sizeof(float);
    if (move >= 0) {
        memmove(dst, src + move * VALUES, kept_bytes);
        set_zero(dst + kept, ROW_FLOATS - kept);
    } else {
        memmove(dst - move * VALUES, src, kept_bytes);
        set_zero(dst, ROW_FLOATS - kept);
    }
}

/* Pixel (y, x) becomes what was at (y + dy, x + dx), zero outside; in place. Rows are visited so
 * that a row is read before it is overwritten. */
static void crop(float *pixels, int dy, int dx) {
    for (int i = 0; i < IMAGE_SIDE; i++) {
        int y = dy >= 0 ? i : IMAGE_SIDE - 1 - i;
        float *row = pixels + y * ROW_FLOATS;
        if (y + dy < 0 || y + dy >= IMAGE_SIDE) {
            set_zero(row, ROW_FLOATS);
        } else {
            crop_row(row + dy * ROW_FLOATS, dx, row);
        }
    }
}

void augment_mirror(float pixels[NETWORK_IMAGE_FLOATS]) {
    for (int y = 0; y < IMAGE_SIDE; y++) {
        float *left = pixels + y * ROW_FLOATS;
        float *right = left + ROW_FLOATS - VALUES;
        for (; left < right; left += VALUES, right -= VALUES) {
            float pixel[VALUES];
            memcpy(pixel, left, sizeof(pixel));
            memcpy(left, right, sizeof(pixel));
            memcpy(right, pixel, sizeof(pixel));
        }
    }
}

static void cut_out(float *pixels, const struct cutout_square *square) {
    for (int y = square->top; y < square->bottom; y++) {
        set_zero(pixels + y * ROW_FLOATS + square->left * VALUES,
                 (square->right - square->left) * VALUES);
    }
}

static bool is_flipped(const struct run_config *config, int epoch, int image, int copy) {
    switch (config->flip) {
    case FLIP_RANDOM:
        return rng_below(draw_make(config, RNG_FLIP, epoch, image, copy).words[0], 2) == 1;
    case FLIP_ALTERNATE: {
        uint32_t first = rng_below(draw_make(config, RNG_PHASE, 0, image, 0).words[0], 2);
        return (first + (uint32_t)epoch + (uint32_t)copy) % 2 == 1;
    }
    case FLIP_OFF:
        break;
    }
    return false;
}

void augment_train_image(const struct run_config *config, const struct normaliser *normaliser,
                         const struct image_set *set, int epoch, int image, int copy,
                         float ret_pixels[NETWORK_IMAGE_FLOATS]) {
    bool cuts_out = config->cutout_size > 0 && config->mix == MIX_NONE;
    int n_squares = cuts_out ? config->cutout_squares : 0;
    if (config->copies == COPIES_ALIASED) {
        copy = 0;
        n_squares *= config->m;
    }
    const uint8_t *bytes = set->pixels + (size_t)image * IMAGE_BYTES;
    if (config->shift > 0) {
        float unshifted[NETWORK_IMAGE_FLOATS];
        const struct draw draw = draw_make(config, RNG_SHIFT, epoch, image, copy);
        const float reach = (float)(config->shift * IMAGE_SIDE);
        normalise(normaliser, bytes, unshifted);
        shift(unshifted, (2 * rng_unit(draw.words[0]) - 1) * reach,
              (2 * rng_unit(draw.words[1]) - 1) * reach, ret_pixels);
    } else {
        normalise(normaliser, bytes, ret_pixels);
    }
    if (config->crop_pad > 0) {
        const struct draw draw = draw_make(config, RNG_CROP, epoch, image, copy);
        const uint32_t n_offsets = 2 * (uint32_t)config->crop_pad + 1;
        crop(ret_pixels, (int)rng_below(draw.words[0], n_offsets) - config->crop_pad,
             (int)rng_below(draw.words[1], n_offsets) - config->crop_pad);
    }
    if (is_flipped(config, epoch, image, copy)) {
        augment_mirror(ret_pixels);
    }
    for (int i = 0; i < n_squares; i++) {
        const struct cutout_square square =
            cutout_square_draw(config->seed, epoch, image, copy, i, config->cutout_size);
        cut_out(ret_pixels, &square);
    }
}

void augment_test_image(const struct normaliser *normaliser, const struct image_set *set, int image,
                        float ret_pixels[NETWORK_IMAGE_FLOATS]) {
    normalise(normaliser, set->pixels + (size_t)image * IMAGE_BYTES, ret_pixels);
}
