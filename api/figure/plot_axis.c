/* Layer: api. */
#include "api/figure/plot_axis.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

double plot_axis_at(const struct plot_axis *axis, double value) {
    double share = axis->log ? log(value / axis->low) / log(axis->high / axis->low)
                             : (value - axis->low) / (axis->high - axis->low);
    return axis->from + share * (axis->to - axis->from);
}

/* ---- linear ---- */

static int count_steps(const struct plot_axis *axis, double step) {
    return (int)(floor(axis->high / step + 1e-6) - ceil(axis->low / step - 1e-6)) + 1;
}

/* 1, 2, 5, 10, 20, 50 ... by number; 0 is 1. */
static double nice_step(int number) {
    static const double leads[] = {1, 2, 5};
    int decade = (int)floor(number / 3.0);
    return leads[number - 3 * decade] * pow(10, decade);
}

static void linear_ticks(const struct plot_axis *axis, double gap, bool whole,
                         struct plot_ticks *ticks) {
    double length = fabs(axis->to - axis->from);
    double most = fmax(2, fmin(floor(length / gap), PLOT_MOST_TICKS - 1));
    double rough = (axis->high - axis->low) / most;
    if (!(rough > 1e-300 && rough < 1e300)) {
        return; /* no step between two of its numbers can be told */
    }
    int number = 3 * (int)floor(log10(rough)) - 1;
    while (nice_step(number) < rough * (1 - 1e-9)) {
        number++;
    }
    /* Three at least, even if they come nearer than they should. */
    while (count_steps(axis, nice_step(number)) < 3) {
        number--;
    }
    number = whole && number < 0 && count_steps(axis, 1) >= 2 ? 0 : number;
    double step = nice_step(number);
    double first = ceil(axis->low / step - 1e-6);
    int n = count_steps(axis, step);
    for (int i = 0; i < n && i < PLOT_MOST_TICKS; i++) {
        ticks->values[ticks->n++] = (first + i) * step;
    }
}

/* ---- logarithmic ---- */

static bool is_free(const struct plot_axis *axis, const struct plot_ticks *ticks, double value,
                    double gap) {
    for (int i = 0; i < ticks->n; i++) {
        if (fabs(plot_axis_at(axis, ticks->values[i]) - plot_axis_at(axis, value)) < gap) {
            return false;
        }
    }
    return true;
}

static int compare_numbers(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Every lead of one tier in every decade where there is room. */
static void add_tier(const struct plot_axis *axis, const char *leads, double gap, bool whole,
                     struct plot_ticks *ticks) {
    int last = (int)ceil(log10(axis->high));
    for (int decade = (int)floor(log10(axis->low)); decade <= last; decade++) {
        for (const char *lead = leads; *lead; lead++) {
            /* '0' stands for 1.5. */
            double value = (*lead == '0' ? 1.5 : *lead - '0') * pow(10, decade);
            bool inside = value >= axis->low * (1 - 1e-9) && value <= axis->high * (1 + 1e-9);
            if (inside && !(whole && value < 1) && ticks->n < PLOT_MOST_TICKS &&
                is_free(axis, ticks, value, gap)) {
                ticks->values[ticks->n++] = value;
            }
        }
    }
}

static void log_ticks(const struct plot_axis *axis, double gap, bool coarse, bool whole,
                      struct plot_ticks *ticks) {
    static const char *const tiers[] = {"1", "26", "3", "4", "8", "5", "7", "0"};
    static const char *const coarse_tiers[] = {"1", "3"};
    int n_tiers = coarse ? 2 : (int)(sizeof(tiers) / sizeof(tiers[0]));
    for (int i = 0; i < n_tiers; i++) {
        add_tier(axis, (coarse ? coarse_tiers : tiers)[i], gap, whole, ticks);
    }
    if (ticks->n < 2) {
        ticks->n = 0;
        linear_ticks(axis, gap, whole, ticks);
    }
    qsort(ticks->values, (size_t)ticks->n, sizeof(ticks->values[0]), compare_numbers);
}

/* ---- text ---- */

static int decimals_of(double value) {
    for (int decimals = 0; decimals < 9; decimals++) {
        double scaled = fabs(value) * pow(10, decimals);
        if (fabs(scaled - round(scaled)) < 1e-6 * fmax(scaled, 1e-3)) {
            return decimals;
        }
    }
    return 9;
}

void plot_axis_ticks(const struct plot_axis *axis, double gap, bool coarse, bool whole,
                     struct plot_ticks *ret_ticks) {
    memset(ret_ticks, 0, sizeof(*ret_ticks));
    if (axis->log) {
        log_ticks(axis, gap, coarse, whole, ret_ticks);
    } else {
        linear_ticks(axis, gap, whole, ret_ticks);
    }
    for (int i = 0; i < ret_ticks->n; i++) {
        int decimals = decimals_of(ret_ticks->values[i]);
        ret_ticks->decimals = decimals > ret_ticks->decimals ? decimals : ret_ticks->decimals;
    }
    if (axis->log && axis->high > 200 * axis->low) {
        ret_ticks->decimals = -1; /* 0.01 beside 100.00 says no more than beside 100 */
    }
}

const char *plot_tick_text(const struct plot_ticks *ticks, double value,
                           char ret_text[PLOT_TICK_SIZE]) {
    char digits[64];
    int decimals = ticks->decimals < 0 ? decimals_of(value) : ticks->decimals;
    if (fabs(value) >= 1e9 || decimals > 6) {
        (void)snprintf(ret_text, PLOT_TICK_SIZE, "%.4g", value);
        return ret_text;
    }
    int n = snprintf(digits, sizeof(digits), "%.*f", decimals, fabs(value));
    int whole = (int)strcspn(digits, ".");
    int used =
        value < 0 && strtod(digits, NULL) > 0 ? snprintf(ret_text, PLOT_TICK_SIZE, "\u2212") : 0;
    for (int i = 0; i < n && used < PLOT_TICK_SIZE - 2; i++) {
        if (i > 0 && i < whole && (whole - i) % 3 == 0) {
            ret_text[used++] = ',';
        }
        ret_text[used++] = digits[i];
    }
    ret_text[used] = '\0';
    return ret_text;
}
