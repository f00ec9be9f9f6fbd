/* A text that lacks something is no text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/text_stream.h"

static void a_finished_text_is_the_callers(void **state) {
    (void)state;
    char *text = NULL;
    size_t n_bytes = 0;
    FILE *out = open_memstream(&text, &n_bytes);
    assert_non_null(out);
    (void)fputs("m,val_error\n", out);
    const char *closed = text_stream_close(out, &text);
    assert_ptr_equal(closed, text);
    assert_string_equal(text, "m,val_error\n");
    assert_int_equal(n_bytes, 12);
    free(text);
}

/* A stream without room stands for memory that ran out. */
static void a_text_of_which_a_part_is_missing_is_none(void **state) {
    (void)state;
    char *early = strdup("a part");
    FILE *out = fopen("/dev/full", "w");
    assert_true(out && early);
    assert_int_equal(setvbuf(out, NULL, _IONBF, 0), 0);
    assert_true(fputs("lost", out) == EOF); /* closing it succeeds */
    assert_null(text_stream_close(out, &early));
    assert_null(early);

    char *late = strdup("a part");
    out = fopen("/dev/full", "w");
    assert_true(out && late);
    assert_true(fputs("lost", out) >= 0); /* closing it fails */
    assert_null(text_stream_close(out, &late));
    assert_null(late);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_finished_text_is_the_callers),
        cmocka_unit_test(a_text_of_which_a_part_is_missing_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
