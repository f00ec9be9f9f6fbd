/* The sender and its clock: tries that fail over a day, runs that stand still, a store that fails.
 */
#include "tests/daemon/store_fixture.h"

#include <arpa/inet.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "daemon/notify/message.h"
#include "daemon/notify/post.h"
#include "daemon/notify/sender.h"

static const int64_t BEGIN_MS = 1000 * 3600 * 1000LL;
static atomic_llong now_ms;
static atomic_llong elapsed_ms; /* monotonic */

static int64_t unix_ms(void *user) {
    (void)user;
    return atomic_load(&now_ms);
}

static double monotonic_s(void *user) {
    (void)user;
    return (double)atomic_load(&elapsed_ms) / 1000.0;
}

static const struct clock test_clock = {.unix_ms = unix_ms, .monotonic_s = monotonic_s};

static void advance(int64_t ms) {
    atomic_fetch_add(&now_ms, ms);
    atomic_fetch_add(&elapsed_ms, ms);
}

struct sender_fixture {
    struct store_fixture f;
    struct sender *sender;
    struct progress_board *progress;
    int64_t webhook_id;
};

static int set_up(void **state) {
    struct sender_fixture *s = calloc(1, sizeof(*s));
    struct webhook_row row = {
        .name = "lab", .events = ",stalled,run_ended,", .target = (double)NAN, .secret = "x"};
    atomic_store(&now_ms, BEGIN_MS);
    fixture_begin(&s->f);
    (void)snprintf(row.url, sizeof(row.url), "http://127.0.0.1:1/"); /* refused: nothing is sent */
    ASSERT_OK(webhook_table_add(s->f.store, &row, &s->webhook_id, &fixture_error));
    ASSERT_OK(progress_board_create(4, &s->progress, &fixture_error));
    *state = s;
    return 0;
}

static int tear_down(void **state) {
    struct sender_fixture *s = *state;
    sender_free(s->sender);
    progress_board_free(s->progress);
    fixture_end(&s->f);
    free(s);
    return 0;
}

static void start_allowing(struct sender_fixture *s, const char *addresses) {
    const struct sender_options options = {.store = s->f.store,
                                           .clock = &test_clock,
                                           .progress = s->progress,
                                           .allowed_addresses = addresses,
                                           .stalled_s = 600};
    ASSERT_OK(sender_create(&options, &s->sender, &fixture_error));
    ASSERT_OK(sender_start(s->sender, &fixture_error));
}

static void start(struct sender_fixture *s) {
    start_allowing(s, "");
}

static struct delivery_row newest(struct sender_fixture *s) {
    struct delivery_list list;
    struct delivery_row row = {.id = 0};
    ASSERT_OK(delivery_table_list(s->f.store, s->webhook_id, INT64_MAX, 1, &list, &fixture_error));
    if (list.n > 0) {
        row = list.rows[0];
    }
    delivery_list_clear(&list);
    return row;
}

/* The newest delivery after one more round of the sender. */
static struct delivery_row newest_after_round(struct sender_fixture *s) {
    sender_round(s->sender);
    return newest(s);
}

static void one_that_cannot_be_delivered_is_tried_for_a_day_and_then_dead(void **state) {
    struct sender_fixture *s = *state;
    start(s);
    ASSERT_OK(
        delivery_table_add(s->f.store, s->webhook_id, "test", "", "{}", BEGIN_MS, &fixture_error));
    struct delivery_row row = newest_after_round(s);
    assert_int_equal(row.attempts, 1);
    assert_string_equal(row.state, "pending");
    assert_int_equal(row.next_ms, BEGIN_MS + 5000);
    assert_non_null(strstr(row.error, "127.0.0.1 is loopback or private"));
    int attempts = 1;
    while (strcmp(row.state, "pending") == 0) {
        assert_true(row.next_ms > atomic_load(&now_ms));
        atomic_store(&now_ms, row.next_ms - 1);
        assert_int_equal(newest_after_round(s).attempts, attempts);
        atomic_store(&now_ms, row.next_ms);
        row = newest_after_round(s);
        assert_int_equal(row.attempts, ++attempts);
    }
    assert_string_equal(row.state, "dead");
    assert_true(atomic_load(&now_ms) - BEGIN_MS > 24 * 3600 * 1000LL);
    assert_true(atomic_load(&now_ms) - BEGIN_MS < 30 * 3600 * 1000LL);
    int n = 0;
    ASSERT_OK(delivery_table_expire(s->f.store, row.next_ms + 1, &n, &fixture_error));
    assert_int_equal(n, 1);
}

/* While the daemon runs, and while none does. */
static void a_clock_that_is_set_back_delays_no_try(void **state) {
    struct sender_fixture *s = *state;
    start(s);
    ASSERT_OK(
        delivery_table_add(s->f.store, s->webhook_id, "test", "", "{}", BEGIN_MS, &fixture_error));
    struct delivery_row row = newest_after_round(s);
    for (int i = 2; i < 5; i++) {
        assert_int_equal(row.attempts, i - 1);
        assert_int_equal(newest_after_round(s).attempts, i - 1); /* not due */
        if (i % 2 == 0) {
            sender_free(s->sender);
        }
        atomic_fetch_sub(&now_ms, 50 * 3600 * 1000LL);
        if (i % 2 == 0) {
            start(s);
        }
        row = newest_after_round(s);
        assert_int_equal(row.attempts, i);
        assert_true(row.next_ms > atomic_load(&now_ms));
        assert_true(row.next_ms <= atomic_load(&now_ms) + 300 * 1000);
    }
}

static void a_run_that_stands_still_is_told_once(void **state) {
    struct sender_fixture *s = *state;
    int64_t id = fixture_add_run(s->f.store, 0);
    struct run_row row = {0};
    ASSERT_OK(run_table_claim(s->f.store, &(struct run_claim){0}, BEGIN_MS, &row, &fixture_error));
    run_row_clear(&row);
    struct progress progress = {.run_id = id, .n_reports = 7};
    progress_board_set(s->progress, 0, &progress);
    start(s);
    /* It moves for a while, and then does not: 600 s from the last move on, in steps of 31. */
    for (int i = 0; i < 25; i++) {
        progress.n_reports += i < 5;
        progress_board_set(s->progress, 0, &progress);
        advance(31 * 1000);
        if (i == 10) { /* it has not stood still for a day because of that */
            atomic_fetch_add(&now_ms, 24 * 3600 * 1000LL);
        }
        assert_int_equal(newest_after_round(s).id != 0, i == 24);
    }
    struct delivery_row told = newest(s);
    char facts[64];
    (void)snprintf(facts, sizeof(facts), "{\"run\":\"%lld\",", (long long)id);
    assert_string_equal(told.event, "stalled");
    assert_int_equal(strncmp(told.facts, facts, strlen(facts)), 0);
    assert_int_equal(told.created_ms, atomic_load(&now_ms));
    advance(31 * 1000);
    sender_round(s->sender); /* another look */
    struct delivery_list list;
    ASSERT_OK(delivery_table_list(s->f.store, s->webhook_id, INT64_MAX, 9, &list, &fixture_error));
    assert_int_equal(list.n, 1);
    delivery_list_clear(&list);
}

/* ---- a receiver ---- */

struct receiver {
    int fd;
    atomic_int status; /* what it answers */
    atomic_int n;      /* requests that it has answered */
    pthread_t thread;
};

/* Whether the text is a whole request with a body. */
static bool is_whole(const char *text) {
    const char *length = strstr(text, "Content-Length: ");
    const char *body = strstr(text, "\r\n\r\n");
    return length && body && strlen(body + 4) >= (size_t)strtol(length + 16, NULL, 10);
}

/* Until the socket is shut down. */
static void *receive(void *user) {
    struct receiver *r = user;
    int fd = -1;
    while ((fd = accept(r->fd, NULL, NULL)) >= 0) {
        char text[4096];
        size_t n = 0;
        ssize_t got = 1;
        text[0] = '\0';
        while (got > 0 && !is_whole(text)) {
            got = recv(fd, text + n, sizeof(text) - 1 - n, 0);
            n += got > 0 ? (size_t)got : 0;
            text[n] = '\0';
        }
        (void)atomic_fetch_add(&r->n, 1);
        int length = snprintf(text, sizeof(text),
                              "HTTP/1.1 %d x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                              atomic_load(&r->status));
        (void)send(fd, text, (size_t)length, MSG_NOSIGNAL);
        (void)close(fd);
    }
    return NULL;
}

/* Adds a webhook that posts to it; returns its id. */
static int64_t receiver_begin(struct receiver *r, struct store *store) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);
    struct webhook_row row = {.name = "heard", .events = "", .target = (double)NAN, .secret = "x"};
    int64_t id = 0;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    r->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(r->fd >= 0);
    assert_int_equal(bind(r->fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(r->fd, 8), 0);
    assert_int_equal(getsockname(r->fd, (struct sockaddr *)&address, &size), 0);
    (void)snprintf(row.url, sizeof(row.url), "http://127.0.0.1:%d/", ntohs(address.sin_port));
    ASSERT_OK(webhook_table_add(store, &row, &id, &fixture_error));
    assert_int_equal(pthread_create(&r->thread, NULL, receive, r), 0);
    return id;
}

static void receiver_end(struct receiver *r) {
    assert_int_equal(shutdown(r->fd, SHUT_RDWR), 0);
    assert_int_equal(pthread_join(r->thread, NULL), 0);
    assert_int_equal(close(r->fd), 0);
}

static void what_cannot_be_stored_of_a_delivery_is_not_sent_again(void **state) {
    struct sender_fixture *s = *state;
    struct receiver receiver = {.status = 500};
    s->webhook_id = receiver_begin(&receiver, s->f.store);
    start_allowing(s, "127.0.0.1");
    sender_round(s->sender); /* which writes as well, as it does once after a start */
    ASSERT_OK(
        delivery_table_add(s->f.store, s->webhook_id, "test", "", "{}", BEGIN_MS, &fixture_error));
    ASSERT_OK(
        delivery_table_add(s->f.store, s->webhook_id, "test", "", "{}", BEGIN_MS, &fixture_error));
    store_inject_status(s->f.store, STATUS_IO);
    for (int i = 0; i < 3; i++) {
        store_inject_failure(s->f.store, 1);
        sender_round(s->sender);
        assert_int_equal(atomic_load(&receiver.n), 1);
        advance(11 * 1000); /* longer than to the next try */
    }
    assert_int_equal(newest(s).attempts, 0);
    /* The store takes it again: it is a try of when it was made, and the next one is due. */
    atomic_store(&receiver.status, 200);
    sender_round(s->sender);
    assert_int_equal(atomic_load(&receiver.n), 3);
    struct delivery_list list;
    ASSERT_OK(delivery_table_list(s->f.store, s->webhook_id, INT64_MAX, 9, &list, &fixture_error));
    assert_int_equal(list.n, 2);
    assert_string_equal(list.rows[0].state, "delivered");
    assert_int_equal(list.rows[0].attempts, 1);
    assert_string_equal(list.rows[1].state, "delivered");
    assert_int_equal(list.rows[1].attempts, 2);
    delivery_list_clear(&list);
    /* One that stays unstored until the end is stored then. */
    ASSERT_OK(delivery_table_add(s->f.store, s->webhook_id, "test", "", "{}", atomic_load(&now_ms),
                                 &fixture_error));
    store_inject_failure(s->f.store, 1);
    assert_string_equal(newest_after_round(s).state, "pending");
    sender_free(s->sender);
    s->sender = NULL;
    assert_string_equal(newest(s).state, "delivered");
    assert_int_equal(atomic_load(&receiver.n), 4);
    receiver_end(&receiver);
}

static void special_addresses_and_urls_are_known(void **state) {
    (void)state;
    static const char *const special[] = {
        "127.0.0.1", "10.1.2.3", "172.31.0.1",       "192.168.1.1", "169.254.169.254", "::1",
        "fe80::1",   "fd00::1",  "::ffff:127.0.0.1", "0.0.0.0",     "100.64.0.1",      "224.0.0.1"};
    static const char *const good[] = {"8.8.8.8", "172.32.0.1", "2606:4700::1111"};
    static const char *const urls[] = {"ftp://a/",      "file:///etc/passwd", "http://",    "a", "",
                                       "http://u:p@a/", "http://a/#x",        "gopher://a/"};
    struct error error;
    for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
        if (!post_address_is_special(special[i])) {
            fail_msg("%s is taken for public", special[i]);
        }
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_false(post_address_is_special(good[i]));
    }
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        if (post_check_url(urls[i], &error) != STATUS_INVALID) {
            fail_msg("'%s' is taken", urls[i]);
        }
    }
    assert_int_equal(post_check_url("https://hooks.example.org/services/T/B/x?y=1", &error),
                     STATUS_OK);
}

/* Computed with Python's hmac. */
static void a_signature_is_the_hmac_of_time_and_body(void **state) {
    (void)state;
    char signature[SIGNATURE_SIZE];
    message_sign("whsec_x", 1700000000, "{}", signature);
    assert_string_equal(signature,
                        "t=1700000000,v1="
                        "be8cb8325f2202445260a855532f967e30ad2a9394ce28da66ee02880ddcb661");
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(one_that_cannot_be_delivered_is_tried_for_a_day_and_then_dead),
        TEST(a_clock_that_is_set_back_delays_no_try),
        TEST(a_run_that_stands_still_is_told_once),
        TEST(what_cannot_be_stored_of_a_delivery_is_not_sent_again),
        cmocka_unit_test(special_addresses_and_urls_are_known),
        cmocka_unit_test(a_signature_is_the_hmac_of_time_and_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
