/* Without memory, beyond what files may have, or on a disk that cannot be read: nothing is stored,
 * and the status says which it was. */
#include "tests/daemon/store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "daemon/store/db.h"
#include "daemon/store/table/setting_table.h"

enum { BIG = 256 << 10, N = 64 }; /* so many are more than the caches of connections keep */

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

/* Behind the end of a file there is nothing of the disk. */
static ssize_t fail_to_read(int fd, void *bytes, size_t n, off_t at) {
    struct stat info;
    (void)bytes;
    (void)n;
    if (fstat(fd, &info) == 0 && at >= info.st_size) {
        return 0;
    }
    errno = EIO;
    return -1;
}

/* SQLite reads with one of them. NULL: the system's own again. */
static void read_with(ssize_t (*read_at)(int, void *, size_t, off_t)) {
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    (void)vfs->xSetSystemCall(vfs, "pread", (sqlite3_syscall_ptr)read_at);
    (void)vfs->xSetSystemCall(vfs, "pread64", (sqlite3_syscall_ptr)read_at);
}

/* Returns what each of them is, with room to read one (free). */
static char *put_bigs(struct store_fixture *f) {
    char *text = big_text();
    for (int i = 0; i < N; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "big%d", i);
        ASSERT_OK(setting_table_put(f->store, name, text, &fixture_error));
    }
    return text;
}

static enum status get_big(struct store_fixture *f, int i, char *text) {
    char name[16];
    (void)snprintf(name, sizeof(name), "big%d", i);
    return setting_table_get(f->store, name, text, BIG + 1, &fixture_error);
}

static void a_database_that_cannot_be_read_is_not_called_damaged(void **state) {
    struct store_fixture *f = *state;
    char *text = put_bigs(f);
    ASSERT_OK(get_big(f, 0, text)); /* what is asked here is prepared */
    read_with(fail_to_read);
    enum status reading = STATUS_OK;
    for (int i = 0; i < N && reading == STATUS_OK; i++) {
        reading = get_big(f, i, text);
    }
    struct error said = fixture_error;
    enum status writing = setting_table_put(f->store, "big0", "b", &fixture_error);
    read_with(NULL);
    assert_int_equal(reading, STATUS_IO);
    assert_non_null(strstr(said.message, "could not be read"));
    assert_null(strstr(said.message, "begin anew"));
    assert_int_equal(writing, STATUS_IO);
    for (int i = 0; i < N; i++) {
        ASSERT_OK(get_big(f, i, text));
    }
    free(text);
    ASSERT_OK(setting_table_put(f->store, "a", "b", &fixture_error));
}

static void what_cannot_be_asked_for_want_of_the_disk_is_no_lack_of_memory(void **state) {
    struct store_fixture *f = *state;
    char value[64];
    read_with(fail_to_read);
    enum status status = setting_table_get(f->store, "a", value, sizeof(value), &fixture_error);
    read_with(NULL);
    assert_int_equal(status, STATUS_IO);
    assert_int_equal(setting_table_get(f->store, "a", value, sizeof(value), &fixture_error),
                     STATUS_NOT_FOUND);
}

/* Writes over every page but the first, as a disk that fails does. */
static void damage(const struct store_fixture *f) {
    struct stat info;
    int fd = open(f->path, O_WRONLY);
    char junk[4096];
    memset(junk, 0x5a, sizeof(junk));
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &info), 0);
    for (off_t at = sizeof(junk); at < info.st_size; at += (off_t)sizeof(junk)) {
        assert_int_equal(pwrite(fd, junk, sizeof(junk), at), sizeof(junk));
    }
    assert_int_equal(close(fd), 0);
}

static void damage_is_called_damage_also_after_a_disk_that_could_not_be_read(void **state) {
    struct store_fixture *f = *state;
    char *text = put_bigs(f);
    ASSERT_OK(store_settle(f->store, &fixture_error));
    ASSERT_OK(get_big(f, 0, text));
    enum status readings[2] = {STATUS_OK, STATUS_OK};
    for (int round = 0; round < 2; round++) {
        if (round == 0) {
            read_with(fail_to_read);
        } else {
            damage(f);
        }
        for (int i = 0; i < N && readings[round] == STATUS_OK; i++) {
            readings[round] = get_big(f, i, text);
        }
        read_with(NULL);
    }
    free(text);
    assert_int_equal(readings[0], STATUS_IO);
    assert_int_equal(readings[1], STATUS_CORRUPT);
    assert_non_null(strstr(fixture_error.message, "restore a backup"));
}

static void damage_in_the_text_of_a_trigger_is_told_with_the_remedy(void **state) {
    struct store_fixture *f = *state;
    sqlite3 *db = NULL;
    store_close(f->store);
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = "
                                  "replace(sql, 'replace(replace(', 'replace(repdace(') "
                                  "WHERE type = 'trigger'",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_true(sqlite3_changes(db) > 0);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    assert_int_equal(store_open(f->path, &f->store, &fixture_error), STATUS_CORRUPT);
    assert_non_null(strstr(fixture_error.message, "restore a backup"));
    f->store = NULL;
}

static void a_reading_ends_without_memory_for_it(void **state) {
    struct store_fixture *f = *state;
    struct db *db = store_reader_acquire(f->store);
    ASSERT_OK(db_begin_reading(db, &fixture_error));
    (void)sqlite3_hard_heap_limit64(1);
    db_end_reading(db);
    (void)sqlite3_hard_heap_limit64(0);
    assert_true(sqlite3_get_autocommit(db->handle));
    ASSERT_OK(db_begin_reading(db, &fixture_error));
    db_end_reading(db);
    store_reader_release(f->store, db);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_text_without_memory_for_it_is_not_stored_as_null),
        TEST(a_limit_on_the_size_of_files_is_no_space),
        TEST(a_database_that_cannot_be_read_is_not_called_damaged),
        TEST(damage_is_called_damage_also_after_a_disk_that_could_not_be_read),
        TEST(damage_in_the_text_of_a_trigger_is_told_with_the_remedy),
        TEST(a_reading_ends_without_memory_for_it),
        TEST(what_cannot_be_asked_for_want_of_the_disk_is_no_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
