/* shapes_export DIR N_TRAIN N_TEST: writes the generated data set `shapes` as CIFAR-10's binary
 * files (data_batch_1.bin, test_batch.bin), so that other programs can read it. */
#include <stdio.h>
#include <stdlib.h>

#include "core/data/dataset.h"

/* A row: the label, then all red, all green, all blue bytes. */
static int write_set(const char *directory, const char *name, const struct image_set *set) {
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "wb");
    if (!file) {
        perror(path);
        return 1;
    }
    for (int i = 0; i < set->n; i++) {
        const uint8_t *pixels = set->pixels + (size_t)i * IMAGE_BYTES;
        (void)fputc(set->labels[i], file);
        for (int c = 0; c < IMAGE_CHANNELS; c++) {
            for (int p = 0; p < IMAGE_PIXELS; p++) {
                (void)fputc(pixels[p * IMAGE_CHANNELS + c], file);
            }
        }
    }
    int failed = ferror(file);
    return fclose(file) != 0 || failed;
}

int main(int argc, char **argv) {
    struct dataset *dataset = NULL;
    struct error error;
    if (argc != 4) {
        (void)fprintf(stderr, "usage: shapes_export DIR N_TRAIN N_TEST\n");
        return 2;
    }
    /* The seed of the daemon's. */
    if (dataset_make_shapes(atoi(argv[2]), atoi(argv[3]), 1, &dataset, &error) != STATUS_OK) {
        (void)fprintf(stderr, "shapes_export: %s\n", error.message);
        return 1;
    }
    int failed = write_set(argv[1], "data_batch_1.bin", &dataset->train) ||
                 write_set(argv[1], "test_batch.bin", &dataset->test);
    dataset_free(dataset);
    return failed;
}
