/* The output directory of `cutoutd train`: epochs.csv, the claims, the lock, the checkpoints. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/config/text_file.h"
#include "daemon/main/train/train_output.h"
#include "daemon/spec/run_spec_json.h"

#define HEADER                                                                                     \
    "epoch,train_loss,train_accuracy,val_loss,val_accuracy,val_error,val_wrong,val_total,lr,"      \
    "seconds,images_per_second,images,steps,val_error_tta,val_error_ema\n"

static char parent[64];
static char directory[80];

static int directory_make(void **state) {
    (void)state;
    (void)snprintf(parent, sizeof(parent), "/tmp/train_output_test.XXXXXX");
    bool made = mkdtemp(parent) != NULL;
    (void)snprintf(directory, sizeof(directory), "%s/run", parent);
    return made ? 0 : -1;
}

static int directory_remove(void **state) {
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -r '%s'", parent);
    return system(command);
}

/* The path of a file in the directory: static, until the next call. */
static const char *path_of(const char *name) {
    static char path[160];
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

static char *content_of(const char *name) {
    char *text = NULL;
    size_t n_bytes = 0;
    struct error error = {0};
    if (text_file_read(path_of(name), 1 << 20, &text, &n_bytes, &error) != STATUS_OK) {
        fail_msg("%s", error.message);
    }
    assert_int_equal(n_bytes, strlen(text));
    return text;
}

static struct train_output open_good(void) {
    struct train_output output;
    struct error error = {0};
    if (train_output_open(directory, &output, &error) != STATUS_OK) {
        fail_msg("%s", error.message);
    }
    return output;
}

static struct epoch_report epoch_of(int number) {
    return (struct epoch_report){
        .epoch = number,
        .train_loss = 1.0 / 3,
        .train_accuracy = 0.5,
        .val_loss = 2.5,
        .val_accuracy = 0.7,
        .val_wrong = 3,
        .val_total = 10,
        .lr = 1e-3,
        .seconds = 1.25,
        .images_per_second = 100,
        .images = 640,
        .steps = 5,
    };
}

static void put_good(struct train_output *output, int number) {
    const struct epoch_report report = epoch_of(number);
    struct error error = {0};
    if (epochs_csv_put(&output->csv, &report, &error) != STATUS_OK) {
        fail_msg("%s", error.message);
    }
}

static void rows_come_back_after_reopening(void **state) {
    (void)state;
    struct train_output output = open_good();
    put_good(&output, 1);
    put_good(&output, 2);
    train_output_close(&output);
    char *text = content_of("epochs.csv");
    assert_true(strncmp(text, HEADER, strlen(HEADER)) == 0);
    double loss = 0;
    const char *row = text + strlen(HEADER);
    assert_int_equal(sscanf(row, "1,%lf,", &loss), 1);
    assert_true(loss == 1.0 / 3); /* the very same bits */
    assert_non_null(strstr(row, ",0.5,2.5,0.7,0.3,3,10,0.001,1.25,100,640,5,,\n2,"));

    output = open_good();
    assert_int_equal(output.csv.n_rows, 2);
    put_good(&output, 3);
    char *longer = content_of("epochs.csv");
    assert_memory_equal(longer, text, strlen(text));
    assert_non_null(strstr(longer, "\n3,"));
    train_output_close(&output);
    free(text);
    free(longer);
}

/* Columns were added since: those that its rows lack are empty. */
static void a_history_of_an_earlier_version_goes_on(void **state) {
    (void)state;
    struct train_output output = open_good();
    train_output_close(&output);
    struct error error;
    assert_int_equal(
        text_file_write(path_of("epochs.csv"),
                        "epoch,train_loss,train_accuracy,val_loss,val_accuracy,val_error,"
                        "val_wrong,val_total,lr,seconds,images_per_second\n"
                        "1,2,0.5,2.5,0.7,0.3,3,10,0.001,1.25,100\n",
                        &error),
        STATUS_OK);
    output = open_good();
    put_good(&output, 2);
    char *text = content_of("epochs.csv");
    assert_non_null(strstr(text, HEADER "1,2,0.5,2.5,0.7,0.3,3,10,0.001,1.25,100,,,,\n2,"));
    free(text);
    train_output_close(&output);
}

static void a_repeated_epoch_replaces_its_row_and_those_after(void **state) {
    (void)state;
    struct train_output output = open_good();
    for (int number = 1; number <= 70; number++) {
        put_good(&output, number);
    }
    struct epoch_report repeated = epoch_of(2);
    repeated.val_wrong = 9;
    assert_int_equal(epochs_csv_put(&output.csv, &repeated, NULL), STATUS_OK);
    assert_int_equal(output.csv.n_rows, 2);
    char *text = content_of("epochs.csv");
    assert_null(strstr(text, "\n3,"));
    assert_non_null(strstr(text, ",0.9,9,10,"));
    free(text);
    const struct epoch_report gap = epoch_of(4);
    assert_int_equal(epochs_csv_put(&output.csv, &gap, NULL), STATUS_INTERNAL);
    train_output_close(&output);
}

static void losses_that_are_no_numbers_are_empty_cells(void **state) {
    (void)state;
    struct train_output output = open_good();
    struct epoch_report report = epoch_of(1);
    report.train_loss = (double)NAN;
    report.val_loss = HUGE_VAL;
    assert_int_equal(epochs_csv_put(&output.csv, &report, NULL), STATUS_OK);
    char *text = content_of("epochs.csv");
    assert_non_null(strstr(text, "\n1,,0.5,,0.7,"));
    free(text);
    train_output_close(&output);
}

static void a_damaged_history_is_refused(void **state) {
    (void)state;
    static const char *const damaged[] = {
        "",
        "epoch,loss\n1,2\n",
        HEADER "2,0.5\n",
        HEADER "1,0.5\n3,0.5\n",
        HEADER "1,0.5\n1,0.5\n",
        HEADER "1,0.5\n2,0.5", /* cut off */
    };
    struct train_output output = open_good();
    train_output_close(&output);
    for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
        assert_int_equal(text_file_write(path_of("epochs.csv"), damaged[i], NULL), STATUS_OK);
        struct error error = {0};
        assert_int_equal(train_output_open(directory, &output, &error), STATUS_CORRUPT);
        assert_non_null(strstr(error.message, path_of("epochs.csv")));
        train_output_close(&output);
    }
}

static void a_directory_holds_one_run_only(void **state) {
    (void)state;
    struct train_output output = open_good();
    struct error error = {0};
    assert_int_equal(train_output_claim(&output, "{\"m\":1}\n", &error), STATUS_OK);
    assert_int_equal(train_output_claim(&output, "{\"m\":1}\n", &error), STATUS_OK);
    assert_int_equal(train_output_claim(&output, "{\"m\":2}\n", &error), STATUS_CONFLICT);
    assert_non_null(strstr(error.message, directory));
    char *text = content_of("config.json");
    assert_string_equal(text, "{\"m\":1}\n");
    free(text);
    train_output_close(&output);
}

static void a_directory_of_an_earlier_version_is_gone_on_with(void **state) {
    (void)state;
    struct train_output output = open_good();
    struct error error = {0};
    static const char older[] = "{\"name\":\"x\",\"m\":4,\"priority\":1,\"labels\":{}}\n";
    assert_int_equal(text_file_write(path_of("config.json"), older, NULL), STATUS_OK);
    char *today = run_spec_stored_json(older);
    assert_non_null(strstr(today, "\"grad_clip\":0"));
    assert_int_equal(train_output_claim(&output, today, &error), STATUS_OK);
    strstr(today, "\"m\":4")[4] = '5';
    assert_int_equal(train_output_claim(&output, today, &error), STATUS_CONFLICT);
    free(today);
    train_output_close(&output);
}

static void images_and_kernels_are_those_of_the_beginning(void **state) {
    (void)state;
    char digest[SHA256_HEX_SIZE], other[SHA256_HEX_SIZE], variant[VARIANT_NAME_SIZE] = "";
    memset(digest, 'a', sizeof(digest) - 1);
    memset(other, 'b', sizeof(other) - 1);
    digest[64] = other[64] = '\0';
    struct train_output output = open_good();
    assert_int_equal(train_output_claim_origin(&output, digest, "blas", variant, NULL), STATUS_OK);
    assert_string_equal(variant, "blas");
    assert_int_equal(train_output_claim_origin(&output, digest, "avx512", variant, NULL),
                     STATUS_OK);
    assert_string_equal(variant, "blas");
    assert_int_equal(train_output_claim_origin(&output, other, "blas", variant, NULL),
                     STATUS_CONFLICT);
    assert_int_equal(text_file_write(path_of("origin"), "nonsense\n", NULL), STATUS_OK);
    assert_int_equal(train_output_claim_origin(&output, digest, "blas", variant, NULL),
                     STATUS_CORRUPT);
    train_output_close(&output);
}

static void two_processes_are_kept_apart(void **state) {
    (void)state;
    struct train_output first = open_good();
    struct train_output second;
    struct error error = {0};
    assert_int_equal(train_output_open(directory, &second, &error), STATUS_BUSY);
    train_output_close(&second);
    train_output_close(&first);
    first = open_good();
    train_output_close(&first);
    train_output_close(NULL);
}

static void checkpoints_are_listed_newest_first(void **state) {
    (void)state;
    static const char *const names[] = {
        "checkpoints/000001-000000.safetensors",
        "checkpoints/000002-000007.safetensors",
        "checkpoints/000002-1000000.safetensors",
        "checkpoints/000001-000900.safetensors",
        "checkpoints/000009-000001.safetensors.tmp",
        "checkpoints/notes.txt",
        "checkpoints/best.safetensors",
    };
    struct train_output output = open_good();
    struct train_checkpoint *found = NULL;
    int count = -1;
    assert_int_equal(train_output_checkpoints(&output, &found, &count, NULL), STATUS_OK);
    assert_int_equal(count, 0);
    assert_null(found);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(text_file_write(path_of(names[i]), "", NULL), STATUS_OK);
    }
    assert_int_equal(train_output_checkpoints(&output, &found, &count, NULL), STATUS_OK);
    assert_int_equal(count, 4);
    static const int expected[][2] = {{2, 1000000}, {2, 7}, {1, 900}, {1, 0}};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(found[i].epochs_done, expected[i][0]);
        assert_int_equal(found[i].step, expected[i][1]);
    }
    assert_string_equal(found[3].path, path_of(names[0]));
    free(found);
    train_output_close(&output);
}

static void a_directory_that_cannot_be_made_is_named(void **state) {
    (void)state;
    (void)snprintf(directory, sizeof(directory), "%s/none/run", parent);
    struct train_output output;
    struct error error = {0};
    assert_int_equal(train_output_open(directory, &output, &error), STATUS_NOT_FOUND);
    assert_non_null(strstr(error.message, directory));
    train_output_close(&output);
    static char long_name[2 * PATH_MAX];
    memset(long_name, 'x', sizeof(long_name) - 1);
    assert_int_equal(train_output_open(long_name, &output, &error), STATUS_INVALID);
    train_output_close(&output);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, directory_make, directory_remove)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(rows_come_back_after_reopening),
        TEST(a_history_of_an_earlier_version_goes_on),
        TEST(a_repeated_epoch_replaces_its_row_and_those_after),
        TEST(losses_that_are_no_numbers_are_empty_cells),
        TEST(a_damaged_history_is_refused),
        TEST(a_directory_holds_one_run_only),
        TEST(a_directory_of_an_earlier_version_is_gone_on_with),
        TEST(images_and_kernels_are_those_of_the_beginning),
        TEST(two_processes_are_kept_apart),
        TEST(checkpoints_are_listed_newest_first),
        TEST(a_directory_that_cannot_be_made_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
