/* Ranges, axes and the page around them. Layer: api. */
#include "api/figure/plot.h"

#include <math.h>
#include <stdlib.h>

#include "api/figure/plot_internal.h"
#include "core/base/cleanup.h"

static const double INK_PNG_SCALE = 2.0;

struct range {
    double low, high;
};

static const struct range NOTHING = {HUGE_VAL, -HUGE_VAL};

static void include(struct range *range, double value) {
    if (isfinite(value)) {
        range->low = fmin(range->low, value);
        range->high = fmax(range->high, value);
    }
}

/* ---- what there is ---- */

/* Where a series has its last point; false: it has none. */
static bool find_last(const struct plot_series *series, size_t *ret_last) {
    size_t last = series->n;
    while (last > 0 &&
           !(isfinite(series->points[last - 1].mean) && isfinite(series->points[last - 1].x))) {
        last--;
    }
    *ret_last = last > 0 ? last - 1 : 0;
    return last > 0;
}

/* The least first; those of equal rank in the order they were given. */
static int by_rank(const void *a, const void *b) {
    const struct plot_series *x = ((const struct shown *)a)->series;
    const struct plot_series *y = ((const struct shown *)b)->series;
    bool x_known = isfinite(x->best);
    bool y_known = isfinite(y->best);
    if (x_known != y_known) {
        return x_known ? -1 : 1;
    }
    if (x_known && x->best != y->best) {
        return x->best < y->best ? -1 : 1;
    }
    return (x > y) - (x < y);
}

static void turn_round(struct shown *shown, size_t n) {
    for (size_t i = 0; i < n / 2; i++) {
        struct shown other = shown[i];
        shown[i] = shown[n - 1 - i];
        shown[n - 1 - i] = other;
    }
}

/* Of many curves the best in their looks, the others in grey; of very many the best alone. */
static void rank_shown(struct frame *f) {
    size_t n_known = 0;
    qsort(f->shown, f->n_shown, sizeof(*f->shown), by_rank);
    while (n_known < f->n_shown && isfinite(f->shown[n_known].series->best)) {
        n_known++;
    }
    if (f->plot->rising) {
        turn_round(f->shown, n_known);
    }
    f->n_shown = f->n_shown < PLOT_MOST_DRAWN ? f->n_shown : PLOT_MOST_DRAWN;
    for (int i = 0; i < PLOT_BEST_COLOURED; i++) {
        f->shown[i].rank = i + 1;
    }
    for (size_t i = PLOT_BEST_COLOURED; i < f->n_shown; i++) {
        f->shown[i].look = (struct look){.colour = f->grey};
        f->shown[i].plain = true;
    }
}

/* The curves that have a point. */
static enum status find_shown(struct frame *f, struct error *error) {
    const struct plot *plot = f->plot;
    f->shown = calloc(plot->n_series + 1, sizeof(*f->shown));
    if (!f->shown) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the curves of a figure");
    }
    for (size_t s = 0; s < plot->n_series; s++) {
        const struct plot_series *series = &plot->series[s];
        size_t last = 0;
        if (find_last(series, &last)) {
            f->shown[f->n_shown++] =
                (struct shown){.series = series, .look = series->look, .last = last};
        }
    }
    f->n_curves = f->n_shown;
    if (f->n_shown > PLOT_MOST_COLOURED) {
        rank_shown(f);
    }
    return STATUS_OK;
}

static void clear_frame(struct frame *f) {
    for (size_t i = 0; i < f->n_shown; i++) {
        free(f->shown[i].label);
    }
    free(f->shown);
    f->shown = NULL;
    f->n_shown = 0;
}

static bool is_zoomed(const struct plot *plot, int axis) {
    return isfinite(plot->zoom[2 * axis]) && isfinite(plot->zoom[2 * axis + 1]);
}

static bool is_in_x(const struct plot *plot, double x) {
    return !is_zoomed(plot, 0) || (x >= plot->zoom[0] && x <= plot->zoom[1]);
}

static struct range find_x(const struct frame *f, bool positive) {
    struct range x = NOTHING;
    for (size_t s = 0; s < f->n_shown; s++) {
        const struct plot_series *series = f->shown[s].series;
        for (size_t i = 0; i < series->n; i++) {
            if (isfinite(series->points[i].mean) && (!positive || series->points[i].x > 0)) {
                include(&x, series->points[i].x);
            }
        }
    }
    return x;
}

/* Of the means, and with `spread` of all that is drawn beside them; of the part of x that is shown,
 * or of `all`. */
static struct range find_y(const struct frame *f, bool spread, bool all) {
    struct range y = NOTHING;
    for (size_t s = 0; s < f->n_shown; s++) {
        const struct plot_series *series = f->shown[s].series;
        for (size_t i = 0; i < series->n; i++) {
            const struct plot_point *p = &series->points[i];
            if (all || is_in_x(f->plot, p->x)) {
                include(&y, p->mean);
                include(&y, spread && p->n >= 2 ? p->mean + p->std : p->mean);
                include(&y, spread && p->n >= 2 ? p->mean - p->std : p->mean);
            }
        }
        for (size_t k = 0; k < series->n_seeds && spread; k++) {
            for (size_t i = 0; i < series->seeds[k].n; i++) {
                include(&y, series->seeds[k].points[i].mean);
            }
        }
    }
    return y;
}

/* ---- ranges ---- */

static void set_x(struct frame *f) {
    const struct plot *plot = f->plot;
    struct range x = find_x(f, plot->x_log);
    f->x.log = plot->x_log && x.low > 0 && x.high > x.low;
    if (!f->x.log) {
        x = find_x(f, false);
        x.low = x.low > 0 && x.low <= 1 + 0.05 * x.high ? 0 : x.low;
        x.high = x.high > x.low ? x.high : x.low + 1;
    }
    if (is_zoomed(plot, 0) && !(f->x.log && plot->zoom[0] <= 0)) {
        x = (struct range){plot->zoom[0], plot->zoom[1]};
    }
    f->x.low = x.low;
    f->x.high = x.high;
}

/* The target belongs into the picture unless it would squash the curves in it. */
static void include_target(struct range *y, double target, bool is_log) {
    double span = y->high - y->low;
    bool near = is_log ? target > 0 && target >= y->low / 100 && target <= y->high * 100
                       : target >= y->low - span && target <= y->high + span;
    if (isfinite(target) && near) {
        include(y, target);
    }
}

static void set_y(struct frame *f) {
    const struct plot *plot = f->plot;
    struct range means = find_y(f, false, false);
    bool empty = means.low > means.high; /* the zoom shows no point */
    means = empty ? find_y(f, false, true) : means;
    struct range y = find_y(f, true, empty);
    bool wide = means.low > 0 && means.high > 5 * means.low && !plot->rising;
    f->y.log = means.low > 0 && (plot->y_scale == PLOT_LOG || (plot->y_scale == PLOT_AUTO && wide));
    if (f->y.log) {
        y.low = fmax(y.low, 0.8 * means.low);
        include_target(&y, plot->target, true);
        double room = fmax(1.03, pow(y.high / y.low, 0.03));
        y = (struct range){y.low / room, y.high * room};
    } else {
        y.low = means.low >= 0 ? 0 : y.low;
        include_target(&y, plot->target, false);
        y.high += y.high > y.low ? 0.04 * (y.high - y.low) : 1;
    }
    if (is_zoomed(plot, 1) && !(f->y.log && plot->zoom[2] <= 0)) {
        y = (struct range){plot->zoom[2], plot->zoom[3]};
    }
    f->y.low = y.low;
    f->y.high = y.high;
}

/* ---- axes ---- */

static double tick_gap_y(const struct frame *f) {
    return 2 * f->font;
}

static void draw_x_axis(struct frame *f) {
    struct plot_ticks ticks;
    char text[PLOT_TICK_SIZE];
    plot_axis_ticks(&f->x, 5 * f->font, f->x.log, f->plot->x_is_count, &ticks);
    canvas_colour(f->canvas, f->line_colour, 1);
    canvas_pen(f->canvas, 0.75, NULL, 0);
    canvas_move(f->canvas, f->left, f->bottom);
    canvas_line(f->canvas, f->right, f->bottom);
    for (int i = 0; i < ticks.n; i++) {
        double x = plot_axis_at(&f->x, ticks.values[i]);
        canvas_move(f->canvas, x, f->bottom);
        canvas_line(f->canvas, x, f->bottom + 3);
    }
    canvas_stroke(f->canvas);
    canvas_colour(f->canvas, f->soft, 1);
    for (int i = 0; i < ticks.n; i++) {
        canvas_text(f->canvas, ANCHOR_MIDDLE, plot_axis_at(&f->x, ticks.values[i]),
                    f->bottom + 4 + f->font, plot_tick_text(&ticks, ticks.values[i], text));
    }
    canvas_text(f->canvas, ANCHOR_END, f->right, f->bottom + 5 + 2.2 * f->font, f->plot->x_label);
}

static void draw_y_axis(struct frame *f) {
    struct plot_ticks ticks;
    char text[PLOT_TICK_SIZE];
    plot_axis_ticks(&f->y, tick_gap_y(f), false, false, &ticks);
    canvas_colour(f->canvas, f->rule, 1);
    canvas_pen(f->canvas, 0.75, NULL, 0);
    for (int i = 0; i < ticks.n; i++) {
        canvas_move(f->canvas, f->left, plot_axis_at(&f->y, ticks.values[i]));
        canvas_line(f->canvas, f->right, plot_axis_at(&f->y, ticks.values[i]));
    }
    canvas_stroke(f->canvas);
    canvas_colour(f->canvas, f->soft, 1);
    for (int i = 0; i < ticks.n; i++) {
        canvas_text(f->canvas, ANCHOR_END, f->left - 5,
                    plot_axis_at(&f->y, ticks.values[i]) + 0.35 * f->font,
                    plot_tick_text(&ticks, ticks.values[i], text));
    }
}

/* Widest label of the y axis, so that none is cut off. */
static double y_labels_width(struct frame *f) {
    struct plot_ticks ticks;
    char text[PLOT_TICK_SIZE];
    double widest = 0;
    plot_axis_ticks(&f->y, tick_gap_y(f), false, false, &ticks);
    for (int i = 0; i < ticks.n; i++) {
        widest = fmax(widest,
                      canvas_text_width(f->canvas, plot_tick_text(&ticks, ticks.values[i], text)));
    }
    return widest;
}

/* ---- the page ---- */

static enum status lay_out(struct frame *f, int n_lines, struct error *error) {
    const struct plot *plot = f->plot;
    double room = 0;
    f->top = (plot->title[0] ? 3.6 : 2.1) * f->font;
    f->bottom = plot->height - 6 - 2.4 * f->font - 1.3 * n_lines * f->font;
    f->y.from = f->bottom;
    f->y.to = f->top;
    f->left = 9 + y_labels_width(f);
    TRY(frame_place_labels(f, &room, error));
    f->right = fmax(plot->width - room, f->left + 0.3 * plot->width);
    f->x.from = f->left;
    f->x.to = f->right;
    return STATUS_OK;
}

/* One line, cut to what is there. */
static enum status put_line(struct frame *f, double x, double y, const char *text,
                            struct error *error) {
    CLEANUP(free_pointer) char *cut = canvas_fit(f->canvas, text, f->plot->width - x - f->font);
    if (!cut) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the text of a figure");
    }
    canvas_text(f->canvas, ANCHOR_START, x, y, cut);
    return STATUS_OK;
}

static enum status draw_heads(struct frame *f, struct error *error) {
    const struct plot *plot = f->plot;
    canvas_colour(f->canvas, f->ink, 1);
    if (plot->title[0]) {
        canvas_font(f->canvas, 1.15 * f->font, true);
        TRY(put_line(f, 5, 1.5 * f->font, plot->title, error));
        canvas_font(f->canvas, f->font, false);
    }
    canvas_colour(f->canvas, f->soft, 1);
    return put_line(f, 5, f->top - 0.8 * f->font, plot->y_label, error);
}

static enum status draw_all(struct frame *f, struct error *error) {
    CLEANUP(free_pointer) char *first = NULL;
    CLEANUP(free_pointer) char *second = NULL;
    char *lines[2] = {NULL, NULL};
    set_x(f);
    set_y(f);
    enum status status = frame_explain(f, lines, error);
    first = lines[0];
    second = lines[1];
    TRY(status);
    int n_lines = (first[0] != '\0') + (second[0] != '\0');
    n_lines = f->plot->height < 140 && n_lines > 1 ? 1 : n_lines;
    TRY(lay_out(f, n_lines, error));
    draw_y_axis(f);
    draw_x_axis(f);
    frame_draw_curves(f);
    frame_draw_labels(f);
    TRY(draw_heads(f, error));
    canvas_font(f->canvas, 0.9 * f->font, false);
    for (int i = 0; i < n_lines; i++) {
        canvas_text(f->canvas, ANCHOR_START, 5,
                    f->plot->height - (0.5 + 1.3 * (n_lines - 1 - i)) * f->font, lines[i]);
    }
    return STATUS_OK;
}

static struct colour grey_of(unsigned rgb) {
    return (struct colour){(rgb >> 16 & 0xff) / 255.0, (rgb >> 8 & 0xff) / 255.0,
                           (rgb & 0xff) / 255.0};
}

static enum status draw_page(struct frame *f, struct error *error) {
    const struct plot *plot = f->plot;
    canvas_colour(f->canvas, f->paper, 1);
    canvas_rectangle(f->canvas, 0, 0, plot->width, plot->height);
    canvas_font(f->canvas, f->font, false);
    TRY(find_shown(f, error));
    if (f->n_shown == 0) {
        canvas_colour(f->canvas, f->ink, 1);
        canvas_text(f->canvas, ANCHOR_MIDDLE, plot->width / 2, plot->height / 2,
                    "No epoch is finished yet.");
        return STATUS_OK;
    }
    return draw_all(f, error);
}

enum status plot_draw(const struct plot *plot, enum figure_format format, char **ret_bytes,
                      size_t *ret_n_bytes, struct error *error) {
    struct canvas canvas;
    bool small = plot->width < 300;
    TRY(canvas_begin(&canvas, format, plot->width, plot->height, INK_PNG_SCALE, error));
    CLEANUP(clear_frame)
    struct frame frame = {.canvas = &canvas,
                          .plot = plot,
                          .font = small ? 7.0 : 9.0,
                          .line = small ? 1.1 : 1.5,
                          .ink = grey_of(plot->dark ? 0xe7e9eb : 0x14171a),
                          .soft = grey_of(plot->dark ? 0xb4babf : 0x474d53),
                          .line_colour = grey_of(plot->dark ? 0x717980 : 0x858b91),
                          .rule = grey_of(plot->dark ? 0x2e3337 : 0xdcdfe1),
                          .grey = grey_of(plot->dark ? 0x949ba2 : 0x5f666c),
                          .paper = grey_of(plot->dark ? 0x121416 : 0xffffff)};
    enum status status = draw_page(&frame, error);
    if (status != STATUS_OK) {
        canvas_clear(&canvas);
        return status;
    }
    return canvas_finish(&canvas, ret_bytes, ret_n_bytes, error);
}
