/* The log goes to stderr and never waits for it. Each test is a process of its own, because there
 * is one log a process. */
#include "tests/daemon/store_fixture.h"

#include <cjson/cJSON.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "daemon/main/log_line.h"
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
    log_sink_install(&(struct log_sink_options){.max_level = LOG_LEVEL_INFO});
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
    log_sink_install(&(struct log_sink_options){.max_level = LOG_LEVEL_INFO});
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
    log_sink_install(&(struct log_sink_options){.max_level = LOG_LEVEL_INFO});
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
    char first[LOG_LINE_STAMP_SIZE];
    char second[LOG_LINE_STAMP_SIZE];
    (void)setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    tzset();
    assert_string_equal(log_line_stamp(1792888200250, first), "2026-10-25T02:30:00.250+02:00");
    assert_string_equal(log_line_stamp(1792891800250, second), "2026-10-25T02:30:00.250+01:00");
    (void)setenv("TZ", "NST3:30", 1);
    tzset();
    assert_string_equal(log_line_stamp(1792888200250, first), "2026-10-24T21:00:00.250-03:30");
}

/* ---- forms ---- */

static const struct log_subject whole = {
    .run_id = 7, .sweep_id = 3, .owner = "anna", .request_id = "r-1", .peer = "10.1.2.3"};
static const struct log_subject nothing;

static const char *format(enum log_line_form form, const struct log_subject *subject,
                          const char *words, char text[LOG_LINE_SIZE + 1]) {
    const struct log_line line = {
        .unix_ms = 1792888200250, .level = LOG_LEVEL_WARNING, .subject = subject, .words = words};
    size_t n = log_line_format(form, &line, text);
    assert_true(n > 0 && n <= LOG_LINE_SIZE && text[n - 1] == '\n');
    text[n] = '\0';
    return text;
}

static void each_form_says_what_a_line_is_about(void **state) {
    (void)state;
    char text[LOG_LINE_SIZE + 1];
    (void)setenv("TZ", "UTC", 1);
    tzset();
    assert_string_equal(format(LOG_LINE_TEXT, &whole, "it rains", text),
                        "2026-10-25T00:30:00.250+00:00 warning: it rains\n");
    assert_string_equal(format(LOG_LINE_MARKED, &whole, "it rains", text), "<4>it rains\n");
    assert_string_equal(format(LOG_LINE_JSON, &nothing, "it rains", text),
                        "{\"time\":\"2026-10-25T00:30:00.250Z\",\"level\":\"warning\","
                        "\"message\":\"it rains\"}\n");
    assert_string_equal(format(LOG_LINE_MARKED_JSON, &nothing, "it rains", text),
                        "<4>{\"time\":\"2026-10-25T00:30:00.250Z\",\"level\":\"warning\","
                        "\"message\":\"it rains\"}\n");
    assert_string_equal(format(LOG_LINE_JSON, &whole, "a \"b\" \\ \x1b \xff \xc3\xa4", text),
                        "{\"time\":\"2026-10-25T00:30:00.250Z\",\"level\":\"warning\","
                        "\"run_id\":\"7\",\"sweep_id\":\"3\",\"owner\":\"anna\","
                        "\"request_id\":\"r-1\",\"peer\":\"10.1.2.3\","
                        "\"message\":\"a \\\"b\\\" \\\\ \\u001b \xef\xbf\xbd \xc3\xa4\"}\n");
    assert_string_equal(format(LOG_LINE_JOURNAL, &whole, "it rains", text),
                        "PRIORITY=4\nSYSLOG_IDENTIFIER=cutoutd\nRUN_ID=7\nSWEEP_ID=3\nOWNER=anna\n"
                        "REQUEST_ID=r-1\nPEER=10.1.2.3\nMESSAGE=it rains\n");
    size_t n = log_line_remark(text, strlen(text));
    text[n] = '\0';
    assert_string_equal(text, "<4>it rains\n");
}

static void a_line_that_is_too_long_is_cut_and_stays_what_it_is(void **state) {
    (void)state;
    enum { LONG = 3 * LOG_LINE_SIZE };
    static char words[LONG + 1];
    char text[LOG_LINE_SIZE + 1];
    memset(words, '"', LONG);
    for (int shift = 0; shift < 8; shift++) {
        words[0] = 'x'; /* places where an escape is cut move with what comes before */
        words[LONG - shift] = '\0';
        (void)format(LOG_LINE_JSON, shift % 2 ? &whole : &nothing, words + shift, text);
        assert_string_equal(text + strlen(text) - 3, "\"}\n");
        cJSON *json = cJSON_Parse(text);
        assert_non_null(json);
        cJSON_Delete(json);
        (void)format(LOG_LINE_TEXT, &nothing, words + shift, text);
    }
}

/* ---- the journal ---- */

static int journal = -1;
static char journal_path[64];

static void name_stderr_as_the_journals(void) {
    struct stat info;
    char stream[64];
    (void)fstat(STDERR_FILENO, &info);
    (void)snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)info.st_dev,
                   (unsigned long long)info.st_ino);
    (void)setenv("JOURNAL_STREAM", stream, 1);
}

static void log_to_journal(int trigger) {
    (void)trigger;
    name_stderr_as_the_journals();
    log_sink_install(
        &(struct log_sink_options){.max_level = LOG_LEVEL_INFO, .journal = journal_path});
    log_about(&whole, LOG_LEVEL_WARNING, "first");
    log_sink_close();
    (void)unlink(journal_path);
    (void)close(journal);
}

static void log_json_to_a_stderr_of_the_journal(int trigger) {
    (void)trigger;
    name_stderr_as_the_journals();
    log_sink_install(
        &(struct log_sink_options){.max_level = LOG_LEVEL_INFO, .format = LOG_FORMAT_JSON});
    log_warning("first");
    log_sink_close();
}

static void json_lines_have_their_priority_for_the_journal(void **state) {
    (void)state;
    pid_t pid = 0;
    int trigger = -1;
    int out = run_child(log_json_to_a_stderr_of_the_journal, &pid, &trigger);
    char *all = read_all(out);
    assert_ended_well(pid);
    assert_int_equal(strncmp(all, "<4>{\"time\":", 11), 0);
    free(all);
    (void)close(out);
    (void)close(trigger);
}

static void log_to_journal_and_to_none(int trigger) {
    log_to_journal(trigger);
    /* The last one who had it open is the parent. */
    char byte = 0;
    if (read(trigger, &byte, 1) != 1) {
        _exit(1);
    }
    log_about(&whole, LOG_LEVEL_ERROR, "second");
    log_sink_close();
}

static void fields_go_to_the_journal_and_lines_to_stderr_without_it(void **state) {
    (void)state;
    char text[LOG_LINE_SIZE + 1];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(journal_path, sizeof(journal_path), "/tmp/cutoutd-journal-%d", (int)getpid());
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", journal_path);
    journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(journal, (const struct sockaddr *)&address, sizeof(address)), 0);
    pid_t pid = 0;
    int trigger = -1;
    int out = run_child(log_to_journal_and_to_none, &pid, &trigger);
    struct pollfd ready = {.fd = journal, .events = POLLIN};
    assert_int_equal(poll(&ready, 1, DEADLINE_S * 1000), 1);
    ssize_t n = recv(journal, text, sizeof(text) - 1, 0);
    assert_true(n > 0);
    text[n] = '\0';
    assert_non_null(strstr(text, "PRIORITY=4\n"));
    assert_non_null(strstr(text, "\nRUN_ID=7\n"));
    assert_non_null(strstr(text, "\nMESSAGE=first\n"));
    (void)close(journal);
    assert_int_equal(write(trigger, "x", 1), 1);
    char *rest = read_all(out);
    assert_ended_well(pid);
    assert_string_equal(rest, "<3>second\n");
    free(rest);
    (void)close(out);
    (void)close(trigger);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_who_logs_waits_for_a_reader),
        cmocka_unit_test(dropped_lines_are_counted_and_told),
        cmocka_unit_test(all_lines_are_there_at_the_end),
        cmocka_unit_test(no_hour_comes_twice_in_autumn),
        cmocka_unit_test(each_form_says_what_a_line_is_about),
        cmocka_unit_test(a_line_that_is_too_long_is_cut_and_stays_what_it_is),
        cmocka_unit_test(json_lines_have_their_priority_for_the_journal),
        cmocka_unit_test(fields_go_to_the_journal_and_lines_to_stderr_without_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
