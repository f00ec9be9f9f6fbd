/* Access tokens: the file, what is refused in it, and reading it again. */
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

#include "daemon/config/tokens.h"

static char path[64];
static struct error error;

static int make_file(void **state) {
    (void)state;
    (void)snprintf(path, sizeof(path), "/tmp/cutoutd-tokens-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    return 0;
}

static int remove_file(void **state) {
    (void)state;
    return unlink(path);
}

static void write_file(const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* A line for a new token, whose text is in `text`. */
static void make_line(const char *name, const char *scope, char text[TOKEN_TEXT_SIZE],
                      char line[256]) {
    char sha256[SHA256_HEX_SIZE];
    token_make(TOKEN_PREFIX, text, sha256);
    (void)snprintf(line, 256, "%s %s %s\n", name, scope, sha256);
}

static void a_made_token_is_found_by_its_line(void **state) {
    (void)state;
    char anna[TOKEN_TEXT_SIZE], bert[TOKEN_TEXT_SIZE], line[256], all[1024];
    make_line("anna", "submit", anna, line);
    (void)snprintf(all, sizeof(all), "# people\n\n  %s", line);
    make_line("bert.2", "admin", bert, line);
    line[strlen(line) - 1] = '\0';
    (void)snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s # the last line", line);
    write_file(all);
    struct tokens *tokens = NULL;
    assert_int_equal(tokens_open(path, &tokens, &error), STATUS_OK);
    assert_int_equal(tokens_count(tokens), 2);
    struct token_grant grant;
    assert_true(tokens_grant(tokens, anna, &grant));
    assert_string_equal(grant.name, "anna");
    assert_int_equal(grant.scope, SCOPE_SUBMIT);
    assert_true(tokens_grant(tokens, bert, &grant));
    assert_string_equal(grant.name, "bert.2");
    assert_int_equal(grant.scope, SCOPE_ADMIN);
    anna[strlen(anna) - 1] ^= 1;
    assert_false(tokens_grant(tokens, anna, &grant));
    assert_false(tokens_grant(tokens, "", &grant));
    tokens_close(tokens);
}

static void two_tokens_are_never_alike(void **state) {
    (void)state;
    char a[TOKEN_TEXT_SIZE], b[TOKEN_TEXT_SIZE], hash[SHA256_HEX_SIZE];
    token_make(TOKEN_PREFIX, a, hash);
    token_make(TOKEN_PREFIX, b, hash);
    assert_string_not_equal(a, b);
    assert_true(strlen(a) > 40); /* 256 bits */
}

static void wrong_lines_are_named(void **state) {
    (void)state;
    static const char good[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    static const struct {
        const char *format;
        const char *word;
    } cases[] = {
        {"\nanna submit\n", ":2: a line should be"},
        {"anna submit %s 2030-01-31T12:00:00Z more\n", ":1: a line should be"},
        {"anna submit %s tomorrow\n", ":1: a token expires at a time"},
        {"anna root %s\n", "read, submit, admin"},
        {"an:na read %s\n", "a name has"},
        {"anna read 0123\n", "64 hex digits"},
        {"anna read %sx\n", "64 hex digits"},
        {"anna read %s\nbert read 0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF",
         ":2: this token stands"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[512];
        const char *at = strstr(cases[i].format, "%s");
        int before = at ? (int)(at - cases[i].format) : (int)strlen(cases[i].format);
        (void)snprintf(text, sizeof(text), "%.*s%s%s", before, cases[i].format, at ? good : "",
                       at ? at + 2 : "");
        write_file(text);
        struct tokens *tokens = NULL;
        assert_int_equal(tokens_open(path, &tokens, &error), STATUS_INVALID);
        assert_null(tokens);
        if (!strstr(error.message, cases[i].word)) {
            fail_msg("\"%s\" is not in: %s", cases[i].word, error.message);
        }
    }
}

static void a_token_that_has_expired_is_nobodys(void **state) {
    (void)state;
    char anna[TOKEN_TEXT_SIZE];
    char bert[TOKEN_TEXT_SIZE];
    char hashes[2][SHA256_HEX_SIZE];
    char text[512];
    struct tokens *tokens = NULL;
    struct token_grant grant;
    struct token_line line;
    int n = 0;
    token_make(TOKEN_PREFIX, anna, hashes[0]);
    token_make(TOKEN_PREFIX, bert, hashes[1]);
    (void)snprintf(
        text, sizeof(text),
        "anna read %s 2020-01-31T12:00:00Z # gone\n bert admin %s 2999-01-31T12:00:00Z\n",
        hashes[0], hashes[1]);
    write_file(text);
    assert_int_equal(tokens_open(path, &tokens, &error), STATUS_OK);
    assert_false(tokens_grant(tokens, anna, &grant));
    assert_true(tokens_grant(tokens, bert, &grant));
    assert_true(tokens_hold(tokens, &grant));
    assert_int_equal(tokens_expire(tokens), 0); /* none since it was opened */
    assert_true(tokens_line(tokens, 1, &line));
    assert_string_equal(line.name, "bert");
    assert_string_equal(line.sha256, hashes[1]);
    assert_false(tokens_line(tokens, 2, &line));
    tokens_close(tokens);

    assert_int_equal(tokens_revoke(path, "ber", &n, &error), STATUS_NOT_FOUND);
    assert_int_equal(tokens_revoke(path, "bert", &n, &error), STATUS_OK);
    assert_int_equal(n, 1);
    assert_int_equal(tokens_open(path, &tokens, &error), STATUS_OK);
    assert_int_equal(tokens_count(tokens), 1);
    tokens_close(tokens);
}

static void a_file_that_others_may_read_is_refused(void **state) {
    (void)state;
    struct tokens *tokens = NULL;
    write_file("");
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(tokens_open(path, &tokens, &error), STATUS_FORBIDDEN);
    assert_non_null(strstr(error.message, "chmod o= "));
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(tokens_open(path, &tokens, &error), STATUS_OK);
    tokens_close(tokens);
}

static void a_file_that_a_group_may_write_is_refused(void **state) {
    (void)state;
    struct tokens *tokens = NULL;
    write_file("");
    assert_int_equal(chmod(path, 0660), 0);
    assert_int_equal(tokens_open(path, &tokens, &error), STATUS_FORBIDDEN);
    assert_non_null(strstr(error.message, "chmod g-w "));
    assert_int_equal(chmod(path, 0600), 0);
}

static void a_grant_holds_as_long_as_its_token_has_as_much(void **state) {
    (void)state;
    char anna[TOKEN_TEXT_SIZE], sha256[SHA256_HEX_SIZE], text[256];
    struct tokens *tokens = NULL;
    struct token_grant grant;
    static const struct {
        const char *name;
        const char *scope;
        bool holds;
    } cases[] = {{"anna", "submit", true},
                 {"anna", "admin", true},
                 {"anna", "read", false},
                 {"hanna", "submit", false}};
    token_make(TOKEN_PREFIX, anna, sha256);
    (void)snprintf(text, sizeof(text), "anna submit %s\n", sha256);
    write_file(text);
    assert_int_equal(tokens_open(path, &tokens, &error), STATUS_OK);
    assert_false(tokens_grant(tokens, "nonsense", &grant));
    assert_int_equal(grant.scope, SCOPE_NONE);
    assert_true(tokens_grant(tokens, anna, &grant));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        (void)snprintf(text, sizeof(text), "%s %s %s\n", cases[i].name, cases[i].scope, sha256);
        write_file(text);
        assert_int_equal(tokens_reload(tokens, &error), STATUS_OK);
        assert_int_equal(tokens_hold(tokens, &grant), cases[i].holds);
    }
    write_file("");
    assert_int_equal(tokens_reload(tokens, &error), STATUS_OK);
    assert_false(tokens_hold(tokens, &grant));
    tokens_close(tokens);
}

static void a_bad_file_keeps_the_old_tokens(void **state) {
    (void)state;
    char anna[TOKEN_TEXT_SIZE], bert[TOKEN_TEXT_SIZE], line[256];
    struct token_grant grant;
    struct tokens *tokens = NULL;
    make_line("anna", "read", anna, line);
    write_file(line);
    assert_int_equal(tokens_open(path, &tokens, &error), STATUS_OK);
    write_file("nonsense\n");
    assert_int_equal(tokens_reload(tokens, &error), STATUS_INVALID);
    assert_true(tokens_grant(tokens, anna, &grant));
    make_line("bert", "read", bert, line);
    write_file(line);
    assert_int_equal(tokens_reload(tokens, &error), STATUS_OK);
    assert_false(tokens_grant(tokens, anna, &grant));
    assert_true(tokens_grant(tokens, bert, &grant));
    tokens_close(tokens);
}

static void a_missing_file_is_an_error(void **state) {
    (void)state;
    struct tokens *tokens = NULL;
    assert_int_equal(tokens_open("/nonexistent/tokens", &tokens, &error), STATUS_NOT_FOUND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_made_token_is_found_by_its_line),
        cmocka_unit_test(two_tokens_are_never_alike),
        cmocka_unit_test(wrong_lines_are_named),
        cmocka_unit_test(a_token_that_has_expired_is_nobodys),
        cmocka_unit_test(a_file_that_others_may_read_is_refused),
        cmocka_unit_test(a_file_that_a_group_may_write_is_refused),
        cmocka_unit_test(a_grant_holds_as_long_as_its_token_has_as_much),
        cmocka_unit_test(a_bad_file_keeps_the_old_tokens),
        cmocka_unit_test(a_missing_file_is_an_error),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
