/* The journal of an attempt and its records. */
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "daemon/slurm/attempt_dir.h"
#include "daemon/slurm/journal.h"
#include "daemon/slurm/record.h"
#include "tests/daemon/store_fixture.h"

static struct store_fixture fixture; /* its directory alone */

static int set_up(void **state) {
    (void)state;
    fixture_make_dir(&fixture);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    return nftw(fixture.dir, fixture_remove, 8, FTW_DEPTH | FTW_PHYS);
}

static void path_in_dir(const char *name, char path[ATTEMPT_PATH_SIZE]) {
    ASSERT_OK(attempt_path(fixture.dir, name, path, &fixture_error));
}

static void assert_next(struct journal_reader *reader, const char *expected) {
    const char *text = NULL;
    size_t n_bytes = 0;
    ASSERT_OK(journal_next(reader, &text, &n_bytes, &fixture_error));
    assert_int_equal(n_bytes, strlen(expected));
    assert_memory_equal(text, expected, n_bytes);
    journal_take(reader);
}

static enum status next_status(struct journal_reader *reader) {
    const char *text = NULL;
    size_t n_bytes = 0;
    return journal_next(reader, &text, &n_bytes, NULL);
}

static void append_raw(const char *path, const char *bytes) {
    FILE *file = fopen(path, "ae");
    assert_non_null(file);
    assert_true(fputs(bytes, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void what_is_appended_is_read_in_order_and_a_torn_line_is_no_record(void **state) {
    (void)state;
    char path[ATTEMPT_PATH_SIZE];
    struct journal journal;
    struct journal_reader reader = {0};
    path_in_dir("journal", path);
    ASSERT_OK(journal_fetch(&reader, path, &fixture_error));
    assert_int_equal(next_status(&reader), STATUS_NOT_FOUND);
    ASSERT_OK(journal_create(path, &journal, &fixture_error));
    ASSERT_OK(journal_append(&journal, "first", true, &fixture_error));
    ASSERT_OK(journal_append(&journal, "", false, &fixture_error));
    ASSERT_OK(journal_fetch(&reader, path, &fixture_error));
    assert_next(&reader, "first");
    assert_next(&reader, "");
    assert_int_equal(next_status(&reader), STATUS_NOT_FOUND);
    append_raw(path, "5 a7937b64b8caa58f thi");
    ASSERT_OK(journal_fetch(&reader, path, &fixture_error));
    assert_int_equal(next_status(&reader), STATUS_NOT_FOUND);
    append_raw(path, "rd\n");
    ASSERT_OK(journal_fetch(&reader, path, &fixture_error));
    assert_int_equal(next_status(&reader), STATUS_CORRUPT); /* another digest */
    journal_reader_clear(&reader);
    journal_close(&journal);
}

static void a_damaged_line_is_read_again_and_may_be_whole_then(void **state) {
    (void)state;
    char path[ATTEMPT_PATH_SIZE];
    struct journal journal;
    struct journal_reader reader = {0};
    path_in_dir("journal", path);
    ASSERT_OK(journal_create(path, &journal, &fixture_error));
    ASSERT_OK(journal_append(&journal, "late", true, &fixture_error));
    FILE *file = fopen(path, "r+e");
    assert_non_null(file);
    assert_int_equal(fseek(file, -3, SEEK_END), 0);
    assert_int_equal(fputc(0, file), 0); /* as NFS shows what has not arrived */
    assert_int_equal(fflush(file), 0);
    ASSERT_OK(journal_fetch(&reader, path, &fixture_error));
    assert_int_equal(next_status(&reader), STATUS_CORRUPT);
    assert_int_equal(fseek(file, -3, SEEK_END), 0);
    assert_int_equal(fputc('t', file), 't');
    assert_int_equal(fclose(file), 0);
    journal_refetch(&reader);
    ASSERT_OK(journal_fetch(&reader, path, &fixture_error));
    assert_next(&reader, "late");
    journal_reader_clear(&reader);
    journal_close(&journal);
}

static void one_journal_has_one_writer(void **state) {
    (void)state;
    char path[ATTEMPT_PATH_SIZE];
    struct journal journal;
    struct journal other;
    path_in_dir("journal", path);
    ASSERT_OK(journal_create(path, &journal, &fixture_error));
    assert_int_equal(journal_create(path, &other, NULL), STATUS_CONFLICT);
    journal_close(&journal);
}

/* In a process of its own: the limit stays. */
static int append_to_a_full_disk(const char *path) {
    struct journal journal;
    const struct rlimit most = {100, RLIM_INFINITY};
    const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
    (void)signal(SIGXFSZ, SIG_IGN);
    bool good = journal_create(path, &journal, NULL) == STATUS_OK &&
                journal_append(&journal, "a record that fits", true, NULL) == STATUS_OK &&
                setrlimit(RLIMIT_FSIZE, &most) == 0 &&
                journal_append(&journal, "a record that does not fit into what is left of the disk",
                               true, NULL) == STATUS_NO_SPACE &&
                setrlimit(RLIMIT_FSIZE, &none) == 0 &&
                journal_append(&journal, "the next one", true, NULL) == STATUS_OK;
    return good ? 0 : 1;
}

static void a_full_disk_leaves_whole_records(void **state) {
    (void)state;
    char path[ATTEMPT_PATH_SIZE];
    struct journal_reader reader = {0};
    int code = 0;
    path_in_dir("journal", path);
    pid_t child = fork();
    if (child == 0) {
        _exit(append_to_a_full_disk(path));
    }
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_int_equal(code, 0);
    ASSERT_OK(journal_fetch(&reader, path, &fixture_error));
    assert_next(&reader, "a record that fits");
    assert_next(&reader, "the next one");
    assert_int_equal(next_status(&reader), STATUS_NOT_FOUND);
    journal_reader_clear(&reader);
}

static void numbers_come_back_with_the_same_bits(void **state) {
    (void)state;
    struct record *record = calloc(2, sizeof(*record));
    assert_non_null(record);
    record[0] = (struct record){.kind = RECORD_EPOCH, .report = {7, 2, 13}};
    record[0].epoch = (struct epoch_report){.epoch = 3,
                                            .train_loss = 0.1 + 0.2,
                                            .train_accuracy = 1.0 / 3.0,
                                            .val_loss = (double)INFINITY,
                                            .val_accuracy = 5e-324,
                                            .val_wrong = 7,
                                            .val_total = 100,
                                            .lr = 1e-7,
                                            .seconds = 12.25,
                                            .images_per_second = 1e17,
                                            .diverged = true,
                                            .images = INT64_C(1) << 40,
                                            .steps = 99};
    char *text = record_write(&record[0]);
    assert_non_null(text);
    ASSERT_OK(record_read(text, strlen(text), &record[1], &fixture_error));
    assert_true(isnan(record[1].epoch.val_loss));
    record[1].epoch.val_loss = record[0].epoch.val_loss;
    assert_memory_equal(&record[1].epoch, &record[0].epoch, sizeof(struct epoch_report));
    assert_int_equal(record[1].report.run_id, 7);
    assert_int_equal(record[1].report.number, 13);
    free(text);
    free(record);
}

static void errors_of_a_hundred_classes_come_back_and_fit(void **state) {
    (void)state;
    struct record *record = calloc(2, sizeof(*record));
    assert_non_null(record);
    record[0] = (struct record){.kind = RECORD_CHECKPOINT, .report = {7, 2, 13}};
    record[0].confusion.n_classes = DATASET_MAX_CLASSES;
    for (int i = 0; i < DATASET_MAX_CLASSES; i++) {
        memset(record[0].confusion.class_names[i], 'x', DATASET_CLASS_SIZE - 1);
        for (int j = 0; j < DATASET_MAX_CLASSES; j++) {
            record[0].confusion.counts[i][j] = 2147483647 - i * j;
        }
    }
    record[0].checkpoint = (struct checkpoint_report){.best = true,
                                                      .path = "000001-000000.safetensors",
                                                      .sha256 = "",
                                                      .epochs_done = 1,
                                                      .confusion = &record[0].confusion};
    (void)snprintf(record[0].file, sizeof(record[0].file), "000001-000000.safetensors");
    char *text = record_write(&record[0]);
    assert_non_null(text);
    assert_true(strlen(text) <= JOURNAL_MOST_BYTES);
    ASSERT_OK(record_read(text, strlen(text), &record[1], &fixture_error));
    assert_memory_equal(&record[1].confusion, &record[0].confusion, sizeof(struct confusion));
    free(text);
    free(record);
}

static void what_is_no_record_is_refused(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "{}",
        "[1]",
        "{\"n\":1,\"run\":1,\"attempt\":1,\"kind\":\"dance\"}",
        "{\"n\":0,\"run\":1,\"attempt\":1,\"kind\":\"note\",\"message\":\"x\"}",
        "{\"n\":1,\"run\":1,\"attempt\":1,\"kind\":\"note\"}",
        "{\"n\":1,\"run\":1.5,\"attempt\":1,\"kind\":\"note\",\"message\":\"x\"}",
        ("{\"n\":1,\"run\":1,\"attempt\":1,\"kind\":\"outcome\",\"status\":99,\"again\":false,"
         "\"bounded\":false,\"needed_bytes\":0,\"stop\":0,\"message\":\"x\"}"),
    };
    struct record *record = calloc(1, sizeof(*record));
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(record_read(texts[i], strlen(texts[i]), record, NULL), STATUS_CORRUPT);
    }
    free(record);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_is_appended_is_read_in_order_and_a_torn_line_is_no_record),
        TEST(a_damaged_line_is_read_again_and_may_be_whole_then),
        TEST(one_journal_has_one_writer),
        TEST(a_full_disk_leaves_whole_records),
        TEST(numbers_come_back_with_the_same_bits),
        TEST(errors_of_a_hundred_classes_come_back_and_fit),
        TEST(what_is_no_record_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
