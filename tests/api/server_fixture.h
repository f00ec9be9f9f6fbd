/* A server on a real socket, and clients that write and read what they like. */
#ifndef CUTOUTD_TESTS_API_SERVER_FIXTURE_H
#define CUTOUTD_TESTS_API_SERVER_FIXTURE_H

#include "tests/api/fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/server.h"
#include "core/base/clock.h"
#include "daemon/store/db.h"

static inline struct api_server *start_server(struct fixture *fixture) {
    struct api_server *server = NULL;
    struct error error = {.message = ""};
    fixture->context.options.clock = &clock_system;
    assert_int_equal(api_server_start(&fixture->context.options, &server, &error), STATUS_OK);
    return server;
}

static inline int connect_to(const struct api_server *server) {
    const char *colon = strrchr(api_server_address(server), ':');
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(colon + 1)),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    const struct timeval patience = {.tv_sec = 30};
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static inline void send_text(int fd, const char *text) {
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Reads until `until` was seen or the other side closed; the caller frees it. */
static inline char *receive(int fd, const char *until) {
    char *text = calloc(1, 65536);
    assert_non_null(text);
    size_t used = 0;
    while (used < 65535 && !(until && strstr(text, until))) {
        ssize_t n = recv(fd, text + used, 65535 - used, 0);
        if (n == 0) {
            break;
        }
        assert_true(n > 0);
        used += (size_t)n;
        text[used] = '\0';
    }
    return text;
}

/* The whole answer to one request on a connection of its own. */
static inline char *exchange(const struct api_server *server, const char *request) {
    int fd = connect_to(server);
    send_text(fd, request);
    char *answer = receive(fd, NULL);
    (void)close(fd);
    return answer;
}

#endif
