/* Requests as bytes, sent to a server over a socket of this machine. The first byte chooses whether
 * it wants tokens; the token below is one of scope admin. */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "api/server.h"
#include "core/base/clock.h"
#include "core/base/sha256.h"
#include "tests/fuzz/api_fuzz.h"
#include "tests/fuzz/fuzz_file.h"

static const char fuzz_token[] = "cutoutd_fuzz"; /* "Authorization: Bearer cutoutd_fuzz" */

enum {
    ANSWER_MS = 10000,    /* below the server's patience for a head */
    FRAGMENT_MS = 20,     /* what is no whole request gets an answer, or none */
    MOST_ANSWER = 1 << 16 /* of it read here */
};

struct door {
    struct api_server *server;
    struct tokens *tokens;
    char path[96];
};

static struct door doors[2];

static void close_doors(void) {
    for (size_t i = 0; i < 2; i++) {
        api_server_stop(doors[i].server);
        tokens_close(doors[i].tokens);
    }
}

static struct tokens *make_tokens(void) {
    char digest[SHA256_HEX_SIZE];
    char line[128];
    struct sha256 sha;
    struct tokens *tokens = NULL;
    sha256_begin(&sha);
    sha256_update(&sha, fuzz_token, strlen(fuzz_token));
    sha256_end(&sha, digest);
    int n = snprintf(line, sizeof(line), "anna admin %s\n", digest);
    struct fuzz_file file = fuzz_file_make(line, (size_t)n);
    REQUIRE(tokens_open(file.path, &tokens, NULL) == STATUS_OK);
    fuzz_file_close(&file);
    return tokens;
}

static struct door *open_door(bool wants_token) {
    struct fixture *fixture = api_fuzz_open();
    struct door *door = &doors[wants_token];
    if (!doors[0].server && !doors[1].server) {
        REQUIRE(atexit(close_doors) == 0);
    }
    if (!door->server) {
        struct api_options options = fixture->context.options;
        options.listen_address = "";
        options.unix_socket = door->path;
        door->tokens = wants_token ? make_tokens() : NULL;
        options.tokens = door->tokens;
        (void)snprintf(door->path, sizeof(door->path), "%s/door%d", fixture->dir, wants_token);
        REQUIRE(api_server_start(&options, &door->server, NULL) == STATUS_OK);
    }
    return door;
}

static int connect_to(const struct door *door) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", door->path);
    REQUIRE(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    return fd;
}

/* Whether the bytes are one whole request without a body, for which something must come back. */
static bool is_whole(const char *text, size_t n) {
    static const char *const words[] = {"Content-Length", "Transfer-Encoding", "Expect"};
    const char *end = memmem(text, n, "\r\n\r\n", 4);
    if (!end || (strncmp(text, "GET /", 5) != 0 && strncmp(text, "HEAD /", 6) != 0) ||
        memchr(text, '\0', n)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasestr(text, words[i])) {
            return false;
        }
    }
    return true;
}

/* Whether one of the requests may be a HEAD. */
static bool names_head(const char *text, size_t n) {
    for (size_t i = 0; i + 4 <= n; i++) {
        if (strncasecmp(text + i, "HEAD", 4) == 0) {
            return true;
        }
    }
    return false;
}

/* When what is waited for so long from now has not come. */
static double after(int patience_ms) {
    return clock_monotonic_s(&clock_system) + patience_ms / 1000.0;
}

/* What comes first: the beginning of an answer, or nothing at the end of the connection. -1:
 * neither, in time. */
static ssize_t read_some(int fd, double until_s, char *buffer, size_t size) {
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    int n_ready = 0;
    do { /* libFuzzer has an alarm, which interrupts */
        double left_s = fmax(0, until_s - clock_monotonic_s(&clock_system));
        n_ready = poll(&poll_fd, 1, (int)ceil(1000 * left_s));
    } while (n_ready < 0 && errno == EINTR);
    if (n_ready != 1) {
        return -1;
    }
    ssize_t n = recv(fd, buffer, size, 0);
    return n < 0 ? 0 : n; /* ECONNRESET: it would not read all of it */
}

/* The rest of a body of known length; returns how much there is of it. */
static size_t read_rest(int fd, double until_s, char *buffer, size_t n, size_t wanted) {
    while (n < wanted) {
        ssize_t more = read_some(fd, until_s, buffer + n, wanted - n);
        if (more <= 0) {
            break;
        }
        n += (size_t)more;
    }
    return n;
}

/* The first answer. Its body is looked at where it comes in time and must be there: an answer to
 * HEAD has none, and the next answer may follow it. */
static void require_answer(int fd, int patience_ms, bool has_body, char *answer, size_t n) {
    REQUIRE(n >= 13 && memcmp(answer, "HTTP/1.1 ", 9) == 0);
    int status = atoi(answer + 9);
    REQUIRE((status >= 200 && status < 500) || status == 503 || status == 505 || status == 100);
    char *body = strstr(answer, "\r\n\r\n");
    const char *length = strcasestr(answer, "\r\nContent-Length: ");
    if (!has_body || !body || !length || !strstr(answer, "application/problem+json")) {
        return;
    }
    size_t n_head = (size_t)(body + 4 - answer);
    size_t n_body = strtoull(length + strlen("\r\nContent-Length: "), NULL, 10);
    REQUIRE(n_head + n_body < MOST_ANSWER);
    n = read_rest(fd, after(patience_ms), answer, n, n_head + n_body);
    if (n == n_head + n_body && n_body > 0) {
        answer[n] = '\0';
        cJSON *tree = cJSON_Parse(body + 4);
        REQUIRE(tree != NULL);
        cJSON_Delete(tree);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char answer[MOST_ANSWER + 1];
    static char text[1 << 17];
    if (size == 0 || size > sizeof(text)) {
        return 0;
    }
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    bool whole = is_whole(text, size - 1);
    int fd = connect_to(open_door(data[0] & 1));
    (void)send(fd, text, size - 1, MSG_NOSIGNAL);
    int patience_ms = whole ? ANSWER_MS : FRAGMENT_MS;
    ssize_t n = read_some(fd, after(patience_ms), answer, MOST_ANSWER);
    REQUIRE(n >= 0 || !whole);
    if (n > 0) {
        answer[n] = '\0';
        require_answer(fd, patience_ms, !names_head(text, size - 1), answer, (size_t)n);
    }
    (void)close(fd);
    return 0;
}
