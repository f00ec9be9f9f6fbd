/* The tables: what is written is read back, in one commit with its event, or not at all. */
#include "daemon/store/table/setting_table.h"
#include "tests/daemon/store_fixture.h"

#include <math.h>
#include <pthread.h>
#include <sqlite3.h>

#include "daemon/store/query/event_list.h"
#include "daemon/store/table/checkpoint_table.h"
#include "daemon/store/table/confusion_table.h"
#include "daemon/store/table/epoch_table.h"

static int set_up(void **state) {
    static struct store_fixture fixture;
    fixture_begin(&fixture);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state) {
    fixture_end(*state);
    return 0;
}

static struct epoch_row make_epoch(int epoch, int wrong) {
    return (struct epoch_row){.report.epoch = epoch,
                              .report.train_loss = 1.5,
                              .report.train_accuracy = 0.25,
                              .report.val_loss = 1.25,
                              .report.val_accuracy = 1.0 - wrong / 100.0,
                              .report.val_wrong = wrong,
                              .report.val_total = 100,
                              .report.lr = 1e-3,
                              .report.seconds = 2.0,
                              .report.images_per_second = 50.0 + epoch,
                              .at_ms = 2000 + epoch};
}

static void put_epoch(struct store *store, int64_t run, int epoch, int wrong) {
    struct epoch_row row = make_epoch(epoch, wrong);
    ASSERT_OK(epoch_table_put(store, run, &row, &fixture_error));
}

static struct event_list events_of(struct store *store, int64_t run) {
    struct event_list list = {0};
    ASSERT_OK(event_table_list(store, run, 0, 100, &list, &fixture_error));
    return list;
}

static size_t count_events(struct store *store, int64_t run) {
    struct event_list list = events_of(store, run);
    size_t n = list.n;
    event_list_clear(&list);
    return n;
}

static enum status move(struct store *store, int64_t id, enum run_state from, enum run_state to) {
    const struct run_move m = {.id = id, .from = from, .to = to, .reason = "why", .now_ms = 3000};
    return run_table_move(store, &m, &fixture_error);
}

static void a_run_is_read_back_as_it_was_submitted(void **state) {
    struct store_fixture *f = *state;
    int64_t id = fixture_add_run(f->store, 7);
    struct run_row row = fixture_get_run(f->store, id);
    assert_int_equal(row.id, 1);
    assert_string_equal(row.name, "a run");
    assert_int_equal(row.priority, 7);
    assert_string_equal(row.labels_json, "{\"lab\":\"b\"}");
    assert_string_equal(row.config_json, "{\"m\":2}");
    assert_string_equal(row.preset, "notebook-q3");
    assert_int_equal(row.m, 2);
    assert_true(row.seed == UINT64_MAX - 6);
    assert_int_equal(row.state, RUN_QUEUED);
    assert_int_equal(row.attempt, 1);
    assert_int_equal(row.revision, 1);
    assert_int_equal(row.best_epoch, 0);
    assert_int_equal(row.created_ms, 1000);
    assert_int_equal(row.started_ms, 0);
    run_row_clear(&row);
    assert_int_equal(run_table_get(f->store, 99, &row, &fixture_error), STATUS_NOT_FOUND);
}

/* "" is the database itself. */
static void nothing_is_acknowledged_into_a_file_that_is_gone(void **state) {
    struct store_fixture *f = *state;
    static const char *const suffixes[] = {"", "-wal"};
    int64_t id = fixture_add_run(f->store, 0);
    for (int i = 0; i < 2; i++) {
        char path[128];
        char aside[160];
        (void)snprintf(path, sizeof(path), "%s%s", f->path, suffixes[i]);
        (void)snprintf(aside, sizeof(aside), "%s.aside", path);
        assert_int_equal(rename(path, aside), 0);
        assert_int_equal(move(f->store, id, RUN_QUEUED, RUN_HELD), STATUS_IO);
        assert_int_equal(rename(aside, path), 0);
        assert_int_equal(fixture_state(f->store, id), RUN_QUEUED);
        /* Put back, it goes on. */
        ASSERT_OK(move(f->store, id, RUN_QUEUED, RUN_HELD));
        ASSERT_OK(move(f->store, id, RUN_HELD, RUN_QUEUED));
    }
}

static void a_move_and_its_event_are_one_commit(void **state) {
    struct store_fixture *f = *state;
    int64_t id = fixture_add_run(f->store, 0);
    store_inject_failure(f->store, 1);
    assert_int_equal(move(f->store, id, RUN_QUEUED, RUN_HELD), STATUS_NO_SPACE);
    assert_int_equal(fixture_state(f->store, id), RUN_QUEUED);
    assert_int_equal(count_events(f->store, id), 1);

    ASSERT_OK(move(f->store, id, RUN_QUEUED, RUN_HELD));
    struct event_list events = events_of(f->store, id);
    assert_int_equal(events.n, 2);
    assert_int_equal(events.rows[1].type, EVENT_STATE);
    assert_int_equal(events.rows[1].state, RUN_HELD);
    assert_string_equal(events.rows[1].reason, "why");
    assert_true(events.rows[1].id > events.rows[0].id);
    event_list_clear(&events);
}

static void a_move_from_another_state_is_a_conflict_that_names_the_moves(void **state) {
    struct store_fixture *f = *state;
    int64_t id = fixture_add_run(f->store, 0);
    assert_int_equal(move(f->store, id, RUN_RUNNING, RUN_SUCCEEDED), STATUS_CONFLICT);
    assert_non_null(strstr(fixture_error.message, "is queued"));
    assert_non_null(strstr(fixture_error.message, "held, running, failed, canceled"));
    /* From the state it is in, but not a legal move. */
    assert_int_equal(move(f->store, id, RUN_QUEUED, RUN_SUCCEEDED), STATUS_CONFLICT);
    assert_int_equal(move(f->store, 55, RUN_QUEUED, RUN_HELD), STATUS_NOT_FOUND);
    assert_int_equal(fixture_state(f->store, id), RUN_QUEUED);
    assert_int_equal(count_events(f->store, id), 1);
}

static void every_change_counts_the_revision_up(void **state) {
    struct store_fixture *f = *state;
    int64_t id = fixture_add_run(f->store, 0);
    struct run_row row = {0};
    ASSERT_OK(run_table_claim(f->store, &(struct run_claim){0}, 1500, &row, &fixture_error));
    assert_int_equal(row.revision, 2);
    run_row_clear(&row);
    put_epoch(f->store, id, 1, 40);
    ASSERT_OK(run_table_set_origin(f->store, id,
                                   &(struct run_origin){.variant = "blas",
                                                        .arithmetic = "blas-1-x-0.3.21",
                                                        .dataset_sha256 = "abc",
                                                        .steps_per_epoch = 4,
                                                        .images_per_epoch = 64},
                                   1600, &fixture_error));
    row = fixture_get_run(f->store, id);
    assert_int_equal(row.revision, 4);
    assert_string_equal(row.variant, "blas");
    assert_string_equal(row.arithmetic, "blas-1-x-0.3.21");
    run_row_clear(&row);
}

static void epochs_bring_the_summary_up(void **state) {
    struct store_fixture *f = *state;
    int64_t id = fixture_add_run(f->store, 0);
    put_epoch(f->store, id, 1, 40);
    put_epoch(f->store, id, 2, 30);
    put_epoch(f->store, id, 3, 30);
    put_epoch(f->store, id, 4, 35);
    struct run_row row = fixture_get_run(f->store, id);
    assert_int_equal(row.epochs_done, 4);
    assert_int_equal(row.best_epoch, 2); /* the first of equals */
    assert_int_equal(row.best_wrong, 30);
    assert_int_equal(row.last_wrong, 35);
    assert_int_equal(row.val_total, 100);
    assert_true(row.images_per_second == 54.0);
    assert_false(row.diverged);
    run_row_clear(&row);
}

static void an_epoch_repeated_after_a_crash_is_told_once(void **state) {
    struct store_fixture *f = *state;
    int64_t id = fixture_add_run(f->store, 0);
    put_epoch(f->store, id, 1, 40);
    put_epoch(f->store, id, 2, 30);
    struct event_list before = events_of(f->store, id);
    put_epoch(f->store, id, 1, 40);
    put_epoch(f->store, id, 2, 31);
    struct event_list after = events_of(f->store, id);
    assert_int_equal(before.n, 3);
    assert_int_equal(after.n, 3);
    assert_true(before.rows[2].id == after.rows[2].id);
    event_list_clear(&before);
    event_list_clear(&after);
    struct epoch_list epochs = {0};
    ASSERT_OK(epoch_table_list(f->store, id, 0, 0, &epochs, &fixture_error));
    assert_int_equal(epochs.n, 2);
    assert_int_equal(epochs.rows[1].report.val_wrong, 31);
    epoch_list_clear(&epochs);
}

static void an_epoch_and_its_event_are_one_commit(void **state) {
    struct store_fixture *f = *state;
    int64_t id = fixture_add_run(f->store, 0);
    struct epoch_row row = make_epoch(1, 10);
    store_inject_failure(f->store, 1);
    assert_int_equal(epoch_table_put(f->store, id, &row, &fixture_error), STATUS_NO_SPACE);
    struct epoch_list epochs;
    ASSERT_OK(epoch_table_list(f->store, id, 0, 0, &epochs, &fixture_error));
    assert_int_equal(epochs.n, 0);
    epoch_list_clear(&epochs);
    assert_int_equal(count_events(f->store, id), 1);
    assert_int_equal(epoch_table_put(f->store, 77, &row, &fixture_error), STATUS_NOT_FOUND);
}

static void numbers_that_are_not_finite_come_back_as_nan_and_mark_the_run(void **state) {
    struct store_fixture *f = *state;
    int64_t id = fixture_add_run(f->store, 0);
    struct epoch_row row = make_epoch(1, 90);
    row.report.train_loss = (double)NAN;
    row.report.val_loss = (double)INFINITY;
    row.report.images_per_second = (double)INFINITY;
    ASSERT_OK(epoch_table_put(f->store, id, &row, &fixture_error));
    struct epoch_list epochs;
    ASSERT_OK(epoch_table_list(f->store, id, 0, 0, &epochs, &fixture_error));
    assert_int_equal(epochs.n, 1);
    const struct epoch_report *back = &epochs.rows[0].report;
    assert_true(isnan(back->train_loss));
    assert_true(isnan(back->val_loss));
    assert_true(isnan(back->images_per_second));
    assert_true(back->train_accuracy == 0.25);
    epoch_list_clear(&epochs);
    struct run_row run = fixture_get_run(f->store, id);
    assert_true(run.diverged);
    run_row_clear(&run);
}

static void a_run_that_has_diverged_stays_so(void **state) {
    struct store_fixture *f = *state;
    int64_t id = fixture_add_run(f->store, 0);
    struct epoch_row row = make_epoch(1, 90);
    row.report.diverged = true; /* its numbers are finite */
    ASSERT_OK(epoch_table_put(f->store, id, &row, &fixture_error));
    put_epoch(f->store, id, 2, 80);
    struct run_row run = fixture_get_run(f->store, id);
    assert_true(run.diverged);
    run_row_clear(&run);
}

static void more_epochs_than_one_block_are_listed_in_order(void **state) {
    struct store_fixture *f = *state;
    int64_t id = fixture_add_run(f->store, 0);
    for (int epoch = 150; epoch >= 1; epoch--) {
        put_epoch(f->store, id, epoch, 50);
    }
    struct epoch_list list = {0};
    ASSERT_OK(epoch_table_list(f->store, id, 0, 0, &list, &fixture_error));
    assert_int_equal(list.n, 150);
    assert_int_equal(list.rows[149].report.epoch, 150);
    epoch_list_clear(&list);
    ASSERT_OK(epoch_table_list(f->store, id, 100, 3, &list, &fixture_error));
    assert_int_equal(list.n, 3);
    assert_int_equal(list.rows[0].report.epoch, 101);
    epoch_list_clear(&list);
}

static void put_checkpoint(struct store *store, int64_t run, enum checkpoint_kind kind, int epochs,
                           int step) {
    struct checkpoint_row row = {
        .kind = kind, .n_bytes = 10, .epochs_done = epochs, .step = step, .at_ms = 9};
    (void)snprintf(row.path, sizeof(row.path), "%06d-%06d.safetensors", epochs, step);
    memset(row.sha256, 'a', sizeof(row.sha256) - 1);
    ASSERT_OK(checkpoint_table_put(store, run, &row, 1, &fixture_error));
}

static void checkpoints_kept_are_the_last_two_and_the_best(void **state) {
    struct store_fixture *f = *state;
    int64_t id = fixture_add_run(f->store, 0);
    for (int epoch = 1; epoch <= 4; epoch++) {
        put_checkpoint(f->store, id, CHECKPOINT_LAST, epoch, 0);
        if (epoch <= 2) {
            put_checkpoint(f->store, id, CHECKPOINT_BEST, epoch, 0);
        }
    }
    struct checkpoint_list list = {0};
    ASSERT_OK(checkpoint_table_list(f->store, id, &list, &fixture_error));
    assert_int_equal(list.n, 3);
    assert_int_equal(list.rows[0].epochs_done, 4);
    assert_int_equal(list.rows[1].epochs_done, 3);
    assert_int_equal(list.rows[2].epochs_done, 2);
    assert_int_equal(list.rows[2].kind, CHECKPOINT_BEST);
    checkpoint_list_clear(&list);

    /* The same file again: it is the newest now. */
    put_checkpoint(f->store, id, CHECKPOINT_LAST, 3, 0);
    ASSERT_OK(checkpoint_table_list(f->store, id, &list, &fixture_error));
    assert_int_equal(list.n, 3);
    assert_int_equal(list.rows[0].epochs_done, 3);
    assert_int_equal(list.rows[1].epochs_done, 4);
    checkpoint_list_clear(&list);
}

static struct confusion confusion_like(int number) {
    struct confusion confusion = {
        .n_classes = SHAPES_CLASSES, .counts[0][0] = number, .counts[9][8] = 1000000000};
    for (int i = 0; i < SHAPES_CLASSES; i++) {
        if (i != 4) {
            (void)snprintf(confusion.class_names[i], DATASET_CLASS_SIZE, "a, \"class\" %d", i);
        }
    }
    return confusion;
}

static void put_best(struct store *store, int64_t run, int epoch,
                     const struct confusion *confusion) {
    struct checkpoint_row rows[2] = {{.kind = CHECKPOINT_LAST, .epochs_done = epoch, .at_ms = 9}};
    memset(rows[0].sha256, 'b', sizeof(rows[0].sha256) - 1);
    rows[1] = rows[0];
    rows[1].kind = CHECKPOINT_BEST;
    rows[1].confusion = confusion;
    ASSERT_OK(checkpoint_table_put(store, run, rows, 2, &fixture_error));
}

static void a_best_checkpoint_is_stored_with_its_errors_by_class(void **state) {
    struct store_fixture *f = *state;
    int64_t id = fixture_add_run(f->store, 0);
    struct confusion_row row;
    const struct confusion one = confusion_like(1);
    const struct confusion two = confusion_like(2);
    assert_int_equal(confusion_table_get(f->store, id, &row, &fixture_error), STATUS_NOT_FOUND);
    put_best(f->store, id, 1, &one);
    put_best(f->store, id, 2, &two);
    put_checkpoint(f->store, id, CHECKPOINT_LAST, 3, 0);
    ASSERT_OK(confusion_table_get(f->store, id, &row, &fixture_error));
    assert_int_equal(row.epoch, 2);
    assert_memory_equal(&row.confusion, &two, sizeof(two));
    /* What is said of a best epoch is never that of another. */
    put_best(f->store, id, 4, NULL);
    assert_int_equal(confusion_table_get(f->store, id, &row, &fixture_error), STATUS_NOT_FOUND);
    put_best(f->store, id, 5, &one);
    ASSERT_OK(run_table_reset(f->store, id, "other kernels", 5000, &fixture_error));
    assert_int_equal(confusion_table_get(f->store, id, &row, &fixture_error), STATUS_NOT_FOUND);
}

static void a_reset_forgets_the_history_but_not_the_states(void **state) {
    struct store_fixture *f = *state;
    int64_t id = fixture_add_run(f->store, 0);
    put_epoch(f->store, id, 1, 40);
    put_checkpoint(f->store, id, CHECKPOINT_LAST, 1, 0);
    ASSERT_OK(run_table_reset(f->store, id, "other kernels", 5000, &fixture_error));
    struct event_list events = events_of(f->store, id);
    assert_int_equal(events.n, 2);
    assert_string_equal(events.rows[1].reason, "other kernels");
    event_list_clear(&events);
    struct run_row row = fixture_get_run(f->store, id);
    assert_int_equal(row.epochs_done, 0);
    assert_int_equal(row.best_epoch, 0);
    run_row_clear(&row);
    struct checkpoint_list list = {0};
    ASSERT_OK(checkpoint_table_list(f->store, id, &list, &fixture_error));
    assert_int_equal(list.n, 0);
    checkpoint_list_clear(&list);
}

static void runs_are_counted_by_state(void **state) {
    struct store_fixture *f = *state;
    for (int i = 0; i < 10; i++) {
        (void)fixture_add_run(f->store, 0);
    }
    ASSERT_OK(move(f->store, 4, RUN_QUEUED, RUN_HELD));
    int64_t counts[RUN_STATE_COUNT];
    ASSERT_OK(run_table_count(f->store, counts, &fixture_error));
    assert_int_equal(counts[RUN_QUEUED], 9);
    assert_int_equal(counts[RUN_HELD], 1);
    assert_int_equal(counts[RUN_FAILED], 0);
}

static void everything_is_there_after_reopening(void **state) {
    struct store_fixture *f = *state;
    int64_t id = fixture_add_run(f->store, 0);
    put_epoch(f->store, id, 1, 40);
    char before[64];
    char after[64];
    ASSERT_OK(setting_table_instance(f->store, before, &fixture_error));
    store_close(f->store);
    fixture_open_store(f);
    ASSERT_OK(setting_table_instance(f->store, after, &fixture_error));
    assert_string_equal(before, after);
    assert_int_equal(strlen(after), 32);
    assert_int_equal(count_events(f->store, id), 2);
    struct run_row row = fixture_get_run(f->store, id);
    assert_int_equal(row.epochs_done, 1);
    run_row_clear(&row);
}

static void settings_are_replaced_and_checked_for_size(void **state) {
    struct store_fixture *f = *state;
    char value[8];
    ASSERT_OK(setting_table_put(f->store, "a", "one", &fixture_error));
    ASSERT_OK(setting_table_put(f->store, "a", "two", &fixture_error));
    ASSERT_OK(setting_table_get(f->store, "a", value, sizeof(value), &fixture_error));
    assert_string_equal(value, "two");
    assert_int_equal(setting_table_get(f->store, "a", value, 3, &fixture_error), STATUS_TOO_LARGE);
    assert_int_equal(setting_table_get(f->store, "b", value, sizeof(value), &fixture_error),
                     STATUS_NOT_FOUND);
}

static void tables_are_strict_and_keys_are_checked(void **state) {
    struct store_fixture *f = *state;
    int64_t id = fixture_add_run(f->store, 0);
    sqlite3 *handle = NULL;
    assert_int_equal(sqlite3_open(f->path, &handle), SQLITE_OK);
    assert_int_equal(id, 1);
    assert_int_equal(sqlite3_exec(handle, "UPDATE run SET m = 'many'", NULL, NULL, NULL),
                     SQLITE_CONSTRAINT);
    assert_int_equal(sqlite3_exec(handle, "UPDATE run SET state = 'dozing'", NULL, NULL, NULL),
                     SQLITE_CONSTRAINT);
    assert_int_equal(sqlite3_exec(handle,
                                  "PRAGMA foreign_keys = ON; INSERT INTO epoch (run_id, epoch,"
                                  " val_wrong, val_total, lr, at_ms) VALUES (9, 1, 1, 1, 1, 1)",
                                  NULL, NULL, NULL),
                     SQLITE_CONSTRAINT);
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
}

static void note_run(void *user, int64_t run_id) {
    *(int64_t *)user = run_id;
}

static void the_observer_hears_of_commits_only(void **state) {
    struct store_fixture *f = *state;
    int64_t heard = 0;
    store_observe(f->store, note_run, &heard);
    int64_t id = fixture_add_run(f->store, 0);
    assert_int_equal(heard, id);
    heard = 0;
    store_inject_failure(f->store, 1);
    assert_int_equal(move(f->store, id, RUN_QUEUED, RUN_HELD), STATUS_NO_SPACE);
    assert_int_equal(heard, 0);
    ASSERT_OK(setting_table_put(f->store, "a", "b", &fixture_error));
    assert_int_equal(heard, 0);
}

enum { N_THREADS = 8, ROUNDS = 25 };

/* More threads than readers, so that some wait for one. */
static void *write_and_read(void *user) {
    struct store *store = user;
    for (int i = 0; i < ROUNDS; i++) {
        int64_t id = fixture_add_run(store, 0);
        put_epoch(store, id, 1, i);
        struct run_row row = fixture_get_run(store, id);
        assert_int_equal(row.last_wrong, i);
        run_row_clear(&row);
        ASSERT_OK(store_check(store, &fixture_error));
    }
    return NULL;
}

static void many_threads_write_and_read(void **state) {
    struct store_fixture *f = *state;
    pthread_t threads[N_THREADS];
    for (int i = 0; i < N_THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, write_and_read, f->store), 0);
    }
    for (int i = 0; i < N_THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    int64_t counts[RUN_STATE_COUNT];
    ASSERT_OK(run_table_count(f->store, counts, &fixture_error));
    assert_int_equal(counts[RUN_QUEUED], N_THREADS * ROUNDS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_run_is_read_back_as_it_was_submitted),
        TEST(nothing_is_acknowledged_into_a_file_that_is_gone),
        TEST(a_move_and_its_event_are_one_commit),
        TEST(a_move_from_another_state_is_a_conflict_that_names_the_moves),
        TEST(every_change_counts_the_revision_up),
        TEST(epochs_bring_the_summary_up),
        TEST(an_epoch_repeated_after_a_crash_is_told_once),
        TEST(an_epoch_and_its_event_are_one_commit),
        TEST(numbers_that_are_not_finite_come_back_as_nan_and_mark_the_run),
        TEST(a_run_that_has_diverged_stays_so),
        TEST(more_epochs_than_one_block_are_listed_in_order),
        TEST(checkpoints_kept_are_the_last_two_and_the_best),
        TEST(a_best_checkpoint_is_stored_with_its_errors_by_class),
        TEST(a_reset_forgets_the_history_but_not_the_states),
        TEST(runs_are_counted_by_state),
        TEST(everything_is_there_after_reopening),
        TEST(settings_are_replaced_and_checked_for_size),
        TEST(tables_are_strict_and_keys_are_checked),
        TEST(the_observer_hears_of_commits_only),
        TEST(many_threads_write_and_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
