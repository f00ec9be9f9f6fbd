/* Layer: api. */
#include "api/figure/looks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct look_row table[] = {
    {"m1", 1, 0x82898d, 0xe8ecef, 2, {1.5, 3}},
    {"m2", 2, 0xc27500, 0xf6e038, 2, {4, 2.5}},
    {"m4", 4, 0xbc3a1c, 0xdb992a, 2, {8, 3}},
    {"m8", 8, 0x9a2d55, 0xfb6a84, 4, {10, 3, 2, 3}},
    {"m16", 16, 0x6f3180, 0xbb7bb0, 2, {13.5, 3}},
    {"m32", 32, 0x2417d6, 0x856dff, 0, {0}},
    {"m40", 40, 0x15044a, 0x5166b0, 6, {10, 3, 2, 3, 2, 3}},
    {"spare", 0, 0x0b5b50, 0x3fbf9f, 0, {0}},
};
enum { N_ROWS = sizeof(table) / sizeof(table[0]), N_OF_M = N_ROWS - 1, LONE = 5 /* M 32 */ };

/* What has a name and no order: neighbours are far apart. */
static const int order_of_names[] = {0, 5, 2, 7, 4, 1, 6, 3};
enum { N_NAMES = sizeof(order_of_names) / sizeof(order_of_names[0]), N_STYLES = LOOKS_DASHES };
static const struct {
    int n;
    double dashes[4];
} styles[N_STYLES] = {{0, {0}}, {2, {8, 3}}, {2, {1.5, 3}}, {4, {10, 3, 2, 3}}};

const struct look_row *looks_table(size_t *ret_n) {
    *ret_n = N_ROWS;
    return table;
}

static struct colour colour_of(unsigned rgb) {
    return (struct colour){(rgb >> 16 & 0xff) / 255.0, (rgb >> 8 & 0xff) / 255.0,
                           (rgb & 0xff) / 255.0};
}

static struct look look_of_row(const struct look_row *row, bool dark) {
    struct look look = {.colour = colour_of(dark ? row->dark : row->light),
                        .n_dashes = row->n_dashes};
    memcpy(look.dashes, row->dashes, sizeof(look.dashes));
    return look;
}

/* Whole steps of a channel, as the page mixes them. */
static double mix(double a, double b, double share) {
    double from = round(a * 255);
    return round(from + (round(b * 255) - from) * share) / 255;
}

/* One, two or three dots before the dash, in turn from M to M: first, so that the short piece of a
 * legend shows them. */
static void add_dots(struct look *look, double lower, double m) {
    const struct look before = *look;
    const int n_dots = 1 + (int)fmod(m - lower - 1, 3);
    look->n_dashes = 0;
    for (int i = 0; i < n_dots; i++) {
        look->dashes[look->n_dashes++] = 1.5;
        look->dashes[look->n_dashes++] = 3;
    }
    if (before.n_dashes == 0) {
        look->dashes[look->n_dashes++] = 16;
        look->dashes[look->n_dashes++] = 3;
    }
    memcpy(look->dashes + look->n_dashes, before.dashes, (size_t)before.n_dashes * sizeof(double));
    look->n_dashes += before.n_dashes;
}

/* Between two rows by the logarithm of M. */
static struct look look_between(const struct look_row *lower, const struct look_row *upper,
                                double m, bool dark) {
    struct look look = look_of_row(lower, dark);
    const struct colour to = look_of_row(upper, dark).colour;
    double share = log2(m / lower->m) / log2(upper->m / lower->m);
    look.colour = (struct colour){mix(look.colour.red, to.red, share),
                                  mix(look.colour.green, to.green, share),
                                  mix(look.colour.blue, to.blue, share)};
    add_dots(&look, lower->m, m);
    return look;
}

struct look look_of_m(double m, bool dark) {
    int above = 0;
    while (above < N_OF_M && table[above].m < m) {
        above++;
    }
    if (above == N_OF_M) {
        struct look look = look_of_row(&table[N_OF_M - 1], dark);
        add_dots(&look, table[N_OF_M - 1].m, m);
        return look;
    }
    return table[above].m == m || above == 0
               ? look_of_row(&table[above], dark)
               : look_between(&table[above - 1], &table[above], m, dark);
}

static struct look look_of_place(size_t place, bool dark) {
    struct look look = look_of_row(&table[order_of_names[place % N_NAMES]], dark);
    const size_t style = place / N_NAMES % N_STYLES;
    look.n_dashes = styles[style].n;
    memcpy(look.dashes, styles[style].dashes, sizeof(styles[style].dashes));
    return look;
}

struct look look_of_m_and_rest(double m, size_t rest, bool dark) {
    struct look look = look_of_m(m, dark);
    look.n_dashes = styles[rest].n;
    memcpy(look.dashes, styles[rest].dashes, sizeof(styles[rest].dashes));
    return look;
}

static bool read_number(const char *value, double *ret_number) {
    char *end = NULL;
    *ret_number = strtod(value, &end);
    return *value && *end == '\0' && isfinite(*ret_number);
}

/* How many of the numbers are smaller. */
static size_t rank_of(double number, const char *const *values, size_t n) {
    size_t rank = 0;
    for (size_t i = 0; i < n; i++) {
        double other = 0;
        rank += read_number(values[i], &other) && other < number;
    }
    return rank;
}

static bool are_numbers(const char *const *values, size_t n) {
    double number = 0;
    for (size_t i = 0; i < n; i++) {
        if (!read_number(values[i], &number)) {
            return false;
        }
    }
    return true;
}

/* The rows of M, spread over the ranks. */
static struct look look_of_rank(size_t rank, size_t n, bool dark) {
    long place = n > 1 ? lround((double)(rank * (N_OF_M - 1)) / (double)(n - 1)) : LONE;
    return look_of_row(&table[place], dark);
}

void looks_choose(const char *field, const char *const *values, size_t n, bool dark,
                  struct look *ret_looks) {
    bool ordered = field && are_numbers(values, n);
    bool of_m = ordered && strcmp(field, "m") == 0;
    for (size_t i = 0; i < n; i++) {
        double number = 0;
        if (ordered) {
            (void)read_number(values[i], &number);
        }
        ret_looks[i] = of_m                     ? look_of_m(number, dark)
                       : ordered && n <= N_OF_M ? look_of_rank(rank_of(number, values, n), n, dark)
                                                : look_of_place(i, dark);
    }
}
