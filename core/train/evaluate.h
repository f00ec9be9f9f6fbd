/* A checkpoint validated by itself: no run, no optimizer, no daemon.
 *
 * Layer: core/train. Thread rule: one thread; the work is spread over a team of its own.
 */
#ifndef CUTOUTD_CORE_TRAIN_EVALUATE_H
#define CUTOUTD_CORE_TRAIN_EVALUATE_H

#include "core/config/run_config.h"
#include "core/data/dataset.h"
#include "core/kernels/kernels.h"
#include "core/train/confusion.h"

struct evaluate_options {
    const char *path;
    const struct dataset *dataset;
    const struct kernels *kernels;
    int n_threads;
    bool ema; /* the moving average of the weights instead of themselves */
};

struct evaluation {
    int n_images;
    int n_wrong;
    double cross_entropy; /* mean over the images, without the L2 penalty */
    struct confusion confusion;
    uint8_t *predicted; /* [n_images] classes; owned */
    float *logits;      /* [n_images][confusion.n_classes]; owned */
};

/* What a checkpoint says of its run: the fields that its bits depend on (run_fields.h), and how
 * many epochs it has. ret_config's other fields are zero. STATUS_NOT_FOUND, STATUS_IO,
 * STATUS_NO_MEMORY; STATUS_CORRUPT: damaged, or no checkpoint of this program; STATUS_UNSUPPORTED:
 * of a later release. */
enum status evaluate_read_config(const char *path, struct run_config *ret_config,
                                 int *ret_epochs_done, struct error *error);

/* The test images of the data set, normalised by its training images, as many of both as the run
 * had (config: from evaluate_read_config). With the kernels that the run was validated with the
 * result is the same, bit for bit. Statuses as above; STATUS_INVALID: the network tells another
 * number of classes apart than the data set has, is of no form that its run says, or there is no
 * average in it. On success the
 * caller owns *ret (evaluation_free); it is too large for most stacks. */
enum status evaluate_checkpoint(const struct evaluate_options *options,
                                const struct run_config *config, struct evaluation **ret,
                                struct error *error);

/* NULL is fine. */
void evaluation_free(struct evaluation *evaluation);

#endif
