/* The binary versions of CIFAR-10 and CIFAR-100: rows of one label byte, or of a coarse and a fine
 * one, then 1,024 red, 1,024 green and 1,024 blue bytes
 * (https://www.cs.toronto.edu/~kriz/cifar.html). Layer: core/data. */
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

enum { N_TRAIN_FILES = 5 };

struct format {
    int row_bytes;
    int n_labels; /* bytes in front of the pixels; the last is the class */
    int n_classes;
    const char *test_file;
    const char *names_file;
    const char *const *standard_names; /* NULL: numbers */
};

static const char *const cifar10_names[] = {
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
};

static const struct format cifar10 = {
    .row_bytes = CIFAR10_ROW_BYTES,
    .n_labels = 1,
    .n_classes = 10,
    .test_file = "test_batch.bin",
    .names_file = "batches.meta.txt",
    .standard_names = cifar10_names,
};

static const struct format cifar100 = {
    .row_bytes = CIFAR100_ROW_BYTES,
    .n_labels = 2,
    .n_classes = 100,
    .test_file = "test.bin",
    .names_file = "fine_label_names.txt",
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
static enum status rows_count(const struct format *format, const char *path, FILE *file,
                              int *ret_n_rows, struct error *error) {
    const int row_bytes = format->row_bytes;
    struct stat info;
    if (fstat(fileno(file), &info) != 0) {
        return error_set_errno(error, errno, "cannot examine %s", path);
    }
    long long n_bytes = info.st_size;
    if (n_bytes == 0) {
        return error_set(error, STATUS_CORRUPT, "%s is empty: a row has %d bytes", path, row_bytes);
    }
    if (n_bytes % row_bytes != 0) {
        return error_set(error, STATUS_CORRUPT,
                         "%s: its %lld bytes are not a whole number of rows of %d; the row that "
                         "begins at byte %lld is cut short",
                         path, n_bytes, row_bytes, n_bytes - n_bytes % row_bytes);
    }
    if (n_bytes / row_bytes > DATASET_MAX_IMAGES) {
        return error_set(error, STATUS_CORRUPT, "%s: more than %d rows; byte %lld is past them",
                         path, DATASET_MAX_IMAGES, (long long)DATASET_MAX_IMAGES * row_bytes);
    }
    *ret_n_rows = (int)(n_bytes / row_bytes);
    return STATUS_OK;
}

/* Appends the rows of one file to `set`. */
static enum status file_append(const struct format *format, const char *path, struct image_set *set,
                               struct error *error) {
    CLEANUP(close_file) FILE *file = NULL;
    TRY(regular_file_stream(path, &file, error));
    int n_rows = 0;
    TRY(rows_count(format, path, file, &n_rows, error));
    if (n_rows > DATASET_MAX_IMAGES - set->n) {
        return error_set(error, STATUS_CORRUPT, "%s: with its %d rows there are over %d images",
                         path, n_rows, DATASET_MAX_IMAGES);
    }
    TRY(image_set_reserve(set, set->n + n_rows, error));
    for (int i = 0; i < n_rows; i++) {
        long long offset = (long long)i * format->row_bytes;
        uint8_t row[CIFAR100_ROW_BYTES];
        if (fread(row, (size_t)format->row_bytes, 1, file) != 1) {
            return ferror(file)
                       ? error_set_errno(error, errno, "cannot read %s at byte %lld", path, offset)
                       : error_set(error, STATUS_CORRUPT, "%s: ends within the row at byte %lld",
                                   path, offset);
        }
        uint8_t label = row[format->n_labels - 1];
        if (label >= format->n_classes) {
            return error_set(error, STATUS_CORRUPT,
                             "%s: label %d at byte %lld (row %d), labels are 0 to %d", path, label,
                             offset + format->n_labels - 1, i, format->n_classes - 1);
        }
        set->labels[set->n] = label;
        row_interleave(row + format->n_labels, set->pixels + (size_t)set->n * IMAGE_BYTES);
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
static enum status batches_read(const char *directory, struct image_set *set, struct error *error) {
    char path[PATH_MAX];
    int highest = 1;
    for (int i = 2; i <= N_TRAIN_FILES; i++) {
        struct stat info;
        TRY(batch_path(directory, i, path, error));
        highest = stat(path, &info) == 0 || errno != ENOENT ? i : highest;
    }
    for (int i = 1; i <= highest; i++) {
        TRY(batch_path(directory, i, path, error));
        enum status status = file_append(&cifar10, path, set, error);
        if (status == STATUS_NOT_FOUND && i < highest) {
            error_prefix(error, "data_batch_%d.bin is there", highest);
        }
        TRY(status);
    }
    return STATUS_OK;
}

static void standard_name(const struct format *format, int i, char name[DATASET_CLASS_SIZE]) {
    if (format->standard_names) {
        (void)snprintf(name, DATASET_CLASS_SIZE, "%s", format->standard_names[i]);
    } else {
        (void)snprintf(name, DATASET_CLASS_SIZE, "%d", i);
    }
}

/* One name a line. Without the file the standard names hold. */
static enum status class_names_read(const struct format *format, const char *directory,
                                    struct dataset *dataset, struct error *error) {
    char path[PATH_MAX];
    TRY(path_make(directory, format->names_file, path, error));
    CLEANUP(close_file) FILE *file = NULL;
    struct error opening;
    enum status status = regular_file_stream(path, &file, &opening);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        return error_set(error, status, "%s", opening.message);
    }
    for (int i = 0; i < format->n_classes; i++) {
        char *name = dataset->class_names[i];
        if (!file) {
            standard_name(format, i, name);
            continue;
        }
        char line[128];
        long offset = ftell(file);
        size_t length = fgets(line, sizeof(line), file) ? strcspn(line, "\r\n") : 0;
        if (length == 0 && ferror(file)) {
            return error_set_errno(error, errno, "cannot read %s", path);
        }
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

static enum status train_read(const struct format *format, const char *directory,
                              struct image_set *set, struct error *error) {
    char path[PATH_MAX];
    if (format == &cifar10) {
        return batches_read(directory, set, error);
    }
    TRY(path_make(directory, "train.bin", path, error));
    return file_append(format, path, set, error);
}

bool dataset_is_cifar100(const char *directory) {
    char path[PATH_MAX];
    struct stat info;
    return path_make(directory, "train.bin", path, NULL) == STATUS_OK && stat(path, &info) == 0;
}

enum status dataset_open_cifar(const char *name, const char *directory,
                               struct dataset **ret_dataset, struct error *error) {
    const struct format *format = dataset_is_cifar100(directory) ? &cifar100 : &cifar10;
    CLEANUP(dataset_cleanup) struct dataset *dataset = NULL;
    char path[PATH_MAX];
    TRY(dataset_new(name, &dataset, error));
    dataset->n_classes = format->n_classes;
    TRY(class_names_read(format, directory, dataset, error));
    TRY(train_read(format, directory, &dataset->train, error));
    TRY(path_make(directory, format->test_file, path, error));
    TRY(file_append(format, path, &dataset->test, error));
    *ret_dataset = dataset;
    dataset = NULL;
    return STATUS_OK;
}
