/* Which classes a validation took for which. 43 KiB: too much for the stack of most threads.
 *
 * Layer: core/train. Thread rule: pure functions on their arguments.
 */
#ifndef CUTOUTD_CORE_TRAIN_CONFUSION_H
#define CUTOUTD_CORE_TRAIN_CONFUSION_H

#include <stdint.h>

#include "core/data/dataset.h"

struct confusion {
    int n_classes;
    char class_names[DATASET_MAX_CLASSES][DATASET_CLASS_SIZE];
    int counts[DATASET_MAX_CLASSES][DATASET_MAX_CLASSES]; /* [true class][predicted class] */
};

/* Nothing counted yet. */
void confusion_begin(struct confusion *confusion, const struct dataset *dataset);

/* n images more: labels[n], predicted[n], below n_classes. */
void confusion_add(struct confusion *confusion, const uint8_t *labels, const uint8_t *predicted,
                   int n);

#endif
