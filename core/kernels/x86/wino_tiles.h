/* Winograd: from images to the 36 planes and back, tile by tile.
 *
 * Layer: core/kernels. Everything is inlined with constant sizes into wino_conv.h.
 *
 * An image is cut into tiles of 4x4 output pixels; a tile looks at 6x6 input pixels, so neighbours
 * overlap by two. Each of the 36 transformed values of a tile goes to a plane of its own:
 *
 *     planes [36][plane_floats]    plane [tile][channel]
 *
 * A plane is a small matrix, tiles by channels; some lines between planes keep them out of each
 * other's cache sets. The transforms go through a tile three times (out of the planes: twice), each
 * time for a pair of rows: what they hold fits AVX2's 16 registers, and stores are what they cost.
 */
#ifndef CUTOUTD_CORE_KERNELS_X86_WINO_TILES_H
#define CUTOUTD_CORE_KERNELS_X86_WINO_TILES_H

#include "core/kernels/x86/wino.h"
#include "core/kernels/x86/wino_transform.h"

struct wino {
    int c;    /* channels in and out */
    int side; /* of the image */
    int rows; /* of pixels that go through the planes at once: the whole side, or a strip of it */
};

/* Images that go through the planes together. */
INLINE int group_images(struct wino w) {
    return w.c / 16;
}

/* Tiles of one image that do. */
INLINE int strip_tiles(struct wino w) {
    return (w.rows / WINO_OUT) * (w.side / WINO_OUT);
}

/* From one plane to the next. A strip of eight tiles is eight lines: one more spreads it. */
INLINE int plane_floats(struct wino w) {
    return group_images(w) * strip_tiles(w) * w.c + (w.rows < w.side ? 16 : WINO_PLANE_PADDING);
}

/* Where the rows around a row of tiles start; a row above or below the image is one of zeros, so
 * that no tile asks whether it lies at such an edge. */
struct input_rows {
    const float *above;
    const float *inside; /* the first of four */
    const float *below;
};

static const float zero_row[32 * 16];

INLINE struct input_rows input_rows(struct wino w, const float *plane, int row, int lane) {
    const int floats = w.side * 16;
    return (struct input_rows){
        .above = row == 0 ? zero_row : plane + (row - 1) * floats + lane,
        .inside = plane + row * floats + lane,
        .below = row + WINO_OUT == w.side ? zero_row : plane + (row + WINO_OUT) * floats + lane,
    };
}

/* The six pixels of a column, `at` floats into the rows, through a pair of rows of B^T. */
INLINE void input_column(struct wino w, struct input_rows rows, int at, int pair, vec *first,
                         vec *second) {
    vec pixels[WINO_IN];
    vec transformed[2];
    pixels[0] = vec_load(rows.above + at);
    UNROLL for (int i = 0; i < WINO_OUT; i++) {
        pixels[1 + i] = vec_load(rows.inside + i * w.side * 16 + at);
    }
    pixels[5] = vec_load(rows.below + at);
    wino_input_pair(pair, pixels, transformed);
    *first = transformed[0];
    *second = transformed[1];
}

/* One tile: its last four columns, the last of which lies outside of the image if `right`, then the
 * rows of all six. The next tile starts with the last two. */
INLINE void input_tile(struct wino w, struct input_rows rows, int at, int pair, bool right,
                       vec half[2][WINO_IN], float *to) {
    UNROLL for (int j = 2; j < WINO_IN; j++) {
        if (right && j == WINO_IN - 1) {
            half[0][j] = half[1][j] = vec_zero();
        } else {
            input_column(w, rows, at + (j - 1) * 16, pair, &half[0][j], &half[1][j]);
        }
    }
    UNROLL for (int i = 0; i < 2; i++) {
        float *planes = to + wino_in_row(pair, i) * WINO_IN * plane_floats(w);
        UNROLL for (int across = 0; across < WINO_IN_PAIRS; across++) {
            vec v[2];
            wino_input_pair(across, half[i], v);
            vec_store(planes + wino_in_row(across, 0) * plane_floats(w), v[0]);
            vec_store(planes + wino_in_row(across, 1) * plane_floats(w), v[1]);
        }
        half[i][0] = half[i][4];
        half[i][1] = half[i][5];
    }
}

/* B^T d B of a row of tiles, a pair of its rows. */
INLINE void input_row(struct wino w, struct input_rows rows, int pair, float *to) {
    vec half[2][WINO_IN];
    half[0][0] = half[1][0] = vec_zero();
    input_column(w, rows, 0, pair, &half[0][1], &half[1][1]);
    int at = 0;
    NO_UNROLL for (; at < (w.side - WINO_OUT) * 16; at += WINO_OUT * 16, to += w.c) {
        input_tile(w, rows, at, pair, false, half, to);
    }
    input_tile(w, rows, at, pair, true, half, to);
}

/* The tile's 4x4 pixels of an output's gradient: A y A^T. */
INLINE void gradient_tile(struct wino w, const float *pixels, float *to) {
    const int row = w.side * 16;
    UNROLL for (int pair = 0; pair < WINO_IN_PAIRS; pair++) {
        vec half[2][WINO_OUT];
        UNROLL for (int j = 0; j < WINO_OUT; j++) {
            vec column[WINO_OUT];
            vec transformed[2];
            UNROLL for (int i = 0; i < WINO_OUT; i++) {
                column[i] = vec_load(pixels + i * row + j * 16);
            }
            wino_gradient_pair(pair, column, transformed);
            half[0][j] = transformed[0];
            half[1][j] = transformed[1];
        }
        UNROLL for (int i = 0; i < 2; i++) {
            float *planes = to + wino_in_row(pair, i) * WINO_IN * plane_floats(w);
            UNROLL for (int across = 0; across < WINO_IN_PAIRS; across++) {
                vec z[2];
                wino_gradient_pair(across, half[i], z);
                vec_store(planes + wino_in_row(across, 0) * plane_floats(w), z[0]);
                vec_store(planes + wino_in_row(across, 1) * plane_floats(w), z[1]);
            }
        }
    }
}

INLINE void output_pixel(float *pixel, bool accumulate, vec v) {
    vec_store(pixel, accumulate ? vec_add(v, vec_load(pixel)) : v);
}

/* 36 products to 4x4 pixels: A^T m A. The bias belongs to all pixels: A^T takes the value at (1, 1)
 * to each of them with the factor 1. */
INLINE void output_tile(struct wino w, const float *from, vec bias, bool accumulate,
                        float *pixels) {
    UNROLL for (int pair = 0; pair < WINO_OUT_PAIRS; pair++) {
        vec half[2][WINO_IN];
        UNROLL for (int j = 0; j < WINO_IN; j++) {
            vec column[WINO_IN];
            vec transformed[2];
            UNROLL for (int i = 0; i < WINO_IN; i++) {
                column[i] = vec_load(from + (i * WINO_IN + j) * plane_floats(w));
            }
            if (j == 1) {
                column[1] = vec_add(column[1], bias);
            }
            wino_output_pair(pair, column, transformed);
            half[0][j] = transformed[0];
            half[1][j] = transformed[1];
        }
        UNROLL for (int i = 0; i < 2; i++) {
            float *row = pixels + wino_out_row(pair, i) * w.side * 16;
            UNROLL for (int across = 0; across < WINO_OUT_PAIRS; across++) {
                vec y[2];
                wino_output_pair(across, half[i], y);
                output_pixel(row + wino_out_row(across, 0) * 16, accumulate, y[0]);
                output_pixel(row + wino_out_row(across, 1) * 16, accumulate, y[1]);
            }
        }
    }
}

/* A strip of one image into (or from) the planes; `planes` points to its first tile. A line of 16
 * channels goes in one piece or, where registers are half as wide, in two. */
INLINE void input_image(struct wino w, const float *image, int first_row, float *planes) {
    const int tiles = w.side / WINO_OUT;
    for (int block = 0; block < w.c; block += 16, image += w.side * w.side * 16) {
        float *to = planes + block;
        for (int row = first_row; row < first_row + w.rows; row += WINO_OUT, to += tiles * w.c) {
            NO_UNROLL for (int lane = 0; lane < 16; lane += VEC_FLOATS) {
                const struct input_rows rows = input_rows(w, image, row, lane);
                UNROLL for (int pair = 0; pair < WINO_IN_PAIRS; pair++) {
                    input_row(w, rows, pair, to + lane);
                }
            }
        }
    }
}

INLINE void gradient_image(struct wino w, const float *image, int first_row, float *planes) {
    for (int block = 0; block < w.c; block += 16, image += w.side * w.side * 16) {
        float *to = planes + block;
        for (int row = first_row; row < first_row + w.rows; row += WINO_OUT) {
            for (int column = 0; column < w.side; column += WINO_OUT, to += w.c) {
                NO_UNROLL for (int lane = 0; lane < 16; lane += VEC_FLOATS) {
                    gradient_tile(w, image + (row * w.side + column) * 16 + lane, to + lane);
                }
            }
        }
    }
}

INLINE void output_image(struct wino w, const float *planes, const float *bias, bool accumulate,
                         int first_row, float *image) {
    for (int block = 0; block < w.c; block += 16, image += w.side * w.side * 16) {
        const float *from = planes + block;
        for (int row = first_row; row < first_row + w.rows; row += WINO_OUT) {
            for (int column = 0; column < w.side; column += WINO_OUT, from += w.c) {
                NO_UNROLL for (int lane = 0; lane < 16; lane += VEC_FLOATS) {
                    output_tile(w, from + lane, vec_load(bias + block + lane), accumulate,
                                image + (row * w.side + column) * 16 + lane);
                }
            }
        }
    }
}

#endif
