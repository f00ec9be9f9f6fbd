/* Clients by the thousand on one thread: those that follow streams, those that ask at a steady
 * rate, those that send a byte a second and those that never read. For the rows load and crowd.
 *
 *     crowd HOST PORT RUN SEED SECONDS STREAMS READS WRITES TRICKLERS DEAF
 *
 * RUN is trained, READS and WRITES are a second. A request has a time at which it is due, whatever
 * came of those before it, and its latency counts from then. Begins when all streams have had their
 * first bytes; then prints one line of JSON. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    MOST_ASKERS = 512,     /* connections for requests, opened as they are needed */
    HEAD_SIZE = 2048,      /* of an answer, as far as it is kept */
    TRICKLE_MS = 1000,     /* between two bytes */
    SETTLE_S = 60,         /* for the streams to begin */
    DEAF_BUFFER = 4 * 1024 /* what a client that never reads has room for */
};

enum kind { ASKER, STREAM, TRICKLER, DEAF };

struct client {
    enum kind kind;
    int fd; /* -1: closed */
    bool connected;
    /* Of an asker. */
    bool busy;
    bool writes;
    double due_s;
    char head[HEAD_SIZE];
    size_t n_head;  /* of head, until it is whole */
    int64_t n_body; /* still to come; -1: the head is not whole */
    /* Of a stream: something has come. Of a trickler: how much it has sent. */
    bool begun;
    size_t n_sent;
    double next_s;
};

struct samples {
    double *values;
    size_t n;
    size_t room;
};

static struct {
    struct sockaddr_in address;
    const char *run;
    uint64_t random;
    int epoll_fd;
    struct client *clients;
    int n_clients;
    int n_askers;
    struct samples latencies[2]; /* reads, writes */
    int64_t n_events;            /* bytes of streams */
    int n_begun;                 /* streams */
    int n_lost;                  /* streams that ended */
    int n_refused;               /* answers that are no 2xx */
    int n_broken;                /* requests without an answer */
    int n_late;                  /* requests for which there was no connection */
    int n_cut;                   /* tricklers whom the daemon has closed */
    int64_t n_made;              /* runs submitted */
    int last_status;
} crowd;

static double now_s(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const char *what) {
    (void)fprintf(stderr, "crowd: %s: %s\n", what, strerror(errno));
    exit(1);
}

static unsigned draw(unsigned below) {
    crowd.random = crowd.random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(crowd.random >> 33) % below;
}

static void keep(struct samples *samples, double value) {
    if (samples->n == samples->room) {
        samples->room = samples->room ? 2 * samples->room : 4096;
        samples->values = realloc(samples->values, samples->room * sizeof(double));
        if (!samples->values) {
            die("samples");
        }
    }
    samples->values[samples->n++] = value;
}

/* ---- connections ---- */

static void watch(struct client *client, uint32_t events, int how) {
    struct epoll_event event = {.events = events, .data.ptr = client};
    if (epoll_ctl(crowd.epoll_fd, how, client->fd, &event) != 0) {
        die("epoll_ctl");
    }
}

static void open_client(struct client *client, enum kind kind) {
    int one = 1;
    int small = DEAF_BUFFER;
    *client = (struct client){.kind = kind, .n_body = -1};
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd < 0) {
        die("socket");
    }
    (void)setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (kind == DEAF) {
        (void)setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    }
    if (connect(client->fd, (struct sockaddr *)&crowd.address, sizeof(crowd.address)) != 0 &&
        errno != EINPROGRESS) {
        die("connect");
    }
    watch(client, EPOLLOUT, EPOLL_CTL_ADD);
}

static void close_client(struct client *client) {
    (void)close(client->fd);
    client->fd = -1;
    client->connected = false;
}

static bool send_text(struct client *client, const char *text, size_t n) {
    return send(client->fd, text, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* ---- requests ---- */

static int write_read(char *text, size_t size) {
    static const char *const paths[] = {"", "/epochs?points=50", "/validation-error",
                                        "", "/epochs?limit=20",  "/checkpoints"};
    unsigned choice = draw(10);
    char target[128];
    if (choice < 6) {
        (void)snprintf(target, sizeof(target), "/api/v1/runs/%s%s", crowd.run, paths[choice]);
    } else {
        (void)snprintf(target, sizeof(target), "%s",
                       choice == 6   ? "/api/v1/runs?limit=20"
                       : choice == 7 ? "/api/v1/queue?limit=20"
                       : choice == 8 ? "/api/v1/runs?state=held&sort=-updated&limit=20"
                                     : "/api/v1/system");
    }
    return snprintf(text, size, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", target);
}

/* Runs that are held, so that they train nothing; and changes of the run that trains. */
static int write_change(char *text, size_t size) {
    char body[256];
    char target[96];
    const char *type = "application/json";
    const char *method = "POST";
    unsigned choice = draw(3);
    if (choice == 0) {
        (void)snprintf(target, sizeof(target), "/api/v1/runs");
        (void)snprintf(body, sizeof(body),
                       "{\"dataset\":\"shapes\",\"depth\":8,\"m\":%u,\"seed\":%u,\"hold\":true}",
                       1 + draw(8), draw(1u << 30));
        crowd.n_made++;
    } else if (choice == 1) {
        method = "PATCH";
        (void)snprintf(target, sizeof(target), "/api/v1/runs/%s", crowd.run);
        (void)snprintf(body, sizeof(body), "{\"labels\":{\"turn\":\"t%u\"}}", draw(1000));
    } else {
        method = "PUT";
        type = "text/markdown";
        (void)snprintf(target, sizeof(target), "/api/v1/runs/%s/note", crowd.run);
        (void)snprintf(body, sizeof(body), "# A note\n\nwith the number %u\n", draw(1u << 30));
    }
    return snprintf(text, size,
                    "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\n"
                    "Content-Length: %zu\r\n\r\n%s",
                    method, target, type, strlen(body), body);
}

static void send_request(struct client *client) {
    char text[1024];
    int n = (client->writes ? write_change : write_read)(text, sizeof(text));
    client->n_head = 0;
    client->n_body = -1;
    if (!send_text(client, text, (size_t)n)) {
        crowd.n_broken++;
        client->busy = false;
        close_client(client);
    }
}

static void ask(double due_s, bool writes) {
    struct client *free_one = NULL;
    struct client *closed = NULL;
    for (int i = 0; i < MOST_ASKERS; i++) {
        struct client *client = &crowd.clients[i];
        if (client->fd < 0) {
            closed = closed ? closed : client;
        } else if (!client->busy) {
            free_one = client;
            break;
        }
    }
    struct client *client = free_one ? free_one : closed;
    if (!client) {
        crowd.n_late++;
        return;
    }
    if (!free_one) {
        open_client(client, ASKER);
    }
    client->busy = true;
    client->writes = writes;
    client->due_s = due_s;
    if (client->connected) {
        send_request(client);
    }
}

static void finish_request(struct client *client) {
    int status = atoi(client->head + 9);
    crowd.last_status = status;
    if (status / 100 != 2) {
        crowd.n_refused++;
    }
    keep(&crowd.latencies[client->writes], now_s() - client->due_s);
    client->busy = false;
}

/* What follows the head is passed over. */
static void take_answer(struct client *client, const char *data, size_t n) {
    if (client->n_body < 0) {
        size_t room = sizeof(client->head) - 1 - client->n_head;
        size_t n_before = client->n_head;
        size_t kept = n < room ? n : room;
        memcpy(client->head + n_before, data, kept);
        client->n_head += kept;
        client->head[client->n_head] = '\0';
        const char *end = strstr(client->head, "\r\n\r\n");
        if (!end) {
            return;
        }
        const char *length = strcasestr(client->head, "\r\nContent-Length: ");
        client->n_body = length ? strtoll(length + 18, NULL, 10) : 0;
        client->n_body -= (int64_t)(n_before + n) - (end + 4 - client->head);
    } else {
        client->n_body -= (int64_t)n;
    }
    if (client->n_body <= 0) {
        finish_request(client);
    }
}

/* ---- what happens on a connection ---- */

static void begin_client(struct client *client) {
    char text[256];
    client->connected = true;
    if (client->kind == ASKER) {
        watch(client, EPOLLIN, EPOLL_CTL_MOD);
        send_request(client);
    } else if (client->kind == TRICKLER) {
        watch(client, EPOLLIN, EPOLL_CTL_MOD);
        client->next_s = now_s() + draw(TRICKLE_MS) / 1000.0;
    } else {
        int n = snprintf(text, sizeof(text),
                         "GET /api/v1/runs/%s/events%s HTTP/1.1\r\nHost: localhost\r\n\r\n",
                         crowd.run, client->kind == DEAF ? "?since=0" : "");
        (void)send_text(client, text, (size_t)n);
        watch(client, client->kind == DEAF ? 0 : EPOLLIN, EPOLL_CTL_MOD);
    }
}

static void end_client(struct client *client) {
    if (client->kind == ASKER && client->busy) {
        crowd.n_broken++;
        client->busy = false;
    }
    crowd.n_lost += client->kind == STREAM;
    crowd.n_cut += client->kind == TRICKLER;
    enum kind kind = client->kind;
    close_client(client);
    if (kind == TRICKLER || kind == DEAF) {
        open_client(client, kind); /* they never give up */
    }
}

static void read_client(struct client *client) {
    static char data[1 << 16];
    ssize_t n = recv(client->fd, data, sizeof(data), 0);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN) {
            end_client(client);
        }
    } else if (client->kind == ASKER) {
        take_answer(client, data, (size_t)n);
    } else if (client->kind == STREAM) {
        crowd.n_begun += !client->begun;
        client->begun = true;
        crowd.n_events += n;
    }
}

static void look_at(const struct epoll_event *event) {
    struct client *client = event->data.ptr;
    if (client->fd < 0) {
        return;
    }
    if (!client->connected && (event->events & EPOLLOUT)) {
        begin_client(client);
    } else if (event->events & EPOLLIN) {
        read_client(client);
    } else if (event->events & (EPOLLERR | EPOLLHUP)) {
        end_client(client);
    }
}

static void handle_events(double until_s) {
    struct epoll_event events[256];
    double left_s = until_s - now_s();
    struct timespec wait = {.tv_nsec = left_s > 0 ? (long)(left_s * 1e9) % 1000000000 : 0};
    wait.tv_sec = left_s >= 1 ? (time_t)left_s : 0;
    int n = epoll_pwait2(crowd.epoll_fd, events, 256, &wait, NULL);
    for (int i = 0; i < n; i++) {
        look_at(&events[i]);
    }
}

static void trickle(double now) {
    static const char head[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: ";
    for (int i = crowd.n_askers; i < crowd.n_clients; i++) {
        struct client *client = &crowd.clients[i];
        if (client->kind == TRICKLER && client->connected && now >= client->next_s) {
            char letter = client->n_sent < sizeof(head) - 1 ? head[client->n_sent] : 'a';
            client->n_sent++;
            client->next_s = now + TRICKLE_MS / 1000.0;
            (void)send_text(client, &letter, 1);
        }
    }
}

/* ---- the whole ---- */

static int compare(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_latencies(const char *name, struct samples *samples) {
    static const double shares[] = {0.5, 0.99, 1.0};
    static const char *const names[] = {"p50", "p99", "max"};
    if (samples->n > 0) {
        qsort(samples->values, samples->n, sizeof(double), compare);
    }
    (void)printf("\"%s\": {\"n\": %zu", name, samples->n);
    for (size_t i = 0; i < 3; i++) {
        size_t at = (size_t)(shares[i] * (double)samples->n);
        at = at < samples->n ? at : samples->n - 1;
        (void)printf(", \"%s_ms\": %.3f", names[i],
                     samples->n > 0 ? 1000 * samples->values[at] : 0.0);
    }
    (void)printf("}, ");
}

static void settle(int n_streams) {
    double end_s = now_s() + SETTLE_S;
    while (crowd.n_begun < n_streams && now_s() < end_s) {
        handle_events(now_s() + 0.1);
    }
    if (crowd.n_begun < n_streams) {
        (void)fprintf(stderr, "crowd: %d of %d streams have begun\n", crowd.n_begun, n_streams);
        exit(1);
    }
}

static void play(double seconds, double reads, double writes) {
    double begin_s = now_s();
    double end_s = begin_s + seconds;
    double next_s[2] = {begin_s, begin_s};
    const double rates[2] = {reads, writes};
    double trickled_s = begin_s;
    while (now_s() < end_s) {
        double until_s = trickled_s + 0.05;
        for (int w = 0; w < 2; w++) {
            while (rates[w] > 0 && next_s[w] <= now_s()) {
                ask(next_s[w], w == 1);
                next_s[w] += 1 / rates[w];
            }
            until_s = rates[w] > 0 && next_s[w] < until_s ? next_s[w] : until_s;
        }
        if (now_s() >= trickled_s + 0.05) {
            trickled_s = now_s();
            trickle(trickled_s);
        }
        handle_events(until_s);
    }
    /* The last ones may have their answers. */
    for (double last_s = now_s() + 5; now_s() < last_s;) {
        bool busy = false;
        for (int i = 0; i < MOST_ASKERS; i++) {
            busy |= crowd.clients[i].fd >= 0 && crowd.clients[i].busy;
        }
        if (!busy) {
            return;
        }
        handle_events(now_s() + 0.01);
    }
    crowd.n_broken++;
}

static void open_group(int first, int n, enum kind kind) {
    for (int i = first; i < first + n; i++) {
        open_client(&crowd.clients[i], kind);
        if (i % 64 == 63) {
            handle_events(now_s()); /* the backlog has an end */
        }
    }
}

int main(int argc, char **argv) {
    if (argc != 11) {
        (void)fprintf(stderr, "usage: crowd HOST PORT RUN SEED SECONDS STREAMS READS WRITES "
                              "TRICKLERS DEAF\n");
        return 2;
    }
    struct rlimit files;
    (void)getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    int n_streams = atoi(argv[6]);
    int n_tricklers = atoi(argv[9]);
    int n_deaf = atoi(argv[10]);
    crowd.address.sin_family = AF_INET;
    crowd.address.sin_port = htons((uint16_t)atoi(argv[2]));
    if (inet_pton(AF_INET, argv[1], &crowd.address.sin_addr) != 1) {
        die("the address");
    }
    crowd.run = argv[3];
    crowd.random = strtoull(argv[4], NULL, 10);
    crowd.n_askers = MOST_ASKERS;
    crowd.n_clients = MOST_ASKERS + n_streams + n_tricklers + n_deaf;
    crowd.clients = calloc((size_t)crowd.n_clients, sizeof(*crowd.clients));
    crowd.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!crowd.clients || crowd.epoll_fd < 0) {
        die("start");
    }
    for (int i = 0; i < MOST_ASKERS; i++) {
        crowd.clients[i].fd = -1;
    }
    open_group(MOST_ASKERS, n_streams, STREAM);
    open_group(MOST_ASKERS + n_streams, n_tricklers, TRICKLER);
    open_group(MOST_ASKERS + n_streams + n_tricklers, n_deaf, DEAF);
    settle(n_streams);
    (void)printf("begun\n");
    (void)fflush(stdout);
    play(strtod(argv[5], NULL), strtod(argv[7], NULL), strtod(argv[8], NULL));
    (void)printf("{");
    print_latencies("reads", &crowd.latencies[0]);
    print_latencies("writes", &crowd.latencies[1]);
    (void)printf("\"refused\": %d, \"broken\": %d, \"late\": %d, \"lost_streams\": %d, "
                 "\"cut_tricklers\": %d, \"stream_bytes\": %" PRId64 ", \"made\": %" PRId64
                 ", \"last_status\": %d}\n",
                 crowd.n_refused, crowd.n_broken, crowd.n_late, crowd.n_lost, crowd.n_cut,
                 crowd.n_events, crowd.n_made, crowd.last_status);
    return 0;
}
