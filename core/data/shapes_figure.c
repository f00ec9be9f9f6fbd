/* The figures as distances to their outline. Layer: core/data.
 *
 * A figure is given in its own coordinates (u, v), where it reaches about 1 from the origin. Its
 * function returns the distance to the outline, negative inside. The union of two figures is the
 * smaller distance, the intersection the larger. */
#include "core/data/shapes_figure.h"

#include <math.h>

static float smaller(float a, float b) {
    return a < b ? a : b;
}

static float larger(float a, float b) {
    return a > b ? a : b;
}

static float length(float u, float v) {
    return sqrtf(u * u + v * v);
}

/* A rectangle around (u, v) = (0, 0). */
static float box(float u, float v, float half_width, float half_height) {
    return larger(fabsf(u) - half_width, fabsf(v) - half_height);
}

/* A triangle with one corner at (0, -1) and two at (+-0.866, 0.5). */
static float triangle(float u, float v) {
    float side = fabsf(u) * 0.8660254F - v * 0.5F;
    return larger(v, side) - 0.5F;
}

/* A star of five points: where at most one of the five lines of a pentagram is exceeded, so the
 * second largest of the distances to them. */
static float star(float u, float v) {
    static const float normals[5][2] = {
        {0.0F, 1.0F},
        {0.95105652F, 0.30901699F},
        {-0.95105652F, 0.30901699F},
        {0.58778525F, -0.80901699F},
        {-0.58778525F, -0.80901699F},
    };
    float first = -1e9F;
    float second = -1e9F;
    for (int i = 0; i < 5; i++) {
        float distance = normals[i][0] * u + normals[i][1] * v;
        second = larger(second, smaller(first, distance));
        first = larger(first, distance);
    }
    return second - 0.38F;
}

static float arrow(float u, float v) {
    float head = larger(v, fabsf(u) * 0.7071068F - (v + 1) * 0.7071068F);
    return smaller(head, box(u, v - 0.45F, 0.24F, 0.55F));
}

static float figure_distance(enum figure figure, float u, float v) {
    switch (figure) {
    case FIGURE_DISC:
        return length(u, v) - 0.9F;
    case FIGURE_RING:
        return fabsf(length(u, v) - 0.75F) - 0.22F;
    case FIGURE_SQUARE:
        return box(u, v, 0.78F, 0.78F);
    case FIGURE_FRAME:
        return fabsf(box(u, v, 0.65F, 0.65F)) - 0.19F;
    case FIGURE_TRIANGLE:
        return triangle(u, v);
    case FIGURE_STAR:
        return star(u, v);
    case FIGURE_CROSS:
        return smaller(box(u, v, 0.95F, 0.28F), box(u, v, 0.28F, 0.95F));
    case FIGURE_CRESCENT:
        return larger(length(u, v) - 0.95F, 0.75F - length(u - 0.5F, v));
    case FIGURE_ARROW:
        return arrow(u, v);
    case FIGURE_BARS:
        return box(u, fabsf(v) - 0.55F, 0.9F, 0.27F);
    }
    return 1.0F;
}

const char *figure_name(enum figure figure) {
    static const char *const names[] = {
        [FIGURE_DISC] = "disc",   [FIGURE_RING] = "ring",         [FIGURE_SQUARE] = "square",
        [FIGURE_FRAME] = "frame", [FIGURE_TRIANGLE] = "triangle", [FIGURE_STAR] = "star",
        [FIGURE_CROSS] = "cross", [FIGURE_CRESCENT] = "crescent", [FIGURE_ARROW] = "arrow",
        [FIGURE_BARS] = "bars",
    };
    return names[figure];
}

float figure_cover(const struct placed_figure *placed, float x, float y) {
    float dx = (x - placed->x) * placed->inverse_radius;
    float dy = (y - placed->y) * placed->inverse_radius;
    float u = dx * placed->direction.cosine + dy * placed->direction.sine;
    float v = dy * placed->direction.cosine - dx * placed->direction.sine;
    float cover = 0.5F - figure_distance(placed->figure, u, v) * placed->radius;
    return cover <= 0 ? 0 : cover >= 1 ? 1 : cover;
}
