/* What a start does with directories of runs: kept, removed, or put aside. */
#include "tests/daemon/store_fixture.h"

#include <sys/stat.h>

#include "daemon/config/state_dir.h"
#include "daemon/config/state_dir_sweep.h"
#include "daemon/config/text_file.h"

static const char OURS[] = "00112233445566778899aabbccddeeff";
static const char OTHER[] = "ffeeddccbbaa99887766554433221100";

static char dir[64];

static int set_up(void **state) {
    (void)snprintf(dir, sizeof(dir), "/tmp/cutoutd-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    *state = dir;
    return 0;
}

static int tear_down(void **state) {
    return nftw(*state, fixture_remove, 8, FTW_DEPTH | FTW_PHYS);
}

static void write_file(const char *name, const char *text) {
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    ASSERT_OK(text_file_write(path, text, &fixture_error));
}

static bool exists(const char *directory, const char *name) {
    char path[PATH_MAX + 64];
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    return access(path, F_OK) == 0;
}

/* A directory of a run with a checkpoint; instance: NULL: without a marker. */
static void make_run(int id, const char *instance) {
    char name[96];
    char text[64];
    (void)snprintf(name, sizeof(name), "%s/runs/%d", dir, id);
    ASSERT_OK(state_dir_make(name, &fixture_error));
    (void)snprintf(name, sizeof(name), "runs/%d/000001-000000.safetensors", id);
    write_file(name, "weights");
    if (instance) {
        (void)snprintf(name, sizeof(name), "runs/%d/instance", id);
        (void)snprintf(text, sizeof(text), "%s\n", instance);
        write_file(name, text);
    }
}

/* Runs 1 and 2 are known. */
static bool is_known(void *user, int64_t id) {
    (void)user;
    return id <= 2;
}

/* The checkpoint that make_run makes, and another one. */
static bool is_listed(void *user, int64_t id, const char *name) {
    (void)user;
    return is_known(NULL, id) && (strcmp(name, "000001-000000.safetensors") == 0 ||
                                  strcmp(name, "000002-000000.safetensors") == 0);
}

static struct state_dir_swept sweep(int64_t last_run_id) {
    struct state_dir_swept swept;
    const struct state_dir_owner owner = {OURS, last_run_id, is_known, is_listed, NULL};
    ASSERT_OK(state_dir_sweep(dir, &owner, 1772366400250, &swept, &fixture_error));
    return swept;
}

static void only_what_a_deleted_run_left_behind_is_removed(void **state) {
    (void)state;
    make_run(1, OURS);
    make_run(3, OURS); /* given away, and deleted */
    make_run(4, OURS); /* the database is older than this run */
    struct state_dir_swept swept = sweep(3);
    assert_int_equal(swept.n_removed, 1);
    assert_int_equal(swept.n_unknown, 1);
    assert_true(exists(dir, "runs/1/000001-000000.safetensors"));
    assert_false(exists(dir, "runs/3"));
    assert_false(exists(dir, "runs/4"));
    assert_true(exists(dir, "unknown/20260301T120000.250Z/4/000001-000000.safetensors"));
}

static void files_of_another_database_are_put_aside_even_under_a_known_number(void **state) {
    (void)state;
    make_run(1, OTHER);
    make_run(3, OTHER);
    struct state_dir_swept swept = sweep(9);
    assert_int_equal(swept.n_removed, 0);
    assert_int_equal(swept.n_unknown, 2);
    assert_true(exists(swept.unknown, "1/000001-000000.safetensors"));
    assert_true(exists(swept.unknown, "3/000001-000000.safetensors"));
}

static void without_a_marker_the_files_of_a_known_run_are_kept_and_marked(void **state) {
    (void)state;
    make_run(2, NULL);
    make_run(3, NULL);
    struct state_dir_swept swept = sweep(9);
    assert_int_equal(swept.n_removed, 0);
    assert_int_equal(swept.n_unknown, 1);
    assert_true(exists(dir, "runs/2/000001-000000.safetensors"));
    assert_true(exists(dir, "runs/2/instance"));
    assert_true(exists(swept.unknown, "3/000001-000000.safetensors"));
    swept = sweep(9);
    assert_int_equal(swept.n_removed + swept.n_unknown, 0);
}

static void a_directory_that_was_made_for_a_run_is_known_again(void **state) {
    (void)state;
    (void)sweep(0);
    ASSERT_OK(state_dir_make_run(dir, 7, &fixture_error));
    write_file("runs/7/000001-000000.safetensors", "weights");
    struct state_dir_swept swept = sweep(7);
    assert_int_equal(swept.n_removed, 1);
    assert_int_equal(swept.n_unknown, 0);
    assert_false(exists(dir, "runs/7"));
}

/* A directory in its place fails to be read as a disk's error does. */
static void a_marker_that_cannot_be_read_moves_nothing(void **state) {
    (void)state;
    char path[128];
    struct state_dir_swept swept;
    const struct state_dir_owner owner = {OURS, 9, is_known, is_listed, NULL};
    make_run(1, NULL);
    (void)snprintf(path, sizeof(path), "%s/runs/1/instance", dir);
    ASSERT_OK(state_dir_make(path, &fixture_error));
    assert_int_equal(state_dir_sweep(dir, &owner, 1772366400250, &swept, &fixture_error),
                     STATUS_IO);
    assert_non_null(strstr(fixture_error.message, "/runs/1"));
    assert_true(exists(dir, "runs/1/000001-000000.safetensors"));
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(sweep(9).n_unknown, 0);
}

static void what_was_not_finished_is_removed(void **state) {
    (void)state;
    char path[128];
    make_run(1, OURS);
    write_file("runs/1/000002-000000.safetensors.tmp", "half");
    (void)snprintf(path, sizeof(path), "%s/backups/.friday/runs/1", dir);
    ASSERT_OK(state_dir_make(path, &fixture_error));
    write_file("backups/.friday/cutoutd.db", "half");
    (void)snprintf(path, sizeof(path), "%s/backups/monday", dir);
    ASSERT_OK(state_dir_make(path, &fixture_error));
    struct state_dir_swept swept = sweep(1);
    assert_int_equal(swept.n_leftovers, 2);
    assert_true(exists(dir, "runs/1/000001-000000.safetensors"));
    assert_false(exists(dir, "runs/1/000002-000000.safetensors.tmp"));
    assert_false(exists(dir, "backups/.friday"));
    assert_true(exists(dir, "backups/monday"));
}

/* A crash before the commit of a purge, or after it: the rows know. */
static void what_a_purge_left_goes_or_gets_its_name_back(void **state) {
    (void)state;
    make_run(1, OURS);
    make_run(4, OURS); /* not of this state of the database */
    write_file("runs/1/000001-000000.safetensors.purged.tmp", "older than the one that is there");
    write_file("runs/1/000002-000000.safetensors.purged.tmp", "not forgotten");
    write_file("runs/1/000003-000000.safetensors.purged.tmp", "forgotten");
    write_file("runs/1/000004-000000.safetensors", "nobody knows");
    write_file("runs/4/000003-000000.safetensors.purged.tmp", "of a later state");
    struct state_dir_swept swept = sweep(3);
    assert_int_equal(swept.n_leftovers, 2);
    assert_true(exists(dir, "runs/1/000001-000000.safetensors"));
    assert_false(exists(dir, "runs/1/000001-000000.safetensors.purged.tmp"));
    assert_true(exists(dir, "runs/1/000002-000000.safetensors"));
    assert_false(exists(dir, "runs/1/000002-000000.safetensors.purged.tmp"));
    assert_false(exists(dir, "runs/1/000003-000000.safetensors"));
    assert_false(exists(dir, "runs/1/000003-000000.safetensors.purged.tmp"));
    assert_true(exists(dir, "runs/1/000004-000000.safetensors"));
    assert_true(exists(swept.unknown, "4/000003-000000.safetensors.purged.tmp"));
}

/* A directory in its place cannot be removed, as a file on a failing disk. */
static void what_cannot_be_removed_of_a_deleted_run_stays_its_own(void **state) {
    (void)state;
    char path[128];
    make_run(3, OURS);
    (void)snprintf(path, sizeof(path), "%s/runs/3/x", dir);
    ASSERT_OK(state_dir_make(path, &fixture_error));
    assert_int_equal(state_dir_remove_run(dir, 3, &fixture_error), STATUS_IO);
    assert_non_null(strstr(fixture_error.message, "/runs/3/x"));
    assert_true(exists(dir, "runs/3/instance"));
    assert_false(exists(dir, "runs/3/000001-000000.safetensors"));
    struct state_dir_swept swept = sweep(3);
    assert_int_equal(swept.n_stuck, 1);
    assert_int_equal(swept.n_unknown, 0);
    assert_true(exists(dir, "runs/3/instance"));
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(sweep(3).n_removed, 1);
    assert_false(exists(dir, "runs/3"));
}

static void what_is_no_run_is_left_alone(void **state) {
    (void)state;
    make_run(1, OURS);
    write_file("runs/notes", "mine");
    write_file("runs/007", "mine");
    struct state_dir_swept swept = sweep(1);
    assert_int_equal(swept.n_removed + swept.n_unknown + swept.n_leftovers, 0);
    assert_true(exists(dir, "runs/notes"));
    assert_true(exists(dir, "runs/007"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(only_what_a_deleted_run_left_behind_is_removed),
        TEST(files_of_another_database_are_put_aside_even_under_a_known_number),
        TEST(without_a_marker_the_files_of_a_known_run_are_kept_and_marked),
        TEST(a_directory_that_was_made_for_a_run_is_known_again),
        TEST(a_marker_that_cannot_be_read_moves_nothing),
        TEST(what_was_not_finished_is_removed),
        TEST(what_a_purge_left_goes_or_gets_its_name_back),
        TEST(what_cannot_be_removed_of_a_deleted_run_stays_its_own),
        TEST(what_is_no_run_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
