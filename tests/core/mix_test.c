/* What is done to a copy in the place of cutout, and flips that alternate. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/data/augment.h"

enum { N_TRAIN = 40, N_DRAWS = 2000 };

struct fixture {
    struct dataset *dataset;
    struct normaliser normaliser;
    struct run_config config;
};

static struct fixture fixture_begin(enum mix mix) {
    struct fixture f = {.config = run_preset_find("notebook-q3")->config};
    assert_int_equal(dataset_make_shapes(64, 10, 1, &f.dataset, NULL), STATUS_OK);
    normaliser_make(&f.dataset->train, 64, NORMALISE_CHANNEL, &f.normaliser);
    f.config.mix = mix;
    return f;
}

static void plain(const struct fixture *f, int epoch, int image, int copy, float *pixels) {
    struct run_config config = f->config;
    config.mix = MIX_NONE;
    config.cutout_size = 0;
    augment_train_image(&config, &f->normaliser, &f->dataset->train, epoch, image, copy, pixels);
}

static struct other_label mixed(const struct fixture *f, int epoch, int image, int copy,
                                float *pixels) {
    struct other_label other;
    augment_train_instance(&f->config, &f->normaliser, &f->dataset->train, N_TRAIN, epoch, image,
                           copy, pixels, &other);
    return other;
}

/* The one training image of the first N_TRAIN that has this pixel there; -1: none, -2: several. */
static int owner(const struct fixture *f, int copy, const float *pixels, int pixel) {
    int found = -1;
    for (int i = 0; i < N_TRAIN; i++) {
        float image[NETWORK_IMAGE_FLOATS];
        plain(f, 0, i, copy, image);
        if (memcmp(image + pixel * 4, pixels + pixel * 4, 4 * sizeof(float)) == 0) {
            found = found == -1 ? i : -2;
        }
    }
    return found;
}

static void cutmix_pastes_a_rectangle_whose_share_it_says(void **state) {
    (void)state;
    struct fixture f = fixture_begin(MIX_CUTMIX);
    double sum = 0.0;
    for (int draw = 0; draw < N_DRAWS; draw++) {
        float a[NETWORK_IMAGE_FLOATS];
        float b[NETWORK_IMAGE_FLOATS];
        int image = draw % 64;
        int top = 32, bottom = -1, left = 32, right = -1, changed = 0;
        plain(&f, draw, image, 1, a);
        struct other_label other = mixed(&f, draw, image, 1, b);
        for (int p = 0; p < IMAGE_PIXELS; p++) {
            if (memcmp(a + p * 4, b + p * 4, 4 * sizeof(float)) != 0) {
                changed++;
                top = p / 32 < top ? p / 32 : top;
                bottom = p / 32 > bottom ? p / 32 : bottom;
                left = p % 32 < left ? p % 32 : left;
                right = p % 32 > right ? p % 32 : right;
            }
        }
        int area = changed ? (bottom - top + 1) * (right - left + 1) : 0;
        int said = (int)lroundf(other.share * IMAGE_PIXELS);
        assert_true(changed <= area && area <= said);
        assert_in_range(other.label, 0, 9);
        sum += (double)other.share;
    }
    /* Half on average before the image's edges cut it. */
    assert_true(sum / N_DRAWS > 0.25 && sum / N_DRAWS < 0.45);
    float pixels[NETWORK_IMAGE_FLOATS];
    int partners = 0;
    for (int image = 0; image < 20; image++) {
        struct other_label other = mixed(&f, 0, image, 0, pixels);
        for (int p = 0; p < IMAGE_PIXELS && other.share > 0.1F; p += 37) {
            int who = owner(&f, 0, pixels, p);
            if (who >= 0 && who != image) {
                assert_int_equal(f.dataset->train.labels[who], other.label);
                partners++;
            }
        }
    }
    assert_true(partners > 10);
    dataset_free(f.dataset);
}

static void mixup_is_the_mean_by_the_share_it_says(void **state) {
    (void)state;
    struct fixture f = fixture_begin(MIX_MIXUP);
    static const double alphas[] = {0.2, 1, 5};
    static const double variances[] = {1 / 5.6, 1 / 12.0, 1 / 44.0}; /* 1 / (4 (2 alpha + 1)) */
    for (int k = 0; k < 3; k++) {
        double sum = 0.0;
        double squares = 0.0;
        f.config.mix_alpha = alphas[k];
        for (int draw = 0; draw < N_DRAWS; draw++) {
            float pixels[NETWORK_IMAGE_FLOATS];
            double share = (double)mixed(&f, draw, draw % 64, 0, pixels).share;
            assert_true(share >= 0 && share <= 1);
            sum += share;
            squares += (share - 0.5) * (share - 0.5);
        }
        assert_true(fabs(sum / N_DRAWS - 0.5) < 0.04);
        assert_true(fabs(squares / N_DRAWS / variances[k] - 1) < 0.15);
    }
    /* Which of the images it is the mean with is found by trying. */
    for (int image = 0; image < 10; image++) {
        float a[NETWORK_IMAGE_FLOATS];
        float pixels[NETWORK_IMAGE_FLOATS];
        plain(&f, 0, image, 0, a);
        struct other_label other = mixed(&f, 0, image, 0, pixels);
        double nearest = 1e30;
        int who = -1;
        for (int i = 0; i < N_TRAIN; i++) {
            float b[NETWORK_IMAGE_FLOATS];
            double distance = 0.0;
            plain(&f, 0, i, 0, b);
            for (int p = 0; p < NETWORK_IMAGE_FLOATS; p++) {
                double d = (double)(a[p] * (1 - other.share) + b[p] * other.share - pixels[p]);
                distance += d * d;
            }
            who = distance < nearest ? i : who;
            nearest = fmin(distance, nearest);
        }
        assert_true(nearest < 1e-8);
        assert_true(other.share < 0.01F || f.dataset->train.labels[who] == other.label);
    }
    dataset_free(f.dataset);
}

static void erasing_sets_a_rectangle_of_half_of_the_copies_to_zero(void **state) {
    (void)state;
    struct fixture f = fixture_begin(MIX_ERASING);
    int n_erased = 0;
    for (int draw = 0; draw < N_DRAWS; draw++) {
        float a[NETWORK_IMAGE_FLOATS];
        float b[NETWORK_IMAGE_FLOATS];
        int zero = 0;
        plain(&f, draw, draw % 64, 0, a);
        struct other_label other = mixed(&f, draw, draw % 64, 0, b);
        assert_true(other.share == 0);
        for (int p = 0; p < IMAGE_PIXELS; p++) {
            bool same = memcmp(a + p * 4, b + p * 4, 4 * sizeof(float)) == 0;
            assert_true(same || (b[p * 4] == 0 && b[p * 4 + 1] == 0 && b[p * 4 + 2] == 0));
            zero += !same;
        }
        n_erased += zero > 0;
        assert_true(zero == 0 || (zero >= 10 && zero <= 0.36 * IMAGE_PIXELS));
    }
    assert_true(abs(n_erased - N_DRAWS / 2) < 120);
    dataset_free(f.dataset);
}

static void nothing_is_mixed_without_it(void **state) {
    (void)state;
    struct fixture f = fixture_begin(MIX_NONE);
    float a[NETWORK_IMAGE_FLOATS];
    float b[NETWORK_IMAGE_FLOATS];
    augment_train_image(&f.config, &f.normaliser, &f.dataset->train, 3, 4, 1, a);
    assert_true(mixed(&f, 3, 4, 1, b).share == 0);
    assert_memory_equal(a, b, sizeof(a));
    dataset_free(f.dataset);
}

static bool is_mirrored(const struct fixture *f, int epoch, int image, int copy) {
    struct run_config off = f->config;
    float as_it_is[NETWORK_IMAGE_FLOATS];
    float pixels[NETWORK_IMAGE_FLOATS];
    off.flip = FLIP_OFF;
    augment_train_image(&off, &f->normaliser, &f->dataset->train, epoch, image, copy, as_it_is);
    augment_train_image(&f->config, &f->normaliser, &f->dataset->train, epoch, image, copy, pixels);
    bool same = memcmp(as_it_is, pixels, sizeof(pixels)) == 0;
    augment_mirror(as_it_is);
    assert_true(same || memcmp(as_it_is, pixels, sizeof(pixels)) == 0);
    return !same;
}

static void alternating_flips_change_from_epoch_to_epoch_and_copy_to_copy(void **state) {
    (void)state;
    struct fixture f = fixture_begin(MIX_NONE);
    f.config.flip = FLIP_ALTERNATE;
    f.config.cutout_size = 0;
    int n_first = 0;
    for (int image = 0; image < 64; image++) {
        bool first = is_mirrored(&f, 0, image, 0);
        n_first += first;
        for (int epoch = 0; epoch < 4; epoch++) {
            for (int copy = 0; copy < 3; copy++) {
                assert_int_equal(is_mirrored(&f, epoch, image, copy),
                                 first ^ ((epoch + copy) % 2 == 1));
            }
        }
    }
    assert_in_range(n_first, 18, 46); /* a hash of the image says which side is first */
    dataset_free(f.dataset);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cutmix_pastes_a_rectangle_whose_share_it_says),
        cmocka_unit_test(mixup_is_the_mean_by_the_share_it_says),
        cmocka_unit_test(erasing_sets_a_rectangle_of_half_of_the_copies_to_zero),
        cmocka_unit_test(nothing_is_mixed_without_it),
        cmocka_unit_test(alternating_flips_change_from_epoch_to_epoch_and_copy_to_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
