/* From stored bytes to what the network sees: normalise, shift, flip, crop, cut out.
 *
 * Layer: core/data. Thread rule: all functions are pure in their arguments; images may be made by
 * many threads at once.
 *
 * The order of operations on a training image: bytes / 255, normalise, shift, crop, flip, cutout.
 * Everything random is drawn by core/base/rng.h from (seed, purpose, epoch, image, copy).
 */
#ifndef CUTOUTD_CORE_DATA_AUGMENT_H
#define CUTOUTD_CORE_DATA_AUGMENT_H

#include "core/config/run_config.h"
#include "core/data/dataset.h"

/* value = byte * scale[channel] - offset[pixel][channel]; scale is 1/255 or 1/(255*std). */
struct normaliser {
    float scale[IMAGE_CHANNELS];
    float offset[IMAGE_PIXELS][IMAGE_CHANNELS];
};

/* Statistics of the first n images of `set` (exact integer sums, so the same everywhere). */
void normaliser_make(const struct image_set *set, int n, enum normalise_kind kind,
                     struct normaliser *ret_normaliser);

/* An image as the network's stem reads it: [32 rows][32 columns][R, G, B, 0] floats. */
enum { NETWORK_IMAGE_FLOATS = IMAGE_PIXELS * 4 };

/* One training instance. copy: 0 .. M-1. `image` is the index in the data set and the counter of
 * its draws. With COPIES_ALIASED every copy is the image of copy 0 with the squares of all M copies
 * (M * cutout_squares of them), as the notebook's in-place mask made it. */
void augment_train_image(const struct run_config *config, const struct normaliser *normaliser,
                         const struct image_set *set, int epoch, int image, int copy,
                         float ret_pixels[NETWORK_IMAGE_FLOATS]);

/* What a copy has of another image's label. */
struct other_label {
    uint8_t label;
    float share; /* 0 .. 1; 0: nothing, label is not to be looked at */
};

/* The same with what config->mix does in the place of cutout: cutmix (Yun et al., 2019), mixup
 * (Zhang et al., 2018) with a partner among the first n_train images, drawn for each copy, which is
 * shifted, cropped and flipped as that image's own copy is; random erasing (Zhong et al., 2020):
 * with probability 1/2 a rectangle of 2 to 33 % of the image, 0.3 to 3.3 times as high as wide, is
 * set to zero. With COPIES_ALIASED all copies are mixed as copy 0 is. */
void augment_train_instance(const struct run_config *config, const struct normaliser *normaliser,
                            const struct image_set *set, int n_train, int epoch, int image,
                            int copy, float ret_pixels[NETWORK_IMAGE_FLOATS],
                            struct other_label *ret_other);

/* The image becomes its mirror image. */
void augment_mirror(float pixels[NETWORK_IMAGE_FLOATS]);

/* One validation image: normalised only. */
void augment_test_image(const struct normaliser *normaliser, const struct image_set *set, int image,
                        float ret_pixels[NETWORK_IMAGE_FLOATS]);

/* One square of side `size`, as half-open ranges clipped to the image. */
struct cutout_square {
    int top, bottom, left, right;
};

/* Square number `index` (from 0) of a copy: its centre is uniform over the pixels, it covers rows
 * centre - size/2 (inclusive) .. centre + size/2 (exclusive), likewise columns. */
struct cutout_square cutout_square_draw(uint64_t seed, int epoch, int image, int copy, int index,
                                        int size);

/* The training images' order in one epoch: a Fisher-Yates shuffle of 0 .. n-1 driven by RNG_ORDER.
 * ret_order: [n]. */
void epoch_order(uint64_t seed, int epoch, int n, int32_t *ret_order);

#endif
