/* The generated data set: stable, prefix-closed, even, and not to be told by simple means. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/sha256.h"
#include "core/data/dataset.h"

static struct dataset *make(int n_train, int n_test, uint64_t seed) {
    struct dataset *dataset = NULL;
    struct error error = {0};
    if (dataset_make_shapes(n_train, n_test, seed, &dataset, &error) != STATUS_OK) {
        fail_msg("%s", error.message);
    }
    return dataset;
}

/* Stored results depend on these bytes. When this fails, either the compiler did what it must not,
 * or shapes has become another data set and needs another name. */
static void the_first_hundred_images_are_these(void **state) {
    (void)state;
    struct dataset *dataset = make(100, 1, 1);
    struct sha256 sha;
    char digest[SHA256_HEX_SIZE];
    sha256_begin(&sha);
    sha256_update(&sha, dataset->train.labels, 100);
    sha256_update(&sha, dataset->train.pixels, (size_t)100 * IMAGE_BYTES);
    sha256_end(&sha, digest);
    assert_string_equal(digest, "9e036cdaca32308bf3dbb299d18c1b59a81a527d9ff335885a61ee15b93b16c1");
    dataset_free(dataset);
}

static void a_smaller_set_begins_a_larger_one(void **state) {
    (void)state;
    struct dataset *small = make(17, 5, 3);
    struct dataset *large = make(40, 30, 3);
    assert_int_equal(small->train.n, 17);
    assert_int_equal(small->test.n, 5);
    assert_memory_equal(small->train.pixels, large->train.pixels, 17 * IMAGE_BYTES);
    assert_memory_equal(small->train.labels, large->train.labels, 17);
    assert_memory_equal(small->test.pixels, large->test.pixels, 5 * IMAGE_BYTES);
    dataset_free(small);
    dataset_free(large);
}

static void seeds_and_splits_differ(void **state) {
    (void)state;
    struct dataset *one = make(20, 20, 1);
    struct dataset *two = make(20, 20, 2);
    assert_memory_not_equal(one->train.pixels, one->test.pixels, 20 * IMAGE_BYTES);
    assert_memory_not_equal(one->train.pixels, two->train.pixels, 20 * IMAGE_BYTES);
    dataset_free(one);
    dataset_free(two);
}

static void classes_are_even_and_named(void **state) {
    (void)state;
    struct dataset *dataset = make(200, 1, 1);
    int counts[SHAPES_CLASSES] = {0};
    for (int i = 0; i < 200; i++) {
        assert_true(dataset->train.labels[i] < SHAPES_CLASSES);
        counts[dataset->train.labels[i]]++;
    }
    for (int c = 0; c < SHAPES_CLASSES; c++) {
        assert_int_equal(counts[c], 20);
        assert_true(strlen(dataset->class_names[c]) > 0);
        for (int other = 0; other < c; other++) {
            assert_string_not_equal(dataset->class_names[c], dataset->class_names[other]);
        }
    }
    dataset_free(dataset);
}

/* Means over the training images of each class: [10][features]. features: 3072 pixels, or the 3
 * channel averages. */
static void features_of(const uint8_t *pixels, int n_features, double *features) {
    memset(features, 0, (size_t)n_features * sizeof(*features));
    for (int i = 0; i < IMAGE_BYTES; i++) {
        features[i % n_features] += pixels[i];
    }
}

/* Share of test images whose nearest class mean is the right one. */
static double nearest_mean_accuracy(const struct dataset *dataset, int n_features) {
    double *means = calloc((size_t)n_features * SHAPES_CLASSES, sizeof(double));
    double *features = calloc((size_t)n_features, sizeof(double));
    assert_non_null(means);
    assert_non_null(features);
    for (int i = 0; i < dataset->train.n; i++) {
        features_of(dataset->train.pixels + (size_t)i * IMAGE_BYTES, n_features, features);
        for (int f = 0; f < n_features; f++) {
            means[dataset->train.labels[i] * n_features + f] +=
                features[f] * SHAPES_CLASSES / dataset->train.n;
        }
    }
    int right = 0;
    for (int i = 0; i < dataset->test.n; i++) {
        features_of(dataset->test.pixels + (size_t)i * IMAGE_BYTES, n_features, features);
        double nearest = HUGE_VAL;
        int guess = -1;
        for (int c = 0; c < SHAPES_CLASSES; c++) {
            double distance = 0;
            for (int f = 0; f < n_features; f++) {
                double difference = means[c * n_features + f] - features[f];
                distance += difference * difference;
            }
            if (distance < nearest) {
                nearest = distance;
                guess = c;
            }
        }
        right += guess == dataset->test.labels[i];
    }
    free(means);
    free(features);
    return (double)right / dataset->test.n;
}

static void neither_colour_nor_the_mean_image_tells_the_class(void **state) {
    (void)state;
    struct dataset *dataset = make(1000, 500, 1);
    double by_pixels = nearest_mean_accuracy(dataset, IMAGE_BYTES);
    double by_colour = nearest_mean_accuracy(dataset, IMAGE_CHANNELS);
    print_message("nearest class mean: %.3f by pixels, %.3f by colour\n", by_pixels, by_colour);
    assert_true(by_pixels < .2);
    assert_true(by_colour < .2);
    dataset_free(dataset);
}

static void bad_sizes_are_refused(void **state) {
    (void)state;
    struct dataset *dataset = NULL;
    struct error error = {0};
    assert_int_equal(dataset_make_shapes(0, 1, 1, &dataset, &error), STATUS_INVALID);
    assert_int_equal(dataset_make_shapes(1, 0, 1, &dataset, &error), STATUS_INVALID);
    assert_int_equal(dataset_make_shapes(1000001, 1, 1, &dataset, &error), STATUS_INVALID);
    assert_int_equal(dataset_make_shapes(1, -5, 1, &dataset, &error), STATUS_INVALID);
    assert_null(dataset);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_hundred_images_are_these),
        cmocka_unit_test(a_smaller_set_begins_a_larger_one),
        cmocka_unit_test(seeds_and_splits_differ),
        cmocka_unit_test(classes_are_even_and_named),
        cmocka_unit_test(neither_colour_nor_the_mean_image_tells_the_class),
        cmocka_unit_test(bad_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
