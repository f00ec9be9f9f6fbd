/* The server on a real socket: connections and streams. */
#include "tests/api/server_fixture.h"

static void one_connection_serves_several_requests(void **state) {
    struct api_server *server = start_server(*state);
    int fd = connect_to(server);
    for (int i = 0; i < 3; i++) {
        send_text(fd, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        char *answer = receive(fd, "ok\n");
        assert_contains(answer, "HTTP/1.1 200 OK\r\n");
        assert_contains(answer, "Content-Type: text/plain");
        free(answer);
    }
    (void)close(fd);
    api_server_stop(server);
}

static void doubtful_framing_is_refused_and_closed(void **state) {
    struct api_server *server = start_server(*state);
    static const char *const heads[] = {
        "Content-Length: 2\r\nContent-Length: 2\r\n",
        "Content-Length: 2\r\nContent-Length: 3\r\n",
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    };
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        char request[256];
        (void)snprintf(request, sizeof(request),
                       "POST /api/v1/runs HTTP/1.1\r\nHost: localhost\r\n%s\r\n", heads[i]);
        char *answer = exchange(server, request);
        assert_contains(answer, "HTTP/1.1 400 ");
        assert_contains(answer, "Connection: close");
        free(answer);
    }
    api_server_stop(server);
}

static void encoded_nul_is_refused(void **state) {
    struct api_server *server = start_server(*state);
    char *answer = exchange(
        server, "GET /healthz%00x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_contains(answer, "HTTP/1.1 400 ");
    assert_contains(answer, "application/problem+json");
    free(answer);
    api_server_stop(server);
}

static void absolute_form_of_the_target_is_the_same_request(void **state) {
    struct api_server *server = start_server(*state);
    char *answer = exchange(server, "GET http://localhost/healthz HTTP/1.1\r\nHost: localhost\r\n"
                                    "Connection: close\r\n\r\n");
    assert_contains(answer, "HTTP/1.1 200 ");
    free(answer);
    api_server_stop(server);
}

static void head_has_the_headers_only(void **state) {
    (void)submit(*state, "{}");
    struct api_server *server = start_server(*state);
    char *answer = exchange(
        server, "HEAD /api/v1/runs/1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_contains(answer, "ETag: W/\"");
    assert_null(strstr(answer, "\"id\""));
    free(answer);
    answer = exchange(
        server,
        "HEAD /api/v1/runs/1/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_contains(answer, "text/event-stream");
    assert_null(strstr(answer, "Content-Length:"));
    assert_null(strstr(answer, "event: "));
    free(answer);
    api_server_stop(server);
}

/* What a client has of this address is not what the refusal is. */
static void refusal_has_no_tag(void **state) {
    struct fixture *fixture = *state;
    int64_t id = submit(fixture, "{}");
    claim(fixture, id);
    put_epoch_row(fixture, id, 500000, 2.0, 150);
    for (int i = 0; i < 10; i++) {
        (void)submit(fixture, "{}"); /* each a column more: too many cells */
    }
    static const char json[] = "GET /api/v1/compare?ids=1,2,3,4,5,6,7,8,9,10,11&group_by=none "
                               "HTTP/1.0\r\n\r\n";
    static const char csv[] = "GET /api/v1/compare?ids=1,2,3,4,5,6,7,8,9,10,11&group_by=none"
                              "&format=csv HTTP/1.0\r\n\r\n";
    struct api_server *server = start_server(fixture);
    char *answer = exchange(server, json);
    assert_contains(answer, " 200 ");
    assert_contains(answer, "ETag: W/");
    free(answer);
    answer = exchange(server, csv);
    assert_contains(answer, " 422 ");
    assert_null(strstr(answer, "ETag"));
    free(answer);
    api_server_stop(server);
}

static void chunked_body_is_put_together(void **state) {
    struct api_server *server = start_server(*state);
    char *answer = exchange(server, "POST /api/v1/runs HTTP/1.1\r\nHost: localhost\r\n"
                                    "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                                    "4\r\n{\"m\"\r\n3\r\n:4}\r\n0\r\n\r\n");
    assert_contains(answer, "HTTP/1.1 201 ");
    assert_contains(answer, "Location: /api/v1/runs/1\r\n");
    assert_contains(answer, "\"m\":4,");
    free(answer);
    api_server_stop(server);
}

static void stream_delivers_while_open_and_ends_with_the_run(void **state) {
    struct fixture *fixture = *state;
    int64_t id = submit(fixture, "{}");
    struct api_server *server = start_server(fixture);
    int fd = connect_to(server);
    send_text(fd,
              "GET /api/v1/runs/1/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    free(receive(fd, "event: snapshot"));
    claim(fixture, id);
    free(receive(fd, "\"state\":\"running\""));
    put_epoch_row(fixture, id, 1, 2.0, 150);
    free(receive(fd, "event: epoch"));
    finish(fixture, id);
    char *rest = receive(fd, NULL);
    assert_contains(rest, "event: end");
    free(rest);
    (void)close(fd);
    api_server_stop(server);
}

static void client_that_leaves_takes_its_stream_along(void **state) {
    struct fixture *fixture = *state;
    int64_t id = submit(fixture, "{}");
    struct api_server *server = start_server(fixture);
    int fd = connect_to(server);
    send_text(fd, "GET /api/v1/runs/1/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    free(receive(fd, "event: snapshot"));
    (void)close(fd);
    claim(fixture, id);
    for (int epoch = 1; epoch < 10; epoch++) {
        put_epoch_row(fixture, id, epoch, 2.0, 150);
    }
    char *answer =
        exchange(server, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_contains(answer, "200 OK");
    free(answer);
    api_server_stop(server);
}

static void connections_over_the_cap_are_told(void **state) {
    enum { MANY = 24 };
    struct fixture *fixture = *state;
    fixture->context.options.connection_cap = MANY;
    struct api_server *server = start_server(fixture);
    int fds[MANY];
    for (int i = 0; i < MANY; i++) {
        fds[i] = connect_to(server);
        send_text(fds[i], "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        free(receive(fds[i], "ok\n"));
    }
    char *answer = exchange(server, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_contains(answer, "HTTP/1.1 503 ");
    assert_contains(answer, "Retry-After: ");
    free(answer);
    for (int i = 0; i < MANY; i++) {
        (void)close(fds[i]);
    }
    api_server_stop(server);
}

static void streams_over_the_cap_are_told(void **state) {
    struct fixture *fixture = *state;
    (void)submit(fixture, "{}");
    fixture->context.options.stream_cap = 2;
    struct api_server *server = start_server(fixture);
    int fds[2];
    for (int i = 0; i < 2; i++) {
        fds[i] = connect_to(server);
        send_text(fds[i], "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
        free(receive(fds[i], "event: snapshot"));
    }
    char *answer = exchange(
        server,
        "GET /api/v1/runs/1/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_contains(answer, "HTTP/1.1 503 ");
    assert_contains(answer, "Retry-After: ");
    free(answer);
    for (int i = 0; i < 2; i++) {
        (void)close(fds[i]);
    }
    api_server_stop(server);
}

enum { VISITORS = 4, VISITS = 25 };

/* Opens streams of all kinds, reads a little of some, and leaves. */
static void *visit(void *server) {
    static const char *const targets[] = {"/api/v1/runs/1/events", "/api/v1/events?format=ndjson",
                                          "/api/v1/runs/1/events?since=0", "/api/v1/events"};
    for (int i = 0; i < VISITS; i++) {
        char request[128];
        (void)snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n",
                       targets[i % 4]);
        int fd = connect_to(server);
        send_text(fd, request);
        if (i % 3 != 0) {
            free(receive(fd, "\"attempt\":"));
        }
        (void)close(fd);
    }
    return NULL;
}

static void streams_come_and_go_while_events_come(void **state) {
    struct fixture *fixture = *state;
    (void)submit(fixture, "{}");
    struct api_server *server = start_server(fixture);
    pthread_t visitors[VISITORS];
    for (int i = 0; i < VISITORS; i++) {
        assert_int_equal(pthread_create(&visitors[i], NULL, visit, server), 0);
    }
    for (int epoch = 1; epoch <= 100; epoch++) {
        const struct progress progress = {
            .run_id = 1, .epoch = epoch, .epochs = 100, .n_reports = (uint64_t)epoch};
        progress_board_set(fixture->context.options.progress, 0, &progress);
        put_epoch_row(fixture, 1, epoch, 2.0, 150);
    }
    /* The server may stop while streams are still open. */
    int last = connect_to(server);
    send_text(last, "GET /api/v1/events?since=0 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    for (int i = 0; i < VISITORS; i++) {
        assert_int_equal(pthread_join(visitors[i], NULL), 0);
    }
    api_server_stop(server);
    (void)close(last);
}

enum { BATCHES = 60, BATCH = 50, REASON = 400 };

/* A batch of events of run 1, in one commit. */
static enum status put_batch(struct db *db, void *arguments, struct error *error) {
    (void)arguments;
    char sql[256];
    (void)snprintf(sql, sizeof(sql),
                   "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
                   " INSERT INTO event (run_id, type, at_ms, state, attempt, reason)"
                   " SELECT 1, 'state', i, 'running', i, printf('%%.%dc', 'x') FROM n",
                   BATCH, REASON);
    int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    db_touch(db, 1);
    return code == SQLITE_OK ? STATUS_OK : db_status(db->handle, code, sql, error);
}

/* Reads on until the stream has told the event `id`. */
static void read_up_to(int fd, int64_t id) {
    char text[65536];
    char wanted[32];
    size_t kept = 0;
    (void)snprintf(wanted, sizeof(wanted), "id: %lld\n", (long long)id);
    for (;;) {
        ssize_t n = recv(fd, text + kept, sizeof(text) - 1 - kept, 0);
        assert_true(n > 0);
        text[kept + (size_t)n] = '\0';
        if (strstr(text, wanted)) {
            return;
        }
        /* It may come in two pieces. */
        size_t have = kept + (size_t)n;
        kept = have < sizeof(wanted) ? have : sizeof(wanted);
        memmove(text, text + have - kept, kept);
    }
}

/* One client reads all the time, which sets the pace; one reads nothing until all is over. */
static void client_that_does_not_read_gets_a_resync(void **state) {
    struct fixture *fixture = *state;
    (void)submit(fixture, "{}");
    fixture->context.options.stream_backlog = 2 * BATCH;
    struct api_server *server = start_server(fixture);
    int quick = connect_to(server);
    int slow = connect_to(server);
    static const char request[] = "GET /api/v1/runs/1/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    int n_bytes = 4096;
    assert_int_equal(setsockopt(slow, SOL_SOCKET, SO_RCVBUF, &n_bytes, sizeof(n_bytes)), 0);
    send_text(quick, request);
    send_text(slow, request);
    free(receive(quick, "event: snapshot"));
    free(receive(slow, "event: snapshot"));
    struct error error;
    for (int i = 1; i <= BATCHES; i++) {
        assert_int_equal(store_write(fixture->context.options.store, put_batch, NULL, &error),
                         STATUS_OK);
        read_up_to(quick, 1 + (int64_t)i * BATCH);
    }
    size_t size = (size_t)BATCHES * BATCH * (REASON + 200);
    char *text = calloc(1, size);
    assert_non_null(text);
    size_t used = 0;
    char last[32];
    (void)snprintf(last, sizeof(last), "id: %d\n", 1 + BATCHES * BATCH);
    /* The newest id comes with the resync itself, or with events after it. */
    while (!strstr(text, last)) {
        ssize_t n = recv(slow, text + used, size - 1 - used, 0);
        assert_true(n > 0);
        used += (size_t)n;
    }
    assert_contains(text, "event: resync");
    /* What waited for it was little, and nothing came twice. */
    assert_true(used < size / 4);
    int64_t before = 0;
    for (const char *at = text; (at = strstr(at, "\nid: ")); at++) {
        int64_t id = strtoll(at + 5, NULL, 10);
        assert_true(id > before);
        before = id;
    }
    free(text);
    (void)close(quick);
    (void)close(slow);
    api_server_stop(server);
}

/* A client that keeps sending, a byte now and then, is cut off all the same. */
static void assert_cut_off(struct fixture *fixture, const char *beginning) {
    fixture->context.options.head_deadline_s = 0.5;
    fixture->context.options.body_deadline_s = 0.5;
    struct api_server *server = start_server(fixture);
    double started_s = clock_monotonic_s(&clock_system);
    int fd = connect_to(server);
    const struct timeval pause = {.tv_usec = 100000};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &pause, sizeof(pause)), 0);
    send_text(fd, beginning);
    char byte = 0;
    ssize_t n = -1;
    while (n < 0 && clock_monotonic_s(&clock_system) < started_s + 20) {
        (void)send(fd, "x", 1, MSG_NOSIGNAL);
        n = recv(fd, &byte, 1, 0); /* waits for a tenth of a second */
        if (n < 0 && errno == ECONNRESET) {
            n = 0;
        }
    }
    assert_int_equal(n, 0);
    assert_true(clock_monotonic_s(&clock_system) > started_s + 0.4);
    (void)close(fd);
    api_server_stop(server);
}

static void slow_head_is_cut_off(void **state) {
    assert_cut_off(*state, "GET /healthz HTTP/1.1\r\nX-Slow: ");
}

static void slow_body_is_cut_off(void **state) {
    assert_cut_off(
        *state, "POST /api/v1/runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n");
}

static void quiet_connection_is_cut_off_but_a_stream_is_not(void **state) {
    struct fixture *fixture = *state;
    int64_t id = submit(fixture, "{}");
    fixture->context.options.head_deadline_s = 0.5;
    fixture->context.options.body_deadline_s = 0.5;
    struct api_server *server = start_server(fixture);
    int stream = connect_to(server);
    send_text(stream, "GET /api/v1/runs/1/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    free(receive(stream, "event: snapshot"));
    int quiet = connect_to(server);
    char *nothing = receive(quiet, NULL); /* until the server closes it */
    assert_string_equal(nothing, "");
    free(nothing);
    claim(fixture, id);
    free(receive(stream, "\"state\":\"running\""));
    (void)close(stream);
    (void)close(quiet);
    api_server_stop(server);
}

static void used_address_is_busy(void **state) {
    struct fixture *fixture = *state;
    struct api_server *server = start_server(fixture);
    struct api_options options = fixture->context.options;
    options.port = atoi(strrchr(api_server_address(server), ':') + 1);
    struct api_server *second = NULL;
    struct error error;
    assert_int_equal(api_server_start(&options, &second, &error), STATUS_BUSY);
    assert_contains(error.message, "cannot listen on 127.0.0.1 port");
    options.listen_address = "localhost";
    assert_int_equal(api_server_start(&options, &second, &error), STATUS_INVALID);
    api_server_stop(server);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(one_connection_serves_several_requests),
        TEST(doubtful_framing_is_refused_and_closed),
        TEST(encoded_nul_is_refused),
        TEST(absolute_form_of_the_target_is_the_same_request),
        TEST(head_has_the_headers_only),
        TEST(refusal_has_no_tag),
        TEST(chunked_body_is_put_together),
        TEST(stream_delivers_while_open_and_ends_with_the_run),
        TEST(client_that_leaves_takes_its_stream_along),
        TEST(connections_over_the_cap_are_told),
        TEST(streams_over_the_cap_are_told),
        TEST(streams_come_and_go_while_events_come),
        TEST(client_that_does_not_read_gets_a_resync),
        TEST(slow_head_is_cut_off),
        TEST(slow_body_is_cut_off),
        TEST(quiet_connection_is_cut_off_but_a_stream_is_not),
        TEST(used_address_is_busy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
