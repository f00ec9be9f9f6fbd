/* The state directory: made, locked against a second daemon, and its address file. */
#include "tests/daemon/store_fixture.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "daemon/config/lock.h"
#include "daemon/config/state_dir.h"
#include "daemon/config/text_file.h"

static int set_up(void **state) {
    static char dir[64];
    (void)snprintf(dir, sizeof(dir), "/tmp/cutoutd-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    *state = dir;
    return 0;
}

static int tear_down(void **state) {
    return nftw(*state, fixture_remove, 8, FTW_DEPTH | FTW_PHYS);
}

static void it_is_made_with_its_parents(void **state) {
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/a/b", (char *)*state);
    ASSERT_OK(state_dir_make(path, &fixture_error));
    ASSERT_OK(state_dir_make(path, &fixture_error));
    assert_int_equal(access(path, W_OK), 0);
    (void)snprintf(path, sizeof(path), "%s/file", (char *)*state);
    ASSERT_OK(text_file_write(path, "x", &fixture_error));
    assert_int_equal(state_dir_make(path, &fixture_error), STATUS_IO);
    assert_non_null(strstr(fixture_error.message, "is not a directory"));
}

static void a_second_daemon_is_told_who_holds_it(void **state) {
    int fd = -1;
    ASSERT_OK(lock_take(*state, &fd, &fixture_error));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct error error = {0};
        char holder[32];
        int second = -1;
        (void)close(fd); /* inherited: the same lock */
        (void)snprintf(holder, sizeof(holder), "process %d", (int)getppid());
        enum status status = lock_take(*state, &second, &error);
        _exit(status == STATUS_BUSY && strstr(error.message, holder) ? 0 : 1);
    }
    int how = 0;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    assert_int_equal(close(fd), 0);
    ASSERT_OK(lock_take(*state, &fd, &fixture_error));
    assert_int_equal(close(fd), 0);
}

static void removing_the_lock_file_lets_nobody_in(void **state) {
    int fd = -1;
    char path[128];
    ASSERT_OK(lock_take(*state, &fd, &fixture_error));
    (void)snprintf(path, sizeof(path), "%s/lock", (char *)*state);
    assert_int_equal(unlink(path), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct error error = {0};
        int second = -1;
        (void)close(fd);
        _exit(lock_take(*state, &second, &error) == STATUS_BUSY ? 0 : 1);
    }
    int how = 0;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    assert_int_equal(close(fd), 0);
}

static void the_address_comes_and_goes(void **state) {
    char path[128];
    char *text = NULL;
    size_t n = 0;
    (void)snprintf(path, sizeof(path), "%s/address", (char *)*state);
    state_dir_remove_address(*state);
    ASSERT_OK(state_dir_write_address(*state, "127.0.0.1:43121", &fixture_error));
    ASSERT_OK(text_file_read(path, 100, &text, &n, &fixture_error));
    assert_string_equal(text, "127.0.0.1:43121\n");
    free(text);
    state_dir_remove_address(*state);
    assert_int_equal(access(path, F_OK), -1);
}

static void room_is_what_could_be_written_now(void **state) {
    struct rlimit files;
    char path[128];
    assert_true(state_dir_has_room(*state, 1));
    assert_true(state_dir_has_room(*state, 1 << 20));
    assert_false(state_dir_has_room(*state, INT64_MAX / 2));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &files), 0);
    const struct rlimit few = {.rlim_cur = 4096, .rlim_max = files.rlim_max};
    void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &few), 0);
    assert_false(state_dir_has_room(*state, 1 << 20));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &files), 0);
    (void)signal(SIGXFSZ, before);
    (void)snprintf(path, sizeof(path), "%s/room.tmp", (char *)*state);
    assert_int_equal(access(path, F_OK), -1);
    assert_false(state_dir_has_room("/nowhere/at/all", 1));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(it_is_made_with_its_parents),           TEST(a_second_daemon_is_told_who_holds_it),
        TEST(removing_the_lock_file_lets_nobody_in), TEST(the_address_comes_and_goes),
        TEST(room_is_what_could_be_written_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
