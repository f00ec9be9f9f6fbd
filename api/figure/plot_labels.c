/* What stands beside the curves: which is which, and what band, n and marks mean. Layer: api. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/figure/plot_internal.h"

static bool is_small(const struct frame *f) {
    return f->plot->width < 300;
}

static double stub_width(const struct frame *f) {
    return (is_small(f) ? 1.6 : 2.6) * f->font;
}

static double row_height(const struct frame *f) {
    return 1.35 * f->font;
}

/* ---- room ---- */

/* The last means, with as many decimals as the least of them needs for two digits. */
static void write_values(struct frame *f) {
    double least = HUGE_VAL;
    for (size_t i = 0; i < f->n_shown; i++) {
        double value = fabs(f->shown[i].series->points[f->shown[i].last].mean);
        least = value > 0 ? fmin(least, value) : least;
    }
    double digits = isfinite(least) ? 1 - floor(log10(least)) : 1;
    struct plot_ticks form = {.decimals = (int)fmax(1, fmin(digits, 4))};
    for (size_t i = 0; i < f->n_shown; i++) {
        (void)plot_tick_text(&form, f->shown[i].series->points[f->shown[i].last].mean,
                             f->shown[i].value);
    }
}

static double widest_value(struct frame *f) {
    double widest = 0;
    for (size_t i = 0; i < f->n_shown && !is_small(f); i++) {
        widest = fmax(widest, canvas_text_width(f->canvas, f->shown[i].value));
    }
    return widest;
}

/* Cuts the labels to `most` and returns the width of the widest. */
static enum status fit_labels(struct frame *f, double most, double *ret_widest,
                              struct error *error) {
    *ret_widest = 0;
    canvas_font(f->canvas, f->font, true);
    for (size_t i = 0; i < f->n_shown; i++) {
        free(f->shown[i].label);
        f->shown[i].label = canvas_fit(f->canvas, f->shown[i].series->label, most);
        if (!f->shown[i].label) {
            return error_set(error, STATUS_NO_MEMORY, "no memory for the labels of a figure");
        }
        *ret_widest = fmax(*ret_widest, canvas_text_width(f->canvas, f->shown[i].label));
    }
    canvas_font(f->canvas, f->font, false);
    return STATUS_OK;
}

/* A column: stub, label, and the last mean by which a curve among many is found at its end. */
enum status frame_place_labels(struct frame *f, double *ret_room, struct error *error) {
    double height = f->bottom - f->top;
    size_t rows = (size_t)fmax(1, floor(height / row_height(f)));
    f->at_ends = f->n_shown <= rows;
    f->n_columns = f->at_ends ? 1 : (f->n_shown + rows - 1) / rows;
    write_values(f);
    double rest = stub_width(f) + 2 * f->font + widest_value(f) + f->font;
    double most = (f->at_ends ? 0.42 : 0.5) * f->plot->width;
    double widest = 0;
    TRY(fit_labels(f, fmin(most / (double)f->n_columns - rest, 0.26 * f->plot->width), &widest,
                   error));
    f->column = rest + widest;
    if (widest < 3 * f->font || f->column * (double)f->n_columns > most) {
        /* Fewer columns, of labels that say something: not all are listed. */
        TRY(fit_labels(f, fmin(most - rest, 0.26 * f->plot->width), &widest, error));
        f->column = rest + widest;
        f->n_columns = (size_t)fmax(1, fmin((double)f->n_columns, floor(most / f->column)));
    }
    f->n_listed = f->n_shown < rows * f->n_columns ? f->n_shown : rows * f->n_columns;
    *ret_room = f->column * (double)f->n_columns;
    return STATUS_OK;
}

/* ---- beside the ends ---- */

static int by_end(const void *a, const void *b) {
    double x = (*(struct shown *const *)a)->label_y;
    double y = (*(struct shown *const *)b)->label_y;
    return (x > y) - (x < y);
}

/* Apart by a row at least, within the axes: pushed down first, then up from the lower edge. */
static void spread_labels(struct frame *f, struct shown **order) {
    double row = row_height(f);
    double from = f->top + 0.5 * row;
    for (size_t i = 0; i < f->n_shown; i++) {
        order[i]->label_y = fmax(order[i]->label_y, from);
        from = order[i]->label_y + row;
    }
    double to = f->bottom - 0.4 * row;
    for (size_t i = f->n_shown; i > 0; i--) {
        order[i - 1]->label_y = fmin(order[i - 1]->label_y, to);
        to = order[i - 1]->label_y - row;
    }
}

static void draw_stub(struct frame *f, const struct shown *shown, double x, double y) {
    const struct look *look = &shown->look;
    double dashes[LOOK_MOST_DASHES];
    for (int i = 0; i < look->n_dashes; i++) {
        dashes[i] = look->dashes[i] * f->line / 2;
    }
    canvas_colour(f->canvas, look->colour, 1);
    canvas_pen(f->canvas, shown->plain ? f->line / 2 : f->line, dashes, look->n_dashes);
    canvas_move(f->canvas, x, y);
    canvas_line(f->canvas, x + stub_width(f), y);
    canvas_stroke(f->canvas);
    if (shown->rank > 0) {
        frame_rank_mark(f, shown, x + stub_width(f) / 2, y);
    }
}

static void draw_label(struct frame *f, const struct shown *shown, double x, double y) {
    draw_stub(f, shown, x, y);
    canvas_colour(f->canvas, shown->plain ? f->soft : f->ink, 1);
    canvas_font(f->canvas, f->font, !shown->plain);
    canvas_text(f->canvas, ANCHOR_START, x + stub_width(f) + 0.5 * f->font, y + 0.35 * f->font,
                shown->label);
    canvas_font(f->canvas, f->font, false);
    if (!is_small(f)) {
        canvas_text(f->canvas, ANCHOR_END, x + f->column - 1.2 * f->font - 2, y + 0.35 * f->font,
                    shown->value);
    }
}

/* Above a column of last means whose right end is given. */
static void draw_head(struct frame *f, double x, double y) {
    char head[32];
    (void)snprintf(head, sizeof(head), "last%s%s", f->plot->y_unit[0] ? ", " : "", f->plot->y_unit);
    canvas_colour(f->canvas, f->soft, 1);
    canvas_text(f->canvas, ANCHOR_END, x, y + 0.35 * f->font, head);
}

static double end_of(const struct frame *f, const struct shown *shown) {
    double y = shown_value(shown->series, shown->last);
    double at = f->y.log && y <= 0 ? f->bottom : plot_axis_at(&f->y, y);
    return fmin(fmax(at, f->top), f->bottom);
}

static void draw_at_ends(struct frame *f) {
    double x = f->right + 1.2 * f->font;
    double value_x = f->right + f->column - 2;
    double first = f->bottom;
    for (size_t i = 0; i < f->n_shown; i++) {
        const struct shown *shown = &f->shown[i];
        double end_x = plot_axis_at(&f->x, shown->series->points[shown->last].x);
        canvas_colour(f->canvas, f->line_colour, 1);
        canvas_pen(f->canvas, 0.5, NULL, 0);
        canvas_move(f->canvas, fmin(end_x, f->right) + 2, end_of(f, shown));
        canvas_line(f->canvas, fmax(fmin(end_x, f->right) + 2, f->right), end_of(f, shown));
        canvas_line(f->canvas, x - 2, shown->label_y);
        canvas_stroke(f->canvas);
        draw_label(f, shown, x, shown->label_y);
        first = fmin(first, shown->label_y);
    }
    if (!is_small(f) && first - 2 * row_height(f) > 0) {
        draw_head(f, value_x, first - row_height(f));
    }
}

/* ---- a list ---- */

static void draw_list(struct frame *f) {
    double row = row_height(f);
    size_t rows = (f->n_listed + f->n_columns - 1) / f->n_columns;
    for (size_t i = 0; i < f->n_listed; i++) {
        const size_t column = i / rows;
        const size_t at_row = i % rows;
        double x = f->right + 1.2 * f->font + (double)column * f->column;
        double y = f->top + ((double)at_row + 0.5) * row;
        if (at_row == 0 && !is_small(f) && f->top > 2 * row) {
            draw_head(f, x + f->column - 1.2 * f->font - 2, y - row);
        }
        if (i + 1 == f->n_listed && f->n_listed < f->n_shown) {
            char more[48];
            (void)snprintf(more, sizeof(more), is_small(f) ? "+ %zu" : "\u2026 %zu more not named",
                           f->n_shown - i);
            canvas_colour(f->canvas, f->soft, 1);
            char *cut = canvas_fit(f->canvas, more, f->plot->width - x - 2);
            canvas_text(f->canvas, ANCHOR_START, x, y + 0.35 * f->font, cut ? cut : "");
            free(cut);
        } else {
            draw_label(f, &f->shown[i], x, y);
        }
    }
}

void frame_draw_labels(struct frame *f) {
    struct shown **order = calloc(f->n_shown + 1, sizeof(struct shown *));
    if (!f->at_ends || !order) {
        draw_list(f);
        free(order);
        return;
    }
    for (size_t i = 0; i < f->n_shown; i++) {
        f->shown[i].label_y = end_of(f, &f->shown[i]);
        order[i] = &f->shown[i];
    }
    qsort(order, f->n_shown, sizeof(struct shown *), by_end);
    spread_labels(f, order);
    free(order);
    draw_at_ends(f);
}

/* ---- what it means ---- */

struct meaning {
    bool band, dots, hollow, paused;
    int least, most; /* runs of a point, the most of each group */
};

static struct meaning find_meaning(const struct frame *f) {
    struct meaning m = {.least = 0};
    for (size_t i = 0; i < f->n_shown; i++) {
        const struct plot_series *series = f->shown[i].series;
        const bool plain = f->shown[i].plain;
        int most = 0;
        for (size_t k = 0; k < series->n; k++) {
            const struct plot_point *p = &series->points[k];
            most = p->n > most ? p->n : most;
            m.band |=
                !plain && p->n >= 2 && isfinite(p->std) && !series->n_seeds && !series->smooth;
            m.paused |= p->paused;
            m.hollow |= !plain && k > 0 && p->n < series->points[k - 1].n;
        }
        m.least = i == 0 || most < m.least ? most : m.least;
        m.most = most > m.most ? most : m.most;
        m.dots |= !plain && series->reached >= f->x.low && series->reached <= f->x.high &&
                  f->plot->target >= f->y.low && f->plot->target <= f->y.high;
    }
    return m;
}

enum { MOST_PIECES = 10, PIECE_SIZE = 96 };

/* The pieces of the explanation, the most needed first; returns how many. */
static int write_pieces(const struct frame *f, char pieces[MOST_PIECES][PIECE_SIZE]) {
    const struct meaning m = find_meaning(f);
    const char *what = is_small(f) ? "band: sd" : "Band: mean \u00b1 1 sd of the runs";
    bool seeds = false;
    bool smooth = false;
    int n = 0;
    for (size_t i = 0; i < f->n_shown; i++) {
        seeds |= f->shown[i].series->n_seeds > 0;
        smooth |= f->shown[i].series->smooth != NULL;
    }
    if (f->n_shown < f->n_curves) {
        (void)snprintf(pieces[n++], PIECE_SIZE,
                       is_small(f) ? "best %zu of %zu" : "The best %zu of %zu groups", f->n_shown,
                       f->n_curves);
    }
    if (f->n_shown > PLOT_MOST_COLOURED) {
        (void)snprintf(pieces[n], PIECE_SIZE, "%s",
                       is_small(f) ? "best: \u25cf \u25a0 \u25b2"
                       : n > 0     ? "in colour the best three, in the order \u25cf \u25a0 \u25b2"
                                   : "In colour the best three, in the order \u25cf \u25a0 \u25b2");
        n++;
    }
    if (m.band) {
        (void)snprintf(pieces[n++], PIECE_SIZE, "%s", what);
    }
    if (seeds) {
        (void)snprintf(pieces[n++], PIECE_SIZE, "Faint: each run; strong: their mean");
    }
    if (m.most == 1) {
        (void)snprintf(pieces[n++], PIECE_SIZE, "n = 1%s", f->n_shown > 1 ? " each" : "");
    } else if (m.least == m.most) {
        (void)snprintf(pieces[n++], PIECE_SIZE, "n = %d%s", m.most, f->n_shown > 1 ? " each" : "");
    } else {
        (void)snprintf(pieces[n++], PIECE_SIZE, "n = %d to %d", m.least, m.most);
    }
    if (smooth) {
        (void)snprintf(pieces[n++], PIECE_SIZE, "median of %d epochs, the raw line behind it",
                       f->plot->median_of);
    }
    if (f->plot->n_rungs > 0) {
        (void)snprintf(pieces[n++], PIECE_SIZE, "dotted: a rung, and how many of how many went on");
    }
    if (m.paused) {
        (void)snprintf(pieces[n++], PIECE_SIZE, "\u2016 runs paused here");
    }
    if (m.hollow) {
        (void)snprintf(pieces[n++], PIECE_SIZE, "\u25cb fewer runs from here on");
    }
    if (m.dots) {
        (void)snprintf(pieces[n++], PIECE_SIZE, "\u25cf mean of first reaching the target");
    }
    return n;
}

enum status frame_explain(struct frame *f, char *ret_lines[2], struct error *error) {
    char pieces[MOST_PIECES][PIECE_SIZE];
    char lines[2][MOST_PIECES * (PIECE_SIZE + 2) + 2] = {"", ""};
    double room = f->plot->width - 2 * f->font;
    int n = write_pieces(f, pieces);
    int line = 0;
    canvas_font(f->canvas, 0.9 * f->font, false);
    for (int i = 0; i < n; i++) {
        char longer[2 * sizeof(lines[0])];
        (void)snprintf(longer, sizeof(longer), "%s%s%s", lines[line], lines[line][0] ? "; " : "",
                       pieces[i]);
        bool fits = canvas_text_width(f->canvas, longer) <= room;
        if (!fits && lines[line][0]) {
            if (line == 1 || is_small(f)) {
                break;
            }
            (void)snprintf(longer, sizeof(longer), "%s", pieces[i]);
            line = 1;
        }
        (void)snprintf(lines[line], sizeof(lines[0]), "%.*s", (int)sizeof(lines[0]) - 1, longer);
    }
    for (int i = 0; i < 2; i++) {
        ret_lines[i] = canvas_fit(f->canvas, lines[i], room);
    }
    canvas_font(f->canvas, f->font, false);
    return ret_lines[0] && ret_lines[1]
               ? STATUS_OK
               : error_set(error, STATUS_NO_MEMORY, "no memory for the text of a figure");
}
