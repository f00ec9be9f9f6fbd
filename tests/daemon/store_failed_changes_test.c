/* Whatever step of a statement or whatever allocation fails: a change says so and changes nothing
 * at all. */
#include "tests/daemon/failing_store.h"

#include "daemon/store/change/run_fork.h"
#include "daemon/store/change/setting_change.h"

static enum status add_webhook(struct store *store, struct error *error) {
    return add_webhook_named(store, "other", error);
}

static enum status note(struct store *store, struct error *error) {
    return note_text(store, "after", error);
}

static enum status link_sweep(struct store *store, struct error *error) {
    return link_by(store, "cd", error);
}

static enum status set_half_life(struct store *store, struct error *error) {
    return usage_set_half_life(store, 7200, 7, error);
}

static enum status put_epoch(struct store *store, struct error *error) {
    return report_epoch(store, 2, error);
}

static enum status put_checkpoints(struct store *store, struct error *error) {
    return report_files(store, 2, "b", error);
}

static enum status move_to_rung(struct store *store, struct error *error) {
    const struct run_move move = {
        .id = RUNNING, .from = RUN_RUNNING, .to = RUN_PAUSED, .reason = "waits", .now_ms = 8};
    return run_table_move(store, &move, error);
}

/* With it ends the rung: the others have failed. */
static enum status fail_others(struct store *store, struct error *error) {
    static const int64_t others[] = {2, 3};
    struct batch_action action = {.kind = BATCH_MOVE, .to = RUN_CANCELED, .reason = "no"};
    const struct run_batch batch = {.ids = others,
                                    .n_ids = 2,
                                    .choose = fixture_choose_request,
                                    .choose_user = &action,
                                    .now_ms = 9};
    struct run_outcomes outcomes;
    TRY(run_table_batch(store, &batch, &outcomes, error));
    run_outcomes_clear(&outcomes);
    return STATUS_OK;
}

static enum status edit(struct store *store, struct error *error) {
    static const int priority = 7;
    const struct run_edit change = {
        .name = "other", .priority = &priority, .labels_json = "{\"q\":\"r\"}"};
    return run_table_edit(store, WAITING, &change, 10, error);
}

static enum status fork_run(struct store *store, struct error *error) {
    const struct run_draft draft = {.name = "fork",
                                    .labels_json = "{}",
                                    .config_json = "{}",
                                    .config = &config,
                                    .forked_from = RUNNING};
    const struct run_fork fork = {.draft = &draft, .steps_per_epoch = 1, .images_per_epoch = 1};
    int64_t id = 0;
    return run_table_fork(store, &fork, 11, &id, error);
}

static enum status set_workers(struct store *store, struct error *error) {
    const struct setting_change change = {
        .name = "workers", .value = "2", .before = "{}", .after = "{\"workers\":2}"};
    return setting_change(store, &change, error);
}

static enum status reset(struct store *store, struct error *error) {
    return run_table_reset(store, RUNNING, "anew", 12, error);
}

static enum status delete_sweep(struct store *store, struct error *error) {
    int64_t *gone = NULL;
    size_t n = 0;
    TRY(sweep_table_delete(store, SWEEP + 1, 13, &gone, &n, error));
    free(gone);
    return STATUS_OK;
}

static const struct case_of changes[] = {
    CASE(insert_run),   CASE(insert_sweep),    CASE(note),
    CASE(link_sweep),   CASE(add_webhook),     CASE(tell),
    CASE(record),       CASE(set_half_life),   CASE(set_workers),
    CASE(edit),         CASE(fork_run),        CASE(put_epoch),
    CASE(claim),        CASE(put_checkpoints), CASE(reset),
    CASE(move_to_rung), CASE(fail_others),     CASE(delete_sweep),
};

/* A digest of all rows of all tables, as another process would see them. */
static uint64_t digest(void) {
    uint64_t hash = 14695981039346656037U;
    sqlite3 *db = NULL;
    sqlite3_stmt *tables = NULL;
    assert_int_equal(sqlite3_open_v2(fixture.path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(db, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name",
                           -1, &tables, NULL),
        SQLITE_OK);
    while (sqlite3_step(tables) == SQLITE_ROW) {
        sqlite3_stmt *rows = NULL;
        char *sql = sqlite3_mprintf("SELECT * FROM \"%w\"", sqlite3_column_text(tables, 0));
        assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &rows, NULL), SQLITE_OK);
        sqlite3_free(sql);
        while (sqlite3_step(rows) == SQLITE_ROW) {
            for (int i = 0; i < sqlite3_column_count(rows); i++) {
                const unsigned char *text = sqlite3_column_text(rows, i);
                for (int k = 0; text && text[k]; k++) {
                    hash = (hash ^ text[k]) * 1099511628211U;
                }
                hash = (hash ^ (uint64_t)i) * 1099511628211U;
            }
        }
        assert_int_equal(sqlite3_finalize(rows), SQLITE_OK);
    }
    assert_int_equal(sqlite3_finalize(tables), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return hash;
}

static uint64_t before;

static void assert_nothing_is_changed(const char *name, int nth) {
    if (digest() != before) {
        fail_msg("%s: number %d fails, and yet something is changed", name, nth);
    }
    assert_none_is_open(name, nth);
}

static void a_change_that_fails_changes_nothing(void **state) {
    (void)state;
    for (size_t i = 0; i < KINDS * sizeof(changes) / sizeof(changes[0]); i++) {
        const struct case_of *change = &changes[i / KINDS];
        enum kind kind = (enum kind)(i % KINDS);
        assert_int_equal(set_up(state), 0); /* at the end the change is made */
        before = digest();
        assert_true(try_all(change, kind, assert_nothing_is_changed) > 0 || kind == KIND_MEMORY);
        if (digest() == before) {
            fail_msg("%s: nothing fails, and nothing is changed", change->name);
        }
        tear_down(state);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_change_that_fails_changes_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
