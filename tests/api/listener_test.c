/* Sockets at a path when something goes wrong: chmod is this file's own, and fails when told to. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/http/listener.h"
#include "api/http/probe.h"

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
    struct listeners listeners = LISTENERS_NONE;
    struct error error;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/socket", dir);
    chmod_fails = true;
    assert_int_equal(listeners_open(&listeners, "127.0.0.1", 0, path, &error), STATUS_IO);
    assert_int_not_equal(access(path, F_OK), 0);
    chmod_fails = false;
    assert_int_equal(listeners_open(&listeners, "127.0.0.1", 0, path, &error), STATUS_OK);
    assert_int_equal(access(path, F_OK), 0);
    listeners_close(&listeners);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(rmdir(dir), 0);
}

/* ---- sockets that somebody else opened ---- */

static void a_socket_that_was_handed_over_keeps_its_file(void **state) {
    (void)state;
    char dir[] = "/tmp/cutoutd-listener-XXXXXX";
    char path[64];
    char address[64];
    struct listeners listeners = LISTENERS_NONE;
    struct error error;
    int fds[2] = {-1, -1};
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/socket", dir);
    assert_int_equal(listener_open_unix(path, &fds[0], &error), STATUS_OK);
    assert_int_equal(listener_open("127.0.0.1", 0, &fds[1], address, sizeof(address), &error),
                     STATUS_OK);
    assert_int_equal(listeners_adopt(&listeners, fds[0], &error), STATUS_OK);
    assert_int_equal(listeners_adopt(&listeners, fds[1], &error), STATUS_OK);
    assert_string_equal(listeners.path, path);
    assert_string_equal(listeners.address, address);
    assert_false(listeners.is_public);
    /* What is there already is not opened again. */
    assert_int_equal(listeners_open(&listeners, "127.0.0.1", 0, "/no/such/place", &error),
                     STATUS_OK);
    assert_string_equal(listeners.address, address);
    listeners_close(&listeners);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

static void only_one_of_each_kind_that_listens_is_taken_over(void **state) {
    (void)state;
    char address[64];
    struct listeners listeners = LISTENERS_NONE;
    struct error error;
    int fds[2] = {-1, -1};
    assert_int_equal(listener_open("0.0.0.0", 0, &fds[0], address, sizeof(address), &error),
                     STATUS_OK);
    assert_int_equal(listener_open("127.0.0.1", 0, &fds[1], address, sizeof(address), &error),
                     STATUS_OK);
    assert_int_equal(listeners_adopt(&listeners, fds[0], &error), STATUS_OK);
    assert_true(listeners.is_public);
    assert_int_equal(listeners_adopt(&listeners, fds[1], &error), STATUS_INVALID);
    assert_int_equal(fcntl(fds[1], F_GETFD), -1);
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int deaf = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(listeners_adopt(&listeners, file, &error), STATUS_INVALID);
    assert_int_equal(listeners_adopt(&listeners, deaf, &error), STATUS_INVALID);
    assert_int_equal(fcntl(file, F_GETFD), -1);
    listeners_close(&listeners);
}

/* ---- whether somebody answers ---- */

static void an_answer_that_is_owed_is_counted_until_it_comes(int listening_fd) {
    struct probe probe;
    char request[512];
    probe_init(&probe, listening_fd, 100.0);
    assert_true(probe_look(&probe, 100.0) == 0.0);
    assert_true(probe_look(&probe, 130.0) == 30.0);
    int fd = accept(listening_fd, NULL, NULL);
    assert_true(fd >= 0);
    while (recv(fd, request, sizeof(request), MSG_DONTWAIT) <= 0) {
        assert_true(probe_look(&probe, 131.0) == 31.0); /* sends as soon as it can */
    }
    assert_int_equal(strncmp(request, "GET /healthz HTTP/1.1\r\n", 23), 0);
    assert_true(probe_look(&probe, 190.0) == 90.0);
    assert_int_equal(send(fd, "HTTP/1.1 200 OK\r\n", 17, MSG_NOSIGNAL), 17);
    while (probe_look(&probe, 101.0) > 0.0) {
    }
    (void)close(fd);
    assert_true(probe_look(&probe, 104.0) == 0.0); /* not asked that often */
    assert_true(probe_look(&probe, 106.0) == 0.0);
    assert_true(probe_look(&probe, 107.0) == 1.0);
    probe_end(&probe);
    assert_int_equal(probe.fd, -1);
    fd = accept(listening_fd, NULL, NULL);
    assert_true(fd >= 0);
    (void)close(fd);
}

static void a_listener_that_nobody_serves_owes_an_answer(void **state) {
    (void)state;
    char dir[] = "/tmp/cutoutd-listener-XXXXXX";
    char path[64];
    struct listeners listeners = LISTENERS_NONE;
    struct error error;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/socket", dir);
    assert_int_equal(listeners_open(&listeners, "127.0.0.1", 0, path, &error), STATUS_OK);
    an_answer_that_is_owed_is_counted_until_it_comes(listeners.fd);
    an_answer_that_is_owed_is_counted_until_it_comes(listeners.unix_fd);
    listeners_close(&listeners);
    assert_int_equal(rmdir(dir), 0);
    struct probe nobody;
    probe_init(&nobody, -1, 0.0);
    assert_true(probe_look(&nobody, 1000.0) == 0.0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_socket_whose_mode_cannot_be_set_leaves_no_file),
        cmocka_unit_test(a_socket_that_was_handed_over_keeps_its_file),
        cmocka_unit_test(only_one_of_each_kind_that_listens_is_taken_over),
        cmocka_unit_test(a_listener_that_nobody_serves_owes_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
