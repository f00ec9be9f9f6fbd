/* Settings: four sources, later wins, and errors that name the place. */
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

#include "daemon/config/config.h"
#include "daemon/config/lock.h"

static char *const no_environment[] = {NULL};
static struct config config; /* large */
static struct error error;

/* Writes a file into a new directory; the path is in a static buffer. */
static const char *write_file(const char *text) {
    static char path[64];
    (void)snprintf(path, sizeof(path), "/tmp/cutoutd-config-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
    return path;
}

static enum status load_text(const char *text, char *const *environment, int argc,
                             char *const *argv) {
    const char *path = write_file(text);
    enum status status = config_load(argc, argv, environment, path, &config, &error);
    assert_int_equal(unlink(path), 0);
    return status;
}

static void defaults_are_complete(void **state) {
    (void)state;
    assert_int_equal(config_load(0, NULL, no_environment, NULL, &config, &error), STATUS_OK);
    assert_string_equal(config.listen_address, "127.0.0.1");
    assert_int_equal(config.listen_port, 8080);
    assert_string_equal(config.state_dir, "/var/lib/cutoutd");
    assert_int_equal(config.workers, 1);
    assert_true(config.threads_per_run >= 1);
    assert_true(config.memory_limit_bytes > 0);
    assert_string_equal(config.origin[CONFIG_WORKERS], "default");
    assert_false(config_is_public(&config));
}

static void later_sources_win(void **state) {
    (void)state;
    char *const environment[] = {"CUTOUTD_WORKERS=3", "CUTOUTD_ISA=blas", "HOME=/", NULL};
    char *const flags[] = {"--workers", "4"};
    assert_int_equal(
        load_text("workers = 2\nlog_level = debug\nisa = ref\n", environment, 2, flags), STATUS_OK);
    assert_int_equal(config.workers, 4);
    assert_string_equal(config.origin[CONFIG_WORKERS], "--workers");
    assert_string_equal(config.isa, "blas");
    assert_string_equal(config.origin[CONFIG_ISA], "CUTOUTD_ISA");
    assert_int_equal(config.log_level, LOG_LEVEL_DEBUG);
    assert_non_null(strstr(config.origin[CONFIG_LOG_LEVEL], ":2"));
}

static void errors_name_file_and_line(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *line;
        const char *word;
    } cases[] = {
        {"workers = 1\n\nwokers = 2\n", ":3", "wokers"},
        {"workers = many\n", ":1", "many"},
        {"; fine\nlisten = nowhere\n", ":2", "nowhere"},
        {"[queue]\nworkers = 1\n", ":2", "[queue]"},
        {"[datasets]\nshapes = /srv\n", ":2", "shapes"},
        {"[datasets]\nCIFAR = /srv\n", ":2", "lower-case"},
        {"memory_limit = 80%%\n", ":1", "memory_limit"},
        {"memory_limit = 800%\n", ":1", "to 100%"},
        {"memory_limit = 0x10G\n", ":1", "memory_limit"},
        {"memory_limit = -1G\n", ":1", "memory_limit"},
        {"state_dir = lab\n", ":1", "whole path"},
        {"tokens_file =\n", ":1", "empty"},
        {"workers = 1\n  tokens_file = /x\n", ":2", "blank"},
        {"allowed_hosts = lab, http://lab\n", ":1", "http://lab"},
        {"trusted_proxies = 10.0.0.0/40\n", ":1", "10.0.0.0/40"},
        {"memory_limit = 0\n", ":1", "memory_limit"},
        {"memory_limit = 80\n", ":1", "did you mean 80%?"},
        {"memory_limit = 16383K\n", ":1", "16M at least"},
        {"disk_low = 5\n", ":1", "did you mean 5G?"},
        {"[owners]\nmax_disk = 50\n", ":2", "did you mean 50G?"},
        {"[owners]\nmax_disk = 1023K\n", ":2", "1M at least"},
        {"[slurm]\ntime = soon\n", ":2", "days-hours"},
        {"this is no setting\n", ":1", "key = value"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(load_text(cases[i].text, no_environment, 0, NULL), STATUS_INVALID);
        if (!strstr(error.message, cases[i].line) || !strstr(error.message, cases[i].word)) {
            fail_msg("'%s' should name %s and %s", error.message, cases[i].line, cases[i].word);
        }
    }
}

static void wrong_flags_and_variables_are_refused(void **state) {
    (void)state;
    char *const unknown[] = {"--wokers=1"};
    char *const valueless[] = {"--workers"};
    char *const neither[] = {"--wokers"};
    char *const word[] = {"workers"};
    char *const underscore[] = {"--state_dir", "/x"};
    char *const no_equals[] = {"--dataset", "cifar10"};
    char *const missing[] = {"--config", "/nowhere/cutoutd.conf"};
    char *const environment[] = {"CUTOUTD_WOKERS=3", NULL};
    assert_int_equal(config_load(1, unknown, no_environment, NULL, &config, &error),
                     STATUS_INVALID);
    assert_non_null(strstr(error.message, "--wokers"));
    assert_int_equal(config_load(1, valueless, no_environment, NULL, &config, &error),
                     STATUS_INVALID);
    assert_string_equal(error.message, "--workers needs a value");
    assert_int_equal(config_load(1, neither, no_environment, NULL, &config, &error),
                     STATUS_INVALID);
    assert_string_equal(error.message, "unknown flag --wokers");
    assert_int_equal(config_load(1, word, no_environment, NULL, &config, &error), STATUS_INVALID);
    assert_int_equal(config_load(2, underscore, no_environment, NULL, &config, &error),
                     STATUS_INVALID);
    assert_int_equal(config_load(2, no_equals, no_environment, NULL, &config, &error),
                     STATUS_INVALID);
    assert_int_equal(config_load(2, missing, no_environment, NULL, &config, &error),
                     STATUS_NOT_FOUND);
    assert_int_equal(config_load(0, NULL, environment, NULL, &config, &error), STATUS_INVALID);
    assert_non_null(strstr(error.message, "CUTOUTD_WOKERS"));
}

static void datasets_come_from_file_and_flags(void **state) {
    (void)state;
    char *const flags[] = {"--dataset", "cifar10=/srv/new", "--dataset=tiny=./tiny"};
    assert_int_equal(
        load_text("[datasets]\ncifar10 = /srv/old\nother = /srv/other\n", no_environment, 3, flags),
        STATUS_OK);
    assert_int_equal(config.n_datasets, 3);
    assert_string_equal(config.datasets[0].directory, "/srv/new");
    assert_string_equal(config.datasets[1].name, "other");
    assert_string_equal(config.datasets[2].directory, "./tiny");
}

static void addresses_are_understood(void **state) {
    (void)state;
    static const struct {
        char *listen;
        bool good;
        bool is_public;
    } cases[] = {
        {"127.0.0.1:0", true, false},      {"localhost:80", true, false},
        {"[::1]:8080", true, false},       {"0.0.0.0:8080", true, true},
        {"[::]:8080", true, true},         {"10.1.2.3:1", true, true},
        {"127.0.0.1", false, false},       {":8080", false, false},
        {"::1:8080", false, false},        {"127.0.0.1:x", false, false},
        {"127.0.0.1:70000", false, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *const flags[] = {"--listen", cases[i].listen};
        enum status status = config_load(2, flags, no_environment, NULL, &config, &error);
        assert_int_equal(status, cases[i].good ? STATUS_OK : STATUS_INVALID);
        if (cases[i].good) {
            assert_int_equal(config_is_public(&config), cases[i].is_public);
        }
    }
}

static void none_is_not_on_the_network_and_needs_a_socket(void **state) {
    (void)state;
    char *const flags[] = {"--listen", "none", "--unix-socket", "/run/x/socket"};
    assert_int_equal(config_load(2, flags, no_environment, NULL, &config, &error), STATUS_INVALID);
    assert_non_null(strstr(error.message, "unix_socket"));
    assert_int_equal(config_load(4, flags, no_environment, NULL, &config, &error), STATUS_OK);
    assert_string_equal(config.listen_address, "");
    assert_string_equal(config.unix_socket, "/run/x/socket");
    assert_false(config_is_public(&config));
}

static void certificate_and_key_go_together(void **state) {
    (void)state;
    char *const flags[] = {"--tls-cert", "/x/cert.pem", "--tls-key", "/x/key.pem"};
    assert_int_equal(config_load(2, flags, no_environment, NULL, &config, &error), STATUS_INVALID);
    assert_non_null(strstr(error.message, "--tls-cert"));
    assert_int_equal(config_load(2, flags + 2, no_environment, NULL, &config, &error),
                     STATUS_INVALID);
    assert_int_equal(config_load(4, flags, no_environment, NULL, &config, &error), STATUS_OK);
    assert_string_equal(config.tls_key, "/x/key.pem");
}

static void systemds_state_directory_is_a_default(void **state) {
    (void)state;
    char *const environment[] = {"STATE_DIRECTORY=/var/lib/private/x:/var/lib/private/y", NULL};
    char *const flags[] = {"--state-dir", "/srv/y"};
    assert_int_equal(config_load(0, NULL, environment, NULL, &config, &error), STATUS_OK);
    assert_string_equal(config.state_dir, "/var/lib/private/x");
    assert_int_equal(config_load(2, flags, environment, NULL, &config, &error), STATUS_OK);
    assert_string_equal(config.state_dir, "/srv/y");
}

static void the_first_of_a_units_state_directories_counts(void **state) {
    (void)state;
    char *const environment[] = {"STATE_DIRECTORY=/var/lib/cutoutd:/var/lib/cutoutd-backup", NULL};
    assert_int_equal(config_load(0, NULL, environment, NULL, &config, &error), STATUS_OK);
    assert_string_equal(config.state_dir, "/var/lib/cutoutd");
}

static void a_line_that_is_too_long_is_refused_not_cut(void **state) {
    (void)state;
    char text[800];
    int n = snprintf(text, sizeof(text), "workers = 1\nstate_dir = /");
    memset(text + n, 'd', 400);
    (void)snprintf(text + n + 400, sizeof(text) - (size_t)n - 400, "\nisa = ref\n");
    assert_int_equal(load_text(text, no_environment, 0, NULL), STATUS_INVALID);
    assert_non_null(strstr(error.message, ":2: longer than"));
}

static void a_named_file_takes_the_place_of_the_default(void **state) {
    (void)state;
    char *const flags[] = {"--config=/dev/null", "--workers=2"};
    assert_int_equal(load_text("nonsense\n", no_environment, 2, flags), STATUS_OK);
    assert_int_equal(config.workers, 2);
}

static void a_change_of_the_arithmetic_and_pinning_are_words(void **state) {
    (void)state;
    assert_int_equal(config_load(0, NULL, no_environment, NULL, &config, &error), STATUS_OK);
    assert_int_equal(config.on_arithmetic_change, ARITHMETIC_RESTART);
    assert_false(config.pin_threads);
    assert_int_equal(
        load_text("on_arithmetic_change = continue\npin_threads = on\n", no_environment, 0, NULL),
        STATUS_OK);
    assert_int_equal(config.on_arithmetic_change, ARITHMETIC_CONTINUE);
    assert_true(config.pin_threads);
    char *const flags[] = {"--on-arithmetic-change", "fail"};
    assert_int_equal(config_load(2, flags, no_environment, NULL, &config, &error), STATUS_OK);
    assert_int_equal(config.on_arithmetic_change, ARITHMETIC_FAIL);
    assert_int_equal(load_text("on_arithmetic_change = mix\n", no_environment, 0, NULL),
                     STATUS_INVALID);
    assert_non_null(strstr(error.message, "restart, continue or fail"));
    assert_int_equal(load_text("pin_threads = 1\n", no_environment, 0, NULL), STATUS_INVALID);
}

static int64_t memory_limit(char *text) {
    char *const flags[] = {"--memory-limit", text};
    assert_int_equal(config_load(2, flags, no_environment, NULL, &config, &error), STATUS_OK);
    return config.memory_limit_bytes;
}

static void memory_is_a_share_or_bytes(void **state) {
    (void)state;
    assert_true(llabs(memory_limit("50%") - memory_limit("100%") / 2) <= 1);
    assert_true(memory_limit("3G") == 3LL << 30);
    assert_int_equal(memory_limit("16777216"), 16777216);
    assert_int_equal(memory_limit("16M"), 16777216);
}

static void limit_of_slurms_jobs_is_a_time_that_sbatch_knows(void **state) {
    (void)state;
    static char *good[] = {"",        "90",       "90:30",    "12:00:00",  "1-12",
                           "1-12:30", "1-0:0:30", "infinite", "UNLIMITED", "0"};
    static char *bad[] = {"soon",      "12h", "1:2:3:4", "1-",  "-1",       "1-2-3",
                          "1-2:3:4:5", ":30", "30:",     "1.5", "infinity", "1d"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        char *const flags[] = {"--slurm-time", good[i]};
        assert_int_equal(config_load(2, flags, no_environment, NULL, &config, &error), STATUS_OK);
        assert_string_equal(config.text[CONFIG_SLURM_TIME], good[i]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char *const flags[] = {"--slurm-time", bad[i]};
        if (config_load(2, flags, no_environment, NULL, &config, &error) != STATUS_INVALID) {
            fail_msg("'%s' should be refused", bad[i]);
        }
        assert_non_null(strstr(error.message, "minutes"));
    }
}

static void what_is_printed_names_every_value_and_its_origin(void **state) {
    (void)state;
    char text[8192] = "";
    char *const environment[] = {"CUTOUTD_ISA=blas", NULL};
    char *const flags[] = {"--workers", "2", "--dataset", "cifar10=/d"};
    assert_int_equal(config_load(4, flags, environment, NULL, &config, &error), STATUS_OK);
    FILE *out = fmemopen(text, sizeof(text), "w");
    assert_non_null(out);
    config_print(&config, out);
    assert_int_equal(fclose(out), 0);
    static const char *const expected[] = {
        "listen",       "state_dir",   "workers",     "threads_per_run", "checkpoint_interval_s",
        "memory_limit", "log_level",   "isa",         "shapes_train",    "shapes_test",
        "# --workers",  "# --dataset", "# CUTOUTD_I", "# default",       "[datasets]\ncifar10",
    };
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_non_null(strstr(text, expected[i]));
    }
}

static void a_second_lock_names_the_holder(void **state) {
    (void)state;
    char directory[] = "/tmp/cutoutd-lock-XXXXXX";
    char path[64];
    char pid[32];
    int first = -1;
    int second = -1;
    assert_non_null(mkdtemp(directory));
    assert_int_equal(lock_take(directory, &first, &error), STATUS_OK);
    assert_int_equal(lock_take(directory, &second, &error), STATUS_BUSY);
    (void)snprintf(pid, sizeof(pid), "process %d)", (int)getpid());
    assert_non_null(strstr(error.message, pid));
    assert_int_equal(close(first), 0);
    assert_int_equal(lock_take(directory, &second, &error), STATUS_OK);
    assert_int_equal(close(second), 0);
    (void)snprintf(path, sizeof(path), "%s/lock", directory);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(directory), 0);
}

static void all_problems_come_at_once(void **state) {
    (void)state;
    static struct config_problems problems;
    const char *path = write_file("wokers = 1\nthis is no setting\nmemory_limit = 0\n[queue\n"
                                  "[datasets]\nshapes = /srv\ntiny = /tiny\nnor this\n");
    char *const environment[] = {"CUTOUTD_WOKERS=3", "CUTOUTD_STATE_DIR=lab", NULL};
    char *const flags[] = {"word", "--workers=many", "--listen"};
    static const char *const expected[] = {":1: ",        ":2: ",
                                           ":4: ",        ":6: ",
                                           ":8: ",        "CUTOUTD_WOKERS",
                                           "'word'",      "--listen needs",
                                           "--workers: ", "CUTOUTD_STATE_DIR",
                                           ":3: "};
    config_load_all(3, flags, environment, path, &config, &problems);
    assert_int_equal(problems.n, sizeof(expected) / sizeof(expected[0]));
    for (int i = 0; i < problems.n; i++) {
        if (!strstr(problems.items[i].message, expected[i])) {
            fail_msg("'%s' should name %s", problems.items[i].message, expected[i]);
        }
    }
    /* What is right counts all the same. */
    assert_int_equal(config.n_datasets, 1);
    assert_int_equal(config_load(3, flags, environment, path, &config, &error), STATUS_INVALID);
    assert_non_null(strstr(error.message, "and 10 more"));
    assert_int_equal(unlink(path), 0);
}

static char directory[64];

/* Writes DIRECTORY/name. */
static void write_in_directory(const char *name, const char *text) {
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int make_directory(void **state) {
    (void)state;
    (void)snprintf(directory, sizeof(directory), "/tmp/cutoutd-config-XXXXXX");
    assert_non_null(mkdtemp(directory));
    return 0;
}

static int remove_directory(void **state) {
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", directory);
    return system(command); /* its own, from mkdtemp */
}

static void files_beside_the_file_are_read_in_order_of_name(void **state) {
    (void)state;
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/conf.d", directory);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof(path), "%s/cutoutd.conf", directory);
    write_in_directory("cutoutd.conf", "workers = 2\nisa = ref\n[datasets]\none = /one\n");
    write_in_directory("conf.d/20-last.conf", "workers = 4\n");
    write_in_directory("conf.d/10-first.conf", "workers = 3\nlog_level = debug\n[datasets]\n"
                                               "one = /other\n");
    write_in_directory("conf.d/30-no.conf.dpkg-old", "nonsense\n");
    write_in_directory("conf.d/.hidden.conf", "nonsense\n");
    char *const flags[] = {"--config", path};
    assert_int_equal(config_load(2, flags, no_environment, NULL, &config, &error), STATUS_OK);
    assert_int_equal(config.workers, 4);
    assert_non_null(strstr(config.origin[CONFIG_WORKERS], "conf.d/20-last.conf:1"));
    assert_int_equal(config.log_level, LOG_LEVEL_DEBUG);
    assert_string_equal(config.isa, "ref");
    assert_string_equal(config.datasets[0].directory, "/other");
    /* Also when the file itself is not there. */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(config_load(0, NULL, no_environment, path, &config, &error), STATUS_OK);
    assert_int_equal(config.workers, 4);
    write_in_directory("conf.d/15-wrong.conf", "\nwokers = 4\n");
    assert_int_equal(config_load(0, NULL, no_environment, path, &config, &error), STATUS_INVALID);
    assert_non_null(strstr(error.message, "conf.d/15-wrong.conf:2: unknown"));
}

static enum status load_with_credentials(const char *where) {
    static char variable[640];
    char *const environment[] = {variable, NULL};
    (void)snprintf(variable, sizeof(variable), "CREDENTIALS_DIRECTORY=%s", where);
    return config_load(0, NULL, environment, NULL, &config, &error);
}

/* Without tokens the daemon would be open to everybody. */
static void credentials_that_cannot_be_read_are_no_missing_ones(void **state) {
    (void)state;
    char path[256];
    assert_int_equal(load_with_credentials(directory), STATUS_OK); /* others than "tokens" */
    assert_string_equal(config.tokens_file, "");
    assert_int_equal(load_with_credentials("/nonexistent"), STATUS_NOT_FOUND);
    assert_non_null(strstr(error.message, "CREDENTIALS_DIRECTORY: cannot open"));
    assert_int_equal(load_with_credentials(""), STATUS_NOT_FOUND);
    assert_int_equal(load_with_credentials("/dev/null"), STATUS_IO);
    char longer[600];
    memset(longer, '/', sizeof(longer) - 1);
    longer[505] = '\0';
    assert_int_equal(load_with_credentials(longer), STATUS_INVALID);
    (void)snprintf(path, sizeof(path), "%s/tokens", directory);
    assert_int_equal(symlink("/nonexistent", path), 0);
    assert_int_equal(load_with_credentials(directory), STATUS_OK);
    assert_string_equal(config.tokens_file, path); /* opening it will fail */
}

static void unreadable_files_are_all_found(void **state) {
    (void)state;
    static struct config_problems problems;
    char dataset[256];
    (void)snprintf(dataset, sizeof(dataset), "half=%s", directory);
    char *const flags[] = {"--tokens-file", "/nonexistent/tokens",
                           "--tls-cert",    "/nonexistent/cert",
                           "--tls-key",     "/",
                           "--dataset",     "cifar10=/nonexistent",
                           "--dataset",     dataset,
                           "--state-dir",   "/dev/null/state",
                           "--unix-socket", "/nonexistent/socket"};
    static const char *const expected[] = {
        "--tokens-file: cannot look at",
        "--tls-cert: cannot look at /nonexistent/cert",
        "--tls-key: / is no file",
        "--unix-socket: cannot make a socket in /nonexistent",
        "--state-dir: cannot look at",
        "--dataset: cannot open the directory /nonexistent",
        "data_batch_1.bin",
    };
    config_load_all(14, flags, no_environment, NULL, &config, &problems);
    assert_int_equal(problems.n, 0);
    config_check_files(&config, CONFIG_CHECK_ALL, &problems);
    assert_int_equal(problems.n, sizeof(expected) / sizeof(expected[0]));
    for (int i = 0; i < problems.n; i++) {
        if (!strstr(problems.items[i].message, expected[i])) {
            fail_msg("'%s' should say %s", problems.items[i].message, expected[i]);
        }
    }
    char *const good[] = {"--state-dir", directory};
    config_load_all(2, good, no_environment, NULL, &config, &problems);
    config_check_files(&config, CONFIG_CHECK_ALL, &problems);
    assert_int_equal(problems.n, 0);
}

#define IN_DIRECTORY(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_complete),
        cmocka_unit_test(later_sources_win),
        cmocka_unit_test(errors_name_file_and_line),
        cmocka_unit_test(wrong_flags_and_variables_are_refused),
        cmocka_unit_test(datasets_come_from_file_and_flags),
        cmocka_unit_test(addresses_are_understood),
        cmocka_unit_test(none_is_not_on_the_network_and_needs_a_socket),
        cmocka_unit_test(certificate_and_key_go_together),
        cmocka_unit_test(systemds_state_directory_is_a_default),
        cmocka_unit_test(the_first_of_a_units_state_directories_counts),
        cmocka_unit_test(a_line_that_is_too_long_is_refused_not_cut),
        cmocka_unit_test(a_change_of_the_arithmetic_and_pinning_are_words),
        cmocka_unit_test(a_named_file_takes_the_place_of_the_default),
        cmocka_unit_test(memory_is_a_share_or_bytes),
        cmocka_unit_test(limit_of_slurms_jobs_is_a_time_that_sbatch_knows),
        cmocka_unit_test(what_is_printed_names_every_value_and_its_origin),
        cmocka_unit_test(a_second_lock_names_the_holder),
        cmocka_unit_test(all_problems_come_at_once),
        IN_DIRECTORY(files_beside_the_file_are_read_in_order_of_name),
        IN_DIRECTORY(credentials_that_cannot_be_read_are_no_missing_ones),
        IN_DIRECTORY(unreadable_files_are_all_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
