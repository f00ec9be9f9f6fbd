/* A picture of one training image and its M instances, exactly as training would see them.
 *
 * Layer: api. Thread rule: pure functions on their arguments.
 */
#ifndef CUTOUTD_API_FIGURE_INSTANCES_H
#define CUTOUTD_API_FIGURE_INSTANCES_H

#include "api/figure/canvas.h"
#include "core/data/augment.h"

enum { INSTANCES_MAX_M = 64 };

/* Borrowed. */
struct instances {
    const struct run_config *config; /* m: 1 .. INSTANCES_MAX_M */
    const struct dataset *dataset;
    const struct normaliser *normaliser;
    int n_train; /* images that are trained on: partners of cutmix and mixup are among them */
    int image;   /* of the data set's training images */
    int epoch;   /* from 0, as the trainer counts for its random numbers */
    bool dark;
};

/* A PNG. What is cut out shows the colour that the network takes for it: the mean. Below a copy
 * that has a share of another image stands how much of which class. *ret_bytes is owned by the
 * caller (free). STATUS_NO_MEMORY, STATUS_INTERNAL. */
enum status instances_draw(const struct instances *instances, char **ret_bytes, size_t *ret_n_bytes,
                           struct error *error);

/* What augment_train_instance made, as colours again: normalisation undone and rounded.
 * ret_pixels: [32][32][R, G, B]. */
void instances_pixels(const struct normaliser *normaliser, const float image[NETWORK_IMAGE_FLOATS],
                      uint8_t ret_pixels[IMAGE_BYTES]);

/* Where instance `copy` (-1: the original) lies in the PNG: its left top pixel, and how many pixels
 * of the PNG one of the image's is wide. */
void instances_place(int m, int copy, int *ret_x, int *ret_y, int *ret_scale);

#endif
