/* Thread rule: see the header. */
#include "tests/sim/receiver.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/notify/post.h"
#include "tests/sim/looker.h"
#include "tests/sim/model.h"
#include "tests/sim/sched.h"
#include "tests/sim/sim.h"
#include "tests/sim/stream.h"
#include "tests/sim/wraps.h"

enum { MOST_DELIVERIES = 1024, HANGS_S = 5 };

static struct {
    bool taken; /* it was heard, whatever the daemon was answered */
    bool told;  /* and the daemon was told so */
} heard[MOST_DELIVERIES];
static uint64_t n_posts;
static bool healed;

/* ---- the receiver ---- */

/* The event of the log that the message tells of is stored: it was seen, or is there now. */
static void check_told(const char *body) {
    const char *run = strstr(body, "\"run\":\"");
    const char *text = strstr(body, "\"state\":\"");
    enum run_state state = RUN_STATE_COUNT;
    int64_t id = run ? strtoll(run + strlen("\"run\":\""), NULL, 10) : 0;
    for (int i = 0; text && i < RUN_STATE_COUNT; i++) {
        const char *name = run_state_name((enum run_state)i);
        const char *begin = text + strlen("\"state\":\"");
        if (strncmp(begin, name, strlen(name)) == 0 && begin[strlen(name)] == '"') {
            state = (enum run_state)i;
        }
    }
    bool seen = model_look(false);
    const struct wanted *w = model_find(id);
    if (state == RUN_STATE_COUNT || !run_state_is_final(state) ||
        (seen && w && !w->deleting && !model_has_state_event(id, state, 0))) {
        sim_fail("nothing is told that was not stored", "%s", body);
    }
}

void receiver_heal(void) {
    healed = true;
}

void __wrap_post_init(void);
void __wrap_post_init(void) {
}

enum status __wrap_post_send(const struct post *post, int *ret_http_status, struct error *error);
enum status __wrap_post_send(const struct post *post, int *ret_http_status, struct error *error) {
    uint64_t choice = healed ? 99 : mix(++n_posts) % 100;
    sched_point();
    *ret_http_status = 0;
    if (post->delivery >= MOST_DELIVERIES) {
        sim_fail("the simulator has room", "more than %d deliveries", MOST_DELIVERIES);
    }
    if (choice < 10) {
        (void)sched_wait(post, sched_now_s() + HANGS_S);
        return atomic_load(post->stop) ? error_set(error, STATUS_STOPPED, "stopped")
                                       : error_set(error, STATUS_IO, "it does not answer");
    }
    if (choice < 25) {
        *ret_http_status = 500;
        return error_set(error, STATUS_IO, "it answered 500");
    }
    check_told(post->body);
    heard[post->delivery].taken = true;
    sim_tell("  told: %s", post->body);
    sched_point(); /* the process may end here */
    if (choice < 35) {
        return error_set(error, STATUS_IO, "the answer was lost");
    }
    *ret_http_status = 204;
    heard[post->delivery].told = true;
    return STATUS_OK;
}

/* ---- what must hold ---- */

static const char sql_has_hook[] = "SELECT count(*) FROM webhook";
static const char sql_of_run[] = "SELECT count(*) FROM delivery WHERE event = 'run_ended'"
                                 " AND json_extract(facts, '$.run') = CAST(?1 AS TEXT)";
static const char sql_delivered[] = "SELECT id FROM delivery WHERE state = 'delivered'";
static const char sql_pending[] = "SELECT count(*) FROM delivery WHERE state = 'pending'";

void receiver_add_hook(sqlite3 *handle) {
    static const char sql[] =
        "INSERT INTO webhook (name, url, events, template, secret, owner, created_ms)"
        " VALUES ('lab', 'http://lab.example/', ',run_ended,', 'json', 'secret', '', 1)";
    if (sqlite3_exec(handle, sql, NULL, NULL, NULL) != SQLITE_OK) {
        sim_fail("the simulator works", "%s: %s", sql, sqlite3_errmsg(handle));
    }
}

static int64_t read_number(const char *sql, int64_t argument) {
    sqlite3_stmt *row = looker_query(sql, argument);
    int64_t number = looker_step(row) ? sqlite3_column_int64(row, 0) : 0;
    (void)sqlite3_reset(row);
    return number;
}

void receiver_check_run(int64_t run_id, int n_ends) {
    /* Those that were told long ago are forgotten. */
    int64_t n = kinds.retention || read_number(sql_has_hook, 0) == 0
                    ? n_ends
                    : read_number(sql_of_run, run_id);
    if (n != n_ends) {
        sim_fail("an end and what is told of it are one commit",
                 "run %" PRId64 " has ended %d times, and has %" PRId64 " deliveries", run_id,
                 n_ends, n);
    }
}

void receiver_check_heard(void) {
    sqlite3_stmt *row = looker_query(sql_delivered, 0);
    while (looker_step(row)) {
        int64_t id = sqlite3_column_int64(row, 0);
        if (!heard[id].taken || !heard[id].told) {
            sim_fail("what is stored is told", "delivery %" PRId64 " is delivered, and %s", id,
                     heard[id].taken ? "nobody answered so" : "nobody heard it");
        }
    }
}

int receiver_count_pending(void) {
    if (!looker_begin()) {
        return -1;
    }
    int n = (int)read_number(sql_pending, 0);
    looker_end();
    return n;
}
