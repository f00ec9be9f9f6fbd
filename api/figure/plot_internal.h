/* What plot.c, plot_curves.c and plot_labels.c share.
 *
 * Layer: api, internal to api/figure/plot*.c. Thread rule: a frame belongs to one thread.
 */
#ifndef CUTOUTD_API_FIGURE_PLOT_INTERNAL_H
#define CUTOUTD_API_FIGURE_PLOT_INTERNAL_H

#include "api/figure/plot.h"

/* A curve that is shown. */
struct shown {
    const struct plot_series *series;
    struct look look;           /* the series' own, or grey */
    bool plain;                 /* one of many: thin, without band and marks */
    int rank;                   /* 1, 2, 3: the best of many, which have marks; 0: none of them */
    size_t last;                /* its last finite point */
    char *label;                /* owned: cut to its room */
    char value[PLOT_TICK_SIZE]; /* the last mean */
    double label_y;             /* the middle of its label */
};

struct frame {
    struct canvas *canvas;
    const struct plot *plot;
    struct shown *shown; /* [n_shown] */
    size_t n_shown;
    size_t n_curves; /* that have a point: n_shown and those that are left out */
    size_t n_listed; /* labels that there is room for: the first of them */
    double font;
    double line;   /* width of a curve */
    double column; /* width of a column of labels */
    size_t n_columns;
    bool at_ends; /* the labels stand beside the ends of their curves */
    struct plot_axis x, y;
    double left, right, top, bottom; /* the box of the axes */
    struct colour ink, soft, grey, line_colour, rule, paper;
};

/* What of a point is drawn as its curve. */
double shown_value(const struct plot_series *series, size_t i);

/* plot_curves.c: everything inside of the axes. */
void frame_draw_curves(struct frame *frame);

/* plot_curves.c: the mark of a rank: the best may be neighbours in M and look nearly alike. */
void frame_rank_mark(struct frame *frame, const struct shown *shown, double x, double y);

/* plot_labels.c: how much room the labels take on the right, and in which form. Sets label, value,
 * at_ends, n_listed, column, n_columns. STATUS_NO_MEMORY. */
enum status frame_place_labels(struct frame *frame, double *ret_room, struct error *error);
void frame_draw_labels(struct frame *frame);

/* plot_labels.c: what band, n and marks mean; lines[2], each "" or owned (free). */
enum status frame_explain(struct frame *frame, char *ret_lines[2], struct error *error);

#endif
