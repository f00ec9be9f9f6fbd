/* The log goes to stderr and never waits for it. Each test is a process of its own, because there
 * is one log a process. */
#include "tests/daemon/store_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <time.h>

#include "daemon/main/log_sink.h"

enum { DEADLINE_S = 60, MANY_LINES = 5000 };

/* Runs `body` in a child whose stderr is a pipe; returns the end to read from. */
static int run_child(void (*body)(int trigger), pid_t *ret_pid, int *ret_trigger) {
    int out[2];
    int trigger[2];
    assert_int_equal(pipe(out), 0);
    assert_int_equal(pipe(trigger), 0);
    *ret_pid = fork();
    assert_true(*ret_pid >= 0);
    if (*ret_pid == 0) {
        (void)alarm(DEADLINE_S); /* a log that waits is ended */
        (void)dup2(out[1], STDERR_FILENO);
        (void)close(out[0]);
        (void)close(out[1]);
        (void)close(trigger[1]);
        body(trigger[0]);
        _exit(0);
    }
    (void)close(out[1]);
    (void)close(trigger[0]);
    *ret_trigger = trigger[1];
    return out[0];
}

static void assert_ended_well(pid_t pid) {
    int how = 0;
    assert_int_equal(waitpid(pid, &how, 0), pid);
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), 0);
}

static char *read_all(int fd) {
    enum { MOST = 4 << 20 };
    char *text = malloc(MOST + 1);
    size_t n = 0;
    assert_non_null(text);
    for (ssize_t got = 1; got > 0 && n<MOST; n += got> 0 ? (size_t)got : 0) {
        got = read(fd, text + n, MOST - n);
    }
    text[n] = '\0';
    return text;
}

static void log_many(void) {
    for (int i = 0; i < MANY_LINES; i++) {
        log_info("line %d %0200d", i, 0);
    }
}

static void log_many_and_end(int trigger) {
    (void)trigger;
    log_sink_install(LOG_LEVEL_INFO);
    log_many();
    log_sink_close();
}

static void nobody_who_logs_waits_for_a_reader(void **state) {
    (void)state;
    pid_t pid = 0;
    int trigger = -1;
    int out = run_child(log_many_and_end, &pid, &trigger);
    assert_ended_well(pid); /* nothing was read yet */
    char *text = read_all(out);
    assert_non_null(strstr(text, "line 0 "));
    free(text);
    (void)close(out);
    (void)close(trigger);
}

static void log_again_once_read(int trigger) {
    char byte = 0;
    log_sink_install(LOG_LEVEL_INFO);
    log_many();
    if (read(trigger, &byte, 1) != 1) {
        _exit(1);
    }
    log_sink_close(); /* what is in the buffer is being read now */
    log_warning("the last line");
    log_sink_close();
}

static void dropped_lines_are_counted_and_told(void **state) {
    (void)state;
    pid_t pid = 0;
    int trigger = -1;
    int out = run_child(log_again_once_read, &pid, &trigger);
    assert_int_equal(write(trigger, "x", 1), 1);
    char *text = read_all(out);
    assert_ended_well(pid);
    static const char dropped[] = " line(s) of this log were dropped";
    unsigned long n_dropped = 0; /* told whenever there is room again */
    for (const char *at = strstr(text, dropped); at; at = strstr(at + 1, dropped)) {
        const char *number = at;
        while (number > text && number[-1] != ' ') {
            number--;
        }
        n_dropped += strtoul(number, NULL, 10);
    }
    int n_there = 0;
    for (const char *at = strstr(text, " line "); at; at = strstr(at + 1, " line ")) {
        n_there++;
    }
    assert_int_equal(n_there + (int)n_dropped, MANY_LINES);
    assert_non_null(strstr(text, "the last line"));
    free(text);
    (void)close(out);
    (void)close(trigger);
}

static void log_a_little(int trigger) {
    (void)trigger;
    log_sink_install(LOG_LEVEL_INFO);
    log_error("first");
    log_debug("not wanted");
    log_info("second");
    log_sink_close();
}

static void all_lines_are_there_at_the_end(void **state) {
    (void)state;
    pid_t pid = 0;
    int trigger = -1;
    (void)unsetenv("JOURNAL_STREAM");
    int out = run_child(log_a_little, &pid, &trigger);
    char *text = read_all(out);
    assert_ended_well(pid);
    const char *first = strstr(text, " error: first\n");
    assert_non_null(first);
    assert_non_null(strstr(first, " second\n"));
    assert_null(strstr(text, "not wanted"));
    free(text);
    (void)close(out);
    (void)close(trigger);
}

static void no_hour_comes_twice_in_autumn(void **state) {
    (void)state;
    char first[LOG_SINK_STAMP_SIZE];
    char second[LOG_SINK_STAMP_SIZE];
    (void)setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    tzset();
    assert_string_equal(log_sink_stamp(1792888200250, first), "2026-10-25T02:30:00.250+02:00");
    assert_string_equal(log_sink_stamp(1792891800250, second), "2026-10-25T02:30:00.250+01:00");
    (void)setenv("TZ", "NST3:30", 1);
    tzset();
    assert_string_equal(log_sink_stamp(1792888200250, first), "2026-10-24T21:00:00.250-03:30");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_who_logs_waits_for_a_reader),
        cmocka_unit_test(dropped_lines_are_counted_and_told),
        cmocka_unit_test(all_lines_are_there_at_the_end),
        cmocka_unit_test(no_hour_comes_twice_in_autumn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
