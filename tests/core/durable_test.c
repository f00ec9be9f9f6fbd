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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_directory_is_synced_into_the_one_above),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
