/* Layer: api. */
#include "api/http/probe.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

static const double INTERVAL_S = 5.0;

static const char request[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nUser-Agent: watchdog\r\n"
                              "Connection: close\r\n\r\n";

/* Where a client of this machine finds who listens on all addresses. */
static void prefer_loopback(struct sockaddr_storage *address) {
    if (address->ss_family == AF_INET) {
        struct sockaddr_in *v4 = (struct sockaddr_in *)address;
        if (v4->sin_addr.s_addr == htonl(INADDR_ANY)) {
            v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        }
    } else if (address->ss_family == AF_INET6) {
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
        if (IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr)) {
            v6->sin6_addr = in6addr_loopback;
        }
    }
}

void probe_init(struct probe *probe, int listening_fd, double now_s) {
    memset(probe, 0, sizeof(*probe));
    probe->fd = -1;
    probe->asked_s = now_s - INTERVAL_S;
    probe->size = sizeof(probe->address);
    if (listening_fd < 0 ||
        getsockname(listening_fd, (struct sockaddr *)&probe->address, &probe->size) != 0) {
        probe->size = 0;
    }
    prefer_loopback(&probe->address);
}

void probe_end(struct probe *probe) {
    if (probe->fd >= 0) {
        (void)close(probe->fd);
        probe->fd = -1;
    }
}

/* A full backlog is an answer that is owed; that there is no file at the path any more, or no
 * descriptor for a socket, says nothing about those who serve. */
static void begin(struct probe *probe, double now_s) {
    probe->asked_s = now_s;
    probe->sent = 0;
    probe->fd = socket(probe->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe->fd >= 0 &&
        connect(probe->fd, (const struct sockaddr *)&probe->address, probe->size) != 0 &&
        errno != EINPROGRESS && errno != EAGAIN) {
        probe_end(probe);
    }
}

/* A socket of a path whose backlog was full is not being connected: it has to be tried again. */
static void connect_again(struct probe *probe) {
    if (probe->address.ss_family == AF_UNIX && !probe->sent &&
        connect(probe->fd, (const struct sockaddr *)&probe->address, probe->size) != 0 &&
        errno != EAGAIN && errno != EISCONN) {
        probe_end(probe);
    }
}

static void go_on(struct probe *probe) {
    struct pollfd poll_fd = {.fd = probe->fd, .events = probe->sent ? POLLIN : POLLIN | POLLOUT};
    if (poll(&poll_fd, 1, 0) <= 0) {
        return;
    }
    if (poll_fd.revents & (POLLIN | POLLERR | POLLNVAL) ||
        (probe->sent && poll_fd.revents & POLLHUP)) {
        probe_end(probe);
    } else if (poll_fd.revents & POLLOUT) {
        ssize_t n = send(probe->fd, request, sizeof(request) - 1, MSG_NOSIGNAL);
        probe->sent = n == (ssize_t)sizeof(request) - 1;
        if (n < 0 && errno != EAGAIN && errno != ENOTCONN) {
            probe_end(probe);
        }
    }
}

double probe_look(struct probe *probe, double now_s) {
    if (probe->size == 0) {
        return 0.0;
    }
    if (probe->fd < 0 && now_s - probe->asked_s >= INTERVAL_S) {
        begin(probe, now_s);
    }
    if (probe->fd >= 0) {
        connect_again(probe);
    }
    if (probe->fd >= 0) {
        go_on(probe);
    }
    return probe->fd >= 0 ? now_s - probe->asked_s : 0.0;
}
