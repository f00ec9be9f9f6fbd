/* The stop of a server whose clients wait, come and go. */
#include "tests/api/server_fixture.h"

#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>

static void stop_ends_streams_that_wait(void **state) {
    (void)submit(*state, "{}");
    struct api_server *server = start_server(*state);
    int fds[8];
    for (int i = 0; i < 8; i++) {
        fds[i] = connect_to(server);
        send_text(fds[i], "GET /api/v1/runs/1/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
        free(receive(fds[i], "event: snapshot"));
    }
    api_server_stop(server);
    for (int i = 0; i < 8; i++) {
        free(receive(fds[i], NULL));
        (void)close(fds[i]);
    }
}

/* In place of the C library's, also for the HTTP library: what is taken out of a set takes a while,
 * as it may on a busy machine, so that threads meet which rarely would. */
int epoll_ctl(int set, int operation, int fd, struct epoll_event *event) {
    static const struct timespec while_long = {.tv_nsec = 3000000};
    if (operation == EPOLL_CTL_DEL) {
        (void)nanosleep(&while_long, NULL);
    }
    return (int)syscall(SYS_epoll_ctl, set, operation, fd, event);
}

struct comer {
    struct sockaddr_in address;
    atomic_int n_answered;
    atomic_bool enough;
};

/* Comes, asks and goes, whether it is answered or not. */
static void *come_and_go(void *user) {
    static const char ask[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct comer *comer = user;
    while (!atomic_load(&comer->enough)) {
        char text[256];
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        assert_true(fd >= 0);
        if (connect(fd, (struct sockaddr *)&comer->address, sizeof(comer->address)) == 0 &&
            send(fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL) > 0 &&
            recv(fd, text, sizeof(text), 0) > 0) {
            atomic_fetch_add(&comer->n_answered, 1);
        }
        (void)close(fd);
    }
    return NULL;
}

/* The library's threads are awake then. */
static void a_stop_while_clients_come_and_go_is_in_good_order(void **state) {
    enum { ROUNDS = 5, COMERS = 4, ANSWERS = 40 };
    for (int round = 0; round < ROUNDS; round++) {
        struct api_server *server = start_server(*state);
        struct comer comer = {.enough = false};
        socklen_t size = sizeof(comer.address);
        pthread_t comers[COMERS];
        int fd = connect_to(server);
        assert_int_equal(getpeername(fd, (struct sockaddr *)&comer.address, &size), 0);
        for (int i = 0; i < COMERS; i++) {
            assert_int_equal(pthread_create(&comers[i], NULL, come_and_go, &comer), 0);
        }
        while (atomic_load(&comer.n_answered) < ANSWERS) {
            (void)sched_yield();
        }
        api_server_stop(server);
        atomic_store(&comer.enough, true);
        for (int i = 0; i < COMERS; i++) {
            assert_int_equal(pthread_join(comers[i], NULL), 0);
        }
        (void)close(fd);
        fd = socket(AF_INET, SOCK_STREAM, 0); /* nobody listens any more */
        assert_int_equal(connect(fd, (struct sockaddr *)&comer.address, size), -1);
        (void)close(fd);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(stop_ends_streams_that_wait),
        TEST(a_stop_while_clients_come_and_go_is_in_good_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
