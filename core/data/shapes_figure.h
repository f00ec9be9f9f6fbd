/* The ten figures of the `shapes` data set.
 *
 * Layer: core/data, private to shapes.c. Thread rule: pure functions.
 */
#ifndef CUTOUTD_CORE_DATA_SHAPES_FIGURE_H
#define CUTOUTD_CORE_DATA_SHAPES_FIGURE_H

/* The values are the labels. */
enum figure {
    FIGURE_DISC,
    FIGURE_RING,
    FIGURE_SQUARE,
    FIGURE_FRAME,
    FIGURE_TRIANGLE,
    FIGURE_STAR,
    FIGURE_CROSS,
    FIGURE_CRESCENT,
    FIGURE_ARROW,
    FIGURE_BARS,
};

/* An angle by its cosine and sine: computed without libm's functions, whose last bits vary. */
struct direction {
    float cosine;
    float sine;
};

struct placed_figure {
    enum figure figure;
    float x, y;   /* centre, pixels */
    float radius; /* pixels */
    float inverse_radius;
    struct direction direction;
};

/* The class name: static. */
const char *figure_name(enum figure figure);

/* How much of the pixel at (x, y) the figure covers, 0 to 1; edges are about a pixel wide. */
float figure_cover(const struct placed_figure *placed, float x, float y);

#endif
