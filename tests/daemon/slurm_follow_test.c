/* What the executor slurm does with the checkpoints of an attempt: those to go on from, and those
 * that come back. Nothing is trained and no Slurm is asked: the test writes the journal. */
#include "tests/daemon/work_fixture.h"

#include <errno.h>
#include <sys/stat.h>

#include "core/base/cleanup.h"
#include "core/base/sha256.h"
#include "core/train/checkpoint_files.h"
#include "daemon/config/state_dir.h"
#include "daemon/config/text_file.h"
#include "daemon/slurm/slurm_internal.h"
#include "daemon/spec/run_spec.h"
#include "daemon/store/table/event_table.h"
#include "daemon/work/attempt.h"
#include "daemon/work/recovery.h"

enum { EPOCHS = 5 };

struct follow_test {
    struct work_fixture w;
    struct attempt_table table;
    struct attempt *attempt;
    struct executor_slurm slurm;
    struct config config;
    struct slurm_job job;
    struct journal journal;
    int64_t n_records;
    int n_outcomes;
    enum status status; /* of the last outcome, as the next */
    bool again;
    char message[RUN_REASON_SIZE];
};

static void on_outcome(void *user, struct attempt *attempt) {
    struct follow_test *t = user;
    t->n_outcomes++;
    t->status = attempt->status;
    t->again = attempt->again;
    memcpy(t->message, attempt->message, sizeof(t->message));
}

static void make_directory(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void make_directory(const char *format, ...) {
    char path[ATTEMPT_PATH_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(path, sizeof(path), format, arguments);
    va_end(arguments);
    assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
}

static int64_t submit(struct follow_test *t) {
    static const char text[] = "{\"depth\":8,\"epochs\":5,\"batch_size\":6,\"dataset\":\"shapes\","
                               "\"train_images\":12,\"test_images\":6}";
    CLEANUP(free_pointer) struct run_spec *spec = calloc(1, sizeof(*spec));
    struct field_errors errors;
    int64_t id = 0;
    assert_non_null(spec);
    ASSERT_OK(run_spec_parse(text, strlen(text), &(struct run_spec_context){0}, spec, &errors));
    CLEANUP(free_pointer) char *json = run_spec_to_json(spec);
    const struct run_draft draft = {
        .name = "", .labels_json = "{}", .config_json = json, .config = &spec->config};
    ASSERT_OK(queue_submit(t->w.queue, &draft, &id, &fixture_error));
    return id;
}

/* As executor_slurm.c does when a run was claimed. */
static void give_job(struct follow_test *t) {
    const struct run_row *run = &t->attempt->run;
    t->job = (struct slurm_job){.run = run,
                                .report = {.run_id = run->id, .attempt = run->attempt},
                                .best_epoch = run->best_epoch};
    (void)snprintf(t->job.handle, sizeof(t->job.handle), "%s", run->handle);
    (void)snprintf(t->job.dir, sizeof(t->job.dir), "%.200s/%.60s", t->slurm.base, run->handle);
    t->slurm.first = &t->job;
}

static int set_up(void **state) {
    struct follow_test *t = calloc(1, sizeof(*t));
    assert_non_null(t);
    work_begin(&t->w, 12, 6);
    attempt_table_init(&t->table, &t->w.options, on_outcome, t);
    (void)snprintf(t->config.state_dir, sizeof(t->config.state_dir), "%s", t->w.f.dir);
    (void)snprintf(t->config.slurm.shared_dir, sizeof(t->config.slurm.shared_dir), "%s/shared",
                   t->w.f.dir);
    (void)snprintf(t->slurm.base, sizeof(t->slurm.base), "%s/shared/base", t->w.f.dir);
    make_directory("%s", t->config.slurm.shared_dir);
    t->config.slurm.cpus = 1;
    t->slurm.config = &t->config;
    t->slurm.local = &t->w.executor;
    t->slurm.datasets = t->w.datasets;
    t->slurm.reports = &t->table.reports;
    (void)pthread_mutex_init(&t->slurm.mutex, NULL);

    int64_t id = submit(t);
    ASSERT_OK(attempt_new(&t->attempt, &fixture_error));
    t->attempt->executor = &t->w.executor;
    ASSERT_OK(queue_claim(t->w.queue, &(struct run_claim){0}, &t->attempt->run, &fixture_error));
    assert_int_equal(t->attempt->run.id, id);
    attempt_table_add(&t->table, t->attempt);
    ASSERT_OK(state_dir_make_run(t->w.f.dir, id, &fixture_error));
    give_job(t);
    make_directory("%s", t->slurm.base);
    t->journal.fd = -1;
    *state = t;
    return 0;
}

static int tear_down(void **state) {
    struct follow_test *t = *state;
    journal_close(&t->journal);
    journal_reader_clear(&t->job.reader);
    attempt_table_destroy(&t->table);
    (void)pthread_mutex_destroy(&t->slurm.mutex);
    work_end(&t->w);
    free(t);
    return 0;
}

/* ---- a job that writes ---- */

static void begin_journal(struct follow_test *t) {
    char path[ATTEMPT_PATH_SIZE];
    make_directory("%s", t->job.dir);
    make_directory("%.300s/checkpoints", t->job.dir);
    ASSERT_OK(attempt_path(t->job.dir, "journal", path, &fixture_error));
    ASSERT_OK(journal_create(path, &t->journal, &fixture_error));
    t->job.phase = PHASE_SENT;
}

static void put(struct follow_test *t, struct record *record) {
    record->report = t->job.report;
    record->report.number = ++t->n_records;
    CLEANUP(free_pointer) char *text = record_write(record);
    assert_non_null(text);
    ASSERT_OK(journal_append(&t->journal, text, false, &fixture_error));
}

static void put_epoch(struct follow_test *t, int epoch, int wrong, bool best) {
    CLEANUP(free_pointer) struct record *record = calloc(1, sizeof(*record));
    assert_non_null(record);
    record->kind = RECORD_EPOCH;
    record->epoch = (struct epoch_report){.epoch = epoch,
                                          .val_wrong = wrong,
                                          .val_total = 100,
                                          .seconds = 1,
                                          .images_per_second = 1,
                                          .best = best};
    put(t, record);
}

enum file { FILE_WHOLE, FILE_OTHER, FILE_NONE, FILE_DIRECTORY };

static void name_file(int epoch, char name[CHECKPOINT_NAME_SIZE]) {
    (void)snprintf(name, CHECKPOINT_NAME_SIZE, "%06d-000000.safetensors", epoch);
}

/* What is in it does not matter here; its digest does. */
static void write_file(const char *directory, int epoch, char sha256[SHA256_HEX_SIZE]) {
    char path[ATTEMPT_PATH_SIZE];
    char name[CHECKPOINT_NAME_SIZE];
    char text[32];
    name_file(epoch, name);
    (void)snprintf(text, sizeof(text), "weights of epoch %d", epoch);
    ASSERT_OK(attempt_path(directory, name, path, &fixture_error));
    ASSERT_OK(text_file_write(path, text, &fixture_error));
    ASSERT_OK(sha256_file(path, sha256, &fixture_error));
}

static void put_checkpoint(struct follow_test *t, int epoch, bool best, enum file file) {
    CLEANUP(free_pointer) struct record *record = calloc(1, sizeof(*record));
    char directory[ATTEMPT_PATH_SIZE];
    char path[ATTEMPT_PATH_SIZE];
    char name[CHECKPOINT_NAME_SIZE];
    assert_non_null(record);
    name_file(epoch, name);
    ASSERT_OK(attempt_path(t->job.dir, "checkpoints", directory, &fixture_error));
    ASSERT_OK(attempt_path(directory, name, path, &fixture_error));
    record->kind = RECORD_CHECKPOINT;
    record->checkpoint.best = best;
    record->checkpoint.epochs_done = epoch;
    record->checkpoint.n_bytes = 18;
    (void)snprintf(record->file, sizeof(record->file), "%s", name);
    write_file(directory, epoch, record->sha256);
    put(t, record);
    if (file == FILE_OTHER) {
        ASSERT_OK(text_file_write(path, "something else", &fixture_error));
    } else if (file != FILE_WHOLE) {
        assert_int_equal(unlink(path), 0);
    }
    if (file == FILE_DIRECTORY) {
        make_directory("%s", path);
    }
}

static void end_well(struct follow_test *t, const char *message) {
    CLEANUP(free_pointer) struct record *record = calloc(1, sizeof(*record));
    assert_non_null(record);
    record->kind = RECORD_OUTCOME;
    record->status = STATUS_OK;
    (void)snprintf(record->message, sizeof(record->message), "%s", message);
    put(t, record);
    slurm_follow_job(&t->slurm, &t->job);
    slurm_settle(&t->slurm, &t->job);
    assert_int_equal(t->n_outcomes, 1);
    assert_int_equal(t->status, STATUS_OK);
}

/* ---- what became of it ---- */

/* Whatever is listed is there, whole; returns the epochs of the rows: "3 best 1 ". */
static void assert_listed(struct follow_test *t, const char *expected) {
    CLEANUP(checkpoint_list_clear) struct checkpoint_list list = {0};
    char path[ATTEMPT_PATH_SIZE];
    char found[SHA256_HEX_SIZE];
    char text[256] = "";
    ASSERT_OK(checkpoint_table_list(t->w.f.store, t->job.report.run_id, &list, &fixture_error));
    for (size_t i = 0; i < list.n; i++) {
        const struct checkpoint_row *row = &list.rows[i];
        size_t n = strlen(text);
        (void)snprintf(text + n, sizeof(text) - n, "%s%s %d", n ? ", " : "",
                       checkpoint_kind_name(row->kind), row->epochs_done);
        state_dir_run_path(t->w.f.dir, t->job.report.run_id, row->path, path, sizeof(path));
        ASSERT_OK(sha256_file(path, found, &fixture_error));
        assert_string_equal(found, row->sha256);
    }
    assert_string_equal(text, expected);
}

static int count_files(struct follow_test *t) {
    char path[ATTEMPT_PATH_SIZE];
    int n = 0;
    for (int epoch = 1; epoch <= EPOCHS; epoch++) {
        char name[CHECKPOINT_NAME_SIZE];
        name_file(epoch, name);
        state_dir_run_path(t->w.f.dir, t->job.report.run_id, name, path, sizeof(path));
        n += access(path, F_OK) == 0;
    }
    return n;
}

static void assert_reason(struct follow_test *t, const char *part) {
    struct run_row row = fixture_get_run(t->w.f.store, t->job.report.run_id);
    if (!strstr(row.reason, part)) {
        fail_msg("the reason is '%s', without '%s'", row.reason, part);
    }
    run_row_clear(&row);
}

static void a_best_checkpoint_that_is_passed_over_takes_no_listed_file_along(void **state) {
    static const enum file files[] = {FILE_OTHER, FILE_NONE, FILE_DIRECTORY};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (i > 0) {
            assert_int_equal(tear_down(state), 0);
            assert_int_equal(set_up(state), 0);
        }
        struct follow_test *t = *state;
        begin_journal(t);
        put_epoch(t, 1, 50, true);
        put_checkpoint(t, 1, true, FILE_WHOLE);
        slurm_follow_job(&t->slurm, &t->job);
        put_epoch(t, 2, 40, true);
        put_checkpoint(t, 2, true, files[i]);
        do {
            slurm_follow_job(&t->slurm, &t->job); /* no lag is granted: the next look is late */
        } while (t->job.missing_at_s > 0);
        assert_reason(t, "the weights of epoch 2, the best, are lost");
        assert_reason(t, "the best checkpoint is that of epoch 1");
        put_epoch(t, 3, 45, false);
        put_checkpoint(t, 3, false, FILE_WHOLE);
        slurm_follow_job(&t->slurm, &t->job);
        assert_listed(t, "last 3, best 1, last 1");
        put_epoch(t, 4, 46, false);
        put_checkpoint(t, 4, false, FILE_WHOLE);
        slurm_follow_job(&t->slurm, &t->job);
        assert_listed(t, "last 4, last 3, best 1");
        assert_int_equal(count_files(t), 3);
        end_well(t, "");
        assert_string_equal(t->message, "the weights of epoch 2, the best, are lost: "
                                        "the best checkpoint is that of epoch 1");
    }
}

static void what_is_passed_over_while_catching_up_takes_no_listed_file_along(void **state) {
    struct follow_test *t = *state;
    t->config.slurm.shared_lag_s = 3600;
    begin_journal(t);
    put_epoch(t, 1, 50, true);
    put_checkpoint(t, 1, true, FILE_WHOLE);
    put_epoch(t, 2, 40, true);
    put_checkpoint(t, 2, true, FILE_NONE);
    put_epoch(t, 3, 45, false);
    put_checkpoint(t, 3, false, FILE_WHOLE);
    slurm_follow_job(&t->slurm, &t->job);
    assert_listed(t, "best 1, last 1"); /* the best weights may only be late */
    put_epoch(t, 4, 30, true);
    put_checkpoint(t, 4, true, FILE_WHOLE);
    slurm_follow_job(&t->slurm, &t->job);
    assert_listed(t, "best 4, last 4, last 3");
    assert_int_equal(count_files(t), 2);
    end_well(t, "by a rule");
    assert_string_equal(t->message, "by a rule");
}

static void a_best_checkpoint_that_is_only_late_is_taken(void **state) {
    struct follow_test *t = *state;
    char sha256[SHA256_HEX_SIZE];
    char directory[ATTEMPT_PATH_SIZE];
    t->config.slurm.shared_lag_s = 3600;
    begin_journal(t);
    put_epoch(t, 1, 50, true);
    put_checkpoint(t, 1, true, FILE_NONE);
    put_epoch(t, 2, 55, false);
    put_checkpoint(t, 2, false, FILE_WHOLE);
    slurm_follow_job(&t->slurm, &t->job);
    assert_listed(t, "");
    ASSERT_OK(attempt_path(t->job.dir, "checkpoints", directory, &fixture_error));
    write_file(directory, 1, sha256);
    end_well(t, "");
    assert_listed(t, "last 2, best 1, last 1");
    assert_string_equal(t->message, "");
}

static void a_daemon_that_reads_the_journal_again_keeps_what_is_listed(void **state) {
    struct follow_test *t = *state;
    char sha256[SHA256_HEX_SIZE];
    char directory[ATTEMPT_PATH_SIZE];
    begin_journal(t);
    for (int epoch = 1; epoch <= 3; epoch++) {
        put_epoch(t, epoch, 50 - epoch, epoch == 1);
        put_checkpoint(t, epoch, epoch == 1, epoch == 2 ? FILE_NONE : FILE_WHOLE);
    }
    slurm_follow_job(&t->slurm, &t->job);
    assert_listed(t, "last 3, best 1, last 1");
    ASSERT_OK(attempt_path(t->job.dir, "checkpoints", directory, &fixture_error));
    write_file(directory, 2, sha256); /* it was late; that of epoch 3 is gone meanwhile */
    char path[ATTEMPT_PATH_SIZE];
    ASSERT_OK(attempt_path(directory, "000003-000000.safetensors", path, &fixture_error));
    assert_int_equal(unlink(path), 0);
    journal_reader_clear(&t->job.reader);
    give_job(t);
    t->job.phase = PHASE_SENT;
    slurm_follow_job(&t->slurm, &t->job);
    assert_listed(t, "last 3, best 1, last 1");
    end_well(t, "");
    assert_string_equal(t->message, "");
}

static void what_a_job_has_gone_back_behind_is_listed_no_more(void **state) {
    struct follow_test *t = *state;
    begin_journal(t);
    for (int epoch = 1; epoch <= 3; epoch++) {
        put_epoch(t, epoch, 50 + epoch, epoch == 1);
        put_checkpoint(t, epoch, epoch == 1, FILE_WHOLE);
    }
    slurm_follow_job(&t->slurm, &t->job);
    assert_listed(t, "last 3, last 2, best 1");
    CLEANUP(free_pointer) struct record *record = calloc(1, sizeof(*record));
    assert_non_null(record);
    record->kind = RECORD_FALLBACK;
    (void)snprintf(record->file, sizeof(record->file), "000002-000000.safetensors");
    (void)snprintf(record->message, sizeof(record->message), "it went back");
    put(t, record);
    slurm_follow_job(&t->slurm, &t->job);
    assert_reason(t, "it went back");
    assert_listed(t, "last 2, best 1");
    put_epoch(t, 3, 53, false);
    put_epoch(t, 4, 54, false);
    put_checkpoint(t, 4, false, FILE_WHOLE);
    slurm_follow_job(&t->slurm, &t->job);
    assert_listed(t, "last 4, last 2, best 1");
    assert_int_equal(count_files(t), 3);
}

/* ---- those to go on from ---- */

/* Two epochs are done; their files are in the state directory. */
static void interrupt(struct follow_test *t) {
    begin_journal(t);
    put_epoch(t, 1, 50, true);
    put_checkpoint(t, 1, true, FILE_WHOLE);
    put_epoch(t, 2, 55, false);
    put_checkpoint(t, 2, false, FILE_WHOLE);
    slurm_follow_job(&t->slurm, &t->job);
    assert_listed(t, "last 2, best 1, last 1");
    journal_close(&t->journal);
    journal_reader_clear(&t->job.reader);
    assert_int_equal(nftw(t->job.dir, fixture_remove, 8, FTW_DEPTH | FTW_PHYS), 0);
    give_job(t);
}

/* Of the newest checkpoint. */
static void name_newest(struct follow_test *t, char path[ATTEMPT_PATH_SIZE]) {
    state_dir_run_path(t->w.f.dir, t->job.report.run_id, "000002-000000.safetensors", path,
                       ATTEMPT_PATH_SIZE);
    assert_int_equal(unlink(path), 0);
}

static bool is_given(struct follow_test *t, int epoch) {
    char path[ATTEMPT_PATH_SIZE];
    (void)snprintf(path, sizeof(path), "%.300s/checkpoints/%06d-000000.safetensors", t->job.dir,
                   epoch);
    return access(path, F_OK) == 0;
}

static void what_is_no_file_or_damaged_is_left_out_at_once(void **state) {
    struct follow_test *t = *state;
    char path[ATTEMPT_PATH_SIZE];
    interrupt(t);
    name_newest(t, path);
    make_directory("%s", path);
    slurm_begin_job(&t->slurm, &t->job);
    assert_int_equal(t->job.phase, PHASE_UNSENT);
    assert_string_equal(t->slurm.trouble, "");
    assert_false(is_given(t, 2));
    assert_true(is_given(t, 1));

    assert_int_equal(rmdir(path), 0);
    ASSERT_OK(text_file_write(path, "something else", &fixture_error));
    give_job(t);
    slurm_begin_job(&t->slurm, &t->job);
    assert_int_equal(t->job.phase, PHASE_UNSENT);
    assert_false(is_given(t, 2));

    struct attempt_order order; /* the job is told of it all the same, and says that it went back */
    ASSERT_OK(attempt_order_read(t->job.dir, &order, &fixture_error));
    assert_int_equal(order.checkpoints.rows[0].epochs_done, 2);
    attempt_order_clear(&order);
}

/* EIO by the kernel: nothing is mapped at the beginning of a process. */
static void what_cannot_be_read_is_tried_again_and_then_left_out(void **state) {
    struct follow_test *t = *state;
    char path[ATTEMPT_PATH_SIZE];
    interrupt(t);
    name_newest(t, path);
    assert_int_equal(symlink("/proc/self/mem", path), 0);
    int n_waits = 0;
    for (; t->job.phase == PHASE_NEW && n_waits < 10; n_waits++) {
        t->job.due_at_s = 0;
        slurm_begin_job(&t->slurm, &t->job);
        assert_string_equal(t->slurm.trouble, ""); /* nobody else waits for it */
        assert_true(t->job.phase != PHASE_NEW || strstr(t->job.why, "000002-000000.safetensors"));
    }
    assert_int_equal(n_waits, RECOVERY_MOST_INTERRUPTIONS + 1);
    assert_int_equal(t->job.phase, PHASE_UNSENT);
    assert_false(is_given(t, 2));
    assert_true(is_given(t, 1));
    assert_int_equal(unlink(path), 0);
}

static void a_shared_directory_that_is_gone_holds_everybody_up_and_names_itself(void **state) {
    struct follow_test *t = *state;
    interrupt(t);
    char aside[ATTEMPT_PATH_SIZE];
    (void)snprintf(aside, sizeof(aside), "%.200s.aside", t->config.slurm.shared_dir);
    assert_int_equal(rename(t->config.slurm.shared_dir, aside), 0);
    slurm_begin_job(&t->slurm, &t->job);
    assert_int_equal(t->job.phase, PHASE_NEW);
    assert_non_null(strstr(t->slurm.trouble, t->config.slurm.shared_dir));
    assert_int_equal(rename(aside, t->config.slurm.shared_dir), 0);
    t->job.due_at_s = 0;
    slurm_begin_job(&t->slurm, &t->job);
    assert_int_equal(t->job.phase, PHASE_UNSENT);
    assert_string_equal(t->slurm.trouble, "");
}

static void a_directory_of_one_attempt_that_cannot_be_made_is_that_attempts_end(void **state) {
    struct follow_test *t = *state;
    ASSERT_OK(text_file_write(t->job.dir, "in the way", &fixture_error));
    for (int n = 0; t->n_outcomes == 0 && n < 10; n++) {
        t->job.due_at_s = 0;
        slurm_begin_job(&t->slurm, &t->job);
        assert_string_equal(t->slurm.trouble, "");
    }
    assert_int_equal(t->n_outcomes, 1);
    assert_int_equal(t->status, STATUS_IO);
    assert_true(t->again);
    assert_non_null(strstr(t->message, t->job.dir));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_best_checkpoint_that_is_passed_over_takes_no_listed_file_along),
        TEST(what_is_passed_over_while_catching_up_takes_no_listed_file_along),
        TEST(a_best_checkpoint_that_is_only_late_is_taken),
        TEST(a_daemon_that_reads_the_journal_again_keeps_what_is_listed),
        TEST(what_a_job_has_gone_back_behind_is_listed_no_more),
        TEST(what_is_no_file_or_damaged_is_left_out_at_once),
        TEST(what_cannot_be_read_is_tried_again_and_then_left_out),
        TEST(a_shared_directory_that_is_gone_holds_everybody_up_and_names_itself),
        TEST(a_directory_of_one_attempt_that_cannot_be_made_is_that_attempts_end),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
