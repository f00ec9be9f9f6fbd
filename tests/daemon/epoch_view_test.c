/* Thinned histories keep what a plot must show. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/compare/epoch_view.h"

enum { MOST = 120 };

static void thin(struct epoch_row *rows, size_t n_rows, size_t best, size_t n_points) {
    memset(rows, 0, MOST * sizeof(*rows));
    for (size_t i = 0; i < n_rows; i++) {
        rows[i].report.epoch = (int)i + 1;
        rows[i].report.val_wrong = i == best ? 1 : 50;
        rows[i].report.val_total = 100;
    }
    struct epoch_list list = {.rows = rows, .n = n_rows};
    epochs_thin(&list, n_points);
    size_t expected = n_points < n_rows && n_points >= 3 ? n_points : n_rows;
    bool has_best = false;
    assert_int_equal(list.n, expected);
    assert_int_equal(rows[0].report.epoch, 1);
    assert_int_equal(rows[list.n - 1].report.epoch, n_rows);
    for (size_t i = 0; i < list.n; i++) {
        has_best |= rows[i].report.epoch == (int)best + 1;
        assert_true(i == 0 || rows[i].report.epoch > rows[i - 1].report.epoch);
    }
    assert_true(has_best);
}

static void first_last_and_best_are_kept_in_order(void **state) {
    (void)state;
    struct epoch_row rows[MOST];
    for (size_t n_rows = 1; n_rows <= MOST; n_rows += n_rows < 12 ? 1 : 9) {
        for (size_t best = 0; best < n_rows; best++) {
            for (size_t n_points = 3; n_points <= n_rows + 1; n_points++) {
                thin(rows, n_rows, best, n_points);
            }
            thin(rows, n_rows, best, 0);
        }
    }
}

static void the_points_between_are_even(void **state) {
    (void)state;
    struct epoch_row rows[MOST];
    thin(rows, 101, 0, 11);
    for (int i = 0; i < 11; i++) {
        assert_int_equal(rows[i].report.epoch, 1 + 10 * i);
    }
}

static void an_empty_history_is_empty_in_every_format(void **state) {
    (void)state;
    const struct epoch_list none = {.rows = NULL};
    static const char *const expected[] = {"[]", "", "epoch,val_error,val_wrong,val_total\n"};
    for (int format = EPOCH_JSON; format <= EPOCH_CSV; format++) {
        char *text = epochs_format(&none, EPOCH_CURVE, (enum epoch_format)format);
        assert_string_equal(text, expected[format]);
        free(text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_last_and_best_are_kept_in_order),
        cmocka_unit_test(the_points_between_are_even),
        cmocka_unit_test(an_empty_history_is_empty_in_every_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
