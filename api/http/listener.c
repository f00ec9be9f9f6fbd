/* Layer: api. */
#include "api/http/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/cleanup.h"

enum { BACKLOG = 1024 };

static enum status parse_address(const char *text, int port, struct sockaddr_storage *ret_address,
                                 socklen_t *ret_size, struct error *error) {
    struct sockaddr_storage address = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address;
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        *ret_size = sizeof(*v4);
    } else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        *ret_size = sizeof(*v6);
    } else {
        return error_set(error, STATUS_INVALID, "%s is not a numeric IPv4 or IPv6 address", text);
    }
    *ret_address = address;
    return STATUS_OK;
}

/* Why the address cannot be had. */
static enum status refused(int reason, const char *text, int port, struct error *error) {
    if (reason == EADDRINUSE) {
        return error_set(
            error, STATUS_BUSY,
            "cannot listen on %s port %d: it is in use; `ss -ltnp` names by whom: stop "
            "that, or set another `listen`",
            text, port);
    }
    return error_set_errno(error, reason, "cannot listen on %s port %d", text, port);
}

static enum status listen_on(const char *text, int port, int *ret_fd, struct error *error) {
    struct sockaddr_storage address;
    socklen_t size = 0;
    TRY(parse_address(text, port, &address, &size, error));
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return error_set_errno(error, errno, "cannot make a socket");
    }
    int on = 1;
    /* A restart must not wait for the old connections' TIME_WAIT. */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (const struct sockaddr *)&address, size) != 0 || listen(fd, BACKLOG) != 0) {
        int reason = errno;
        (void)close(fd);
        return refused(reason, text, port, error);
    }
    *ret_fd = fd;
    return STATUS_OK;
}

/* "127.0.0.1:43121", with the port that was chosen. */
static enum status describe_socket(int fd, char *text, size_t size, struct error *error) {
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof(address);
    char host[INET6_ADDRSTRLEN] = "";
    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
        return error_set_errno(error, errno, "cannot read the listening address");
    }
    if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address;
        (void)inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
        (void)snprintf(text, size, "[%s]:%d", host, ntohs(v6->sin6_port));
    } else {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address;
        (void)inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
        (void)snprintf(text, size, "%s:%d", host, ntohs(v4->sin_port));
    }
    return STATUS_OK;
}

enum status listener_open(const char *address, int port, int *ret_fd, char *ret_text, size_t size,
                          struct error *error) {
    CLEANUP(close_fd) int fd = -1;
    TRY(listen_on(address, port, &fd, error));
    TRY(describe_socket(fd, ret_text, size, error));
    *ret_fd = fd;
    fd = -1;
    return STATUS_OK;
}

/* Paths */

static int new_unix_socket(void) {
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* Makes room at the path, unless it is taken by what is not ours to remove. */
static enum status remove_stale(const struct sockaddr_un *address, struct error *error) {
    const char *path = address->sun_path;
    struct stat info;
    if (lstat(path, &info) != 0) {
        return errno == ENOENT ? STATUS_OK
                               : error_set_errno(error, errno, "cannot look at %s", path);
    }
    if (!S_ISSOCK(info.st_mode)) {
        return error_set(error, STATUS_CONFLICT,
                         "cannot listen on %s: there is something that is no socket; remove it, or "
                         "set another `unix_socket`",
                         path);
    }
    CLEANUP(close_fd) int fd = new_unix_socket();
    if (fd < 0) {
        return error_set_errno(error, errno, "cannot make a socket");
    }
    /* EAGAIN: somebody serves it who has much to do. */
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN) {
        return error_set(error, STATUS_BUSY,
                         "cannot listen on %s: somebody serves it; `ss -lxp` names by whom: stop "
                         "that, or set another `unix_socket`",
                         path);
    }
    if (unlink(path) != 0) {
        return error_set_errno(error, errno, "cannot replace %s", path);
    }
    return STATUS_OK;
}

enum status listener_open_unix(const char *path, int *ret_fd, struct error *error) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) {
        return error_set(error, STATUS_INVALID, "the path %s is too long for a socket: %zu at most",
                         path, sizeof(address.sun_path) - 1);
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    TRY(remove_stale(&address, error));
    CLEANUP(close_fd) int fd = new_unix_socket();
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        return error_set_errno(error, errno, "cannot listen on %s", path);
    }
    /* Nobody can connect before it listens, so the mode may come second. */
    if (chmod(path, S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP) != 0 || listen(fd, BACKLOG) != 0) {
        enum status status = error_set_errno(error, errno, "cannot listen on %s", path);
        (void)unlink(path);
        return status;
    }
    *ret_fd = fd;
    fd = -1;
    return STATUS_OK;
}

enum status listener_open_for_nobody(int *ret_fd, struct error *error) {
    const struct sockaddr_un unnamed = {.sun_family = AF_UNIX}; /* the kernel finds a free name */
    CLEANUP(close_fd) int fd = new_unix_socket();
    if (fd < 0 || bind(fd, (const struct sockaddr *)&unnamed, sizeof(unnamed.sun_family)) != 0 ||
        listen(fd, 1) != 0) {
        return error_set_errno(error, errno, "cannot make a socket");
    }
    *ret_fd = fd;
    fd = -1;
    return STATUS_OK;
}

static bool is_loopback(const struct sockaddr_storage *address) {
    if (address->ss_family == AF_INET6) {
        return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
    }
    return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
}

static enum status adopt_path(struct listeners *listeners, int fd,
                              const struct sockaddr_storage *address, struct error *error) {
    const struct sockaddr_un *path = (const struct sockaddr_un *)address;
    if (listeners->unix_fd >= 0 || path->sun_path[0] != '/') {
        return error_set(error, STATUS_INVALID,
                         "one path at most can be served, and it begins with /");
    }
    listeners->unix_fd = fd;
    listeners->keep_path = true;
    (void)snprintf(listeners->path, sizeof(listeners->path), "%s", path->sun_path);
    return STATUS_OK;
}

static enum status adopt_address(struct listeners *listeners, int fd,
                                 const struct sockaddr_storage *address, struct error *error) {
    if (listeners->fd >= 0) {
        return error_set(error, STATUS_INVALID, "one address of the network at most can be served");
    }
    TRY(describe_socket(fd, listeners->address, sizeof(listeners->address), error));
    listeners->fd = fd;
    listeners->is_public = !is_loopback(address);
    return STATUS_OK;
}

static enum status adopt(struct listeners *listeners, int fd, struct error *error) {
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof(address);
    int type = 0;
    int listens = 0;
    socklen_t type_size = sizeof(type);
    socklen_t listens_size = sizeof(listens);
    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_size) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &listens_size) != 0 ||
        type != SOCK_STREAM || !listens || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        return error_set(error, STATUS_INVALID, "file %d is no socket that listens", fd);
    }
    switch (address.ss_family) {
    case AF_UNIX:
        return adopt_path(listeners, fd, &address, error);
    case AF_INET:
    case AF_INET6:
        return adopt_address(listeners, fd, &address, error);
    default:
        return error_set(error, STATUS_INVALID, "file %d is a socket of another kind", fd);
    }
}

enum status listeners_adopt(struct listeners *listeners, int fd, struct error *error) {
    enum status status = adopt(listeners, fd, error);
    if (status != STATUS_OK) {
        (void)close(fd);
    }
    return status;
}

static enum status open_address(struct listeners *listeners, const char *address, int port,
                                struct error *error) {
    struct sockaddr_storage where = {0};
    socklen_t size = 0;
    TRY(parse_address(address, port, &where, &size, error));
    listeners->is_public = !is_loopback(&where);
    return listener_open(address, port, &listeners->fd, listeners->address,
                         sizeof(listeners->address), error);
}

static enum status open_path(struct listeners *listeners, const char *path, struct error *error) {
    TRY(listener_open_unix(path, &listeners->unix_fd, error));
    listeners->keep_path = false;
    (void)snprintf(listeners->path, sizeof(listeners->path), "%s", path);
    return STATUS_OK;
}

enum status listeners_open(struct listeners *listeners, const char *address, int port,
                           const char *path, struct error *error) {
    enum status status = STATUS_OK;
    if (listeners->fd < 0 && address[0]) {
        status = open_address(listeners, address, port, error);
    }
    if (status == STATUS_OK && listeners->unix_fd < 0 && path && path[0]) {
        status = open_path(listeners, path, error);
    }
    if (status != STATUS_OK) {
        listeners_close(listeners);
    }
    return status;
}

void listeners_close(struct listeners *listeners) {
    if (listeners->fd >= 0) {
        (void)close(listeners->fd);
    }
    if (listeners->unix_fd >= 0) {
        if (!listeners->keep_path) {
            (void)unlink(listeners->path);
        }
        (void)close(listeners->unix_fd);
    }
    listeners->fd = -1;
    listeners->unix_fd = -1;
}
