/* The look of each curve, in figures and on the page: colour and dash by M, by rank of an ordered
 * field, or by place.
 *
 * Layer: api. Thread rule: pure functions on their arguments.
 *
 * The table of looks.c is the one source: tests/api/looks_test.c holds api/web to it, and the
 * colours to be told apart by colour-blind readers. Lightness falls as M grows, so the order
 * survives on grey paper.
 */
#ifndef CUTOUTD_API_FIGURE_LOOKS_H
#define CUTOUTD_API_FIGURE_LOOKS_H

#include "api/figure/canvas.h"

enum { LOOK_MOST_DASHES = CANVAS_MOST_DASHES, LOOKS_OF_NAMES = 32, LOOKS_DASHES = 4 };

struct look {
    struct colour colour;
    int n_dashes;                    /* 0: solid */
    double dashes[LOOK_MOST_DASHES]; /* line, gap, ... of a line that is 2 wide */
};

/* A row of the table. */
struct look_row {
    const char *name; /* of the page's custom property: "m8", "spare" */
    double m;         /* 0: of no M */
    unsigned light;   /* 0xRRGGBB, on a light page */
    unsigned dark;
    int n_dashes;
    double dashes[LOOK_MOST_DASHES];
};

const struct look_row *looks_table(size_t *ret_n);

/* The look of any M (at least 1): of a row; between two rows by the logarithm of M; above the last
 * one in its colour. What is of no row has the dash of the row below and one to three dots, in turn
 * from M to M, so that neighbours differ although their colours hardly do. */
struct look look_of_m(double m, bool dark);

/* The looks of n groups. values[n]: what each has in `field`, as JSON. field NULL: they are told
 * apart by something else than one field, and values is not read. Up to LOOKS_OF_NAMES differ in
 * any case. */
void looks_choose(const char *field, const char *const *values, size_t n, bool dark,
                  struct look *ret_looks);

/* Of groups that differ in M and in something else: the colour of M, and the dash of the place
 * (below LOOKS_DASHES) of the rest among all rests. */
struct look look_of_m_and_rest(double m, size_t rest, bool dark);

#endif
