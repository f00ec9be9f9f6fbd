/* Layer: api. */
#include "api/figure/plot.h"

#include <math.h>
#include <stdio.h>

/* After Okabe and Ito (2008), whose colours colour-blind readers tell apart, dark enough for paper
 * and light enough for a dark page. Dashes tell neighbours apart on grey paper. */
static const struct colour palette[] = {
    {0.00, 0.45, 0.70}, {0.90, 0.60, 0.00}, {0.00, 0.62, 0.45}, {0.84, 0.37, 0.00},
    {0.80, 0.47, 0.65}, {0.34, 0.71, 0.91}, {0.58, 0.55, 0.10}, {0.45, 0.45, 0.45},
};
enum { N_COLOURS = sizeof(palette) / sizeof(palette[0]), N_DASHES = 4 };

static const struct {
    int n;
    double lengths[4];
} dashes[N_DASHES] = {{0, {0}}, {2, {6, 2}}, {2, {1.5, 1.5}}, {4, {6, 2, 1.5, 2}}};

static const double INK_PNG_SCALE = 2.0;

struct range {
    double low, high;
};

struct frame {
    struct canvas *canvas;
    const struct plot *plot;
    double font;
    double left, right, top, bottom; /* the box of the axes */
    struct range x, y;
    struct colour ink, paper, faint;
};

void plot_ticks(double low, double high, int n, double *ret_first, double *ret_step) {
    double rough = (high - low) / n;
    double power = pow(10.0, floor(log10(rough)));
    double step = 10.0 * power;
    static const double nice[] = {1.0, 2.0, 5.0};
    for (int i = 2; i >= 0; i--) {
        step = nice[i] * power >= rough * (1 - 1e-9) ? nice[i] * power : step;
    }
    *ret_step = step;
    *ret_first = ceil(low / step - 1e-9) * step;
}

/* Ticks that plot_ticks' first one and its step lead to, up to `high`. */
static int n_ticks(double high, double first, double step) {
    return (int)floor((high - first) / step + 1e-6) + 1;
}

/* ---- ranges ---- */

static void include(struct range *range, double value) {
    if (isfinite(value)) {
        range->low = fmin(range->low, value);
        range->high = fmax(range->high, value);
    }
}

/* false: there is nothing to show. */
static bool find_ranges(struct frame *frame) {
    const struct plot *plot = frame->plot;
    struct range x = {HUGE_VAL, -HUGE_VAL};
    struct range y = {HUGE_VAL, -HUGE_VAL};
    for (size_t s = 0; s < plot->n_series; s++) {
        for (size_t i = 0; i < plot->series[s].n; i++) {
            const struct plot_point *point = &plot->series[s].points[i];
            if (isfinite(point->mean)) {
                include(&x, point->x);
                include(&y, point->mean);
                include(&y, point->mean - point->std);
                include(&y, point->mean + point->std);
            }
        }
    }
    if (x.low > x.high) {
        return false;
    }
    include(&y, plot->target);
    double least = y.low >= 0 && y.low < 0.5 * y.high ? 0.0 : y.low;
    double room = 0.04 * (y.high - least);
    frame->y = (struct range){least > 0 ? least - room : least, y.high + room};
    frame->x = x.low > 0 && x.low <= 1 + 0.05 * x.high ? (struct range){0.0, x.high} : x;
    if (!(frame->y.high > frame->y.low)) {
        frame->y = (struct range){y.low - 0.5, y.low + 0.5};
    }
    if (!(frame->x.high > frame->x.low)) {
        frame->x.high = frame->x.low + 1.0;
    }
    return true;
}

static double x_at(const struct frame *f, double x) {
    return f->left + (x - f->x.low) / (f->x.high - f->x.low) * (f->right - f->left);
}

static double y_at(const struct frame *f, double y) {
    return f->bottom - (y - f->y.low) / (f->y.high - f->y.low) * (f->bottom - f->top);
}

/* ---- axes ---- */

static void tick_text(double value, double step, char text[32]) {
    /* 0.30000000000000004 is 0.3. */
    double clean = fabs(value) < step * 1e-6 ? 0.0 : value;
    if (fabs(clean) >= 1e6) {
        (void)snprintf(text, 32, "%.3gM", clean / 1e6);
    } else if (fabs(clean) >= 1e4 && step >= 1000) {
        (void)snprintf(text, 32, "%.4gk", clean / 1e3);
    } else {
        (void)snprintf(text, 32, "%.6g", clean);
    }
}

static void line(struct frame *f, double x0, double y0, double x1, double y1) {
    cairo_move_to(f->canvas->cairo, x0, y0);
    cairo_line_to(f->canvas->cairo, x1, y1);
    cairo_stroke(f->canvas->cairo);
}

static void draw_x_axis(struct frame *f) {
    double first = 0;
    double step = 1;
    plot_ticks(f->x.low, f->x.high, (int)fmax(2, (f->right - f->left) / 45), &first, &step);
    for (int i = 0; i < n_ticks(f->x.high, first, step); i++) {
        const double x = first + i * step;
        char text[32];
        tick_text(x, step, text);
        canvas_colour(f->canvas, f->ink, 1);
        line(f, x_at(f, x), f->bottom, x_at(f, x), f->bottom + 3);
        canvas_text(f->canvas, ANCHOR_MIDDLE, x_at(f, x), f->bottom + 4 + f->font, text);
    }
    canvas_text(f->canvas, ANCHOR_MIDDLE, (f->left + f->right) / 2, f->bottom + 7 + 2.3 * f->font,
                f->plot->x_label);
}

static void draw_y_axis(struct frame *f) {
    double first = 0;
    double step = 1;
    plot_ticks(f->y.low, f->y.high, (int)fmax(2, (f->bottom - f->top) / 30), &first, &step);
    for (int i = 0; i < n_ticks(f->y.high, first, step); i++) {
        const double y = first + i * step;
        char text[32];
        tick_text(y, step, text);
        canvas_colour(f->canvas, f->faint, 1);
        line(f, f->left, y_at(f, y), f->right, y_at(f, y));
        canvas_colour(f->canvas, f->ink, 1);
        line(f, f->left - 3, y_at(f, y), f->left, y_at(f, y));
        canvas_text(f->canvas, ANCHOR_END, f->left - 5, y_at(f, y) + 0.35 * f->font, text);
    }
    cairo_t *cairo = f->canvas->cairo;
    cairo_save(cairo);
    cairo_translate(cairo, f->font, (f->top + f->bottom) / 2);
    cairo_rotate(cairo, -acos(0.0));
    canvas_text(f->canvas, ANCHOR_MIDDLE, 0, 0, f->plot->y_label);
    cairo_restore(cairo);
}

/* Widest label of the y axis, so that none is cut off. */
static double y_labels_width(struct frame *f, double height) {
    double first = 0;
    double step = 1;
    double widest = 0;
    plot_ticks(f->y.low, f->y.high, (int)fmax(2, height / 30), &first, &step);
    for (int i = 0; i < n_ticks(f->y.high, first, step); i++) {
        const double y = first + i * step;
        char text[32];
        tick_text(y, step, text);
        widest = fmax(widest, canvas_text_width(f->canvas, text));
    }
    return widest;
}

static void lay_out(struct frame *f) {
    const struct plot *plot = f->plot;
    f->top = plot->title[0] ? 2.2 * f->font : 0.8 * f->font;
    f->bottom = plot->height - 7 - 2.8 * f->font;
    f->left = 8 + 1.6 * f->font + y_labels_width(f, f->bottom - f->top);
    f->right = plot->width - 1.4 * f->font;
}

/* ---- curves ---- */

static void draw_band(struct frame *f, const struct plot_series *series, struct colour colour) {
    cairo_t *cairo = f->canvas->cairo;
    size_t i = 0;
    while (i < series->n) {
        size_t begin = i;
        while (i < series->n && isfinite(series->points[i].mean) &&
               isfinite(series->points[i].std)) {
            i++;
        }
        for (size_t k = begin; k < i; k++) {
            const struct plot_point *p = &series->points[k];
            cairo_line_to(cairo, x_at(f, p->x), y_at(f, p->mean + p->std));
        }
        for (size_t k = i; k > begin; k--) {
            const struct plot_point *p = &series->points[k - 1];
            cairo_line_to(cairo, x_at(f, p->x), y_at(f, p->mean - p->std));
        }
        if (i > begin) {
            cairo_close_path(cairo);
            canvas_colour(f->canvas, colour, 0.18);
            cairo_fill(cairo);
        }
        i += i == begin;
    }
}

static void set_pen(struct frame *f, size_t index) {
    canvas_colour(f->canvas, palette[index % N_COLOURS], 1);
    cairo_set_line_width(f->canvas->cairo, 1.3);
    cairo_set_dash(f->canvas->cairo, dashes[index % N_DASHES].lengths, dashes[index % N_DASHES].n,
                   0);
}

static void lift_pen(struct frame *f) {
    cairo_set_line_width(f->canvas->cairo, 0.6);
    cairo_set_dash(f->canvas->cairo, NULL, 0, 0);
}

static void draw_curve(struct frame *f, const struct plot_series *series, size_t index) {
    cairo_t *cairo = f->canvas->cairo;
    bool down = false;
    size_t n_finite = 0;
    set_pen(f, index);
    for (size_t i = 0; i < series->n; i++) {
        const struct plot_point *p = &series->points[i];
        if (!isfinite(p->mean)) {
            down = false;
            continue;
        }
        n_finite++;
        if (down) {
            cairo_line_to(cairo, x_at(f, p->x), y_at(f, p->mean));
        } else {
            cairo_move_to(cairo, x_at(f, p->x), y_at(f, p->mean));
        }
        down = true;
    }
    cairo_stroke(cairo);
    /* A single point has no line. */
    for (size_t i = 0; n_finite == 1 && i < series->n; i++) {
        const struct plot_point *p = &series->points[i];
        if (isfinite(p->mean)) {
            cairo_arc(cairo, x_at(f, p->x), y_at(f, p->mean), 2.2, 0, 4 * acos(0.0));
            cairo_fill(cairo);
        }
    }
    lift_pen(f);
}

static void draw_target(struct frame *f) {
    if (!isfinite(f->plot->target)) {
        return;
    }
    char text[48];
    double y = y_at(f, f->plot->target);
    static const double pattern[] = {3, 2};
    (void)snprintf(text, sizeof(text), "target %g", f->plot->target);
    canvas_colour(f->canvas, f->ink, 0.8);
    cairo_set_dash(f->canvas->cairo, pattern, 2, 0);
    line(f, f->left, y, f->right, y);
    cairo_set_dash(f->canvas->cairo, NULL, 0, 0);
    canvas_text(f->canvas, ANCHOR_START, f->left + 4, y - 0.3 * f->font, text);
}

static void draw_legend(struct frame *f) {
    const struct plot *plot = f->plot;
    const double row = 1.3 * f->font;
    const double pen = 2.6 * f->font;
    size_t most = (size_t)fmax(1, floor((f->bottom - f->top - row) / row));
    if (plot->n_series == 0) {
        return;
    }
    size_t columns = (plot->n_series + most - 1) / most;
    size_t rows = (plot->n_series + columns - 1) / columns;
    double widest = 0;
    for (size_t i = 0; i < plot->n_series; i++) {
        widest = fmax(widest, canvas_text_width(f->canvas, plot->series[i].label));
    }
    double column = pen + widest + 1.8 * f->font;
    double left = f->right - (double)columns * column - 2;
    double height = (double)rows * row + 0.5 * f->font;
    double top = plot->rising ? f->bottom - height - 4 : f->top + 4;
    canvas_colour(f->canvas, f->paper, 0.8);
    cairo_rectangle(f->canvas->cairo, left, top, f->right - left - 2, height);
    cairo_fill(f->canvas->cairo);
    for (size_t i = 0; i < plot->n_series; i++) {
        const size_t at_column = i / rows;
        const size_t at_row = i % rows;
        double x = left + 0.5 * f->font + (double)at_column * column;
        double y = top + ((double)at_row + 0.75) * row;
        set_pen(f, i);
        line(f, x, y, x + pen, y);
        lift_pen(f);
        canvas_colour(f->canvas, f->ink, 1);
        canvas_text(f->canvas, ANCHOR_START, x + pen + 0.5 * f->font, y + 0.35 * f->font,
                    plot->series[i].label);
    }
}

static void draw_curves(struct frame *f) {
    cairo_t *cairo = f->canvas->cairo;
    draw_x_axis(f);
    draw_y_axis(f);
    cairo_save(cairo);
    cairo_rectangle(cairo, f->left, f->top, f->right - f->left, f->bottom - f->top);
    cairo_clip(cairo);
    for (size_t i = 0; i < f->plot->n_series; i++) {
        draw_band(f, &f->plot->series[i], palette[i % N_COLOURS]);
    }
    draw_target(f);
    for (size_t i = 0; i < f->plot->n_series; i++) {
        draw_curve(f, &f->plot->series[i], i);
    }
    cairo_restore(cairo);
    canvas_colour(f->canvas, f->ink, 1);
    cairo_rectangle(cairo, f->left, f->top, f->right - f->left, f->bottom - f->top);
    cairo_stroke(cairo);
    if (f->plot->n_series > 0) {
        draw_legend(f);
    }
}

enum status plot_draw(const struct plot *plot, enum figure_format format, char **ret_bytes,
                      size_t *ret_n_bytes, struct error *error) {
    static const struct colour black = {0.1, 0.1, 0.1};
    static const struct colour white = {1, 1, 1};
    static const struct colour night = {0.11, 0.12, 0.14};
    static const struct colour light_ink = {0.88, 0.88, 0.88};
    static const struct colour light_grid = {0.90, 0.90, 0.90};
    static const struct colour dark_grid = {0.24, 0.25, 0.28};
    struct canvas canvas;
    TRY(canvas_begin(&canvas, format, plot->width, plot->height, INK_PNG_SCALE, error));
    struct frame frame = {.canvas = &canvas,
                          .plot = plot,
                          .font = plot->width < 300 ? 7.0 : 9.0,
                          .ink = plot->dark ? light_ink : black,
                          .paper = plot->dark ? night : white,
                          .faint = plot->dark ? dark_grid : light_grid};
    canvas_colour(&canvas, frame.paper, 1);
    cairo_paint(canvas.cairo);
    cairo_set_font_size(canvas.cairo, frame.font);
    cairo_set_line_width(canvas.cairo, 0.6);
    canvas_colour(&canvas, frame.ink, 1);
    if (find_ranges(&frame)) {
        lay_out(&frame);
        draw_curves(&frame);
        canvas_colour(&canvas, frame.ink, 1);
        canvas_text(&canvas, ANCHOR_MIDDLE, (frame.left + frame.right) / 2, 1.4 * frame.font,
                    plot->title);
    } else {
        canvas_text(&canvas, ANCHOR_MIDDLE, plot->width / 2, plot->height / 2,
                    "No epoch is finished yet.");
    }
    return canvas_finish(&canvas, ret_bytes, ret_n_bytes, error);
}
