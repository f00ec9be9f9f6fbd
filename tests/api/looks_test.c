/* Colours and dashes: told apart by every reader, the same on the page, the same for the same M. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/figure/looks.h"

/* ---- how different two colours are ---- */

static double linear_of(unsigned byte) {
    double c = byte / 255.0;
    return c <= 0.04045 ? c / 12.92 : pow((c + 0.055) / 1.055, 2.4);
}

/* Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB. */
static const double visions[][3][3] = {
    {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
    {{0.152286, 1.052583, -0.204868},
     {0.114503, 0.786281, 0.099216},
     {-0.003882, -0.048116, 1.051998}},
    {{0.367322, 0.860646, -0.227968},
     {0.280085, 0.672501, 0.047413},
     {-0.011820, 0.042940, 0.968881}},
    {{1.255528, -0.076749, -0.178779},
     {-0.078411, 0.930809, 0.147602},
     {0.004733, 0.691367, 0.303900}},
};
enum { N_VISIONS = sizeof(visions) / sizeof(visions[0]) };

static double lab_of(double t) {
    return t > 216.0 / 24389 ? cbrt(t) : (24389.0 / 27 * t + 16) / 116;
}

static void lab(unsigned rgb, int vision, double ret_lab[3]) {
    const double c[3] = {linear_of(rgb >> 16 & 255), linear_of(rgb >> 8 & 255),
                         linear_of(rgb & 255)};
    double seen[3];
    for (int i = 0; i < 3; i++) {
        const double *row = visions[vision][i];
        seen[i] = fmin(1, fmax(0, row[0] * c[0] + row[1] * c[1] + row[2] * c[2]));
    }
    double x = (0.4124564 * seen[0] + 0.3575761 * seen[1] + 0.1804375 * seen[2]) / 0.95047;
    double y = 0.2126729 * seen[0] + 0.7151522 * seen[1] + 0.0721750 * seen[2];
    double z = (0.0193339 * seen[0] + 0.1191920 * seen[1] + 0.9503041 * seen[2]) / 1.08883;
    ret_lab[0] = 116 * lab_of(y) - 16;
    ret_lab[1] = 500 * (lab_of(x) - lab_of(y));
    ret_lab[2] = 200 * (lab_of(y) - lab_of(z));
}

static double hue(double b, double a) {
    double h = a == 0 && b == 0 ? 0 : atan2(b, a) * 180 / M_PI;
    return h < 0 ? h + 360 : h;
}

static double square(double x) {
    return x * x;
}

static double cosine(double degrees) {
    return cos(degrees * M_PI / 180);
}

/* CIEDE2000 (Sharma, Wu and Dalal 2005). */
static double distance(const double p[3], const double q[3]) {
    double chroma = (hypot(p[1], p[2]) + hypot(q[1], q[2])) / 2;
    double g = 0.5 * (1 - sqrt(pow(chroma, 7) / (pow(chroma, 7) + pow(25, 7))));
    double a1 = (1 + g) * p[1];
    double a2 = (1 + g) * q[1];
    double c1 = hypot(a1, p[2]);
    double c2 = hypot(a2, q[2]);
    double h1 = hue(p[2], a1);
    double h2 = hue(q[2], a2);
    double dh = h2 - h1;
    dh += c1 * c2 == 0 ? -dh : dh > 180 ? -360 : dh < -180 ? 360 : 0;
    double big_dh = 2 * sqrt(c1 * c2) * sin(dh / 2 * M_PI / 180);
    double l = (p[0] + q[0]) / 2;
    double c = (c1 + c2) / 2;
    double h = h1 + h2;
    h = c1 * c2 == 0 ? h : fabs(h1 - h2) <= 180 ? h / 2 : h < 360 ? (h + 360) / 2 : (h - 360) / 2;
    double t = 1 - 0.17 * cosine(h - 30) + 0.24 * cosine(2 * h) + 0.32 * cosine(3 * h + 6) -
               0.20 * cosine(4 * h - 63);
    double sl = 1 + 0.015 * square(l - 50) / sqrt(20 + square(l - 50));
    double sc = 1 + 0.045 * c;
    double sh = 1 + 0.015 * c * t;
    double rc = 2 * sqrt(pow(c, 7) / (pow(c, 7) + pow(25, 7)));
    double rt = -sin(60 * exp(-square((h - 275) / 25)) * M_PI / 180) * rc;
    double dl = (q[0] - p[0]) / sl;
    double dc = (c2 - c1) / sc;
    double dhh = big_dh / sh;
    return sqrt(dl * dl + dc * dc + dhh * dhh + rt * dc * dhh);
}

static void the_measure_is_the_published_one(void **state) {
    (void)state;
    static const double pairs[][7] = {
        {50, 2.6772, -79.7751, 50, 0, -82.7485, 2.0425},
        {50, 2.5, 0, 73, 25, -18, 27.1492},
        {60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644},
        {22.7233, 20.0904, -46.6940, 23.0331, 14.9730, -42.5619, 2.0373}};
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        assert_true(fabs(distance(pairs[i], pairs[i] + 3) - pairs[i][6]) < 1e-3);
    }
}

static void every_reader_tells_any_two_colours_apart(void **state) {
    (void)state;
    size_t n = 0;
    const struct look_row *rows = looks_table(&n);
    for (int vision = 0; vision < N_VISIONS; vision++) {
        for (size_t i = 0; i < n; i++) {
            for (size_t j = i + 1; j < n; j++) {
                for (int dark = 0; dark < 2; dark++) {
                    double a[3];
                    double b[3];
                    lab(dark ? rows[i].dark : rows[i].light, vision, a);
                    lab(dark ? rows[j].dark : rows[j].light, vision, b);
                    if (distance(a, b) < 9) {
                        fail_msg("%s and %s, vision %d, dark %d: %.1f", rows[i].name, rows[j].name,
                                 vision, dark, distance(a, b));
                    }
                }
            }
        }
    }
}

static void lightness_falls_as_m_grows(void **state) {
    (void)state;
    size_t n = 0;
    const struct look_row *rows = looks_table(&n);
    for (size_t i = 1; i < n && rows[i].m > 0; i++) {
        double before[3];
        double here[3];
        lab(rows[i - 1].light, 0, before);
        lab(rows[i].light, 0, here);
        assert_true(here[0] < before[0]);
        lab(rows[i - 1].dark, 0, before);
        lab(rows[i].dark, 0, here);
        assert_true(here[0] < before[0]);
    }
}

/* ---- the page ---- */

static char *read_file(const char *name) {
    static char text[65536];
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/api/web/%s", CUTOUTD_SOURCE_DIR, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t n = fread(text, 1, sizeof(text) - 1, file);
    assert_int_equal(fclose(file), 0);
    text[n] = '\0';
    return text;
}

/* Light ones stand before dark ones in the style sheet. */
static void the_pages_colours_are_those_of_the_table(void **state) {
    (void)state;
    size_t n = 0;
    const struct look_row *rows = looks_table(&n);
    const char *css = read_file("page.css");
    for (size_t i = 0; i < n; i++) {
        char light[48];
        char dark[48];
        (void)snprintf(light, sizeof(light), "--%s: #%06x;", rows[i].name, rows[i].light);
        (void)snprintf(dark, sizeof(dark), "--%s: #%06x;", rows[i].name, rows[i].dark);
        const char *first = strstr(css, light);
        const char *second = strstr(css, dark);
        if (!first || !second || first > second) {
            fail_msg("page.css lacks %s and then %s", light, dark);
        }
    }
}

/* [8, "--m8", [10, 3, 2, 3]] */
static void the_pages_dashes_are_those_of_the_table(void **state) {
    (void)state;
    size_t n = 0;
    const struct look_row *rows = looks_table(&n);
    const char *js = read_file("series.js");
    for (size_t i = 0; i < n && rows[i].m > 0; i++) {
        char row[128];
        int used = snprintf(row, sizeof(row), "[%g, \"--%s\", ", rows[i].m, rows[i].name);
        for (int k = 0; k < rows[i].n_dashes; k++) {
            used += snprintf(row + used, sizeof(row) - (size_t)used, "%s%g", k ? ", " : "[",
                             rows[i].dashes[k]);
        }
        (void)snprintf(row + used, sizeof(row) - (size_t)used, "%s",
                       rows[i].n_dashes ? "]]" : "null]");
        if (!strstr(js, row)) {
            fail_msg("series.js lacks %s", row);
        }
    }
    assert_non_null(strstr(js, "[\"--m1\", \"--m32\", \"--m4\", \"--spare\", \"--m16\", \"--m2\", "
                               "\"--m40\", \"--m8\"]"));
    assert_non_null(strstr(js, "[null, [8, 3], [1.5, 3], [10, 3, 2, 3]]"));
}

/* ---- choosing ---- */

static bool is_same(const struct look *a, const struct look *b) {
    return memcmp(&a->colour, &b->colour, sizeof(a->colour)) == 0 && a->n_dashes == b->n_dashes &&
           memcmp(a->dashes, b->dashes, sizeof(a->dashes)) == 0;
}

static void the_same_m_looks_the_same_in_any_company(void **state) {
    (void)state;
    static const char *const few[] = {"2", "32"};
    static const char *const many[] = {"1", "2", "3", "4", "8", "16", "24", "32", "40", "64"};
    struct look a[2];
    struct look b[10];
    looks_choose("m", few, 2, false, a);
    looks_choose("m", many, 10, false, b);
    assert_true(is_same(&a[0], &b[1]) && is_same(&a[1], &b[7]));
    assert_int_equal(a[1].n_dashes, 0);
    assert_int_equal(a[0].n_dashes, 2);
    for (int i = 0; i < 10; i++) {
        for (int j = i + 1; j < 10; j++) {
            assert_false(is_same(&b[i], &b[j]));
        }
    }
    assert_memory_equal(&b[8].colour, &b[9].colour, sizeof(b[8].colour)); /* above 40 as 40 */
    const struct look third = look_of_m(3, false);
    assert_int_equal(third.n_dashes, 4); /* the dash of 2 and a dot */
    assert_true(third.colour.red < a[0].colour.red && third.colour.red > 0xbc / 255.0);
}

/* Their colours are nearly the same; steps of 1, 2, 4 and 8 are those that people take. */
static void neighbours_in_m_differ_in_their_dash(void **state) {
    (void)state;
    for (int m = 1; m <= 256; m++) {
        for (int step = 1; step <= 8; step *= 2) {
            const struct look here = look_of_m(m, false);
            const struct look next = look_of_m(m + step, false);
            bool same = here.n_dashes == next.n_dashes &&
                        memcmp(here.dashes, next.dashes, sizeof(here.dashes)) == 0;
            if (same) {
                fail_msg("M %d and M %d have the same dash", m, m + step);
            }
        }
    }
}

static void thirty_two_names_all_differ(void **state) {
    (void)state;
    struct look looks[LOOKS_OF_NAMES];
    looks_choose(NULL, NULL, LOOKS_OF_NAMES, true, looks);
    for (int i = 0; i < LOOKS_OF_NAMES; i++) {
        for (int j = i + 1; j < LOOKS_OF_NAMES; j++) {
            assert_false(is_same(&looks[i], &looks[j]));
        }
    }
}

static void ordered_values_are_spread_by_rank(void **state) {
    (void)state;
    static const char *const values[] = {"0.1", "0.001", "0.01"};
    struct look looks[3];
    looks_choose("lr", values, 3, false, looks);
    const struct look first = look_of_m(1, false);
    const struct look middle = look_of_m(8, false);
    const struct look last = look_of_m(40, false);
    assert_true(is_same(&looks[1], &first) && is_same(&looks[2], &middle) &&
                is_same(&looks[0], &last));
    static const char *const words[] = {"\"adam\"", "\"sgd\""};
    looks_choose("optimizer", words, 2, false, looks);
    assert_int_equal(looks[0].n_dashes + looks[1].n_dashes, 0);
    assert_false(is_same(&looks[0], &looks[1]));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_measure_is_the_published_one),
        cmocka_unit_test(every_reader_tells_any_two_colours_apart),
        cmocka_unit_test(lightness_falls_as_m_grows),
        cmocka_unit_test(the_pages_colours_are_those_of_the_table),
        cmocka_unit_test(the_pages_dashes_are_those_of_the_table),
        cmocka_unit_test(the_same_m_looks_the_same_in_any_company),
        cmocka_unit_test(neighbours_in_m_differ_in_their_dash),
        cmocka_unit_test(thirty_two_names_all_differ),
        cmocka_unit_test(ordered_values_are_spread_by_rank),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
