/* Labels in Hebrew and Arabic, as they are seen from left to right. The expected orders are what
 * browsers show for the same text in SVG, and what the bidirectional algorithm says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/figure/bidi.h"

static void assert_visual(const char *text, const char *expected) {
    char *visual = bidi_visual(text);
    assert_non_null(visual);
    assert_string_equal(visual, expected);
    free(visual);
}

static void only_what_goes_from_right_to_left_is_turned(void **state) {
    (void)state;
    assert_visual("M 8, \u8a9e \u00e9 \u0433", "M 8, \u8a9e \u00e9 \u0433");
    assert_visual("M 8, aliased (k=2)", "M 8, aliased (k=2)");
    assert_visual("", "");
}

static void hebrew_is_turned_within_what_stands_around_it(void **state) {
    (void)state;
    assert_visual("\u05d0\u05d1\u05d2", "\u05d2\u05d1\u05d0");
    assert_visual("M 8, \u05d0\u05d1\u05d2", "M 8, \u05d2\u05d1\u05d0");
    assert_visual("\u05d0\u05d1 \u05d2\u05d3 run", "\u05d3\u05d2 \u05d1\u05d0 run");
    assert_visual("\u05d0\u05d1 (\u05d2)", "(\u05d2) \u05d1\u05d0");
    assert_visual("\u05d0 (2)", "(2) \u05d0");
    assert_visual("\u05d0 (m=2)", "\u05d0 (m=2)");
    assert_visual("lr (\u05d0)", "lr (\u05d0)");
}

static void numbers_keep_their_order(void **state) {
    (void)state;
    assert_visual("\u05d0 12.5 \u05d1", "\u05d1 12.5 \u05d0");
    assert_visual("\u05d0 12", "12 \u05d0");
    assert_visual("M 12 \u05d0", "M 12 \u05d0");
}

static void marks_stay_on_their_letters(void **state) {
    (void)state;
    assert_visual("\u05d1\u05b0\u05d2", "\u05d2\u05d1\u05b0");
    assert_visual("\u05d1\u05bc\u05b0\u05d2", "\u05d2\u05d1\u05bc\u05b0");
}

static void arabic_letters_join(void **state) {
    (void)state;
    /* seen, lam and alef, meem: initial, the ligature in its final form, isolated */
    assert_visual("\u0633\u0644\u0627\u0645", "\ufee1\ufefc\ufeb3");
    /* dal joins to what stands before it only */
    assert_visual("\u0628\u062f\u0628", "\ufe8f\ufeaa\ufe91");
    assert_visual("\u0628 \u0628", "\ufe8f \ufe8f");
    assert_visual("\u0628\u064e\u0628", "\ufe90\ufe91\u064e");
    /* meem, hamza, which joins to nothing, meem */
    assert_visual("\u0645\u0621\u0645", "\ufee1\u0621\ufee1");
}

static void what_is_no_utf8_does_no_harm(void **state) {
    (void)state;
    assert_visual("\u05d0\xff\u05d1", "\u05d1?\u05d0");
    assert_visual("\u0644", "\ufedd");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_goes_from_right_to_left_is_turned),
        cmocka_unit_test(hebrew_is_turned_within_what_stands_around_it),
        cmocka_unit_test(numbers_keep_their_order),
        cmocka_unit_test(marks_stay_on_their_letters),
        cmocka_unit_test(arabic_letters_join),
        cmocka_unit_test(what_is_no_utf8_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
