/* Reports are stored once, and only of the attempt that runs. */
#include "tests/daemon/store_fixture.h"

#include <math.h>

#include "daemon/store/change/run_report.h"
#include "daemon/store/query/event_list.h"
#include "daemon/store/table/event_table.h"

static int set_up(void **state) {
    static struct store_fixture fixture;
    fixture_begin(&fixture);
    (void)fixture_add_run(fixture.store, 0);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state) {
    fixture_end(*state);
    return 0;
}

static void claim(const struct store_fixture *f) {
    struct run_row row = {0};
    ASSERT_OK(run_table_claim(f->store, &(struct run_claim){0}, 2000, &row, &fixture_error));
    run_row_clear(&row);
}

static enum status put_epoch(const struct store_fixture *f, int attempt, int64_t number,
                             int epoch) {
    const struct run_report report = {.run_id = 1, .attempt = attempt, .number = number};
    const struct epoch_row row = {.report = {.epoch = epoch, .val_total = 10, .lr = 1}, .at_ms = 1};
    return run_report_epoch(f->store, &report, &row, &fixture_error);
}

static enum status put_checkpoint(const struct store_fixture *f, int attempt, int64_t number,
                                  int epoch) {
    const struct run_report report = {.run_id = 1, .attempt = attempt, .number = number};
    struct checkpoint_row row = {.kind = CHECKPOINT_LAST, .epochs_done = epoch};
    memset(row.sha256, 'a', SHA256_HEX_SIZE - 1);
    (void)snprintf(row.path, sizeof(row.path), "%06d-000000.safetensors", epoch);
    return run_report_checkpoints(f->store, &report, &row, 1, &fixture_error);
}

static size_t count_events(const struct store_fixture *f) {
    struct event_list events = {0};
    ASSERT_OK(event_table_list(f->store, 1, 0, 100, &events, &fixture_error));
    size_t n = events.n;
    event_list_clear(&events);
    return n;
}

static void what_comes_again_is_stored_once(void **state) {
    struct store_fixture *f = *state;
    claim(f);
    for (int again = 0; again < 2; again++) {
        for (int i = 1; i <= 4; i++) {
            assert_int_equal(put_epoch(f, 1, 2 * i - 1, i), STATUS_OK);
            assert_int_equal(put_checkpoint(f, 1, 2 * i, i), STATUS_OK);
        }
        /* queued, running, four epochs, four checkpoints */
        assert_int_equal(count_events(f), 10);
        struct checkpoint_list list = {0};
        ASSERT_OK(checkpoint_table_list(f->store, 1, &list, &fixture_error));
        assert_int_equal(list.n, 2);
        assert_int_equal(list.rows[0].epochs_done, 4);
        checkpoint_list_clear(&list);
    }
}

static void another_attempt_s_are_refused_and_its_own_numbers_begin_anew(void **state) {
    struct store_fixture *f = *state;
    assert_int_equal(put_epoch(f, 1, 1, 1), STATUS_CONFLICT); /* it is queued */
    claim(f);
    assert_int_equal(put_epoch(f, 1, 7, 1), STATUS_OK);
    const struct run_move move = {
        .id = 1, .from = RUN_RUNNING, .to = RUN_QUEUED, .reason = "", .next_attempt = true};
    ASSERT_OK(run_table_move(f->store, &move, &fixture_error));
    claim(f);
    assert_int_equal(put_epoch(f, 1, 8, 2), STATUS_CONFLICT);
    assert_int_equal(put_checkpoint(f, 3, 8, 2), STATUS_CONFLICT);
    assert_non_null(strstr(fixture_error.message, "a report of attempt 3 is refused"));
    struct run_row row = fixture_get_run(f->store, 1);
    assert_int_equal(row.epochs_done, 1);
    assert_string_equal(row.handle, "run-1.2");
    run_row_clear(&row);
    assert_int_equal(put_epoch(f, 2, 1, 2), STATUS_OK);
    row = fixture_get_run(f->store, 1);
    assert_int_equal(row.epochs_done, 2);
    run_row_clear(&row);
}

static void a_report_that_failed_is_stored_when_it_comes_again(void **state) {
    struct store_fixture *f = *state;
    claim(f);
    store_inject_failure(f->store, 1);
    assert_int_equal(put_epoch(f, 1, 1, 1), STATUS_NO_SPACE);
    assert_int_equal(put_epoch(f, 1, 1, 1), STATUS_OK);
    struct run_row row = fixture_get_run(f->store, 1);
    assert_int_equal(row.epochs_done, 1);
    run_row_clear(&row);
}

static void what_no_run_can_report_is_refused(void **state) {
    struct store_fixture *f = *state;
    claim(f);
    assert_int_equal(put_epoch(f, 1, 1, 2), STATUS_INVALID); /* a gap */
    assert_int_equal(put_epoch(f, 1, 1, 0), STATUS_INVALID);
    assert_int_equal(put_epoch(f, 1, 1, 1), STATUS_OK);
    assert_int_equal(put_epoch(f, 1, 2, 3), STATUS_INVALID);
    assert_int_equal(put_epoch(f, 1, 2, 1), STATUS_OK); /* again, from a checkpoint before it */
    struct run_row run = fixture_get_run(f->store, 1);
    int beyond = run.epochs + 1;
    for (int epoch = 2; epoch < beyond; epoch++) {
        assert_int_equal(put_epoch(f, 1, epoch + 1, epoch), STATUS_OK);
    }
    run_row_clear(&run);
    assert_int_equal(put_epoch(f, 1, beyond + 1, beyond), STATUS_INVALID);

    const struct run_report report = {.run_id = 1, .attempt = 1, .number = 1000};
    struct epoch_row row = {.report = {.epoch = 1, .val_total = 10, .val_wrong = 11}};
    assert_int_equal(run_report_epoch(f->store, &report, &row, &fixture_error), STATUS_INVALID);
    static const double wrong[] = {-1, (double)NAN, (double)INFINITY};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        row.report = (struct epoch_report){.epoch = 1, .val_total = 10, .seconds = wrong[i]};
        assert_int_equal(run_report_epoch(f->store, &report, &row, &fixture_error), STATUS_INVALID);
        row.report = (struct epoch_report){.epoch = 1, .val_total = 10};
        row.report.images_per_second = wrong[i];
        assert_int_equal(run_report_epoch(f->store, &report, &row, &fixture_error), STATUS_INVALID);
    }
    struct checkpoint_row file = {.kind = CHECKPOINT_LAST, .path = "x.safetensors"};
    assert_int_equal(run_report_checkpoints(f->store, &report, &file, 1, &fixture_error),
                     STATUS_INVALID); /* no digest */
    memset(file.sha256, 'a', SHA256_HEX_SIZE - 1);
    (void)snprintf(file.path, sizeof(file.path), "../2/x.safetensors");
    assert_int_equal(run_report_checkpoints(f->store, &report, &file, 1, &fixture_error),
                     STATUS_INVALID);
    (void)snprintf(file.path, sizeof(file.path), "x.safetensors");
    assert_int_equal(run_report_checkpoints(f->store, &report, &file, 1, &fixture_error),
                     STATUS_OK);
}

static void a_note_with_anybodys_bytes_can_be_shown(void **state) {
    struct store_fixture *f = *state;
    claim(f);
    const struct run_report report = {.run_id = 1, .attempt = 1, .number = 1};
    ASSERT_OK(run_report_note(f->store, &report, "from \xff\x1b", 1, &fixture_error));
    struct run_row row = fixture_get_run(f->store, 1);
    assert_string_equal(row.reason, "from ??");
    run_row_clear(&row);
}

static void put_named(const struct store_fixture *f, enum checkpoint_kind kind, int epoch,
                      int step) {
    struct checkpoint_row row = {.kind = kind, .epochs_done = epoch, .step = step};
    memset(row.sha256, 'a', SHA256_HEX_SIZE - 1);
    (void)snprintf(row.path, sizeof(row.path), "%06d-%06d.safetensors", epoch, step);
    const struct run_report report = {.run_id = 1, .attempt = 1};
    ASSERT_OK(run_report_checkpoints(f->store, &report, &row, 1, &fixture_error));
}

static void assert_listed(const struct store_fixture *f, const char *wanted) {
    struct checkpoint_list list = {0};
    char text[256] = "";
    ASSERT_OK(checkpoint_table_list(f->store, 1, &list, &fixture_error));
    for (size_t i = 0; i < list.n; i++) {
        size_t used = strlen(text);
        (void)snprintf(text + used, sizeof(text) - used, "%s %d/%d, ",
                       checkpoint_kind_name(list.rows[i].kind), list.rows[i].epochs_done,
                       list.rows[i].step);
    }
    checkpoint_list_clear(&list);
    assert_string_equal(text, wanted);
}

static void a_fall_back_forgets_what_it_has_passed_over(void **state) {
    struct store_fixture *f = *state;
    const struct run_report report = {.run_id = 1, .attempt = 1};
    claim(f);
    put_named(f, CHECKPOINT_LAST, 11, 0);
    put_named(f, CHECKPOINT_BEST, 11, 0);
    put_named(f, CHECKPOINT_LAST, 12, 0);
    put_named(f, CHECKPOINT_BEST, 12, 0);
    assert_listed(f, "best 12/0, last 12/0, last 11/0, ");
    ASSERT_OK(run_report_fallback(f->store, &report, "000011-000000.safetensors", "why", 1,
                                  &fixture_error));
    assert_listed(f, "last 11/0, ");
    put_named(f, CHECKPOINT_LAST, 11, 5);
    assert_listed(f, "last 11/5, last 11/0, ");
    struct run_row row = fixture_get_run(f->store, 1);
    assert_string_equal(row.reason, "why");
    run_row_clear(&row);
    const struct run_report other = {.run_id = 1, .attempt = 2};
    assert_int_equal(run_report_fallback(f->store, &other, NULL, "why", 1, &fixture_error),
                     STATUS_CONFLICT);
    assert_listed(f, "last 11/5, last 11/0, ");
    ASSERT_OK(run_report_fallback(f->store, &report, NULL, "anew", 1, &fixture_error));
    assert_listed(f, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_comes_again_is_stored_once),
        TEST(another_attempt_s_are_refused_and_its_own_numbers_begin_anew),
        TEST(a_report_that_failed_is_stored_when_it_comes_again),
        TEST(what_no_run_can_report_is_refused),
        TEST(a_fall_back_forgets_what_it_has_passed_over),
        TEST(a_note_with_anybodys_bytes_can_be_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
