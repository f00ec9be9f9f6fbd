/* Cutout: exact and empirical visible fractions, and the aliased mask of the source notebook. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/data/augment.h"

/* One white image, so that after normalisation with offset 0 a pixel is 1 or cut out. */
static uint8_t white[IMAGE_BYTES];
static uint8_t white_label;
static struct normaliser plain;

static struct image_set white_set(void) {
    memset(white, 255, sizeof(white));
    memset(&plain, 0, sizeof(plain));
    for (int c = 0; c < 3; c++) {
        plain.scale[c] = 1.0F / 255.0F;
    }
    return (struct image_set){.n = 1, .pixels = white, .labels = &white_label};
}

static struct run_config cutout_config(int size, int squares, int m, enum copies copies) {
    struct run_config config = run_preset_find("notebook-q3")->config;
    config.cutout_size = size;
    config.cutout_squares = squares;
    config.m = m;
    config.copies = copies;
    return config;
}

/* Expected visible fraction of an image under n squares, by counting: a square's centre covers a
 * pixel independently in both directions. */
static double exact_fraction(int size, int n_squares) {
    double covered[IMAGE_SIDE];
    for (int i = 0; i < IMAGE_SIDE; i++) {
        int count = 0;
        for (int centre = 0; centre < IMAGE_SIDE; centre++) {
            count += i >= centre - size / 2 && i < centre + size / 2;
        }
        covered[i] = (double)count / IMAGE_SIDE;
    }
    double sum = 0;
    for (int y = 0; y < IMAGE_SIDE; y++) {
        for (int x = 0; x < IMAGE_SIDE; x++) {
            sum += pow(1 - covered[y] * covered[x], n_squares);
        }
    }
    return sum / IMAGE_PIXELS;
}

/* The same over n_draws epochs of what augment_train_image really does. */
static double drawn_fraction(const struct run_config *config, int n_draws) {
    struct image_set set = white_set();
    float pixels[NETWORK_IMAGE_FLOATS];
    int64_t visible = 0;
    for (int epoch = 0; epoch < n_draws; epoch++) {
        augment_train_image(config, &plain, &set, epoch, 0, epoch % config->m, pixels);
        for (int p = 0; p < IMAGE_PIXELS; p++) {
            visible += pixels[p * 4] != 0;
        }
    }
    return (double)visible / ((double)n_draws * IMAGE_PIXELS);
}

static void assert_close(double value, double expected, double tolerance, const char *what) {
    if (!(fabs(value - expected) <= tolerance)) {
        fail_msg("%s: %.5f, expected %.5f within %.5f", what, value, expected, tolerance);
    }
}

static void the_visible_fraction_is_as_computed(void **state) {
    (void)state;
    assert_close(exact_fraction(12, 1), .8845, .00005, "size 12");
    assert_close(exact_fraction(16, 1), .8086, .00005, "size 16");
    /* One image's fraction deviates by .035 (size 12) and .054 (16): over 20,000 draws the mean
     * does by .0004 at most; four times that is allowed. */
    struct run_config config = cutout_config(12, 1, 1, COPIES_INDEPENDENT);
    assert_close(drawn_fraction(&config, 10000), .8845, .0022, "size 12 drawn");
    config = cutout_config(16, 1, 1, COPIES_INDEPENDENT);
    assert_close(drawn_fraction(&config, 10000), .8086, .0022, "size 16 drawn");
}

static void the_aliased_table_holds(void **state) {
    (void)state;
    static const struct {
        int m;
        double fraction;
    } table[] = {{1, .8845}, {2, .7831}, {4, .6157}, {8, .3852}, {16, .1588}, {32, .0332}};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        int m = table[i].m;
        assert_close(exact_fraction(12, m), table[i].fraction, .00005, "exact");
        struct run_config config = cutout_config(12, 1, m, COPIES_ALIASED);
        /* One image deviates by up to .1: over 4,000 draws .0016; four times that is allowed. */
        assert_close(drawn_fraction(&config, 4000), table[i].fraction, .0064, "aliased");
        config.copies = COPIES_INDEPENDENT;
        assert_close(drawn_fraction(&config, 4000), .8845, .0022, "independent");
    }
}

static void aliased_m_equals_one_copy_with_m_squares(void **state) {
    (void)state;
    struct image_set set = white_set();
    struct run_config aliased = cutout_config(12, 1, 4, COPIES_ALIASED);
    struct run_config single = cutout_config(12, 4, 1, COPIES_INDEPENDENT);
    aliased.flip = single.flip = true;
    aliased.shift = single.shift = 0.1;
    aliased.crop_pad = single.crop_pad = 4;
    for (int epoch = 0; epoch < 50; epoch++) {
        float expected[NETWORK_IMAGE_FLOATS];
        augment_train_image(&single, &plain, &set, epoch, 0, 0, expected);
        for (int copy = 0; copy < 4; copy++) {
            float pixels[NETWORK_IMAGE_FLOATS];
            augment_train_image(&aliased, &plain, &set, epoch, 0, copy, pixels);
            assert_memory_equal(pixels, expected, sizeof(pixels));
        }
    }
}

static void independent_copies_differ(void **state) {
    (void)state;
    struct image_set set = white_set();
    struct run_config config = cutout_config(12, 1, 8, COPIES_INDEPENDENT);
    float first[NETWORK_IMAGE_FLOATS];
    augment_train_image(&config, &plain, &set, 0, 0, 0, first);
    int n_different = 0;
    for (int copy = 1; copy < 8; copy++) {
        float pixels[NETWORK_IMAGE_FLOATS];
        augment_train_image(&config, &plain, &set, 0, 0, copy, pixels);
        n_different += memcmp(pixels, first, sizeof(pixels)) != 0;
    }
    assert_true(n_different >= 6); /* two centres coincide once in a thousand */
}

static void squares_are_clipped_and_reach_every_border(void **state) {
    (void)state;
    int least_top = 99, most_bottom = 0, least_left = 99, most_right = 0;
    for (int i = 0; i < 5000; i++) {
        struct cutout_square square = cutout_square_draw(1, 0, i, 0, 0, 12);
        int height = square.bottom - square.top;
        int width = square.right - square.left;
        assert_true(square.top >= 0 && square.bottom <= 32 && height >= 6 && height <= 12);
        assert_true(square.left >= 0 && square.right <= 32 && width >= 6 && width <= 12);
        /* Only the border makes a square smaller. */
        assert_true(height == 12 || square.top == 0 || square.bottom == 32);
        assert_true(width == 12 || square.left == 0 || square.right == 32);
        least_top = square.top < least_top ? square.top : least_top;
        most_bottom = square.bottom > most_bottom ? square.bottom : most_bottom;
        least_left = square.left < least_left ? square.left : least_left;
        most_right = square.right > most_right ? square.right : most_right;
    }
    assert_true(least_top == 0 && least_left == 0 && most_bottom == 32 && most_right == 32);
}

static void a_square_of_64_covers_all_and_0_nothing(void **state) {
    (void)state;
    struct run_config config = cutout_config(64, 1, 1, COPIES_INDEPENDENT);
    assert_true(drawn_fraction(&config, 100) == 0);
    config = cutout_config(0, 1, 4, COPIES_ALIASED);
    assert_true(drawn_fraction(&config, 100) == 1);
}

static void all_three_channels_are_cut(void **state) {
    (void)state;
    struct image_set set = white_set();
    struct run_config config = cutout_config(16, 2, 1, COPIES_INDEPENDENT);
    float pixels[NETWORK_IMAGE_FLOATS];
    augment_train_image(&config, &plain, &set, 3, 0, 0, pixels);
    struct cutout_square squares[2];
    for (int i = 0; i < 2; i++) {
        squares[i] = cutout_square_draw(config.seed, 3, 0, 0, i, 16);
    }
    for (int y = 0; y < IMAGE_SIDE; y++) {
        for (int x = 0; x < IMAGE_SIDE; x++) {
            bool cut = false;
            for (int i = 0; i < 2; i++) {
                cut = cut || (y >= squares[i].top && y < squares[i].bottom &&
                              x >= squares[i].left && x < squares[i].right);
            }
            for (int c = 0; c < 3; c++) {
                assert_true((pixels[(y * 32 + x) * 4 + c] == 0) == cut);
            }
            assert_true(pixels[(y * 32 + x) * 4 + 3] == 0);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_visible_fraction_is_as_computed),
        cmocka_unit_test(the_aliased_table_holds),
        cmocka_unit_test(aliased_m_equals_one_copy_with_m_squares),
        cmocka_unit_test(independent_copies_differ),
        cmocka_unit_test(squares_are_clipped_and_reach_every_border),
        cmocka_unit_test(a_square_of_64_covers_all_and_0_nothing),
        cmocka_unit_test(all_three_channels_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
