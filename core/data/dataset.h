/* A labelled set of 32 x 32 colour images in memory, and the two ways to get one: binary files
 * of CIFAR-10 or CIFAR-100, and `shapes`, which is generated.
 *
 * Layer: core/data. Thread rule: a dataset is written by its constructor and only read afterwards,
 * by any number of threads.
 */
#ifndef CUTOUTD_CORE_DATA_DATASET_H
#define CUTOUTD_CORE_DATA_DATASET_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"

enum {
    IMAGE_SIDE = 32,
    IMAGE_CHANNELS = 3,
    IMAGE_PIXELS = IMAGE_SIDE * IMAGE_SIDE,
    IMAGE_BYTES = IMAGE_PIXELS * IMAGE_CHANNELS,
    DATASET_MAX_CLASSES = 100,
    SHAPES_CLASSES = 10,
    DATASET_NAME_SIZE = 64,
    DATASET_CLASS_SIZE = 32,
    CIFAR10_ROW_BYTES = 1 + IMAGE_BYTES,  /* label, pixels */
    CIFAR100_ROW_BYTES = 2 + IMAGE_BYTES, /* coarse label, fine label, pixels */
};

/* Images of one purpose. pixels: [n][32 rows][32 columns][R, G, B] bytes. labels: [n], below the
 * set's n_classes. */
struct image_set {
    int n;
    uint8_t *pixels;
    uint8_t *labels;
};

struct dataset {
    char name[DATASET_NAME_SIZE];
    int n_classes; /* 2 .. DATASET_MAX_CLASSES */
    char class_names[DATASET_MAX_CLASSES][DATASET_CLASS_SIZE];
    struct image_set train;
    struct image_set test;
};

/* Whether `directory` holds CIFAR-100: it has a train.bin. */
bool dataset_is_cifar100(const char *directory);

/* Reads data_batch_1.bin .. data_batch_5.bin (those that are there, at least the first) and
 * test_batch.bin from `directory`; class names from batches.meta.txt when it is there (otherwise
 * the standard ones). A file may hold any whole number of rows of 3,073 bytes (at least one).
 * Of CIFAR-100 it reads train.bin and test.bin, rows of 3,074 bytes of which the second, the fine
 * label, is the class; names from fine_label_names.txt (otherwise numbers).
 *
 * On success *ret_dataset is owned by the caller (dataset_free). On failure it is not touched and
 * *error names the file and, for bad content, the byte offset: STATUS_NOT_FOUND, STATUS_CORRUPT,
 * STATUS_IO, STATUS_NO_MEMORY; STATUS_INVALID when the name or the path is too long. */
enum status dataset_open_cifar(const char *name, const char *directory,
                               struct dataset **ret_dataset, struct error *error);

/* Generates the `shapes` data set: image i of a split is a pure function of (seed, split, i), so a
 * smaller set is the beginning of a larger one. Classes are nearly even. 1 <= n <= 1,000,000.
 * STATUS_INVALID, STATUS_NO_MEMORY. */
enum status dataset_make_shapes(int n_train, int n_test, uint64_t seed,
                                struct dataset **ret_dataset, struct error *error);

/* NULL is fine. */
void dataset_free(struct dataset *dataset);

#endif
