/* What is made durable: fsync is this file's own, and notes what it is called for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/durable.h"

static char synced[8][256];
static int n_synced;

int fsync(int fd) {
    char link[64];
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = n_synced < 8 ? readlink(link, synced[n_synced], sizeof(synced[0]) - 1) : -1;
    if (n > 0) {
        synced[n_synced++][n] = '\0';
    }
    return (int)syscall(SYS_fsync, fd);
}

static void a_new_directory_is_synced_into_the_one_above(void **state) {
    (void)state;
    char above[] = "/tmp/cutoutd-durable-XXXXXX";
    char path[64];
    struct stat info;
    assert_non_null(mkdtemp(above));
    (void)snprintf(path, sizeof(path), "%s/7", above);
    for (int i = 0; i < 2; i++) {
        n_synced = 0;
        assert_int_equal(durable_directory(path, NULL), STATUS_OK);
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(n_synced, 1);
        assert_string_equal(synced[0], above);
    }
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rmdir(above), 0);
    assert_int_equal(durable_directory(path, NULL), STATUS_NOT_FOUND);
}

static void a_directory_in_the_way_of_a_file_gets_another_name(void **state) {
    (void)state;
    char above[] = "/tmp/cutoutd-durable-XXXXXX";
    char temporary[64], path[64], aside[80];
    struct stat info;
    assert_non_null(mkdtemp(above));
    (void)snprintf(temporary, sizeof(temporary), "%s/a.tmp", above);
    (void)snprintf(path, sizeof(path), "%s/a", above);
    (void)snprintf(aside, sizeof(aside), "%s.in-the-way", path);
    FILE *file = fopen(temporary, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(durable_rename(temporary, path, NULL), STATUS_OK);
    assert_int_equal(stat(path, &info), 0);
    assert_true(S_ISREG(info.st_mode));
    assert_int_equal(rmdir(aside), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(above), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_directory_is_synced_into_the_one_above),
        cmocka_unit_test(a_directory_in_the_way_of_a_file_gets_another_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
