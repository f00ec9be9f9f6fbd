/* The statistics that training and validation images are normalised with. Layer: core/data.
 *
 * Bytes are summed as integers: the sums are exact, so they do not depend on the order of images.
 */
#include <math.h>
#include <string.h>

#include "core/data/augment.h"

/* Keras' way: bytes / 255, minus the mean image. */
static void pixel_mean_make(const struct image_set *set, int n, struct normaliser *normaliser) {
    uint64_t sums[IMAGE_PIXELS][IMAGE_CHANNELS];
    memset(sums, 0, sizeof(sums));
    const uint8_t *byte = set->pixels;
    for (int i = 0; i < n; i++) {
        for (int p = 0; p < IMAGE_PIXELS; p++) {
            for (int c = 0; c < IMAGE_CHANNELS; c++) {
                sums[p][c] += *byte++;
            }
        }
    }
    for (int c = 0; c < IMAGE_CHANNELS; c++) {
        normaliser->scale[c] = 1.0F / 255.0F;
        for (int p = 0; p < IMAGE_PIXELS; p++) {
            normaliser->offset[p][c] = (float)((double)sums[p][c] / (255.0 * n));
        }
    }
}

/* The paper's way: minus the channel's mean, divided by its standard deviation (population). */
static void channel_make(const struct image_set *set, int n, struct normaliser *normaliser) {
    uint64_t sums[IMAGE_CHANNELS] = {0};
    uint64_t squares[IMAGE_CHANNELS] = {0};
    const uint8_t *byte = set->pixels;
    size_t n_pixels = (size_t)n * IMAGE_PIXELS;
    for (size_t p = 0; p < n_pixels; p++) {
        for (int c = 0; c < IMAGE_CHANNELS; c++, byte++) {
            sums[c] += *byte;
            squares[c] += (uint64_t)*byte * *byte;
        }
    }
    for (int c = 0; c < IMAGE_CHANNELS; c++) {
        double mean = (double)sums[c] / (double)n_pixels;
        double variance = (double)squares[c] / (double)n_pixels - mean * mean;
        /* A channel of one single value has nothing to scale. Real variances of bytes are at least
         * 1/n^2 and far above this bound, which only catches rounding. */
        double deviation = variance > 1e-9 ? sqrt(variance) : 255.0;
        normaliser->scale[c] = (float)(1.0 / deviation);
        for (int p = 0; p < IMAGE_PIXELS; p++) {
            normaliser->offset[p][c] = (float)(mean / deviation);
        }
    }
}

void normaliser_make(const struct image_set *set, int n, enum normalise_kind kind,
                     struct normaliser *ret_normaliser) {
    switch (kind) {
    case NORMALISE_PIXEL_MEAN:
        pixel_mean_make(set, n, ret_normaliser);
        break;
    case NORMALISE_CHANNEL:
        channel_make(set, n, ret_normaliser);
        break;
    }
}
