/* Winograd: from images to the 36 planes and back, tile by tile.
 *
 * Layer: core/kernels. Everything is inlined with constant sizes into wino_conv.h.
 *
 * An image is cut into tiles of 4x4 output pixels; a tile looks at 6x6 input pixels, so neighbours
 * overlap by two. Each of the 36 transformed values of a tile goes to a plane of its own:
 *
 *     planes [36][plane_floats]    plane [tile][channel]
 *
 * A plane is a small matrix, tiles by channels; a line between planes keeps them out of each
 * other's cache sets.
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

/* From one plane to the next. */
INLINE int plane_floats(struct wino w) {
    return group_images(w) * strip_tiles(w) * w.c + 16;
}

/* One column of 6 pixels; those above and below the image are zero. */
INLINE void load_column(struct wino w, const float *pixel, bool top, bool bottom,
                        vec column[WINO_IN]) {
    const int row = w.side * 16;
    column[0] = top ? vec_zero() : vec_load(pixel);
    UNROLL for (int i = 1; i < WINO_IN - 1; i++) {
        column[i] = vec_load(pixel + i * row);
    }
    column[5] = bottom ? vec_zero() : vec_load(pixel + 5 * row);
}

/* The 6x6 pixels around the tile whose first pixel is (row, column): B^T d B. */
INLINE void input_tile(struct wino w, const float *plane, int row, int column, float *to) {
    vec half[WINO_IN][WINO_IN];
    UNROLL for (int j = 0; j < WINO_IN; j++) {
        vec transformed[WINO_IN];
        if (column + j - 1 < 0 || column + j - 1 >= w.side) {
            UNROLL for (int i = 0; i < WINO_IN; i++) {
                half[i][j] = vec_zero();
            }
            continue;
        }
        vec pixels[WINO_IN];
        load_column(w, plane + ((row - 1) * w.side + column + j - 1) * 16, row == 0,
                    row + WINO_OUT == w.side, pixels);
        wino_input(pixels, transformed);
        UNROLL for (int i = 0; i < WINO_IN; i++) {
            half[i][j] = transformed[i];
        }
    }
    UNROLL for (int i = 0; i < WINO_IN; i++) {
        vec transformed[WINO_IN];
        wino_input(half[i], transformed);
        UNROLL for (int j = 0; j < WINO_IN; j++) {
            vec_store(to + (i * WINO_IN + j) * plane_floats(w), transformed[j]);
        }
    }
}

/* The tile's 4x4 pixels of an output's gradient: A y A^T. */
INLINE void gradient_tile(struct wino w, const float *pixels, float *to) {
    const int row = w.side * 16;
    vec half[WINO_IN][WINO_OUT];
    UNROLL for (int j = 0; j < WINO_OUT; j++) {
        vec column[WINO_OUT];
        vec transformed[WINO_IN];
        UNROLL for (int i = 0; i < WINO_OUT; i++) {
            column[i] = vec_load(pixels + i * row + j * 16);
        }
        wino_gradient(column, transformed);
        UNROLL for (int i = 0; i < WINO_IN; i++) {
            half[i][j] = transformed[i];
        }
    }
    UNROLL for (int i = 0; i < WINO_IN; i++) {
        vec transformed[WINO_IN];
        wino_gradient(half[i], transformed);
        UNROLL for (int j = 0; j < WINO_IN; j++) {
            vec_store(to + (i * WINO_IN + j) * plane_floats(w), transformed[j]);
        }
    }
}

/* 36 products to 4x4 pixels: A^T m A. The bias belongs to all pixels: A^T takes the value at (1, 1)
 * to each of them with the factor 1. */
INLINE void output_tile(struct wino w, const float *from, vec bias, bool accumulate,
                        float *pixels) {
    const int row = w.side * 16;
    vec half[WINO_OUT][WINO_IN];
    UNROLL for (int j = 0; j < WINO_IN; j++) {
        vec column[WINO_IN];
        vec transformed[WINO_OUT];
        UNROLL for (int i = 0; i < WINO_IN; i++) {
            column[i] = vec_load(from + (i * WINO_IN + j) * plane_floats(w));
        }
        if (j == 1) {
            column[1] = vec_add(column[1], bias);
        }
        wino_output(column, transformed);
        UNROLL for (int i = 0; i < WINO_OUT; i++) {
            half[i][j] = transformed[i];
        }
    }
    UNROLL for (int i = 0; i < WINO_OUT; i++) {
        vec transformed[WINO_OUT];
        wino_output(half[i], transformed);
        UNROLL for (int j = 0; j < WINO_OUT; j++) {
            float *pixel = pixels + i * row + j * 16;
            vec_store(pixel,
                      accumulate ? vec_add(transformed[j], vec_load(pixel)) : transformed[j]);
        }
    }
}

/* A strip of one image into (or from) the planes; `planes` points to its first tile. A line of 16
 * channels goes in one piece or, where registers are half as wide, in two. */
INLINE void input_image(struct wino w, const float *image, int first_row, float *planes) {
    for (int block = 0; block < w.c; block += 16, image += w.side * w.side * 16) {
        float *to = planes + block;
        for (int row = first_row; row < first_row + w.rows; row += WINO_OUT) {
            for (int column = 0; column < w.side; column += WINO_OUT, to += w.c) {
                UNROLL for (int lane = 0; lane < 16; lane += VEC_FLOATS) {
                    input_tile(w, image + lane, row, column, to + lane);
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
                UNROLL for (int lane = 0; lane < 16; lane += VEC_FLOATS) {
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
                UNROLL for (int lane = 0; lane < 16; lane += VEC_FLOATS) {
                    output_tile(w, from + lane, vec_load(bias + block + lane), accumulate,
                                image + (row * w.side + column) * 16 + lane);
                }
            }
        }
    }
}

#endif
