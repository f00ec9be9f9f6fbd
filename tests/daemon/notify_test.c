/* What systemd hears: the messages themselves, read from a socket in its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/main/notify.h"

struct listener {
    struct sockaddr_un address;
    int fd;
};

static int set_up(void **state) {
    static struct listener l;
    char name[] = "/tmp/cutoutd-notify-XXXXXX";
    l.fd = mkstemp(name);
    assert_true(l.fd >= 0);
    assert_int_equal(close(l.fd), 0);
    assert_int_equal(unlink(name), 0);
    l.address.sun_family = AF_UNIX;
    (void)snprintf(l.address.sun_path, sizeof(l.address.sun_path), "%s", name);
    l.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(l.fd, (struct sockaddr *)&l.address, sizeof(l.address)), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
    *state = &l;
    return 0;
}

static int tear_down(void **state) {
    struct listener *l = *state;
    (void)close(l->fd);
    (void)unsetenv("NOTIFY_SOCKET");
    return unlink(l->address.sun_path);
}

static void assert_heard(struct listener *l, const char *expected) {
    char text[512];
    ssize_t n = recv(l->fd, text, sizeof(text) - 1, 0);
    assert_true(n > 0);
    text[n] = '\0';
    assert_string_equal(text, expected);
}

static void each_message_arrives(void **state) {
    struct listener *l = *state;
    notify_ready("idle; 0 queued");
    assert_heard(l, "READY=1\nSTATUS=idle; 0 queued");
    notify_status("training run 3: epoch 5/50; 4 queued");
    assert_heard(l, "STATUS=training run 3: epoch 5/50; 4 queued");
    notify_alive();
    assert_heard(l, "WATCHDOG=1");
    notify_more_time(2.5);
    assert_heard(l, "EXTEND_TIMEOUT_USEC=2500000");
    notify_stopping("stopping");
    assert_heard(l, "STOPPING=1\nSTATUS=stopping");
}

static void a_reload_says_when_it_began(void **state) {
    struct listener *l = *state;
    char text[512];
    unsigned long long began_us = 0;
    notify_reloading();
    ssize_t n = recv(l->fd, text, sizeof(text) - 1, 0);
    assert_true(n > 0);
    text[n] = '\0';
    assert_int_equal(sscanf(text, "RELOADING=1\nMONOTONIC_USEC=%llu", &began_us), 1);
    assert_true(began_us > 0);
}

static void the_watchdogs_limit_is_the_units(void **state) {
    (void)state;
    char pid[32];
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    assert_true(notify_watchdog_s() == 0.0);
    assert_int_equal(setenv("WATCHDOG_PID", pid, 1), 0);
    assert_int_equal(setenv("WATCHDOG_USEC", "4000000", 1), 0);
    assert_true(notify_watchdog_s() == 4.0);
    assert_int_equal(setenv("WATCHDOG_PID", "1", 1), 0);
    assert_true(notify_watchdog_s() == 0.0);
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(each_message_arrives),
        TEST(a_reload_says_when_it_began),
        TEST(the_watchdogs_limit_is_the_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
