/* A store in a directory of its own, and runs to put into it. For the tests of daemon/. */
#ifndef CUTOUTD_TESTS_DAEMON_STORE_FIXTURE_H
#define CUTOUTD_TESTS_DAEMON_STORE_FIXTURE_H

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/store/change/run_batch.h"
#include "daemon/store/change/run_change.h"
#include "daemon/store/change/run_progress.h"

struct store_fixture {
    char dir[64];
    char path[96];
    struct store *store;
};

#define ASSERT_OK(expression)                                                                      \
    do {                                                                                           \
        struct error *shown_ = &fixture_error;                                                     \
        enum status status_ = (expression);                                                        \
        if (status_ != STATUS_OK) {                                                                \
            fail_msg("%s: %s: %s", #expression, status_name(status_), shown_->message);            \
        }                                                                                          \
    } while (0)

/* What ASSERT_OK shows: hand &fixture_error to the call. */
static struct error fixture_error;

static inline void fixture_open_store(struct store_fixture *f) {
    ASSERT_OK(store_open(f->path, &f->store, &fixture_error));
}

/* The directory alone. */
static inline void fixture_make_dir(struct store_fixture *f) {
    memset(f, 0, sizeof(*f));
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/cutoutd-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->path, sizeof(f->path), "%s/cutoutd.db", f->dir);
}

static inline void fixture_begin(struct store_fixture *f) {
    fixture_make_dir(f);
    fixture_open_store(f);
}

static inline int fixture_remove(const char *path, const struct stat *info, int type,
                                 struct FTW *walk) {
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

static inline void fixture_end(struct store_fixture *f) {
    store_close(f->store);
    assert_int_equal(nftw(f->dir, fixture_remove, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static inline struct run_config fixture_config(void) {
    struct run_config config;
    memset(&config, 0, sizeof(config));
    (void)snprintf(config.preset, sizeof(config.preset), "notebook-q3");
    (void)snprintf(config.dataset, sizeof(config.dataset), "shapes");
    config.depth = 8;
    config.epochs = 5;
    config.m = 2;
    config.cutout_size = 12;
    config.seed = UINT64_MAX - 6;
    return config;
}

static inline int64_t fixture_add_run_like(struct store *store, int priority,
                                           const struct run_config *config) {
    const struct run_draft draft = {.name = "a run",
                                    .priority = priority,
                                    .labels_json = "{\"lab\":\"b\"}",
                                    .config_json = "{\"m\":2}",
                                    .config = config};
    int64_t id = 0;
    ASSERT_OK(run_table_insert(store, &draft, 1000, &id, &fixture_error));
    return id;
}

static inline int64_t fixture_add_run(struct store *store, int priority) {
    const struct run_config config = fixture_config();
    return fixture_add_run_like(store, priority, &config);
}

static inline struct run_row fixture_get_run(struct store *store, int64_t id) {
    struct run_row row = {0};
    ASSERT_OK(run_table_get(store, id, &row, &fixture_error));
    return row;
}

static inline enum run_state fixture_state(struct store *store, int64_t id) {
    struct run_row row = fixture_get_run(store, id);
    enum run_state state = row.state;
    run_row_clear(&row);
    return state;
}

static inline enum status fixture_choose_request(void *user, const struct run_row *row,
                                                 struct batch_action *ret_action,
                                                 struct error *error) {
    (void)row;
    (void)error;
    *ret_action = *(const struct batch_action *)user;
    return STATUS_OK;
}

/* What the API does for a user, on the row alone. */
static inline enum status fixture_request(struct store *store, int64_t id,
                                          enum run_request request) {
    struct batch_action action = {.kind = BATCH_REQUEST, .request = request};
    const struct run_batch batch = {.ids = &id,
                                    .n_ids = 1,
                                    .choose = fixture_choose_request,
                                    .choose_user = &action,
                                    .now_ms = 2100};
    struct run_outcomes outcomes;
    ASSERT_OK(run_table_batch(store, &batch, &outcomes, &fixture_error));
    enum status status = outcomes.items[0].error.code;
    run_outcomes_clear(&outcomes);
    return status;
}

#endif
