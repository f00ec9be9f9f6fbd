/* Without memory, or beyond what files may have: nothing is stored, and the status says which it
 * was. */
#include "tests/daemon/store_fixture.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>

#include "daemon/store/table/setting_table.h"

enum { BIG = 256 << 10 };

static int set_up(void **state) {
    static struct store_fixture fixture;
    fixture_begin(&fixture);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state) {
    fixture_end(*state);
    return 0;
}

static char *big_text(void) {
    char *text = malloc(BIG + 1);
    assert_non_null(text);
    memset(text, 'x', BIG);
    text[BIG] = '\0';
    return text;
}

static void a_text_without_memory_for_it_is_not_stored_as_null(void **state) {
    struct store_fixture *f = *state;
    char value[64];
    char *text = big_text();
    ASSERT_OK(setting_table_put(f->store, "a", "before", &fixture_error));
    (void)sqlite3_hard_heap_limit64(sqlite3_memory_used() + BIG / 2);
    enum status status = setting_table_put(f->store, "a", text, &fixture_error);
    (void)sqlite3_hard_heap_limit64(0);
    free(text);
    assert_int_equal(status, STATUS_NO_MEMORY);
    ASSERT_OK(setting_table_get(f->store, "a", value, sizeof(value), &fixture_error));
    assert_string_equal(value, "before");
    ASSERT_OK(setting_table_put(f->store, "a", "after", &fixture_error));
}

static void a_limit_on_the_size_of_files_is_no_space(void **state) {
    struct store_fixture *f = *state;
    struct rlimit files;
    char *text = big_text();
    void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &files), 0);
    const struct rlimit few = {.rlim_cur = BIG, .rlim_max = files.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &few), 0);
    enum status status = setting_table_put(f->store, "a", text, &fixture_error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &files), 0);
    (void)signal(SIGXFSZ, before);
    free(text);
    assert_int_equal(status, STATUS_NO_SPACE);
    ASSERT_OK(setting_table_put(f->store, "a", "b", &fixture_error));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_text_without_memory_for_it_is_not_stored_as_null),
        TEST(a_limit_on_the_size_of_files_is_no_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
