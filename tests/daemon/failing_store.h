/* A store with something of everything, of which any step of a statement or any allocation can be
 * made to fail. Links with --wrap of what it fails (tests/CMakeLists.txt). */
#ifndef CUTOUTD_TESTS_DAEMON_FAILING_STORE_H
#define CUTOUTD_TESTS_DAEMON_FAILING_STORE_H

#include "tests/daemon/store_fixture.h"

#include <math.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include "core/base/cleanup.h"
#include "daemon/store/change/run_report.h"
#include "daemon/store/change/sweep_change.h"
#include "daemon/store/owner/usage.h"
#include "daemon/store/table/audit_table.h"
#include "daemon/store/table/link_table.h"
#include "daemon/store/table/note_table.h"
#include "daemon/store/table/webhook_table.h"

/* ---- what fails: the linker leads the daemon's calls here ---- */

enum kind { KIND_STEP, KIND_MEMORY, KINDS };

static atomic_int failing = KINDS;    /* a kind; KINDS: nothing fails */
static atomic_int left;               /* of that kind until the one that fails */
static _Atomic(sqlite3 *) failed_for; /* the connection of the step that failed */

static bool fails(enum kind kind) {
    return atomic_load(&failing) == (int)kind && atomic_fetch_sub(&left, 1) == 1;
}

int __real_sqlite3_step(sqlite3_stmt *statement);
int __wrap_sqlite3_step(sqlite3_stmt *statement);
int __wrap_sqlite3_step(sqlite3_stmt *statement) {
    /* What ends a transaction must not fail, and is not let fail. */
    bool begins_or_ends = sqlite3_stmt_readonly(statement) && sqlite3_column_count(statement) == 0;
    if (!begins_or_ends && fails(KIND_STEP)) {
        atomic_store(&failed_for, sqlite3_db_handle(statement));
        return SQLITE_IOERR;
    }
    return __real_sqlite3_step(statement);
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size) {
    return fails(KIND_MEMORY) ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size) {
    return fails(KIND_MEMORY) ? NULL : __real_calloc(n, size);
}

void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size) {
    return fails(KIND_MEMORY) ? NULL : __real_realloc(old, size);
}

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
char *__wrap_strdup(const char *text) {
    return fails(KIND_MEMORY) ? NULL : __real_strdup(text);
}

/* The nth from now on. */
static void let_fail(enum kind kind, int nth) {
    atomic_store(&failed_for, NULL);
    atomic_store(&left, nth);
    atomic_store(&failing, (int)kind);
}

/* Whether it came to that. */
static bool has_failed(void) {
    atomic_store(&failing, KINDS);
    return atomic_load(&left) <= 0;
}

/* ---- a store with something of everything ---- */

#define SHA "0123456789012345678901234567890123456789012345678901234567890123"

enum { SWEEP = 1, RUNNING = 1, WAITING = 5, NOW_MS = 3000, MOST = 200 };

static struct store_fixture fixture;
static struct run_config config;

static enum status insert_sweep(struct store *store, struct error *error) {
    struct run_draft runs[3];
    const struct halving_rule rule = {.first_epochs = 2, .eta = 3, .metric = "val_error"};
    int64_t id = 0;
    for (int i = 0; i < 3; i++) {
        runs[i] = (struct run_draft){.name = "child",
                                     .owner = "anna",
                                     .labels_json = "{\"lab\":\"b\"}",
                                     .config_json = "{}",
                                     .config = &config};
    }
    const struct sweep_draft draft = {.name = "s",
                                      .owner = "anna",
                                      .spec_json = "{}",
                                      .runs = runs,
                                      .n_runs = 3,
                                      .halving = &rule};
    return sweep_table_insert(store, &draft, 1, &id, error);
}

static enum status claim(struct store *store, struct error *error) {
    CLEANUP(run_row_clear) struct run_row row = {0};
    return run_table_claim(store, &(struct run_claim){.max_running = 9, .max_disk = 1 << 30}, 2,
                           &row, error);
}

static enum status report_epoch(struct store *store, int epoch, struct error *error) {
    const struct epoch_row row = {.report.epoch = epoch,
                                  .report.val_wrong = 10,
                                  .report.val_total = 100,
                                  .report.seconds = 1,
                                  .at_ms = 2};
    const struct run_report report = {.run_id = RUNNING, .attempt = 1, .number = 2 * epoch - 1};
    return run_report_epoch(store, &report, &row, error);
}

static enum status report_files(struct store *store, int epoch, const char *name,
                                struct error *error) {
    static struct confusion confusion = {.n_classes = 10};
    struct checkpoint_row rows[] = {
        {.kind = CHECKPOINT_LAST, .sha256 = SHA, .n_bytes = 7, .epochs_done = epoch},
        {.kind = CHECKPOINT_BEST,

         .sha256 = SHA,
         .n_bytes = 7,
         .epochs_done = epoch,
         .confusion = &confusion}};
    const struct run_report report = {.run_id = RUNNING, .attempt = 1, .number = 2 * epoch};
    for (int i = 0; i < 2; i++) {
        (void)snprintf(rows[i].path, sizeof(rows[i].path), "%s", name);
    }
    return run_report_checkpoints(store, &report, rows, 2, error);
}

static enum status insert_run(struct store *store, struct error *error) {
    static const int64_t after[] = {2, 3};
    const struct run_draft draft = {.name = "later",
                                    .owner = "bert",
                                    .labels_json = "{\"lab\":\"c\",\"x\":\"y\"}",
                                    .config_json = "{}",
                                    .config = &config,
                                    .max_queued = 9,
                                    .max_disk = 1 << 30,
                                    .after_ids = after,
                                    .n_after = 2};
    int64_t id = 0;
    return run_table_insert(store, &draft, 4, &id, error);
}

static enum status note_text(struct store *store, const char *text, struct error *error) {
    const struct note_change change = {
        .subject = {NOTE_OF_RUN, RUNNING}, .text = text, .now_ms = 5};
    enum note_result result;
    return note_table_change(store, &change, &result, error);
}

static enum status link_by(struct store *store, const char *sha256, struct error *error) {
    struct link_row row = {.sweep_id = SWEEP, .expires_ms = 1 << 30};
    int64_t id = 0;
    (void)snprintf(row.sha256, sizeof(row.sha256), "%s", sha256);
    return link_table_add(store, &row, 9, &id, error);
}

static enum status add_webhook_named(struct store *store, const char *name, struct error *error) {
    struct webhook_row row = {.url = "http://x/", .events = ",run_ended,", .target = (double)NAN};
    int64_t id = 0;
    (void)snprintf(row.name, sizeof(row.name), "%s", name);
    return webhook_table_add(store, &row, &id, error);
}

static enum status tell(struct store *store, struct error *error) {
    return delivery_table_add(store, 0, "run_ended", "", "{}", 6, error);
}

static enum status record(struct store *store, struct error *error) {
    return audit_table_add(store, "run", "1", "{}", error);
}

/* Somebody asks for each change, so that the audit tells of it. */
static int set_up(void **state) {
    static const struct store_actor actor = {1, "root", "unix", "r1", "POST /api/v1/runs"};
    struct error *error = &fixture_error;
    fixture_begin(&fixture);
    store_act_for(&actor);
    struct store *store = fixture.store;
    config = fixture_config();
    ASSERT_OK(insert_sweep(store, error));
    ASSERT_OK(add_webhook_named(store, "lab", error));
    ASSERT_OK(usage_set_half_life(store, 3600, 7, error));
    ASSERT_OK(claim(store, error));
    ASSERT_OK(report_epoch(store, 1, error));
    ASSERT_OK(report_files(store, 1, "a", error));
    (void)fixture_add_run(store, 1);
    ASSERT_OK(insert_run(store, error));
    ASSERT_OK(note_text(store, "before", error));
    ASSERT_OK(link_by(store, "ab", error));
    ASSERT_OK(tell(store, error));
    ASSERT_OK(record(store, error));
    ASSERT_OK(insert_sweep(store, error)); /* whose runs nobody waits for */
    *state = &fixture;
    return 0;
}

static int tear_down(void **state) {
    store_act_for(NULL);
    fixture_end(*state);
    return 0;
}

/* ---- the first that fails, the second, ... until none does ---- */

struct case_of {
    const char *name;
    enum status (*run)(struct store *store, struct error *error);
};
#define CASE(function)                                                                             \
    { #function, function }

/* No statement of that connection is in the middle of its rows. */
static void assert_none_is_open(const char *name, int nth) {
    sqlite3 *db = atomic_load(&failed_for);
    for (sqlite3_stmt *s = db ? sqlite3_next_stmt(db, NULL) : NULL; s;
         s = sqlite3_next_stmt(db, s)) {
        if (sqlite3_stmt_busy(s)) {
            fail_msg("%s: step %d fails and leaves open: %s", name, nth, sqlite3_sql(s));
        }
    }
}

/* How many were tried. */
static int try_all(const struct case_of *tried, enum kind kind, void (*look)(const char *, int)) {
    int nth = 1;
    for (;; nth++) {
        struct error error = {.message = ""};
        assert_true(nth < MOST);
        let_fail(kind, nth);
        enum status status = tried->run(fixture.store, &error);
        if (!has_failed()) {
            if (status != STATUS_OK) {
                fail_msg("%s: %s", tried->name, error.message);
            }
            return nth - 1;
        }
        if (status != (kind == KIND_STEP ? STATUS_IO : STATUS_NO_MEMORY) || !error.message[0]) {
            fail_msg("%s: number %d fails, which is '%s' (%s)", tried->name, nth,
                     status_name(status), error.message);
        }
        look(tried->name, nth);
    }
}

#endif
