/* Whatever step of a statement or whatever allocation fails: a reading says so, owes no memory (the
 * build with ASan looks) and leaves no statement open, which would keep the database's log. */
#include "tests/daemon/failing_store.h"

#include "daemon/store/owner/owner_list.h"
#include "daemon/store/query/run_query.h"
#include "daemon/store/query/run_queue.h"
#include "daemon/store/query/run_set.h"
#include "daemon/store/query/upkeep.h"
#include "daemon/store/query/watch.h"
#include "daemon/store/table/after_table.h"
#include "daemon/store/table/confusion_table.h"

static const struct watch watches[] = {{WATCH_RUN, RUNNING}, {WATCH_SWEEP, SWEEP}, {WATCH_ALL, 0}};

#define READING(name, type, clear, call)                                                           \
    static enum status name(struct store *store, struct error *error) {                            \
        type result;                                                                               \
        enum status status = (call);                                                               \
        if (status == STATUS_OK) {                                                                 \
            clear;                                                                                 \
        }                                                                                          \
        return status;                                                                             \
    }
#define LIST(name, call) READING(name, struct name, name##_clear(&result), call)

static enum status watch_all(struct store *store, struct error *error) {
    for (int i = 0; i < 3; i++) {
        struct watch_snapshot snapshot;
        enum watch_state state;
        int64_t n = 0;
        TRY(watch_table_state(store, &watches[i], &state, error));
        TRY(event_table_count(store, &watches[i], 0, 9, &n, error));
        TRY(watch_table_snapshot(store, &watches[i], 2, &snapshot, error));
        watch_snapshot_clear(&snapshot);
    }
    return STATUS_OK;
}

static enum status follow_all(struct store *store, struct error *error) {
    for (int i = 0; i < 3; i++) {
        struct event_list list;
        TRY(event_table_follow(store, &watches[i], 0, 9, &list, error));
        event_list_clear(&list);
    }
    return STATUS_OK;
}

static enum status list_runs(struct store *store, struct error *error) {
    struct run_query query = {.limit = 3, .parts = RUN_PARTS_ALL};
    const struct run_value value = {.text = "b", .n_text = 1, .key = "lab", .n_key = 3};
    struct run_list list;
    assert_true(run_query_begin_condition(&query, RUN_FIELD_LABEL));
    assert_true(run_query_add_value(&query, &value));
    TRY(run_table_list(store, &query, &list, error));
    run_list_clear(&list);
    return STATUS_OK;
}

static enum status read_set(struct store *store, struct error *error) {
    CLEANUP(run_set_clear) struct run_set set = {0};
    TRY(run_set_read_sweep(store, SWEEP, &set, error));
    return run_set_read_epochs(store, &set, error);
}

static const int64_t set_ids[] = {1, 2, 4};
static const struct note_subject noted = {NOTE_OF_RUN, RUNNING};
static const struct queue_place first_place = {.priority = 1, .id = 1};

LIST(event_list, event_table_list(store, RUNNING, 0, 9, &result, error))
READING(latest_events, struct event_list, event_list_clear(&result),
        event_table_latest(store, RUNNING, 3, &result, error))
LIST(owner_list, owner_list_read(store, "", 9, NOW_MS, &result, error))
LIST(run_list, run_queue_waiting(store, NOW_MS, 2, &result, error))
READING(running, struct run_list, run_list_clear(&result),
        run_queue_list(store, RUN_RUNNING, 2, &result, error))
LIST(queue_page, run_queue_page(store, NULL, NOW_MS, 2, &result, error))
READING(next_page, struct queue_page, queue_page_clear(&result),
        run_queue_page(store, &first_place, NOW_MS, 2, &result, error))
LIST(run_set, run_set_read(store, set_ids, 3, &result, error))
LIST(checkpoint_list, checkpoint_table_list(store, RUNNING, &result, error))
LIST(epoch_list, epoch_table_list(store, RUNNING, 0, 9, &result, error))
LIST(link_list, link_table_list(store, SWEEP, NOW_MS, &result, error))
LIST(webhook_list, webhook_table_list(store, &result, error))
LIST(delivery_list, delivery_table_list(store, 1, 1 << 30, 9, &result, error))
LIST(sweep_list, sweep_table_list(store, INT64_MAX, 9, &result, error))
LIST(audit_list, audit_table_list(store, INT64_MAX, NULL, NULL, NULL, 9, &result, error))
LIST(sweep_row, sweep_table_get(store, SWEEP, &result, error))
LIST(run_row, run_table_get(store, WAITING, &result, error))
LIST(halving_state, sweep_table_halving(store, SWEEP, &result, error))
READING(read_note, char *, free(result), note_table_get(store, &noted, &result, error))
READING(after, struct after_list, (void)0, after_table_list(store, WAITING, &result, error))
READING(progress, struct sweep_progress, (void)0,
        sweep_table_progress(store, SWEEP, &result, error))
READING(confusions, struct confusion_row, (void)0,
        confusion_table_get(store, RUNNING, &result, error))
READING(next_delivery, struct delivery_row, (void)0, delivery_table_next(store, &result, error))
READING(speed, struct run_speed, (void)0, run_table_speed(store, &config, &result, error))

static enum status ids(struct store *store, struct error *error) {
    int64_t *list = NULL;
    size_t n = 0;
    TRY(upkeep_list_runs(store, &list, &n, error));
    free(list);
    TRY(upkeep_list_finished(store, 1 << 30, &list, &n, error));
    free(list);
    TRY(sweep_table_runs(store, SWEEP, &list, &n, error));
    free(list);
    return STATUS_OK;
}

static enum status numbers(struct store *store, struct error *error) {
    int64_t counts[RUN_STATE_COUNT];
    int64_t number = 0;
    int64_t bytes = 0;
    bool there = false;
    TRY(run_table_count(store, counts, error));
    TRY(owner_read_state(store, "anna", &number, &bytes, error));
    TRY(run_queue_next_start(store, NOW_MS, &number, error));
    TRY(upkeep_oldest_queued(store, &number, error));
    TRY(upkeep_last_run_id(store, &number, error));
    TRY(watch_table_has_run(store, RUNNING, &there, error));
    return run_table_has_dataset(store, "shapes", &there, error);
}

static const struct case_of readings[] = {
    CASE(watch_all),       CASE(follow_all),    CASE(list_runs),
    CASE(read_set),        CASE(event_list),    CASE(latest_events),
    CASE(owner_list),      CASE(run_list),      CASE(running),
    CASE(queue_page),      CASE(next_page),     CASE(run_set),
    CASE(checkpoint_list), CASE(epoch_list),    CASE(link_list),
    CASE(webhook_list),    CASE(delivery_list), CASE(sweep_list),
    CASE(audit_list),      CASE(sweep_row),     CASE(run_row),
    CASE(halving_state),   CASE(read_note),     CASE(after),
    CASE(progress),        CASE(confusions),    CASE(next_delivery),
    CASE(speed),           CASE(ids),           CASE(numbers),
};

static void a_reading_that_fails_says_so_and_leaves_nothing_open(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(readings) / sizeof(readings[0]); i++) {
        assert_true(try_all(&readings[i], KIND_STEP, assert_none_is_open) > 0);
        (void)try_all(&readings[i], KIND_MEMORY, assert_none_is_open);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(a_reading_that_fails_says_so_and_leaves_nothing_open)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
