/* The table of legal moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "daemon/store/run_state.h"

/* Row: from, column: to; in the order of the enum. Written down a second time on purpose. */
static const char *const expected[RUN_STATE_COUNT] = {
    /*            q h r p s f c */
    /* queued */ ".xx..xx",
    /* held */ "x....xx",
    /* running */ "x..xxxx",
    /* paused */ "x.....x",
    /* succeeded */ "x......",
    /* failed */ "x......",
    /* canceled */ "x......",
};

static void the_table_has_exactly_the_legal_moves(void **state) {
    (void)state;
    for (int from = 0; from < RUN_STATE_COUNT; from++) {
        for (int to = 0; to < RUN_STATE_COUNT; to++) {
            assert_int_equal(run_state_may_move((enum run_state)from, (enum run_state)to),
                             expected[from][to] == 'x');
        }
    }
}

static void names_go_there_and_back(void **state) {
    (void)state;
    for (int i = 0; i < RUN_STATE_COUNT; i++) {
        enum run_state back = RUN_STATE_COUNT;
        assert_true(run_state_from_name(run_state_name((enum run_state)i), &back));
        assert_int_equal(back, i);
    }
    enum run_state untouched = RUN_PAUSED;
    assert_false(run_state_from_name("runing", &untouched));
    assert_int_equal(untouched, RUN_PAUSED);
}

static void only_the_three_ends_are_final(void **state) {
    (void)state;
    for (int i = 0; i < RUN_STATE_COUNT; i++) {
        assert_int_equal(run_state_is_final((enum run_state)i), i >= RUN_SUCCEEDED);
    }
}

static void moves_are_told_in_words(void **state) {
    (void)state;
    char text[128];
    run_state_moves_text(RUN_QUEUED, text, sizeof(text));
    assert_string_equal(text, "held, running, failed, canceled");
    run_state_moves_text(RUN_FAILED, text, sizeof(text));
    assert_string_equal(text, "queued");
    run_state_moves_text(RUN_QUEUED, text, 6);
    assert_string_equal(text, "held,");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_has_exactly_the_legal_moves),
        cmocka_unit_test(names_go_there_and_back),
        cmocka_unit_test(only_the_three_ends_are_final),
        cmocka_unit_test(moves_are_told_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
