/* `cutoutd train` as a whole: the same history whether a run was interrupted or not. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/config/text_file.h"
#include "daemon/main/train/command_train.h"
#include "daemon/main/train/train_output.h"
#include "tests/core/slow.h"

#define SPEC                                                                                       \
    "{\"depth\":8,\"epochs\":3,\"batch_size\":6,\"m\":2,\"cutout_size\":12,"                       \
    "\"dataset\":\"shapes\",\"train_images\":12,\"test_images\":6}"

enum { PATH_SIZE = 320 };

static char parent[64];
static struct config config;

static int directory_make(void **state) {
    (void)state;
    (void)snprintf(parent, sizeof(parent), "/tmp/command_train_test.XXXXXX");
    memset(&config, 0, sizeof(config));
    config.threads_per_run = 2;
    config.checkpoint_interval_s = 3600;
    config.memory_limit_bytes = INT64_C(1) << 40;
    config.shapes_train = 20;
    config.shapes_test = 10;
    /* The unrolled kernels take minutes under a sanitizer; they have tests of their own. */
    (void)snprintf(config.isa, sizeof(config.isa), "%s", SLOW_BUILD ? "blas" : "auto");
    return mkdtemp(parent) ? 0 : -1;
}

static int directory_remove(void **state) {
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -r '%s'", parent);
    return system(command);
}

static void path_make(char path[PATH_SIZE], const char *name) {
    (void)snprintf(path, PATH_SIZE, "%s/%s", parent, name);
}

/* Where the command prints: kept, and a word in it may raise a signal, as a user would on seeing
 * it. */
struct console {
    char text[16384];
    size_t n_bytes;
    const char *word; /* NULL: none */
    int signal_number;
};

static ssize_t console_write(void *user, const char *bytes, size_t n_bytes) {
    struct console *console = user;
    size_t room = sizeof(console->text) - 1 - console->n_bytes;
    size_t kept = n_bytes < room ? n_bytes : room;
    memcpy(console->text + console->n_bytes, bytes, kept);
    console->n_bytes += kept;
    if (console->word && strstr(console->text, console->word)) {
        console->word = NULL;
        (void)raise(console->signal_number);
    }
    return (ssize_t)n_bytes;
}

/* Runs the command on `spec` with output directory `name` (NULL: none); returns its exit code. */
static int train(struct console *console, const char *spec, const char *name) {
    char spec_path[PATH_SIZE];
    char output_dir[PATH_SIZE];
    path_make(spec_path, "run.json");
    path_make(output_dir, name ? name : "");
    assert_int_equal(text_file_write(spec_path, spec, NULL), STATUS_OK);
    console->n_bytes = 0;
    memset(console->text, 0, sizeof(console->text));
    FILE *out = fopencookie(console, "w", (cookie_io_functions_t){.write = console_write});
    assert_non_null(out);
    (void)setvbuf(out, NULL, _IONBF, 0);
    const struct train_options options = {
        .config = &config,
        .spec_path = spec_path,
        .output_dir = name ? output_dir : NULL,
        .out = out,
    };
    int code = command_train(&options);
    assert_int_equal(fclose(out), 0);
    return code;
}

static void assert_train(int expected, const char *spec, const char *name) {
    static struct console console;
    console = (struct console){0};
    int code = train(&console, spec, name);
    if (code != expected) {
        fail_msg("exit code %d, expected %d: %s", code, expected, console.text);
    }
}

static void assert_says(int expected, const char *spec, const char *name, const char *text) {
    static struct console console;
    console = (struct console){0};
    int code = train(&console, spec, name);
    if (code != expected || !strstr(console.text, text)) {
        fail_msg("exit code %d, expected %d and '%s': %s", code, expected, text, console.text);
    }
}

/* Ends the run with a signal when its epoch `epoch_word` is printed, inside the next epoch. */
static void interrupt(const char *name, const char *epoch_word, int signal_number) {
    static struct console console;
    console = (struct console){.word = epoch_word, .signal_number = signal_number};
    int code = train(&console, SPEC, name);
    if (code != 128 + signal_number ||
        !strstr(console.text, "the same command goes on from there")) {
        fail_msg("exit code %d: %s", code, console.text);
    }
}

/* epochs.csv without its last two columns, seconds and images_per_second. Owned by the caller. */
static char *history(const char *name) {
    char path[PATH_SIZE];
    char file[128];
    (void)snprintf(file, sizeof(file), "%s/epochs.csv", name);
    path_make(path, file);
    char *text = NULL;
    size_t n_bytes = 0;
    assert_int_equal(text_file_read(path, 1 << 20, &text, &n_bytes, NULL), STATUS_OK);
    char *to = text;
    int commas = 0;
    for (const char *from = text; *from; from++) {
        commas = *from == '\n' ? 0 : commas + (*from == ',');
        if (commas < 9) {
            *to++ = *from;
        }
    }
    *to = '\0';
    return text;
}

static void assert_same_history(const char *name, const char *other) {
    char *first = history(name);
    char *second = history(other);
    assert_string_equal(first, second);
    assert_non_null(strstr(first, "\n3,"));
    assert_null(strstr(first, "\n4,"));
    free(first);
    free(second);
}

static void a_run_leaves_its_history_config_and_checkpoints(void **state) {
    (void)state;
    assert_says(0, SPEC, "whole", "epoch 3/3  loss ");
    char *rows = history("whole");
    int n_lines = 0;
    for (const char *c = rows; *c; c++) {
        n_lines += *c == '\n';
    }
    assert_int_equal(n_lines, 4);
    free(rows);

    char path[PATH_SIZE];
    char *json = NULL;
    size_t n_bytes = 0;
    path_make(path, "whole/config.json");
    assert_int_equal(text_file_read(path, 1 << 16, &json, &n_bytes, NULL), STATUS_OK);
    assert_non_null(strstr(json, "\"m\":2"));
    assert_non_null(strstr(json, "\"preset\":\"notebook-q3\""));
    path_make(path, "whole/checkpoints/000003-000000.safetensors");
    assert_int_equal(access(path, R_OK), 0);
    assert_train(0, json, "again"); /* the resolved config is itself a run, the same one */
    assert_same_history("whole", "again");
    free(json);
}

static void an_interrupted_run_ends_with_the_same_history(void **state) {
    (void)state;
    assert_train(0, SPEC, "whole");
    interrupt("parts", "epoch 1/3 ", SIGTERM);
    char *rows = history("parts");
    assert_non_null(strstr(rows, "\n1,"));
    assert_null(strstr(rows, "\n2,"));
    free(rows);
    config.threads_per_run = 1; /* as on another machine */
    interrupt("parts", "epoch 2/3 ", SIGINT);
    assert_says(0, SPEC, "parts", "continuing after epoch 2, step 1");
    assert_same_history("whole", "parts");
}

static void a_damaged_checkpoint_is_passed_over(void **state) {
    (void)state;
    assert_train(0, SPEC, "whole");
    interrupt("parts", "epoch 2/3 ", SIGTERM);
    char path[PATH_SIZE];
    path_make(path, "parts/checkpoints/000002-000001.safetensors");
    assert_int_equal(truncate(path, 5000), 0);
    assert_says(0, SPEC, "parts", "continuing after epoch 2, step 0");
    assert_same_history("whole", "parts");
}

/* A weight that has changed is as good as any other to look at. */
static void change_last_byte(const char *name) {
    char path[PATH_SIZE];
    path_make(path, name);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, -2, SEEK_END), 0);
    int byte = fgetc(file);
    assert_int_equal(fseek(file, -2, SEEK_END), 0);
    assert_int_equal(fputc(byte ^ 1, file), byte ^ 1);
    assert_int_equal(fclose(file), 0);
}

static void a_checkpoint_with_another_digest_is_passed_over(void **state) {
    (void)state;
    assert_train(0, SPEC, "whole");
    interrupt("parts", "epoch 2/3 ", SIGTERM);
    change_last_byte("parts/checkpoints/000002-000001.safetensors");
    assert_says(0, SPEC, "parts", "continuing after epoch 2, step 0");
    assert_same_history("whole", "parts");
    char command[PATH_SIZE];
    (void)snprintf(command, sizeof(command),
                   "cd '%s/whole/checkpoints' && sha256sum --quiet --ignore-missing -c SHA256SUMS",
                   parent);
    assert_int_equal(system(command), 0);
}

static void what_a_kill_left_unfinished_is_removed(void **state) {
    (void)state;
    char path[PATH_SIZE];
    interrupt("parts", "epoch 1/3 ", SIGTERM);
    path_make(path, "parts/checkpoints/000001-000000.safetensors.tmp");
    assert_int_equal(text_file_write(path, "half", NULL), STATUS_OK);
    assert_train(0, SPEC, "parts");
    assert_int_equal(access(path, F_OK), -1);
}

static void a_closed_terminal_leaves_a_checkpoint(void **state) {
    (void)state;
    interrupt("parts", "epoch 1/3 ", SIGHUP);
    assert_says(0, SPEC, "parts", "continuing after epoch 1, step 1");
}

static void under_nohup_a_closed_terminal_ends_nothing(void **state) {
    (void)state;
    static struct console console;
    console = (struct console){.word = "epoch 1/3 ", .signal_number = SIGHUP};
    (void)signal(SIGHUP, SIG_IGN);
    assert_int_equal(train(&console, SPEC, "whole"), 0);
    assert_ptr_equal(signal(SIGHUP, SIG_DFL), SIG_IGN);
}

static void without_a_whole_checkpoint_nothing_is_begun_anew(void **state) {
    (void)state;
    interrupt("parts", "epoch 1/3 ", SIGTERM);
    char path[PATH_SIZE];
    path_make(path, "parts/checkpoints/000001-000001.safetensors");
    assert_int_equal(truncate(path, 5000), 0);
    path_make(path, "parts/checkpoints/000001-000000.safetensors");
    assert_int_equal(truncate(path, 5000), 0);
    assert_says(1, SPEC, "parts", "no checkpoint in ");
    char *rows = history("parts");
    assert_non_null(strstr(rows, "\n1,"));
    free(rows);
}

static void a_lost_history_is_not_continued_with_a_gap(void **state) {
    (void)state;
    interrupt("parts", "epoch 2/3 ", SIGTERM);
    char path[PATH_SIZE];
    path_make(path, "parts/epochs.csv");
    assert_int_equal(unlink(path), 0);
    /* No checkpoint has all its epochs in epochs.csv: going on would leave a gap. */
    assert_says(1, SPEC, "parts", "epochs.csv ends with epoch 0");
}

static void a_finished_run_stays_as_it_is(void **state) {
    (void)state;
    assert_train(0, SPEC, "whole");
    char path[PATH_SIZE];
    char *before = NULL, *after = NULL;
    size_t n_bytes = 0;
    path_make(path, "whole/epochs.csv");
    assert_int_equal(text_file_read(path, 1 << 20, &before, &n_bytes, NULL), STATUS_OK);
    assert_says(0, SPEC, "whole", "done: 3 epochs");
    assert_int_equal(text_file_read(path, 1 << 20, &after, &n_bytes, NULL), STATUS_OK);
    assert_string_equal(before, after); /* seconds included */
    free(before);
    free(after);
}

static void another_run_or_other_images_are_refused(void **state) {
    (void)state;
    assert_train(0, SPEC, "whole");
    assert_says(1, "{\"depth\":8,\"epochs\":1,\"dataset\":\"shapes\"}", "whole",
                "holds another run");
    config.shapes_train = 25;
    assert_says(1, SPEC, "whole", "the images are not those");
}

static void a_directory_in_use_is_refused(void **state) {
    (void)state;
    char path[PATH_SIZE];
    path_make(path, "used");
    struct train_output output;
    assert_int_equal(train_output_open(path, &output, NULL), STATUS_OK);
    assert_says(1, SPEC, "used", "another cutoutd");
    train_output_close(&output);
}

static void all_that_is_wrong_with_a_file_is_said(void **state) {
    (void)state;
    assert_says(2, "{\"m\":0,\"epochs\":-1}", NULL, "/m: ");
    assert_says(2, "{\"m\":0,\"epochs\":-1}", NULL, "/epochs: ");
    assert_says(2, "{\"cutout_sise\":12}", NULL, "cutout_size");
    assert_says(2, "no JSON", NULL, "run.json: ");
    assert_says(2, "{\"train_images\":51,\"dataset\":\"shapes\"}", NULL, "train_images");
    config.memory_limit_bytes = 1 << 20;
    assert_says(2, SPEC, NULL, "memory_limit");
    static struct console console;
    console = (struct console){0};
    FILE *out = fopencookie(&console, "w", (cookie_io_functions_t){.write = console_write});
    assert_non_null(out);
    const struct train_options options = {.config = &config, .spec_path = "/none.json", .out = out};
    assert_int_equal(command_train(&options), 1);
    assert_int_equal(fclose(out), 0);
    assert_non_null(strstr(console.text, "/none.json"));
}

static void without_a_directory_nothing_is_kept(void **state) {
    (void)state;
    static struct console console;
    console = (struct console){.word = "epoch 1/3 ", .signal_number = SIGINT};
    assert_int_equal(train(&console, SPEC, NULL), 130);
    assert_non_null(strstr(console.text, "nothing was kept"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, directory_make, directory_remove)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_run_leaves_its_history_config_and_checkpoints),
        TEST(an_interrupted_run_ends_with_the_same_history),
        TEST(a_damaged_checkpoint_is_passed_over),
        TEST(a_checkpoint_with_another_digest_is_passed_over),
        TEST(what_a_kill_left_unfinished_is_removed),
        TEST(a_closed_terminal_leaves_a_checkpoint),
        TEST(under_nohup_a_closed_terminal_ends_nothing),
        TEST(without_a_whole_checkpoint_nothing_is_begun_anew),
        TEST(a_lost_history_is_not_continued_with_a_gap),
        TEST(a_finished_run_stays_as_it_is),
        TEST(another_run_or_other_images_are_refused),
        TEST(a_directory_in_use_is_refused),
        TEST(all_that_is_wrong_with_a_file_is_said),
        TEST(without_a_directory_nothing_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
