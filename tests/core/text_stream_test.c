/* A text that lacks something is no text.
 *
 * The allocator's functions are replaced by ones that fail when they are told to; sanitizers and
 * valgrind replace them as well, so that nothing fails there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <unistd.h>

#include "core/base/text_stream.h"
#include "core/train/safetensors.h"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static volatile long n_left = -1; /* allocations that succeed; -1: all do */
static volatile size_t most = SIZE_MAX;

static bool fails(size_t n) {
    if (n > most || n_left == 0) {
        errno = ENOMEM;
        return true;
    }
    n_left = n_left > 0 ? n_left - 1 : n_left;
    return false;
}

/* glibc's own, under the names it exports for this purpose. */
void *__libc_malloc(size_t n);
void *__libc_realloc(void *p, size_t n);

void *malloc(size_t n) {
    return fails(n) ? NULL : __libc_malloc(n);
}

void *realloc(void *p, size_t n) {
    return fails(n) ? NULL : __libc_realloc(p, n);
}
#else
static volatile long n_left = -1;
static volatile size_t most = SIZE_MAX;
#endif

static bool can_fail(void) {
    void *(*volatile take)(size_t) = malloc; /* what valgrind puts in its place, too */
    most = 0;
    void *taken = take(1);
    most = SIZE_MAX;
    free(taken);
    return taken == NULL;
}

static void a_finished_text_is_the_callers(void **state) {
    (void)state;
    char *text = NULL;
    size_t n_bytes = 0;
    FILE *out = text_stream_open(&text, &n_bytes);
    assert_non_null(out);
    assert_int_equal(ftell(out), 0);
    (void)fputs("m,val_error\n", out);
    assert_int_equal(ftell(out), 12);
    const char *closed = text_stream_close(out, &text);
    assert_ptr_equal(closed, text);
    assert_string_equal(text, "m,val_error\n");
    assert_int_equal(n_bytes, 12);
    free(text);
}

static void a_text_of_nothing_is_empty(void **state) {
    (void)state;
    char *text = NULL;
    size_t n_bytes = 1;
    FILE *out = text_stream_open(&text, &n_bytes);
    assert_non_null(out);
    assert_non_null(text_stream_close(out, &text));
    assert_string_equal(text, "");
    assert_int_equal(n_bytes, 0);
    free(text);
}

enum { LINES = 20000 };

/* Whether there is a text; it is whole then. */
static bool write_lines(void) {
    char *text = NULL;
    size_t n_bytes = 0;
    FILE *out = text_stream_open(&text, &n_bytes);
    if (!out) {
        return false;
    }
    for (int i = 0; i < LINES; i++) {
        (void)fprintf(out, "%07d\n", i);
        assert_true(ferror(out) || ftell(out) == 8L * (i + 1));
    }
    const char *closed = text_stream_close(out, &text);
    n_left = -1;
    most = SIZE_MAX;
    assert_ptr_equal(closed, text);
    if (!text) {
        return false;
    }
    assert_int_equal(n_bytes, 8 * LINES);
    assert_int_equal(strlen(text), n_bytes);
    for (size_t i = 0; i < LINES; i++) {
        assert_int_equal(strtol(text + 8 * i, NULL, 10), i);
    }
    free(text);
    return true;
}

static void a_text_of_which_a_part_is_missing_is_none(void **state) {
    (void)state;
    assert_true(write_lines());
    for (long n = 0; can_fail(); n++) { /* this one fails and all behind it */
        n_left = n;
        if (write_lines()) {
            assert_true(n > 3);
            break;
        }
        n_left = -1;
    }
    for (size_t n = 64; can_fail() && n < 8UL * LINES; n *= 2) { /* all that are larger do */
        most = n;
        assert_false(write_lines());
        most = SIZE_MAX;
    }
}

/* A stream without room stands for memory that ran out. */
static void a_stream_that_lost_something_gives_no_text(void **state) {
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

enum { TENSORS = 600 };

static void a_checkpoint_whose_header_has_no_room_is_not_written(void **state) {
    (void)state;
    static const float number = 1;
    static struct safetensors_tensor tensors[TENSORS];
    static char names[TENSORS][32];
    char path[] = "/tmp/cutoutd-header-XXXXXX";
    char sha256[SHA256_HEX_SIZE];
    int64_t n_bytes = 0;
    struct error error;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(unlink(path), 0);
    for (int i = 0; i < TENSORS; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "stage%03d.kernel", i);
        tensors[i] = (struct safetensors_tensor){
            .name = names[i], .dtype = SAFETENSORS_F32, .n_dims = 1, .shape = {1}, .data = &number};
    }
    (void)alarm(60); /* padding that is never enough goes on for ever */
    for (size_t n = 64; can_fail() && n < 32768; n += 512) {
        most = n;
        enum status status =
            safetensors_write(path, tensors, TENSORS, NULL, 0, sha256, &n_bytes, &error);
        most = SIZE_MAX;
        assert_int_equal(status, STATUS_NO_MEMORY);
        assert_int_equal(access(path, F_OK), -1);
    }
    (void)alarm(0);
    assert_int_equal(safetensors_write(path, tensors, TENSORS, NULL, 0, sha256, &n_bytes, &error),
                     STATUS_OK);
    assert_int_equal(unlink(path), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_finished_text_is_the_callers),
        cmocka_unit_test(a_text_of_nothing_is_empty),
        cmocka_unit_test(a_text_of_which_a_part_is_missing_is_none),
        cmocka_unit_test(a_stream_that_lost_something_gives_no_text),
        cmocka_unit_test(a_checkpoint_whose_header_has_no_room_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
