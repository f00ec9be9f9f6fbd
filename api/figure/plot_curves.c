/* Bands, curves, target and marks. Layer: api. */
#include <math.h>
#include <stdio.h>

#include "api/figure/plot_internal.h"

double shown_value(const struct plot_series *series, size_t i) {
    return series->smooth ? series->smooth[i] : series->points[i].mean;
}

static double x_at(const struct frame *f, double x) {
    return plot_axis_at(&f->x, x);
}

/* What is no point of a log axis lies at its lower end. */
static double y_at(const struct frame *f, double y) {
    return f->y.log && y <= 0 ? f->y.from + 4 * f->font : plot_axis_at(&f->y, y);
}

static bool is_inside(const struct frame *f, double x, double y) {
    return x >= f->x.low && x <= f->x.high && y >= f->y.low && y <= f->y.high;
}

static bool has_band(const struct plot_point *p) {
    return p->n >= 2 && isfinite(p->x) && isfinite(p->mean) && isfinite(p->std);
}

static void draw_band(struct frame *f, const struct shown *shown) {
    const struct plot_series *series = shown->series;
    for (size_t i = 0; i < series->n;) {
        size_t begin = i;
        while (i < series->n && has_band(&series->points[i])) {
            i++;
        }
        for (size_t k = begin; k < i; k++) {
            const struct plot_point *p = &series->points[k];
            (k == begin ? canvas_move : canvas_line)(f->canvas, x_at(f, p->x),
                                                     y_at(f, p->mean + p->std));
        }
        for (size_t k = i; k > begin; k--) {
            const struct plot_point *p = &series->points[k - 1];
            canvas_line(f->canvas, x_at(f, p->x), y_at(f, p->mean - p->std));
        }
        if (i > begin) {
            canvas_colour(f->canvas, shown->look.colour, 0.13);
            canvas_fill(f->canvas);
        }
        i += i == begin;
    }
}

/* A place on the page. */
struct place {
    double x, y;
};

/* Shortens the way along one axis to what lies between low and high; *begin and *end are shares of
 * it. */
static void shorten(double from, double to, double low, double high, double *begin, double *end) {
    double way = to - from;
    if (way == 0) {
        *end = from < low || from > high ? -1 : *end;
        return;
    }
    double a = (low - from) / way;
    double b = (high - from) / way;
    *begin = fmax(*begin, fmin(a, b));
    *end = fmin(*end, fmax(a, b));
}

/* Leaves of a line what is not farther than a box beside the box of the axes (Liang and Barsky,
 * 1984): with a zoom the rest may be millions of dashes long. False: nothing of it. */
static bool clip(const struct frame *f, struct place *from, struct place *to) {
    const struct place a = *from;
    const struct place b = *to;
    double width = f->right - f->left;
    double height = f->bottom - f->top;
    double begin = 0;
    double end = 1;
    shorten(a.x, b.x, f->left - width, f->right + width, &begin, &end);
    shorten(a.y, b.y, f->top - height, f->bottom + height, &begin, &end);
    if (begin > 0) {
        *from = (struct place){a.x + begin * (b.x - a.x), a.y + begin * (b.y - a.y)};
    }
    if (end < 1) {
        *to = (struct place){a.x + end * (b.x - a.x), a.y + end * (b.y - a.y)};
    }
    return begin <= end;
}

/* The points as a line with gaps; smooth: those of the series instead of the means. */
static void trace(struct frame *f, const struct plot_point *points, const double *smooth,
                  size_t n) {
    struct place last = {0, 0};
    bool has_last = false; /* there is no gap before this point */
    bool down = false;     /* the path has come to the last one */
    for (size_t i = 0; i < n; i++) {
        double y = smooth ? smooth[i] : points[i].mean;
        bool shown = isfinite(y) && isfinite(points[i].x) && !(f->x.log && points[i].x <= 0);
        struct place here = {shown ? x_at(f, points[i].x) : 0, shown ? y_at(f, y) : 0};
        if (!shown || !isfinite(here.x) || !isfinite(here.y)) {
            has_last = false;
            continue;
        }
        struct place from = has_last ? last : here;
        struct place to = here;
        if (clip(f, &from, &to)) {
            if (!has_last || !down) {
                canvas_move(f->canvas, from.x, from.y);
            }
            if (has_last) {
                canvas_line(f->canvas, to.x, to.y);
            }
            down = to.x == here.x && to.y == here.y;
        } else {
            down = false;
        }
        last = here;
        has_last = true;
    }
    canvas_stroke(f->canvas);
}

static void set_pen(struct frame *f, const struct look *look, double width, double alpha) {
    double dashes[LOOK_MOST_DASHES];
    for (int i = 0; i < look->n_dashes; i++) {
        dashes[i] = look->dashes[i] * f->line / 2;
    }
    canvas_colour(f->canvas, look->colour, alpha);
    canvas_pen(f->canvas, width, dashes, look->n_dashes);
}

/* Paper around the line, so that crossings are seen. */
static void draw_curve(struct frame *f, const struct shown *shown) {
    const struct plot_series *series = shown->series;
    const double line = shown->plain ? f->line / 2 : f->line;
    if (series->smooth && !shown->plain) {
        canvas_colour(f->canvas, shown->look.colour, 0.35);
        canvas_pen(f->canvas, f->line / 2, NULL, 0);
        trace(f, series->points, NULL, series->n);
    }
    canvas_colour(f->canvas, f->paper, 1);
    canvas_pen(f->canvas, 1.75 * line, NULL, 0);
    trace(f, series->points, series->smooth, series->n);
    set_pen(f, &shown->look, line, 1);
    trace(f, series->points, series->smooth, series->n);
}

static void draw_seeds(struct frame *f, const struct shown *shown) {
    const struct plot_series *series = shown->series;
    canvas_colour(f->canvas, shown->look.colour, 0.32);
    canvas_pen(f->canvas, f->line / 2, NULL, 0);
    for (size_t i = 0; i < series->n_seeds; i++) {
        trace(f, series->seeds[i].points, NULL, series->seeds[i].n);
    }
}

/* ---- marks ---- */

static void draw_mark(struct frame *f, const struct shown *shown, double x, double y, bool filled) {
    const double radius = (shown->plain ? 0.9 : 1.4) * f->line;
    if (!is_inside(f, x, y)) {
        return;
    }
    canvas_colour(f->canvas, f->paper, 1);
    canvas_circle(f->canvas, x_at(f, x), y_at(f, y), radius + 0.5 * f->line, true);
    canvas_colour(f->canvas, shown->look.colour, 1);
    canvas_pen(f->canvas, 0.7 * f->line, NULL, 0);
    canvas_circle(f->canvas, x_at(f, x), y_at(f, y), radius, filled);
}

void frame_rank_mark(struct frame *f, const struct shown *shown, double x, double y) {
    static const double corners[2][4][2] = {{{-1, -1}, {1, -1}, {1, 1}, {-1, 1}},
                                            {{0, -1.3}, {1.3, 1}, {-1.3, 1}, {0, -1.3}}};
    const double radius = 1.7 * f->line;
    for (int paper = 1; paper >= 0; paper--) {
        double size = radius + paper * 0.4 * f->line;
        canvas_colour(f->canvas, paper ? f->paper : shown->look.colour, 1);
        if (shown->rank == 1) {
            canvas_circle(f->canvas, x, y, 1.1 * size, true);
            continue;
        }
        for (int i = 0; i < 4; i++) {
            const double *at = corners[shown->rank - 2][i];
            (i == 0 ? canvas_move : canvas_line)(f->canvas, x + at[0] * size, y + at[1] * size);
        }
        canvas_fill(f->canvas);
    }
}

/* At every so many points of the page, each rank at places of its own. */
static void draw_rank_marks(struct frame *f, const struct shown *shown) {
    const struct plot_series *series = shown->series;
    const double every = 5 * f->font;
    double place = (double)NAN;
    for (size_t i = 0; i < series->n; i++) {
        double x = series->points[i].x;
        double y = shown_value(series, i);
        if (isfinite(y) && is_inside(f, x, y)) {
            double here = floor((x_at(f, x) - f->left) / every + shown->rank / 3.0);
            if (here > place) {
                frame_rank_mark(f, shown, x_at(f, x), y_at(f, y));
            }
            place = here;
        }
    }
}

/* A point on its own has no line; a hollow one is the first of fewer runs. */
static void draw_marks(struct frame *f, const struct shown *shown) {
    const struct plot_series *series = shown->series;
    const struct plot_point *p = series->points;
    for (size_t i = 0; i < series->n; i++) {
        double y = shown_value(series, i);
        bool before = i > 0 && isfinite(shown_value(series, i - 1));
        bool behind = i + 1 < series->n && isfinite(shown_value(series, i + 1));
        if (isfinite(y) && !before && !behind) {
            draw_mark(f, shown, p[i].x, y, true);
        } else if (isfinite(y) && !shown->plain && i > 0 && p[i].n < p[i - 1].n) {
            draw_mark(f, shown, p[i].x, y, false);
        }
    }
}

/* ---- target ---- */

static void write_target(const struct frame *f, const char *arrow, char *text, size_t size) {
    struct plot_ticks exact = {.decimals = -1};
    char number[PLOT_TICK_SIZE];
    const char *unit = f->plot->y_unit;
    (void)snprintf(text, size, "target %s%s%s%s", plot_tick_text(&exact, f->plot->target, number),
                   unit[0] ? "\u00a0" : "", unit, arrow);
}

static void draw_target(struct frame *f) {
    char text[96];
    double target = f->plot->target;
    if (!isfinite(target)) {
        return;
    }
    canvas_colour(f->canvas, f->ink, 1);
    if (target >= f->y.low && target <= f->y.high) {
        write_target(f, "", text, sizeof(text));
        canvas_pen(f->canvas, 0.75, NULL, 0);
        canvas_move(f->canvas, f->left, y_at(f, target));
        canvas_line(f->canvas, f->right, y_at(f, target));
        canvas_stroke(f->canvas);
        canvas_text(f->canvas, ANCHOR_START, f->left + 4, y_at(f, target) - 0.35 * f->font, text);
    } else { /* it would squash the curves: said at the edge behind which it lies */
        bool above = target > f->y.high;
        write_target(f, above ? "\u00a0\u2191" : "\u00a0\u2193", text, sizeof(text));
        canvas_text(f->canvas, ANCHOR_START, f->left + 4,
                    above ? f->top + 1.1 * f->font : f->bottom - 0.5 * f->font, text);
    }
}

/* Where the groups reached it: a dot, a line down to the axis, and which it is. */
static void draw_reached(struct frame *f) {
    double taken = -HUGE_VAL; /* up to here by the mark before */
    for (size_t i = 0; i < f->n_shown; i++) {
        const struct plot_series *series = f->shown[i].series;
        double x = x_at(f, series->reached);
        if (f->shown[i].plain || !isfinite(series->reached) ||
            !is_inside(f, series->reached, f->plot->target)) {
            continue;
        }
        canvas_colour(f->canvas, series->look.colour, 1);
        canvas_pen(f->canvas, 0.5, NULL, 0);
        canvas_move(f->canvas, x, y_at(f, f->plot->target));
        canvas_line(f->canvas, x, f->bottom);
        canvas_stroke(f->canvas);
        draw_mark(f, &f->shown[i], series->reached, f->plot->target, true);
        double width = series->mark ? canvas_text_width(f->canvas, series->mark) : 0;
        bool room = f->bottom - f->top > 9 * f->font && fabs(x - taken) > width + 0.8 * f->font;
        if (series->mark && room) {
            bool fits = x + 2 + width < f->right;
            canvas_colour(f->canvas, f->ink, 1);
            canvas_text(f->canvas, fits ? ANCHOR_START : ANCHOR_END, fits ? x + 2 : x - 2,
                        f->bottom - 0.4 * f->font, series->mark);
            taken = x;
        }
    }
}

/* ---- halving ---- */

/* Two bars: paused, as states are shown everywhere. */
static void draw_pauses(struct frame *f, const struct shown *shown) {
    const struct plot_series *series = shown->series;
    const double size = 2.2 * f->line;
    for (size_t i = 0; i < series->n; i++) {
        const struct plot_point *p = &series->points[i];
        double y = shown_value(series, i);
        if (!p->paused || !isfinite(y) || !is_inside(f, p->x, y)) {
            continue;
        }
        for (int paper = 1; paper >= 0; paper--) {
            canvas_colour(f->canvas, paper ? f->paper : shown->look.colour, 1);
            canvas_pen(f->canvas, (paper ? 2.2 : 1.1) * f->line, NULL, 0);
            for (int side = -1; side <= 1; side += 2) {
                double x = x_at(f, p->x) + side * 1.1 * f->line;
                canvas_move(f->canvas, x, y_at(f, y) - size);
                canvas_line(f->canvas, x, y_at(f, y) + size);
            }
            canvas_stroke(f->canvas);
        }
    }
}

/* A dotted line a rung, and beside it how many of how many went on, where there is room. */
static void draw_rungs(struct frame *f) {
    static const double dots[] = {1, 2.5};
    double taken = -HUGE_VAL;
    for (size_t i = 0; i < f->plot->n_rungs; i++) {
        const struct plot_rung *rung = &f->plot->rungs[i];
        char text[48];
        double x = x_at(f, rung->x);
        if (rung->x < f->x.low || rung->x > f->x.high) {
            continue;
        }
        canvas_colour(f->canvas, f->line_colour, 1);
        canvas_pen(f->canvas, 0.75, dots, 2);
        canvas_move(f->canvas, x, f->top);
        canvas_line(f->canvas, x, f->bottom);
        canvas_stroke(f->canvas);
        (void)snprintf(text, sizeof(text), "%d of %d", rung->n_promoted, rung->n_ranked);
        double width = canvas_text_width(f->canvas, text);
        double left = x + 2 + width < f->right ? x + 2 : x - 2 - width;
        if (left > taken) {
            canvas_colour(f->canvas, f->soft, 1);
            canvas_text(f->canvas, ANCHOR_START, left, f->bottom - 1.6 * f->font, text);
            taken = left + width + 0.5 * f->font;
        }
    }
}

void frame_draw_curves(struct frame *f) {
    draw_rungs(f);
    canvas_clip(f->canvas, f->left, f->top, f->right - f->left, f->bottom - f->top);
    for (size_t i = 0; i < f->n_shown; i++) {
        const struct plot_series *series = f->shown[i].series;
        if (series->n_seeds > 0) {
            draw_seeds(f, &f->shown[i]);
        } else if (!series->smooth && !f->shown[i].plain) {
            draw_band(f, &f->shown[i]);
        }
    }
    /* Where they are ranked the best lie on top. */
    for (size_t i = 0; i < f->n_shown; i++) {
        bool ranked = f->n_shown > PLOT_MOST_COLOURED;
        draw_curve(f, &f->shown[ranked ? f->n_shown - 1 - i : i]);
    }
    canvas_unclip(f->canvas);
    draw_target(f);
    draw_reached(f);
    for (size_t i = 0; i < f->n_shown; i++) {
        draw_marks(f, &f->shown[i]);
        draw_pauses(f, &f->shown[i]);
        if (f->shown[i].rank > 0) {
            draw_rank_marks(f, &f->shown[i]);
        }
    }
}
