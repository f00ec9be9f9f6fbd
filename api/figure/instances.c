/* Layer: api. */
#include "api/figure/instances.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GAP = 10, CAPTION = 16, HEAD = 22, LARGE = 4, SMALL = 3 };

static int columns_of(int m) {
    int rows = m < 5 ? 1 : m < 16 ? 2 : 3;
    int columns = (m + rows) / rows;
    return columns < 12 ? columns : 12;
}

static int scale_of(int m) {
    return m < 16 ? LARGE : SMALL;
}

void instances_place(int m, int copy, int *ret_x, int *ret_y, int *ret_scale) {
    int cell = IMAGE_SIDE * scale_of(m);
    int index = copy + 1;
    *ret_x = GAP + index % columns_of(m) * (cell + GAP);
    *ret_y = HEAD + GAP + index / columns_of(m) * (cell + CAPTION + GAP);
    *ret_scale = scale_of(m);
}

void instances_pixels(const struct normaliser *normaliser, const float image[NETWORK_IMAGE_FLOATS],
                      uint8_t ret_pixels[IMAGE_BYTES]) {
    for (int p = 0; p < IMAGE_PIXELS; p++) {
        for (int c = 0; c < IMAGE_CHANNELS; c++) {
            float value = (image[p * 4 + c] + normaliser->offset[p][c]) / normaliser->scale[c];
            ret_pixels[p * IMAGE_CHANNELS + c] = (uint8_t)lroundf(fminf(fmaxf(value, 0), 255));
        }
    }
}

static void draw_pixels(struct canvas *canvas, const uint8_t pixels[IMAGE_BYTES], int x, int y,
                        int scale) {
    for (int p = 0; p < IMAGE_PIXELS; p++) {
        const uint8_t *rgb = pixels + p * IMAGE_CHANNELS;
        cairo_set_source_rgb(canvas->cairo, rgb[0] / 255.0, rgb[1] / 255.0, rgb[2] / 255.0);
        const int column = p % IMAGE_SIDE;
        const int row = p / IMAGE_SIDE;
        cairo_rectangle(canvas->cairo, x + column * scale, y + row * scale, scale, scale);
        cairo_fill(canvas->cairo);
    }
}

/* "3", "3: 38 % cat" where that much of it is another image's. */
static void write_caption(const struct instances *in, int copy, const struct other_label *other,
                          char *text, size_t size) {
    if (other->share > 0) {
        (void)snprintf(text, size, "%d: %.0f\u00a0%% %s", copy + 1, 100 * (double)other->share,
                       in->dataset->class_names[other->label]);
    } else {
        (void)snprintf(text, size, "%d", copy + 1);
    }
}

static void draw_instance(struct canvas *canvas, const struct instances *in, struct colour ink,
                          int copy) {
    uint8_t pixels[IMAGE_BYTES];
    float image[NETWORK_IMAGE_FLOATS];
    int x = 0;
    int y = 0;
    int scale = 1;
    char caption[64];
    instances_place(in->config->m, copy, &x, &y, &scale);
    if (copy < 0) {
        const uint8_t *original =
            in->dataset->train.pixels + (size_t)in->image * (size_t)IMAGE_BYTES;
        draw_pixels(canvas, original, x, y, scale);
        (void)snprintf(caption, sizeof(caption), "%s",
                       in->dataset->class_names[in->dataset->train.labels[in->image]]);
    } else {
        struct other_label other;
        augment_train_instance(in->config, in->normaliser, &in->dataset->train, in->n_train,
                               in->epoch, in->image, copy, image, &other);
        instances_pixels(in->normaliser, image, pixels);
        draw_pixels(canvas, pixels, x, y, scale);
        write_caption(in, copy, &other, caption, sizeof(caption));
    }
    char *cut = canvas_fit(canvas, caption, IMAGE_SIDE * scale);
    canvas_colour(canvas, ink, 1);
    canvas_text(canvas, ANCHOR_MIDDLE, x + IMAGE_SIDE * scale / 2.0, y + IMAGE_SIDE * scale + 12,
                cut ? cut : "");
    canvas->failed |= !cut;
    free(cut);
}

static void write_heading(const struct instances *in, char *text, size_t size) {
    const struct run_config *c = in->config;
    char what[64] = "";
    switch (c->mix) {
    case MIX_NONE:
        (void)snprintf(what, sizeof(what), "cutout %d", c->cutout_size);
        if (c->cutout_squares > 1) {
            size_t used = strlen(what);
            (void)snprintf(what + used, sizeof(what) - used, ", %d squares", c->cutout_squares);
        }
        break;
    case MIX_CUTMIX:
    case MIX_MIXUP:
        (void)snprintf(what, sizeof(what), "%s, alpha %g",
                       c->mix == MIX_CUTMIX ? "CutMix" : "mixup", c->mix_alpha);
        break;
    case MIX_ERASING:
        (void)snprintf(what, sizeof(what), "random erasing");
        break;
    }
    (void)snprintf(text, size, "%s, image %d: M = %d, %s, %s, seed %llu, epoch %d", c->dataset,
                   in->image, c->m, what, copies_name(c->copies), (unsigned long long)c->seed,
                   in->epoch + 1);
}

enum status instances_draw(const struct instances *in, char **ret_bytes, size_t *ret_n_bytes,
                           struct error *error) {
    static const struct colour black = {0.1, 0.1, 0.1};
    static const struct colour white = {1, 1, 1};
    static const struct colour night = {0.11, 0.12, 0.14};
    static const struct colour light_ink = {0.88, 0.88, 0.88};
    const int m = in->config->m;
    const int columns = columns_of(m);
    const int rows = (m + 1 + columns - 1) / columns;
    const int cell = IMAGE_SIDE * scale_of(m);
    char heading[320];
    struct canvas canvas;
    write_heading(in, heading, sizeof(heading));
    /* The heading must fit even over the two pictures of M = 1. */
    int width = GAP + columns * (cell + GAP);
    width = width < 440 ? 440 : width;
    int height = HEAD + GAP + rows * (cell + CAPTION + GAP);
    TRY(canvas_begin(&canvas, FIGURE_PNG, width, height, 1.0, error));
    canvas_colour(&canvas, in->dark ? night : white, 1);
    cairo_paint(canvas.cairo);
    canvas_font(&canvas, 12, false);
    canvas_colour(&canvas, in->dark ? light_ink : black, 1);
    canvas_text(&canvas, ANCHOR_START, GAP, HEAD - 2, heading);
    /* Pixels with hard edges. */
    cairo_set_antialias(canvas.cairo, CAIRO_ANTIALIAS_NONE);
    for (int copy = -1; copy < m; copy++) {
        draw_instance(&canvas, in, in->dark ? light_ink : black, copy);
    }
    return canvas_finish(&canvas, ret_bytes, ret_n_bytes, error);
}
