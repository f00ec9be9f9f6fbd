/* Which classes a validation took for which.
 *
 * Layer: core/train. Thread rule: pure functions on their arguments.
 */
#ifndef CUTOUTD_CORE_TRAIN_CONFUSION_H
#define CUTOUTD_CORE_TRAIN_CONFUSION_H

#include <stdint.h>

#include "core/data/dataset.h"

struct confusion {
    char class_names[DATASET_CLASSES][DATASET_CLASS_SIZE];
    int counts[DATASET_CLASSES][DATASET_CLASSES]; /* [true class][class that was predicted] */
};

/* Nothing counted yet. */
void confusion_begin(struct confusion *confusion, const struct dataset *dataset);

/* n images more: labels[n], predicted[n], 0 .. DATASET_CLASSES - 1. */
void confusion_add(struct confusion *confusion, const uint8_t *labels, const uint8_t *predicted,
                   int n);

#endif
