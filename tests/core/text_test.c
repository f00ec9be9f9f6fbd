/* The one definition of a text that people may give. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/text.h"

static bool plain(const char *text) {
    return text_is_plain(text, strlen(text));
}

static void what_people_write_is_plain(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "which m?",
        "\xc2\xa0", /* the first after the C1 controls */
        "\xc3\xa9\xe2\x82\xac",
        "\xef\xbf\xbd",                                     /* U+FFFD */
        "\xf0\x9f\xa6\x93",                                 /* a zebra */
        "\xd7\xa9\xd7\x9c\xe2\x80\x8f",                     /* Hebrew with a right-to-left mark */
        "\xe2\x80\xa7\xe2\x80\xaf\xe2\x81\xa5\xe2\x81\xaa", /* neighbours of what is refused */
        "\xe2\x80\xa8\xe2\x80\xa9", /* separators of lines and paragraphs are no controls */
        "\xef\xb7\x8f\xef\xb7\xb0",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_true(plain(texts[i]));
    }
}

static void what_terminals_and_pictures_cannot_show_is_not(void **state) {
    (void)state;
    static const char *const texts[] = {
        "a\nb",
        "a\tb",
        "\x1b[31m",
        "\x7f",
        "\xc2\x80", /* first C1 */
        "a\xc2\x9b"
        "31m",      /* CSI in one character */
        "\xc2\x9f", /* last C1 */
        "\xe2\x80\xae"
        "fdp",          /* right-to-left override */
        "\xe2\x81\xa6", /* isolate */
        "\xef\xb7\x90", /* U+FDD0 */
        "a\xef\xbf\xbe"
        "b",                /* U+FFFE */
        "\xf4\x8f\xbf\xbf", /* U+10FFFF */
        "\xff",
        "\xc3",
        "\xed\xa0\x80", /* surrogate */
        "\xc0\x80",     /* overlong */
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_false(plain(texts[i]));
    }
    assert_false(text_is_plain("a\0b", 3));
}

static void a_text_is_cut_at_whole_characters(void **state) {
    (void)state;
    const char *text = "a\xe2\x82\xac"
                       "b";
    assert_int_equal(text_cut(text, 5, 9), 5);
    assert_int_equal(text_cut(text, 5, 4), 4);
    assert_int_equal(text_cut(text, 5, 3), 1);
    assert_int_equal(text_cut(text, 5, 0), 0);
    assert_int_equal(text_cut(text, 3, 9), 1);
    assert_int_equal(text_cut("ab\xff"
                              "c",
                              4, 9),
                     2);
}

static void a_text_with_anybodys_bytes_can_be_shown(void **state) {
    (void)state;
    static const struct {
        const char *text, *shown;
    } cases[] = {
        {"", ""},
        {"cannot open /data/\xe9t\xe9: no", "cannot open /data/?t?: no"},
        {"a\x1b[2J\nb", "a?[2J?b"},
        {"\xc3\xa9\xe2\x82\xac", "\xc3\xa9\xe2\x82\xac"},
        {"cut off: \xe2\x82", "cut off: "},
        {"\xe2\x82 in the middle", "?? in the middle"},
        {"\xff\x1b", "??"},
        {"\xe2\x1b", "??"},
        {"a\xc2\x9b"
         "b",
         "a??b"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[64];
        strcpy(text, cases[i].text);
        text_make_plain(text);
        assert_string_equal(text, cases[i].shown);
        assert_true(plain(text));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_people_write_is_plain),
        cmocka_unit_test(what_terminals_and_pictures_cannot_show_is_not),
        cmocka_unit_test(a_text_is_cut_at_whole_characters),
        cmocka_unit_test(a_text_with_anybodys_bytes_can_be_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
