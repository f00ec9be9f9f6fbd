/* Sockets at a path when something goes wrong: chmod is this file's own, and fails when told to. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/http/listener.h"

static bool chmod_fails;

int chmod(const char *path, mode_t mode) {
    if (chmod_fails) {
        errno = EPERM;
        return -1;
    }
    return (int)syscall(SYS_fchmodat, AT_FDCWD, path, mode);
}

static void a_socket_whose_mode_cannot_be_set_leaves_no_file(void **state) {
    (void)state;
    char dir[] = "/tmp/cutoutd-listener-XXXXXX";
    char path[64];
    struct listeners listeners;
    struct error error;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/socket", dir);
    chmod_fails = true;
    assert_int_equal(listeners_open("127.0.0.1", 0, path, &listeners, &error), STATUS_IO);
    assert_int_not_equal(access(path, F_OK), 0);
    chmod_fails = false;
    assert_int_equal(listeners_open("127.0.0.1", 0, path, &listeners, &error), STATUS_OK);
    assert_int_equal(access(path, F_OK), 0);
    listeners_close(&listeners);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(rmdir(dir), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_socket_whose_mode_cannot_be_set_leaves_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
