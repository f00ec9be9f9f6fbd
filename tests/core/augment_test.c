/* Normalise, shift, crop, flip against slow and obvious references; the order of an epoch. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/rng.h"
#include "core/data/augment.h"

enum { N_IMAGES = 12 };

static struct dataset *dataset;
static struct normaliser normaliser;

static int images_make(void **state) {
    (void)state;
    if (dataset_make_shapes(N_IMAGES, 2, 5, &dataset, NULL) != STATUS_OK) {
        return -1;
    }
    normaliser_make(&dataset->train, N_IMAGES, NORMALISE_PIXEL_MEAN, &normaliser);
    return 0;
}

static int images_free(void **state) {
    (void)state;
    dataset_free(dataset);
    return 0;
}

/* No augmentation at all. */
static struct run_config bare_config(void) {
    struct run_config config = run_preset_find("notebook-q3")->config;
    config.cutout_size = 0;
    config.seed = 42;
    return config;
}

static struct rng_counter counter_of(enum rng_purpose purpose, int epoch, int image, int copy) {
    return (struct rng_counter){purpose, (uint32_t)epoch, (uint32_t)image, (uint32_t)copy, 0};
}

/* One image, as the function writes it and by row, column and channel. */
union picture {
    float floats[NETWORK_IMAGE_FLOATS];
    float values[32][32][4];
};

static union picture train_picture(const struct run_config *config, int epoch, int image,
                                   int copy) {
    union picture picture;
    augment_train_image(config, &normaliser, &dataset->train, epoch, image, copy, picture.floats);
    return picture;
}

/* A pixel outside of the picture: the nearest edge, or 0. */
static double at_edge(const union picture *picture, int y, int x, int c) {
    y = y < 0 ? 0 : y > 31 ? 31 : y;
    x = x < 0 ? 0 : x > 31 ? 31 : x;
    return (double)picture->values[y][x][c];
}

static float at_zero(const union picture *picture, int y, int x, int c) {
    return y < 0 || y > 31 || x < 0 || x > 31 ? 0.0F : picture->values[y][x][c];
}

static void pixel_mean_centres_every_pixel(void **state) {
    (void)state;
    const struct run_config config = bare_config();
    double sums[IMAGE_PIXELS][3] = {0};
    for (int i = 0; i < N_IMAGES; i++) {
        const union picture picture = train_picture(&config, 0, i, 0);
        for (int p = 0; p < IMAGE_PIXELS; p++) {
            for (int c = 0; c < 3; c++) {
                const uint8_t byte = dataset->train.pixels[(i * IMAGE_PIXELS + p) * 3 + c];
                double mean = 0;
                for (int j = 0; j < N_IMAGES; j++) {
                    mean += dataset->train.pixels[(j * IMAGE_PIXELS + p) * 3 + c] / 255.0;
                }
                mean /= N_IMAGES;
                double value = (double)picture.values[p / 32][p % 32][c];
                assert_true(fabs(value - (byte / 255.0 - mean)) < 2e-7);
                sums[p][c] += value;
            }
            assert_true(picture.values[p / 32][p % 32][3] == 0);
        }
    }
    for (int p = 0; p < IMAGE_PIXELS * 3; p++) {
        assert_true(fabs(sums[p / 3][p % 3]) < 1e-5);
    }
}

static void channel_statistics_give_mean_0_and_deviation_1(void **state) {
    (void)state;
    struct normaliser channel;
    normaliser_make(&dataset->train, N_IMAGES, NORMALISE_CHANNEL, &channel);
    double sums[3] = {0};
    double squares[3] = {0};
    for (int i = 0; i < N_IMAGES; i++) {
        float pixels[NETWORK_IMAGE_FLOATS];
        augment_test_image(&channel, &dataset->train, i, pixels);
        for (int p = 0; p < IMAGE_PIXELS; p++) {
            for (int c = 0; c < 3; c++) {
                double value = (double)pixels[p * 4 + c];
                sums[c] += value;
                squares[c] += value * value;
            }
        }
    }
    const double n = N_IMAGES * IMAGE_PIXELS;
    for (int c = 0; c < 3; c++) {
        assert_true(fabs(sums[c] / n) < 1e-6);
        assert_true(fabs(squares[c] / n - 1) < 1e-5);
    }
}

static void only_the_first_n_images_count(void **state) {
    (void)state;
    struct normaliser of_three;
    struct normaliser again;
    struct image_set three = dataset->train;
    three.n = 3;
    normaliser_make(&dataset->train, 3, NORMALISE_PIXEL_MEAN, &of_three);
    normaliser_make(&three, 3, NORMALISE_PIXEL_MEAN, &again);
    assert_memory_equal(&of_three, &again, sizeof(again));
    assert_memory_not_equal(&of_three, &normaliser, sizeof(again));
}

static void a_single_colour_gives_finite_values(void **state) {
    (void)state;
    static uint8_t grey[IMAGE_BYTES];
    static uint8_t label;
    memset(grey, 77, sizeof(grey));
    const struct image_set set = {1, grey, &label};
    struct normaliser channel;
    normaliser_make(&set, 1, NORMALISE_CHANNEL, &channel);
    float pixels[NETWORK_IMAGE_FLOATS];
    augment_test_image(&channel, &set, 0, pixels);
    for (int i = 0; i < NETWORK_IMAGE_FLOATS; i++) {
        assert_true(fabsf(pixels[i]) < 1e-6F);
    }
}

static void test_images_and_bare_training_images_are_normalised_only(void **state) {
    (void)state;
    const struct run_config config = bare_config();
    for (int i = 0; i < N_IMAGES; i++) {
        const union picture picture = train_picture(&config, 7, i, 1);
        float pixels[NETWORK_IMAGE_FLOATS];
        augment_test_image(&normaliser, &dataset->train, i, pixels);
        assert_memory_equal(&picture, pixels, sizeof(pixels));
    }
}

static void shift_is_bilinear_with_edges_replicated(void **state) {
    (void)state;
    static const double shifts[] = {0.1, 0.3, 1.0};
    const struct run_config bare = bare_config();
    double least = 0, most = 0;
    for (int k = 0; k < 300; k++) {
        struct run_config config = bare;
        config.shift = shifts[k % 3];
        int image = k % N_IMAGES;
        uint32_t words[4];
        rng_words(config.seed, counter_of(RNG_SHIFT, k, image, 1), words);
        double dy = (2 * (double)rng_unit(words[0]) - 1) * config.shift * 32;
        double dx = (2 * (double)rng_unit(words[1]) - 1) * config.shift * 32;
        least = fmin(least, fmin(dy, dx) / config.shift);
        most = fmax(most, fmax(dy, dx) / config.shift);
        const union picture before = train_picture(&bare, k, image, 1);
        const union picture after = train_picture(&config, k, image, 1);
        int y0 = (int)floor(dy), x0 = (int)floor(dx);
        double fy = dy - y0, fx = dx - x0;
        for (int p = 0; p < IMAGE_PIXELS * 3; p++) {
            int y = p / 96, x = p / 3 % 32, c = p % 3;
            double top = at_edge(&before, y + y0, x + x0, c) * (1 - fx) +
                         at_edge(&before, y + y0, x + x0 + 1, c) * fx;
            double bottom = at_edge(&before, y + y0 + 1, x + x0, c) * (1 - fx) +
                            at_edge(&before, y + y0 + 1, x + x0 + 1, c) * fx;
            double expected = top * (1 - fy) + bottom * fy;
            /* dx itself is a float: up to 32 * 2^-24, times differences of up to 2. */
            assert_true(fabs((double)after.values[y][x][c] - expected) < 1e-5);
        }
    }
    assert_true(least > -32 && least < -30 && most < 32 && most > 30);
}

static void crop_moves_whole_pixels_and_pads_with_zeros(void **state) {
    (void)state;
    static const int pads[] = {1, 4, 16};
    const struct run_config bare = bare_config();
    int seen[33][33] = {0};
    for (int k = 0; k < 600; k++) {
        struct run_config config = bare;
        config.crop_pad = pads[k % 3];
        int image = k % N_IMAGES;
        uint32_t words[4];
        rng_words(config.seed, counter_of(RNG_CROP, k, image, 0), words);
        int dy = (int)rng_below(words[0], 2 * (uint32_t)config.crop_pad + 1) - config.crop_pad;
        int dx = (int)rng_below(words[1], 2 * (uint32_t)config.crop_pad + 1) - config.crop_pad;
        seen[dy + 16][dx + 16]++;
        const union picture before = train_picture(&bare, k, image, 0);
        const union picture after = train_picture(&config, k, image, 0);
        for (int p = 0; p < IMAGE_PIXELS * 4; p++) {
            int y = p / 128, x = p / 4 % 32, c = p % 4;
            assert_true(after.values[y][x][c] == at_zero(&before, y + dy, x + dx, c));
        }
    }
    for (int dy = -1; dy <= 1; dy++) {
        for (int dx = -1; dx <= 1; dx++) {
            assert_true(seen[dy + 16][dx + 16] > 0);
        }
    }
}

static void flip_mirrors_about_half_of_the_images(void **state) {
    (void)state;
    const struct run_config bare = bare_config();
    struct run_config config = bare;
    config.flip = true;
    int n_flipped = 0;
    for (int k = 0; k < 400; k++) {
        const union picture before = train_picture(&bare, k, k % N_IMAGES, 0);
        const union picture after = train_picture(&config, k, k % N_IMAGES, 0);
        union picture mirrored;
        for (int p = 0; p < IMAGE_PIXELS; p++) {
            memcpy(mirrored.values[p / 32][p % 32], before.values[p / 32][31 - p % 32],
                   4 * sizeof(float));
        }
        bool flipped = memcmp(&after, &mirrored, sizeof(after)) == 0;
        assert_true(flipped || memcmp(&after, &before, sizeof(after)) == 0);
        n_flipped += flipped;
    }
    assert_in_range(n_flipped, 150, 250); /* 200, five deviations of 10 */
}

/* All at once: shift, then crop, then flip, then cutout, whatever else was made before. */
static void operations_follow_their_order_whatever_was_made_before(void **state) {
    (void)state;
    struct run_config shifted = bare_config();
    shifted.shift = 0.2;
    struct run_config all = shifted;
    all.crop_pad = 4;
    all.flip = true;
    all.cutout_size = 10;
    for (int k = 40; k > 0; k--) { /* backwards: nothing may depend on the order of calls */
        int image = k * 5 % N_IMAGES;
        const union picture before = train_picture(&shifted, k, image, k);
        union picture expected;
        uint32_t words[4];
        rng_words(all.seed, counter_of(RNG_CROP, k, image, k), words);
        int dy = (int)rng_below(words[0], 9) - 4, dx = (int)rng_below(words[1], 9) - 4;
        rng_words(all.seed, counter_of(RNG_FLIP, k, image, k), words);
        bool flipped = rng_below(words[0], 2) == 1;
        struct cutout_square square = cutout_square_draw(all.seed, k, image, k, 0, 10);
        for (int p = 0; p < IMAGE_PIXELS * 4; p++) {
            int y = p / 128, x = p / 4 % 32, c = p % 4;
            bool cut = y >= square.top && y < square.bottom && x >= square.left && x < square.right;
            int source_x = (flipped ? 31 - x : x) + dx;
            expected.values[y][x][c] = cut ? 0.0F : at_zero(&before, y + dy, source_x, c);
        }
        const union picture after = train_picture(&all, k, image, k);
        for (int p = 0; p < NETWORK_IMAGE_FLOATS; p++) {
            assert_true(after.floats[p] == expected.floats[p]);
        }
    }
}

static void an_epochs_order_is_a_permutation(void **state) {
    (void)state;
    static int32_t order[1001];
    static bool seen[1001];
    for (int n = 1; n <= 1001; n += 100) {
        memset(seen, 0, sizeof(seen));
        epoch_order(9, n, n, order);
        for (int i = 0; i < n; i++) {
            assert_true(order[i] >= 0 && order[i] < n && !seen[order[i]]);
            seen[order[i]] = true;
        }
    }
}

static void the_order_differs_by_epoch_and_seed_only(void **state) {
    (void)state;
    int32_t order[100], other[100];
    epoch_order(1, 0, 100, order);
    epoch_order(1, 1, 100, other);
    assert_memory_not_equal(order, other, sizeof(order));
    epoch_order(2, 0, 100, other);
    assert_memory_not_equal(order, other, sizeof(order));
    epoch_order(1, 0, 100, other);
    assert_memory_equal(order, other, sizeof(order));
}

/* Each of the 24 orders of four images comes up about equally often. */
static void orders_are_even(void **state) {
    (void)state;
    int counts[256] = {0};
    int32_t order[4];
    for (int epoch = 0; epoch < 24000; epoch++) {
        epoch_order(1, epoch, 4, order);
        counts[order[0] << 6 | order[1] << 4 | order[2] << 2 | order[3]]++;
    }
    int n_orders = 0;
    for (int i = 0; i < 256; i++) {
        if (counts[i] > 0) {
            n_orders++;
            assert_in_range(counts[i], 845, 1155); /* 1000, five deviations of 31 */
        }
    }
    assert_int_equal(n_orders, 24);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixel_mean_centres_every_pixel),
        cmocka_unit_test(channel_statistics_give_mean_0_and_deviation_1),
        cmocka_unit_test(only_the_first_n_images_count),
        cmocka_unit_test(a_single_colour_gives_finite_values),
        cmocka_unit_test(test_images_and_bare_training_images_are_normalised_only),
        cmocka_unit_test(shift_is_bilinear_with_edges_replicated),
        cmocka_unit_test(crop_moves_whole_pixels_and_pads_with_zeros),
        cmocka_unit_test(flip_mirrors_about_half_of_the_images),
        cmocka_unit_test(operations_follow_their_order_whatever_was_made_before),
        cmocka_unit_test(an_epochs_order_is_a_permutation),
        cmocka_unit_test(the_order_differs_by_epoch_and_seed_only),
        cmocka_unit_test(orders_are_even),
    };
    return cmocka_run_group_tests(tests, images_make, images_free);
}
