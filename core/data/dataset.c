/* Memory of a data set. Layer: core/data. */
#include "core/data/dataset.h"

#include <stdlib.h>
#include <string.h>

#include "core/data/dataset_build.h"

enum status dataset_new(const char *name, struct dataset **ret_dataset, struct error *error) {
    size_t length = strlen(name);
    if (length == 0 || length >= DATASET_NAME_SIZE) {
        return error_set(error, STATUS_INVALID, "a data set's name must have 1 to %d characters",
                         DATASET_NAME_SIZE - 1);
    }
    struct dataset *dataset = calloc(1, sizeof(*dataset));
    if (!dataset) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the data set %s", name);
    }
    memcpy(dataset->name, name, length + 1);
    *ret_dataset = dataset;
    return STATUS_OK;
}

enum status image_set_reserve(struct image_set *set, int n, struct error *error) {
    /* Each pointer is stored as soon as it is valid, so a failure in between leaks nothing. */
    uint8_t *pixels = realloc(set->pixels, (size_t)n * IMAGE_BYTES);
    if (pixels) {
        set->pixels = pixels;
    }
    uint8_t *labels = realloc(set->labels, (size_t)n);
    if (labels) {
        set->labels = labels;
    }
    if (!pixels || !labels) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for %d images", n);
    }
    return STATUS_OK;
}

void dataset_free(struct dataset *dataset) {
    if (!dataset) {
        return;
    }
    free(dataset->train.pixels);
    free(dataset->train.labels);
    free(dataset->test.pixels);
    free(dataset->test.labels);
    free(dataset);
}

void dataset_cleanup(struct dataset **dataset) {
    dataset_free(*dataset);
}
