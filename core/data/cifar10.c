/* CIFAR-10's binary version: rows of one label byte, then 1,024 red, 1,024 green and 1,024 blue
 * bytes (https://www.cs.toronto.edu/~kriz/cifar.html). Layer: core/data. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/cleanup.h"
#include "core/base/regular_file.h"
#include "core/base/text.h"
#include "core/data/dataset.h"
#include "core/data/dataset_build.h"

enum { ROW_BYTES = 1 + IMAGE_BYTES, N_TRAIN_FILES = 5 };

static const char *const standard_class_names[DATASET_CLASSES] = {
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
};

static enum status path_make(const char *directory, const char *file_name, char path[PATH_MAX],
                             struct error *error) {
    if (snprintf(path, PATH_MAX, "%s/%s", directory, file_name) >= PATH_MAX) {
        return error_set(error, STATUS_INVALID, "the path of %s is too long", file_name);
    }
    return STATUS_OK;
}

/* Three planes to one triple a pixel. */
static void row_interleave(const uint8_t planes[IMAGE_BYTES], uint8_t pixels[IMAGE_BYTES]) {
    for (int p = 0; p < IMAGE_PIXELS; p++) {
        for (int c = 0; c < IMAGE_CHANNELS; c++) {
            pixels[p * IMAGE_CHANNELS + c] = planes[c * IMAGE_PIXELS + p];
        }
    }
}

/* The number of rows that a file of this size holds. */
static enum status rows_count(const char *path, FILE *file, int *ret_n_rows, struct error *error) {
    struct stat info;
    if (fstat(fileno(file), &info) != 0) {
        return error_set_errno(error, errno, "cannot examine %s", path);
    }
    long long n_bytes = info.st_size;
    if (n_bytes == 0) {
        return error_set(error, STATUS_CORRUPT, "%s is empty: a row has %d bytes", path, ROW_BYTES);
    }
    if (n_bytes % ROW_BYTES != 0) {
        return error_set(error, STATUS_CORRUPT,
                         "%s: its %lld bytes are not a whole number of rows of %d; the row that "
                         "begins at byte %lld is cut short",
                         path, n_bytes, ROW_BYTES, n_bytes - n_bytes % ROW_BYTES);
    }
    if (n_bytes / ROW_BYTES > DATASET_MAX_IMAGES) {
        return error_set(error, STATUS_CORRUPT, "%s: more than %d rows; byte %lld is past them",
                         path, DATASET_MAX_IMAGES, (long long)DATASET_MAX_IMAGES * ROW_BYTES);
    }
    *ret_n_rows = (int)(n_bytes / ROW_BYTES);
    return STATUS_OK;
}

/* Appends the rows of one file to `set`. */
static enum status file_append(const char *path, struct image_set *set, struct error *error) {
    CLEANUP(close_file) FILE *file = NULL;
    TRY(regular_file_stream(path, &file, error));
    int n_rows = 0;
    TRY(rows_count(path, file, &n_rows, error));
    if (n_rows > DATASET_MAX_IMAGES - set->n) {
        return error_set(error, STATUS_CORRUPT, "%s: with its %d rows there are over %d images",
                         path, n_rows, DATASET_MAX_IMAGES);
    }
    TRY(image_set_reserve(set, set->n + n_rows, error));
    for (int i = 0; i < n_rows; i++) {
        long long offset = (long long)i * ROW_BYTES;
        uint8_t row[ROW_BYTES];
        if (fread(row, sizeof(row), 1, file) != 1) {
            return ferror(file)
                       ? error_set_errno(error, errno, "cannot read %s at byte %lld", path, offset)
                       : error_set(error, STATUS_CORRUPT, "%s: ends within the row at byte %lld",
                                   path, offset);
        }
        if (row[0] >= DATASET_CLASSES) {
            return error_set(error, STATUS_CORRUPT,
                             "%s: label %d at byte %lld (row %d), labels are 0 to %d", path, row[0],
                             offset, i, DATASET_CLASSES - 1);
        }
        set->labels[set->n] = row[0];
        row_interleave(row + 1, set->pixels + (size_t)set->n * IMAGE_BYTES);
        set->n++;
    }
    return STATUS_OK;
}

static enum status batch_path(const char *directory, int number, char path[PATH_MAX],
                              struct error *error) {
    char file_name[32];
    (void)snprintf(file_name, sizeof(file_name), "data_batch_%d.bin", number);
    return path_make(directory, file_name, path, error);
}

/* Data batches 1 to the highest that is there, without gaps: a subset of the data is meant, a hole
 * in it is not. */
static enum status train_read(const char *directory, struct image_set *set, struct error *error) {
    char path[PATH_MAX];
    int highest = 1;
    for (int i = 2; i <= N_TRAIN_FILES; i++) {
        struct stat info;
        TRY(batch_path(directory, i, path, error));
        highest = stat(path, &info) == 0 || errno != ENOENT ? i : highest;
    }
    for (int i = 1; i <= highest; i++) {
        TRY(batch_path(directory, i, path, error));
        enum status status = file_append(path, set, error);
        if (status == STATUS_NOT_FOUND && i < highest) {
            error_prefix(error, "data_batch_%d.bin is there", highest);
        }
        TRY(status);
    }
    return STATUS_OK;
}

/* batches.meta.txt: one name a line. Without the file the standard names hold. */
static enum status class_names_read(const char *directory, struct dataset *dataset,
                                    struct error *error) {
    char path[PATH_MAX];
    TRY(path_make(directory, "batches.meta.txt", path, error));
    CLEANUP(close_file) FILE *file = NULL;
    struct error opening;
    enum status status = regular_file_stream(path, &file, &opening);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        return error_set(error, status, "%s", opening.message);
    }
    for (int i = 0; i < DATASET_CLASSES; i++) {
        char *name = dataset->class_names[i];
        if (!file) {
            (void)snprintf(name, sizeof(dataset->class_names[i]), "%s", standard_class_names[i]);
            continue;
        }
        char line[128];
        long offset = ftell(file);
        size_t length = fgets(line, sizeof(line), file) ? strcspn(line, "\r\n") : 0;
        if (length == 0 || length >= sizeof(dataset->class_names[i]) ||
            !text_is_plain(line, length)) {
            return error_set(error, STATUS_CORRUPT,
                             "%s: no class name of 1 to %zu bytes of " TEXT_PLAIN_RULE
                             " at byte %ld (line %d)",
                             path, sizeof(dataset->class_names[i]) - 1, offset, i + 1);
        }
        memcpy(name, line, length);
        name[length] = '\0';
    }
    return STATUS_OK;
}

enum status dataset_open_cifar10(const char *name, const char *directory,
                                 struct dataset **ret_dataset, struct error *error) {
    CLEANUP(dataset_cleanup) struct dataset *dataset = NULL;
    TRY(dataset_new(name, &dataset, error));
    TRY(class_names_read(directory, dataset, error));
    TRY(train_read(directory, &dataset->train, error));
    char path[PATH_MAX];
    TRY(path_make(directory, "test_batch.bin", path, error));
    TRY(file_append(path, &dataset->test, error));
    *ret_dataset = dataset;
    dataset = NULL;
    return STATUS_OK;
}
