/* Settings: what wins over what, where each value says it came from, and what is refused. */
#include "tests/daemon/store_fixture.h"

#include "daemon/config.h"

enum { MAX_WORDS = 16 };

struct config_fixture {
    char dir[64];
    char path[96];
    struct config config;
};

static int set_up(void **state) {
    static struct config_fixture c;
    memset(&c, 0, sizeof(c));
    (void)snprintf(c.dir, sizeof(c.dir), "/tmp/cutoutd-test-XXXXXX");
    assert_non_null(mkdtemp(c.dir));
    (void)snprintf(c.path, sizeof(c.path), "%s/cutoutd.conf", c.dir);
    *state = &c;
    return 0;
}

static int tear_down(void **state) {
    struct config_fixture *c = *state;
    return nftw(c->dir, fixture_remove, 8, FTW_DEPTH | FTW_PHYS);
}

static void write_file(const struct config_fixture *c, const char *text) {
    FILE *file = fopen(c->path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* Words and variables are separated by spaces. The file is the default one. */
static enum status load(struct config_fixture *c, const char *flags, const char *environment) {
    static char text[2][512];
    char *words[2][MAX_WORDS + 1] = {{NULL}};
    int n[2] = {0, 0};
    const char *sources[2] = {flags, environment};
    for (int i = 0; i < 2; i++) {
        char *rest = NULL;
        (void)snprintf(text[i], sizeof(text[i]), "%s", sources[i]);
        for (char *word = strtok_r(text[i], " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
            assert_true(n[i] < MAX_WORDS);
            words[i][n[i]++] = word;
        }
    }
    return config_load(n[0], words[0], words[1], c->path, &c->config, &fixture_error);
}

static void assert_refused(struct config_fixture *c, const char *flags, const char *environment,
                           const char *message) {
    assert_int_equal(load(c, flags, environment), STATUS_INVALID);
    if (!strstr(fixture_error.message, message)) {
        fail_msg("'%s' does not say '%s'", fixture_error.message, message);
    }
}

static void without_anything_the_defaults_are_in_force(void **state) {
    struct config_fixture *c = *state;
    ASSERT_OK(load(c, "", "PATH=/bin HOME=/root"));
    assert_string_equal(c->config.listen_address, "127.0.0.1");
    assert_int_equal(c->config.listen_port, 8080);
    assert_string_equal(c->config.state_dir, "/var/lib/cutoutd");
    assert_int_equal(c->config.workers, 1);
    assert_true(c->config.threads_per_run >= 1);
    assert_int_equal(c->config.checkpoint_interval_s, 300);
    assert_true(c->config.memory_limit_bytes > 1 << 20);
    assert_int_equal(c->config.log_level, LOG_LEVEL_INFO);
    assert_string_equal(c->config.isa, "auto");
    assert_int_equal(c->config.shapes_train, 10000);
    assert_int_equal(c->config.shapes_test, 2000);
    assert_int_equal(c->config.n_datasets, 0);
    assert_string_equal(c->config.origin[CONFIG_WORKERS], "default");
    assert_false(config_is_public(&c->config));
}

static void flags_win_over_variables_over_the_file(void **state) {
    struct config_fixture *c = *state;
    char expected[128];
    write_file(c, "; a comment\n"
                  "workers = 2\n"
                  "listen = 127.0.0.1:1\n"
                  "log_level = debug\n"
                  "[datasets]\n"
                  "cifar10 = /data/a\n");
    ASSERT_OK(load(c, "--listen 127.0.0.1:3 --dataset cifar10=/data/b --dataset mine=./c",
                   "CUTOUTD_LISTEN=127.0.0.1:2 CUTOUTD_WORKERS=3"));
    assert_int_equal(c->config.listen_port, 3);
    assert_string_equal(c->config.origin[CONFIG_LISTEN], "--listen");
    assert_int_equal(c->config.workers, 3);
    assert_string_equal(c->config.origin[CONFIG_WORKERS], "CUTOUTD_WORKERS");
    assert_int_equal(c->config.log_level, LOG_LEVEL_DEBUG);
    (void)snprintf(expected, sizeof(expected), "%s:4", c->path);
    assert_string_equal(c->config.origin[CONFIG_LOG_LEVEL], expected);
    assert_int_equal(c->config.n_datasets, 2);
    assert_string_equal(c->config.datasets[0].directory, "/data/b");
    assert_string_equal(c->config.datasets[1].name, "mine");
}

static void unknown_settings_are_refused_with_their_place(void **state) {
    struct config_fixture *c = *state;
    char place[128];
    write_file(c, "workers = 2\n\nworker = 3\n");
    (void)snprintf(place, sizeof(place), "%s:3: unknown setting 'worker'", c->path);
    assert_refused(c, "", "", place);
    write_file(c, "workers = 2\n[data]\nx = 3\n");
    (void)snprintf(place, sizeof(place), "%s:3: there is no section [data]", c->path);
    assert_refused(c, "", "", place);
    write_file(c, "workers = 2\nwhat is this\n");
    (void)snprintf(place, sizeof(place), "%s:2", c->path);
    assert_refused(c, "", "", place);
    write_file(c, "");
    assert_refused(c, "--worker 3", "", "unknown flag --worker");
    assert_refused(c, "--workers", "", "--workers needs a value");
    assert_refused(c, "serve", "", "unexpected argument 'serve'");
    assert_refused(c, "", "CUTOUTD_WORKER=3", "CUTOUTD_WORKER names no setting");
    assert_refused(c, "--dataset cifar10", "", "NAME=DIRECTORY");
    assert_refused(c, "--dataset shapes=/x", "", "'shapes' is the generated data set");
    assert_refused(c, "--dataset C10=/x", "", "lower-case");
}

static void a_wrong_value_is_refused_with_its_place(void **state) {
    struct config_fixture *c = *state;
    char place[160];
    write_file(c, "log_level = info\nworkers = many\n");
    (void)snprintf(place, sizeof(place), "%s:2: workers is 'many'", c->path);
    assert_refused(c, "", "", place);
    /* What is overridden is not looked at. */
    ASSERT_OK(load(c, "--workers 1", ""));
    write_file(c, "");
    assert_refused(c, "--workers 0", "", "--workers");
    assert_refused(c, "--workers 2x", "", "a whole number from 1 to 64");
    assert_refused(c, "--isa sse", "", "auto, ref, blas, avx2 or avx512");
    assert_refused(c, "--listen 8080", "", "ADDRESS:PORT");
    assert_refused(c, "--listen 127.0.0.1:70000", "", "ADDRESS:PORT");
    assert_refused(c, "--listen example.org:80", "", "ADDRESS:PORT");
    assert_refused(c, "--memory-limit 0%", "", "a percentage");
    assert_refused(c, "--memory-limit 5T5", "", "a percentage");
    assert_refused(c, "--log-level loud", "", "error, warning, info or debug");
}

static void a_line_that_is_too_long_is_refused_not_cut(void **state) {
    struct config_fixture *c = *state;
    char text[800];
    int n = snprintf(text, sizeof(text), "workers = 1\nstate_dir = /");
    memset(text + n, 'd', 400);
    (void)snprintf(text + n + 400, sizeof(text) - (size_t)n - 400, "\nisa = ref\n");
    write_file(c, text);
    char place[128];
    (void)snprintf(place, sizeof(place), "%s:2: ", c->path);
    assert_refused(c, "", "", place);
}

static void a_named_file_must_exist(void **state) {
    struct config_fixture *c = *state;
    assert_int_equal(load(c, "--config /nonexistent/x.conf", ""), STATUS_NOT_FOUND);
    assert_non_null(strstr(fixture_error.message, "/nonexistent/x.conf"));
    write_file(c, "nonsense\n");
    /* The default file is not read when another one is named. */
    ASSERT_OK(load(c, "--config=/dev/null --workers=2", ""));
    assert_int_equal(c->config.workers, 2);
}

static void systemds_state_directory_is_the_default(void **state) {
    struct config_fixture *c = *state;
    ASSERT_OK(load(c, "", "STATE_DIRECTORY=/var/lib/private/x"));
    assert_string_equal(c->config.state_dir, "/var/lib/private/x");
    assert_string_equal(c->config.origin[CONFIG_STATE_DIR], "STATE_DIRECTORY");
    ASSERT_OK(load(c, "", "STATE_DIRECTORY=/var/lib/private/x CUTOUTD_STATE_DIR=/y"));
    assert_string_equal(c->config.state_dir, "/y");
}

static void addresses_that_others_reach_are_known(void **state) {
    struct config_fixture *c = *state;
    static const struct {
        const char *listen;
        bool is_public;
    } cases[] = {
        {"127.0.0.1:0", false}, {"127.3.0.1:80", false}, {"localhost:80", false},
        {"[::1]:80", false},    {"0.0.0.0:80", true},    {"192.168.1.4:80", true},
        {"[::]:80", true},      {"[fe80::1]:80", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char flag[64];
        (void)snprintf(flag, sizeof(flag), "--listen=%s", cases[i].listen);
        ASSERT_OK(load(c, flag, ""));
        assert_int_equal(config_is_public(&c->config), cases[i].is_public);
    }
}

static void memory_is_a_share_or_bytes(void **state) {
    struct config_fixture *c = *state;
    ASSERT_OK(load(c, "--memory-limit 100%", ""));
    int64_t all = c->config.memory_limit_bytes;
    ASSERT_OK(load(c, "--memory-limit 50%", ""));
    assert_true(llabs(c->config.memory_limit_bytes - all / 2) <= 1);
    ASSERT_OK(load(c, "--memory-limit 3G", ""));
    assert_true(c->config.memory_limit_bytes == 3LL << 30);
    ASSERT_OK(load(c, "--memory-limit 4096", ""));
    assert_int_equal(c->config.memory_limit_bytes, 4096);
}

static void what_is_printed_names_every_value_and_its_origin(void **state) {
    struct config_fixture *c = *state;
    char text[8192] = "";
    ASSERT_OK(load(c, "--workers 2 --dataset cifar10=/d", "CUTOUTD_ISA=blas"));
    FILE *out = fmemopen(text, sizeof(text), "w");
    assert_non_null(out);
    config_print(&c->config, out);
    assert_int_equal(fclose(out), 0);
    assert_non_null(strstr(text, "# --workers"));
    assert_non_null(strstr(text, "# CUTOUTD_ISA"));
    assert_non_null(strstr(text, "[datasets]\ncifar10"));
    static const char *const names[] = {
        "listen", "state_dir",    "workers",   "threads_per_run", "checkpoint_interval_s",
        "isa",    "memory_limit", "log_level", "shapes_train",    "shapes_test",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_non_null(strstr(text, names[i]));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(without_anything_the_defaults_are_in_force),
        TEST(flags_win_over_variables_over_the_file),
        TEST(unknown_settings_are_refused_with_their_place),
        TEST(a_wrong_value_is_refused_with_its_place),
        TEST(a_line_that_is_too_long_is_refused_not_cut),
        TEST(a_named_file_must_exist),
        TEST(systemds_state_directory_is_the_default),
        TEST(addresses_that_others_reach_are_known),
        TEST(memory_is_a_share_or_bytes),
        TEST(what_is_printed_names_every_value_and_its_origin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
