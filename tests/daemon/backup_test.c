/* A backup that is asked to stop, and what it makes durable: link is this file's own, and raises
 * the flag; fsync as well, and notes which directories were synced. */
#include "tests/daemon/store_fixture.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "daemon/config/state_dir.h"
#include "daemon/store/change/run_progress.h"
#include "daemon/store/table/checkpoint_table.h"
#include "daemon/work/backup.h"

static atomic_bool stop;
static bool stop_at_link;
static int n_links;

enum { MOST_SYNCED = 256 };

static struct stat synced[MOST_SYNCED];
static int n_synced;
static int n_synced_before_last_link;

int link(const char *from, const char *to) {
    if (!strstr(from, "/instance")) { /* of checkpoints */
        n_links++;
        n_synced_before_last_link = n_synced;
        atomic_store(&stop, stop_at_link);
    }
    return (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int fsync(int fd) {
    assert_true(n_synced < MOST_SYNCED);
    assert_int_equal(fstat(fd, &synced[n_synced++]), 0);
    return (int)syscall(SYS_fsync, fd);
}

/* Whether it is one of those from the first-th on. */
static bool was_synced(const struct store_fixture *f, const char *name, int first) {
    char path[320];
    struct stat info;
    (void)snprintf(path, sizeof(path), "%s/%s", f->dir, name);
    assert_int_equal(stat(path, &info), 0);
    for (int i = first; i < n_synced; i++) {
        if (synced[i].st_dev == info.st_dev && synced[i].st_ino == info.st_ino) {
            return true;
        }
    }
    return false;
}

static int set_up(void **state) {
    static struct store_fixture fixture;
    char path[160];
    fixture_begin(&fixture);
    atomic_store(&stop, false);
    stop_at_link = false;
    n_links = 0;
    n_synced = 0;
    int64_t id = fixture_add_run(fixture.store, 0);
    (void)snprintf(path, sizeof(path), "%s/runs/%lld", fixture.dir, (long long)id);
    ASSERT_OK(state_dir_make(path, &fixture_error));
    for (int epoch = 1; epoch <= 2; epoch++) {
        struct checkpoint_row row = {.kind = CHECKPOINT_LAST, .epochs_done = epoch};
        memset(row.sha256, 'a', SHA256_HEX_SIZE - 1);
        (void)snprintf(row.path, sizeof(row.path), "%06d-000000.safetensors", epoch);
        ASSERT_OK(checkpoint_table_put(fixture.store, id, &row, 1, &fixture_error));
        (void)snprintf(path, sizeof(path), "%s/runs/%lld/%.60s", fixture.dir, (long long)id,
                       row.path);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        assert_int_equal(fclose(file), 0);
    }
    *state = &fixture;
    return 0;
}

static int tear_down(void **state) {
    fixture_end(*state);
    return 0;
}

static enum status back_up(const struct store_fixture *f) {
    const struct backup_request asked = {
        .state_dir = f->dir, .name = "one", .checkpoints = true, .stop = &stop};
    struct backup backup;
    return backup_make(f->store, &clock_system, &asked, &backup, &fixture_error);
}

static void assert_nothing_left(const struct store_fixture *f) {
    char path[160];
    (void)snprintf(path, sizeof(path), "%s/backups/one", f->dir);
    assert_int_not_equal(access(path, F_OK), 0);
    (void)snprintf(path, sizeof(path), "%s/backups/.one", f->dir);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void a_stop_ends_it_between_two_files(void **state) {
    const struct store_fixture *f = *state;
    stop_at_link = true;
    assert_int_equal(back_up(f), STATUS_BUSY);
    assert_int_equal(n_links, 1);
    assert_nothing_left(f);
    atomic_store(&stop, false);
    stop_at_link = false;
    assert_int_equal(back_up(f), STATUS_OK);
    assert_int_equal(n_links, 3);
}

static void a_stop_ends_the_copy_of_the_database(void **state) {
    const struct store_fixture *f = *state;
    atomic_store(&stop, true);
    assert_int_equal(back_up(f), STATUS_BUSY);
    assert_non_null(strstr(fixture_error.message, "stopping"));
    assert_int_equal(n_links, 0);
    assert_nothing_left(f);
}

static void every_name_in_it_is_durable(void **state) {
    const struct store_fixture *f = *state;
    assert_int_equal(back_up(f), STATUS_OK);
    assert_int_equal(n_links, 2);
    assert_true(was_synced(f, "backups/one/runs/1", n_synced_before_last_link));
    assert_true(was_synced(f, "backups", n_synced_before_last_link));
    assert_true(was_synced(f, "backups/one/runs", 0));
    assert_true(was_synced(f, "backups/one", 0));
    assert_true(was_synced(f, ".", 0));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_stop_ends_it_between_two_files),
        TEST(a_stop_ends_the_copy_of_the_database),
        TEST(every_name_in_it_is_durable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
