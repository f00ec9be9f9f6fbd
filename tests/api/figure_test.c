/* Figures: ticks people would draw, files of the right kind, pixels as the network gets them. */
#include <cairo.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/figure/fonts.h"
#include "api/figure/instances.h"
#include "tests/api/plot_fixture.h"

struct png {
    const unsigned char *at, *end;
};

static cairo_status_t read_bytes(void *user, unsigned char *data, unsigned length) {
    struct png *png = user;
    if ((size_t)(png->end - png->at) < length) {
        return CAIRO_STATUS_READ_ERROR;
    }
    memcpy(data, png->at, length);
    png->at += length;
    return CAIRO_STATUS_SUCCESS;
}

static cairo_surface_t *decode(const char *bytes, size_t n_bytes) {
    struct png png = {(const unsigned char *)bytes, (const unsigned char *)bytes + n_bytes};
    cairo_surface_t *image = cairo_image_surface_create_from_png_stream(read_bytes, &png);
    assert_int_equal(cairo_surface_status(image), CAIRO_STATUS_SUCCESS);
    return image;
}

static uint32_t pixel_at(cairo_surface_t *image, int x, int y) {
    const unsigned char *row =
        cairo_image_surface_get_data(image) + (ptrdiff_t)y * cairo_image_surface_get_stride(image);
    uint32_t pixel = 0;
    memcpy(&pixel, row + (ptrdiff_t)x * 4, 4);
    return pixel & 0xFFFFFF;
}

static void each_format_is_what_it_says(void **state) {
    (void)state;
    static const char *const heads[] = {
        [FIGURE_SVG] = "<?xml", [FIGURE_PNG] = "\x89PNG", [FIGURE_PDF] = "%PDF"};
    for (int format = FIGURE_SVG; format <= FIGURE_PDF; format++) {
        const struct plot_series series = series_of("M 2", falling, 4);
        struct plot plot = plot_of(&series, 1);
        struct error error;
        char *bytes = NULL;
        size_t n = 0;
        assert_int_equal(plot_draw(&plot, (enum figure_format)format, &bytes, &n, &error),
                         STATUS_OK);
        assert_true(n > 500);
        assert_memory_equal(bytes, heads[format], 4);
        free(bytes);
    }
}

static size_t count_colour(cairo_surface_t *image, uint32_t colour) {
    size_t n = 0;
    for (int y = 0; y < cairo_image_surface_get_height(image); y++) {
        for (int x = 0; x < cairo_image_surface_get_width(image); x++) {
            n += pixel_at(image, x, y) == colour;
        }
    }
    return n;
}

static void a_png_has_two_pixels_a_point_and_the_curve_in_it(void **state) {
    (void)state;
    struct error error;
    for (size_t n_series = 0; n_series < 2; n_series++) {
        const struct plot_series series = series_of("M 2", falling, 4);
        struct plot plot = plot_of(&series, n_series);
        char *bytes = NULL;
        size_t n = 0;
        assert_int_equal(plot_draw(&plot, FIGURE_PNG, &bytes, &n, &error), STATUS_OK);
        cairo_surface_t *image = decode(bytes, n);
        assert_int_equal(cairo_image_surface_get_width(image), 480);
        assert_int_equal(cairo_image_surface_get_height(image), 320);
        assert_int_equal(pixel_at(image, 0, 0), 0xFFFFFF);
        assert_true((count_colour(image, 0xc27500) > 20) == (n_series == 1)); /* of M 2 */
        cairo_surface_destroy(image);
        free(bytes);
    }
}

static void a_dark_plot_has_a_dark_page(void **state) {
    (void)state;
    struct error error;
    const struct plot_series series = series_of("M 2", falling, 4);
    struct plot plot = plot_of(&series, 1);
    char *bytes = NULL;
    size_t n = 0;
    plot.dark = true;
    assert_int_equal(plot_draw(&plot, FIGURE_PNG, &bytes, &n, &error), STATUS_OK);
    cairo_surface_t *image = decode(bytes, n);
    uint32_t corner = pixel_at(image, 0, 0);
    assert_true((corner & 0xFF) < 0x40 && (corner >> 16) < 0x40);
    cairo_surface_destroy(image);
    free(bytes);
}

/* A letter that no font has is a box, and one box is like the other. */
static void letters_come_from_whatever_font_has_them(void **state) {
    (void)state;
    static const char *const titles[] = {"\u8a9e", "\u9244"};
    char *bytes[2] = {NULL, NULL};
    size_t n[2] = {0, 0};
    int font = 0;
    (void)fonts_run(titles[0], strlen(titles[0]), false, &font);
    if (font <= 0) {
        print_message("SKIPPED: no font of this machine has Chinese characters\n");
        skip();
    }
    for (int i = 0; i < 2; i++) {
        const struct plot_series series = series_of("M 2", falling, 4);
        struct plot plot = plot_of(&series, 1);
        plot.title = titles[i];
        assert_int_equal(plot_draw(&plot, FIGURE_PNG, &bytes[i], &n[i], NULL), STATUS_OK);
    }
    assert_true(n[0] != n[1] || memcmp(bytes[0], bytes[1], n[0]) != 0);
    free(bytes[0]);
    free(bytes[1]);
}

/* ---- instances ---- */

struct drawn {
    struct dataset *dataset;
    struct normaliser normaliser;
    struct run_config config;
    cairo_surface_t *image;
};

static void draw_mixed(struct drawn *d, int m, enum copies copies, int index, enum mix mix) {
    struct error error;
    char *bytes = NULL;
    size_t n = 0;
    assert_int_equal(dataset_make_shapes(64, 16, 1, &d->dataset, &error), STATUS_OK);
    d->config = run_preset_find("notebook-q3")->config;
    d->config.m = m;
    d->config.copies = copies;
    d->config.mix = mix;
    d->config.seed = 7;
    normaliser_make(&d->dataset->train, 64, d->config.normalise, &d->normaliser);
    const struct instances instances = {.config = &d->config,
                                        .dataset = d->dataset,
                                        .normaliser = &d->normaliser,
                                        .n_train = 64,
                                        .image = index,
                                        .epoch = 2};
    assert_int_equal(instances_draw(&instances, &bytes, &n, &error), STATUS_OK);
    d->image = decode(bytes, n);
    free(bytes);
}

static void draw(struct drawn *d, int m, enum copies copies, int index) {
    draw_mixed(d, m, copies, index, MIX_NONE);
}

static void drawn_free(struct drawn *d) {
    cairo_surface_destroy(d->image);
    dataset_free(d->dataset);
}

/* Whether the picture shows these pixels in the place of `copy`. */
static bool shows(const struct drawn *d, int copy, const uint8_t *rgb) {
    int left = 0;
    int top = 0;
    int scale = 1;
    instances_place(d->config.m, copy, &left, &top, &scale);
    for (int p = 0; p < IMAGE_PIXELS; p++) {
        uint32_t seen = pixel_at(d->image, left + p % IMAGE_SIDE * scale + scale / 2,
                                 top + p / IMAGE_SIDE * scale + scale / 2);
        uint32_t wanted =
            (uint32_t)rgb[p * 3] << 16 | (uint32_t)rgb[p * 3 + 1] << 8 | (uint32_t)rgb[p * 3 + 2];
        if (seen != wanted) {
            return false;
        }
    }
    return true;
}

static void instances_are_what_training_sees(void **state) {
    (void)state;
    static const int ms[] = {1, 8, 32};
    for (size_t i = 0; i < 3; i++) {
        struct drawn d;
        const int index = 20;
        draw(&d, ms[i], COPIES_INDEPENDENT, index);
        const uint8_t *original = d.dataset->train.pixels + (size_t)index * (size_t)IMAGE_BYTES;
        assert_true(shows(&d, -1, original));
        for (int copy = 0; copy < ms[i]; copy++) {
            float image[NETWORK_IMAGE_FLOATS];
            uint8_t pixels[IMAGE_BYTES];
            augment_train_image(&d.config, &d.normaliser, &d.dataset->train, 2, index, copy, image);
            instances_pixels(&d.normaliser, image, pixels);
            assert_true(shows(&d, copy, pixels));
            assert_false(shows(&d, copy, original)); /* a square of 12 is never quite outside */
        }
        drawn_free(&d);
    }
}

static void pixels_outside_the_square_are_the_originals(void **state) {
    (void)state;
    struct drawn d;
    draw(&d, 1, COPIES_INDEPENDENT, 3);
    float image[NETWORK_IMAGE_FLOATS];
    uint8_t pixels[IMAGE_BYTES];
    const uint8_t *original = d.dataset->train.pixels + (size_t)3 * (size_t)IMAGE_BYTES;
    struct cutout_square square = cutout_square_draw(7, 2, 3, 0, 0, d.config.cutout_size);
    augment_train_image(&d.config, &d.normaliser, &d.dataset->train, 2, 3, 0, image);
    instances_pixels(&d.normaliser, image, pixels);
    for (int p = 0; p < IMAGE_PIXELS; p++) {
        int y = p / IMAGE_SIDE;
        int x = p % IMAGE_SIDE;
        bool inside = y >= square.top && y < square.bottom && x >= square.left && x < square.right;
        if (!inside) {
            assert_memory_equal(pixels + (ptrdiff_t)p * 3, original + (ptrdiff_t)p * 3, 3);
        }
    }
    drawn_free(&d);
}

static void mixed_instances_are_what_training_sees(void **state) {
    (void)state;
    static const enum mix mixes[] = {MIX_CUTMIX, MIX_MIXUP, MIX_ERASING};
    for (size_t i = 0; i < sizeof(mixes) / sizeof(mixes[0]); i++) {
        struct drawn d;
        int n_other = 0;
        draw_mixed(&d, 8, COPIES_INDEPENDENT, 20, mixes[i]);
        for (int copy = 0; copy < 8; copy++) {
            float image[NETWORK_IMAGE_FLOATS];
            uint8_t pixels[IMAGE_BYTES];
            struct other_label other;
            augment_train_instance(&d.config, &d.normaliser, &d.dataset->train, 64, 2, 20, copy,
                                   image, &other);
            instances_pixels(&d.normaliser, image, pixels);
            assert_true(shows(&d, copy, pixels));
            augment_train_image(&d.config, &d.normaliser, &d.dataset->train, 2, 20, copy, image);
            instances_pixels(&d.normaliser, image, pixels);
            n_other += !shows(&d, copy, pixels);
        }
        assert_true(n_other >= 2); /* erasing does nothing to half of them */
        drawn_free(&d);
    }
}

static void aliased_copies_are_all_the_same(void **state) {
    (void)state;
    struct drawn d;
    draw(&d, 4, COPIES_ALIASED, 5);
    float image[NETWORK_IMAGE_FLOATS];
    uint8_t pixels[IMAGE_BYTES];
    augment_train_image(&d.config, &d.normaliser, &d.dataset->train, 2, 5, 0, image);
    instances_pixels(&d.normaliser, image, pixels);
    for (int copy = 0; copy < 4; copy++) {
        assert_true(shows(&d, copy, pixels));
    }
    drawn_free(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(letters_come_from_whatever_font_has_them),
        cmocka_unit_test(each_format_is_what_it_says),
        cmocka_unit_test(a_png_has_two_pixels_a_point_and_the_curve_in_it),
        cmocka_unit_test(a_dark_plot_has_a_dark_page),
        cmocka_unit_test(instances_are_what_training_sees),
        cmocka_unit_test(pixels_outside_the_square_are_the_originals),
        cmocka_unit_test(mixed_instances_are_what_training_sees),
        cmocka_unit_test(aliased_copies_are_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
