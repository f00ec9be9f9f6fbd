/* The reader on files made here, good and bad, and on the real images where they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/data/dataset.h"

enum { ROW = 3073 };

static const char *const file_names[] = {
    "data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "test_batch.bin",
    "batches.meta.txt", "train.bin",        "test.bin",         "fine_label_names.txt"};
static char directory[64];

static int directory_make(void **state) {
    (void)state;
    (void)snprintf(directory, sizeof(directory), "/tmp/cifar10_test.XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int directory_remove(void **state) {
    (void)state;
    char path[128];
    for (size_t i = 0; i < sizeof(file_names) / sizeof(file_names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", directory, file_names[i]);
        (void)remove(path);
    }
    return rmdir(directory);
}

static void file_write(const char *name, const void *bytes, size_t n_bytes) {
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n_bytes, file), n_bytes);
    assert_int_equal(fclose(file), 0);
}

/* The byte of channel c at pixel p of a made row. */
static uint8_t made_byte(int row, int c, int p) {
    return (uint8_t)(row * 31 + c * 85 + p * 7 + p / 256);
}

/* Rows with labels first_label, first_label + 1, ...; n_bytes of them are written. */
static void rows_write(const char *name, int first_label, size_t n_bytes) {
    static uint8_t rows[4 * ROW];
    assert_true(n_bytes <= sizeof(rows));
    for (int i = 0; i < 4; i++) {
        uint8_t *row = rows + i * ROW;
        row[0] = (uint8_t)((first_label + i) % 10);
        for (int c = 0; c < 3; c++) {
            for (int p = 0; p < 1024; p++) {
                row[1 + c * 1024 + p] = made_byte(first_label + i, c, p);
            }
        }
    }
    file_write(name, rows, n_bytes);
}

static struct dataset *open_good(void) {
    struct dataset *dataset = NULL;
    struct error error = {0};
    enum status status = dataset_open_cifar("made", directory, &dataset, &error);
    if (status != STATUS_OK) {
        fail_msg("%s", error.message);
    }
    return dataset;
}

/* Expects `code` and a message with both parts; nothing may be returned. */
static void open_bad(enum status code, const char *part, const char *other_part) {
    struct dataset *dataset = NULL;
    struct error error = {0};
    assert_int_equal(dataset_open_cifar("made", directory, &dataset, &error), code);
    assert_null(dataset);
    assert_int_equal(error.code, code);
    if (!strstr(error.message, part) || !strstr(error.message, other_part)) {
        fail_msg("'%s' should name '%s' and '%s'", error.message, part, other_part);
    }
}

static void reads_rows_of_several_files_interleaved(void **state) {
    (void)state;
    rows_write("data_batch_1.bin", 3, 2 * ROW);
    rows_write("data_batch_2.bin", 5, 1 * ROW);
    rows_write("data_batch_3.bin", 6, 4 * ROW); /* numbers 4 and 5 are missing: fine */
    rows_write("test_batch.bin", 0, 3 * ROW);
    struct dataset *dataset = open_good();
    assert_string_equal(dataset->name, "made");
    assert_int_equal(dataset->train.n, 7);
    assert_int_equal(dataset->test.n, 3);
    for (int i = 0; i < 7; i++) {
        assert_int_equal(dataset->train.labels[i], (3 + i) % 10);
        for (int p = 0; p < 1024; p++) {
            for (int c = 0; c < 3; c++) {
                assert_int_equal(dataset->train.pixels[(i * 1024 + p) * 3 + c],
                                 made_byte(3 + i, c, p));
            }
        }
    }
    assert_int_equal(dataset->test.labels[2], 2);
    assert_int_equal(dataset->test.pixels[2 * 3072 + 5], made_byte(2, 2, 1));
    dataset_free(dataset);
}

static void class_names_come_from_the_meta_file(void **state) {
    (void)state;
    rows_write("data_batch_1.bin", 0, ROW);
    rows_write("test_batch.bin", 0, ROW);
    struct dataset *dataset = open_good();
    assert_string_equal(dataset->class_names[9], "truck");
    dataset_free(dataset);

    const char *text = "a\nb\nc\nd\ne\nf\ng\nh\ni\r\nlast\n\n";
    file_write("batches.meta.txt", text, strlen(text));
    dataset = open_good();
    assert_string_equal(dataset->class_names[8], "i");
    assert_string_equal(dataset->class_names[9], "last");
    dataset_free(dataset);

    file_write("batches.meta.txt", "a\nb\n", 4);
    open_bad(STATUS_CORRUPT, "batches.meta.txt", "byte 4");

    text = "a\nb\xff\n"; /* a picture could not show it */
    file_write("batches.meta.txt", text, strlen(text));
    open_bad(STATUS_CORRUPT, "batches.meta.txt", "byte 2");
}

static void a_missing_file_is_named(void **state) {
    (void)state;
    open_bad(STATUS_NOT_FOUND, "data_batch_1.bin", "No such file");
    rows_write("data_batch_1.bin", 0, ROW);
    open_bad(STATUS_NOT_FOUND, "test_batch.bin", "No such file");
}

static void a_gap_in_the_batches_is_refused_with_the_name(void **state) {
    (void)state;
    rows_write("data_batch_1.bin", 0, ROW);
    rows_write("data_batch_3.bin", 0, ROW);
    rows_write("test_batch.bin", 0, ROW);
    open_bad(STATUS_NOT_FOUND, "data_batch_3.bin is there", "data_batch_2.bin: No such file");
}

static void a_cut_file_is_refused_with_its_offset(void **state) {
    (void)state;
    rows_write("data_batch_1.bin", 0, ROW);
    rows_write("test_batch.bin", 0, 2 * ROW + 1);
    open_bad(STATUS_CORRUPT, "test_batch.bin", "byte 6146 ");
    rows_write("test_batch.bin", 0, 100);
    open_bad(STATUS_CORRUPT, "test_batch.bin", "byte 0 ");
    rows_write("test_batch.bin", 0, 0);
    open_bad(STATUS_CORRUPT, "test_batch.bin", "empty");
    rows_write("test_batch.bin", 0, ROW);
    rows_write("data_batch_2.bin", 0, ROW - 1); /* one that may be missing, but not be bad */
    open_bad(STATUS_CORRUPT, "data_batch_2.bin", "byte 0 ");
}

static void a_label_over_nine_is_refused_with_its_offset(void **state) {
    (void)state;
    static uint8_t rows[3 * ROW];
    rows[2 * ROW] = 10;
    file_write("data_batch_1.bin", rows, sizeof(rows));
    open_bad(STATUS_CORRUPT, "data_batch_1.bin: label 10 at byte 6146", "row 2");
}

static void a_directory_in_place_of_a_file_is_refused(void **state) {
    (void)state;
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/data_batch_1.bin", directory);
    assert_int_equal(mkdir(path, 0700), 0);
    open_bad(STATUS_IO, "data_batch_1.bin", "");
    assert_int_equal(rmdir(path), 0);
}

/* n rows of CIFAR-100: coarse label 7, fine labels first, first + 1, ... */
static void fine_rows_write(const char *name, int first, int n) {
    static uint8_t rows[4 * (ROW + 1)];
    for (int i = 0; i < n; i++) {
        uint8_t *row = rows + (ptrdiff_t)i * (ROW + 1);
        row[0] = 7;
        row[1] = (uint8_t)(first + i);
        for (int j = 0; j < 3072; j++) {
            row[2 + j] = made_byte(i, j / 1024, j % 1024);
        }
    }
    file_write(name, rows, (size_t)n * (ROW + 1));
}

static void cifar100_is_known_by_its_train_file_and_has_its_fine_labels(void **state) {
    (void)state;
    rows_write("data_batch_1.bin", 0, ROW); /* train.bin decides */
    fine_rows_write("train.bin", 96, 4);
    fine_rows_write("test.bin", 0, 2);
    struct dataset *dataset = open_good();
    assert_int_equal(dataset->n_classes, 100);
    assert_int_equal(dataset->train.n, 4);
    assert_int_equal(dataset->test.n, 2);
    assert_int_equal(dataset->train.labels[0], 96);
    assert_int_equal(dataset->train.labels[3], 99);
    assert_int_equal(dataset->test.labels[1], 1);
    assert_string_equal(dataset->class_names[0], "0");
    assert_string_equal(dataset->class_names[99], "99");
    for (int p = 0; p < 1024; p++) {
        for (int c = 0; c < 3; c++) {
            assert_int_equal(dataset->train.pixels[3 * 3072 + p * 3 + c], made_byte(3, c, p));
        }
    }
    dataset_free(dataset);
}

static void the_names_of_fine_classes_are_read(void **state) {
    (void)state;
    char names[100 * 16] = "";
    size_t n = 0;
    for (int i = 0; i < 100; i++) {
        n += (size_t)snprintf(names + n, sizeof(names) - n, "fine_%d\n", i);
    }
    fine_rows_write("train.bin", 0, 1);
    fine_rows_write("test.bin", 0, 1);
    file_write("fine_label_names.txt", names, n);
    struct dataset *dataset = open_good();
    assert_string_equal(dataset->class_names[0], "fine_0");
    assert_string_equal(dataset->class_names[99], "fine_99");
    dataset_free(dataset);
    file_write("fine_label_names.txt", names, 7); /* one name */
    open_bad(STATUS_CORRUPT, "fine_label_names.txt", "line 2");
}

static void damaged_files_of_cifar100_are_refused(void **state) {
    (void)state;
    fine_rows_write("train.bin", 0, 2);
    open_bad(STATUS_NOT_FOUND, "test.bin", "");
    fine_rows_write("test.bin", 99, 2);
    open_bad(STATUS_CORRUPT, "label 100 at byte 3075 (row 1)", "0 to 99");
    rows_write("test.bin", 0, ROW);
    open_bad(STATUS_CORRUPT, "test.bin", "rows of 3074");
}

static void a_name_too_long_is_refused(void **state) {
    (void)state;
    char name[DATASET_NAME_SIZE + 1];
    memset(name, 'x', sizeof(name));
    name[DATASET_NAME_SIZE] = '\0';
    struct dataset *dataset = NULL;
    assert_int_equal(dataset_open_cifar(name, directory, &dataset, NULL), STATUS_INVALID);
    assert_int_equal(dataset_open_cifar("", directory, &dataset, NULL), STATUS_INVALID);
    assert_null(dataset);
    dataset_free(NULL);
}

static void the_real_images_can_be_read(void **state) {
    (void)state;
    const char *path = getenv("CUTOUTD_TEST_CIFAR10");
    if (!path) {
        path = CUTOUTD_SOURCE_DIR "/../shared/data/cifar10-subset";
    }
    if (access(path, R_OK) != 0) {
        print_message("skipped: no CIFAR-10 at %s (set CUTOUTD_TEST_CIFAR10)\n", path);
        skip();
    }
    struct dataset *dataset = NULL;
    struct error error = {0};
    if (dataset_open_cifar("cifar10", path, &dataset, &error) != STATUS_OK) {
        fail_msg("%s", error.message);
    }
    print_message("%d training and %d test images at %s\n", dataset->train.n, dataset->test.n,
                  path);
    assert_true(dataset->train.n >= 1000 && dataset->test.n >= 1000);
    assert_string_equal(dataset->class_names[0], "airplane");
    assert_string_equal(dataset->class_names[9], "truck");
    /* Known of CIFAR-10: even classes, and channel means of about .491, .482, .447. */
    int counts[10] = {0};
    double sums[3] = {0};
    for (int i = 0; i < dataset->train.n; i++) {
        counts[dataset->train.labels[i]]++;
        for (int p = 0; p < IMAGE_BYTES; p++) {
            sums[p % 3] += dataset->train.pixels[(size_t)i * IMAGE_BYTES + (size_t)p];
        }
    }
    static const double means[3] = {.4914, .4822, .4465};
    for (int c = 0; c < 3; c++) {
        double mean = sums[c] / (255.0 * IMAGE_PIXELS * dataset->train.n);
        assert_true(mean > means[c] - .02 && mean < means[c] + .02);
    }
    for (int k = 0; k < 10; k++) {
        assert_true(counts[k] > dataset->train.n / 15 && counts[k] < dataset->train.n / 7);
    }
    dataset_free(dataset);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, directory_make, directory_remove)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(reads_rows_of_several_files_interleaved),
        TEST(class_names_come_from_the_meta_file),
        TEST(a_missing_file_is_named),
        TEST(a_gap_in_the_batches_is_refused_with_the_name),
        TEST(a_cut_file_is_refused_with_its_offset),
        TEST(a_label_over_nine_is_refused_with_its_offset),
        TEST(a_directory_in_place_of_a_file_is_refused),
        TEST(cifar100_is_known_by_its_train_file_and_has_its_fine_labels),
        TEST(the_names_of_fine_classes_are_read),
        TEST(damaged_files_of_cifar100_are_refused),
        TEST(a_name_too_long_is_refused),
        cmocka_unit_test(the_real_images_can_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
