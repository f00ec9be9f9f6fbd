/* Layer: core/train. */
#include "core/train/confusion.h"

#include <string.h>

void confusion_begin(struct confusion *confusion, const struct dataset *dataset) {
    memset(confusion, 0, sizeof(*confusion));
    confusion->n_classes = dataset->n_classes;
    memcpy(confusion->class_names, dataset->class_names, sizeof(confusion->class_names));
}

void confusion_add(struct confusion *confusion, const uint8_t *labels, const uint8_t *predicted,
                   int n) {
    for (int i = 0; i < n; i++) {
        confusion->counts[labels[i]][predicted[i]]++;
    }
}
