/* Layer: daemon. Thread rule: the lock guards which list is in force; a list itself never changes.
 */
#include "daemon/config/tokens.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/time_text.h"
#include "daemon/config/text_file.h"

enum { MAX_FILE_BYTES = 1024 * 1024, RANDOM_BYTES = 32, HASH_BYTES = crypto_hash_sha256_BYTES };

struct token {
    char name[TOKEN_NAME_SIZE];
    enum scope scope;
    unsigned char hash[HASH_BYTES];
    int64_t expires_ms; /* 0: never */
};

struct token_list {
    struct token *items;
    size_t n;
};

struct tokens {
    char *path;
    pthread_rwlock_t lock;
    struct token_list list; /* guarded by lock */
    int64_t looked_ms;      /* by tokens_expire */
};

/* ---- names ---- */

static const char *const scope_names[] = {"none", "read", "submit", "admin"};

const char *scope_name(enum scope scope) {
    return scope_names[scope];
}

bool scope_from_name(const char *name, enum scope *ret_scope) {
    for (int i = SCOPE_READ; i <= SCOPE_ADMIN; i++) {
        if (!strcmp(name, scope_names[i])) {
            *ret_scope = (enum scope)i;
            return true;
        }
    }
    return false;
}

bool token_name_is_good(const char *name) {
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t length = strlen(name);
    return length > 0 && length < TOKEN_NAME_SIZE && strspn(name, allowed) == length;
}

void token_make(const char *prefix, char ret_text[TOKEN_TEXT_SIZE],
                char ret_sha256[SHA256_HEX_SIZE]) {
    unsigned char bytes[RANDOM_BYTES];
    randombytes_buf(bytes, sizeof(bytes));
    (void)snprintf(ret_text, TOKEN_TEXT_SIZE, "%s", prefix);
    (void)sodium_bin2base64(ret_text + strlen(prefix), TOKEN_TEXT_SIZE - strlen(prefix), bytes,
                            sizeof(bytes), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    struct sha256 sha;
    sha256_begin(&sha);
    sha256_update(&sha, ret_text, strlen(ret_text));
    sha256_end(&sha, ret_sha256);
    sodium_memzero(bytes, sizeof(bytes));
}

/* ---- the file ---- */

static enum status check_mode(const char *path, struct error *error) {
    struct stat info;
    if (stat(path, &info) != 0) {
        return error_set_errno(error, errno, "cannot look at the tokens file %s", path);
    }
    if (info.st_mode & (S_IROTH | S_IWOTH)) {
        return error_set(error, STATUS_FORBIDDEN,
                         "everybody on this machine can read or write the tokens file %s; take "
                         "that away with: chmod o= %s",
                         path, path);
    }
    if (info.st_mode & S_IWGRP) {
        return error_set(error, STATUS_FORBIDDEN,
                         "a group can write the tokens file %s; take that away with: chmod g-w %s",
                         path, path);
    }
    return STATUS_OK;
}

/* "NAME SCOPE SHA256 [EXPIRES]" without comment and blanks around. */
static const char *parse_line(char *line, struct token *token) {
    char *rest = line;
    const char *words[5] = {NULL};
    int n = 0;
    for (char *word = strtok_r(line, " \t\r", &rest); word && n < 5;
         word = strtok_r(NULL, " \t\r", &rest)) {
        words[n++] = word;
    }
    if (n != 3 && n != 4) {
        return "a line should be NAME SCOPE SHA256 [EXPIRES]";
    }
    if (!token_name_is_good(words[0])) {
        return "a name has up to 63 letters, digits, '.', '_' and '-'";
    }
    (void)snprintf(token->name, sizeof(token->name), "%s", words[0]);
    if (!scope_from_name(words[1], &token->scope)) {
        return "a scope is one of read, submit, admin";
    }
    size_t n_bytes = 0;
    if (strlen(words[2]) != SHA256_HEX_SIZE - 1 ||
        sodium_hex2bin(token->hash, sizeof(token->hash), words[2], SHA256_HEX_SIZE - 1, NULL,
                       &n_bytes, NULL) != 0 ||
        n_bytes != HASH_BYTES) {
        return "a SHA-256 has 64 hex digits (the token itself does not belong into the file)";
    }
    if (n == 4 && !time_parse(words[3], &token->expires_ms)) {
        return "a token expires at a time such as 2030-01-31T12:00:00Z";
    }
    return NULL;
}

static bool has_hash(const struct token_list *list, const unsigned char *hash) {
    for (size_t i = 0; i < list->n; i++) {
        if (memcmp(list->items[i].hash, hash, HASH_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

static enum status add_line(struct token_list *list, char *line, const char *path, int number,
                            struct error *error) {
    struct token token = {.scope = SCOPE_NONE};
    line[strcspn(line, "#")] = '\0';
    if (line[strspn(line, " \t\r")] == '\0') {
        return STATUS_OK;
    }
    const char *problem = parse_line(line, &token);
    if (!problem && has_hash(list, token.hash)) {
        problem = "this token stands in the file already";
    }
    if (problem) {
        return error_set(error, STATUS_INVALID, "%s:%d: %s", path, number, problem);
    }
    struct token *items = realloc(list->items, (list->n + 1) * sizeof(*items));
    if (!items) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the tokens of %s", path);
    }
    list->items = items;
    list->items[list->n++] = token;
    return STATUS_OK;
}

static void list_clear(struct token_list *list) {
    free(list->items);
    *list = (struct token_list){0};
}

static enum status list_read(const char *path, struct token_list *ret_list, struct error *error) {
    TRY(check_mode(path, error));
    CLEANUP(free_pointer) char *text = NULL;
    CLEANUP(list_clear) struct token_list list = {0};
    size_t n_bytes = 0;
    TRY(text_file_read(path, MAX_FILE_BYTES, &text, &n_bytes, error));
    int number = 1;
    for (char *line = text; line; number++) {
        char *end = strchr(line, '\n');
        if (end) {
            *end++ = '\0';
        }
        TRY(add_line(&list, line, path, number, error));
        line = end;
    }
    *ret_list = list;
    list = (struct token_list){0};
    return STATUS_OK;
}

/* ---- shared ---- */

enum status tokens_open(const char *path, struct tokens **ret_tokens, struct error *error) {
    struct tokens *tokens = calloc(1, sizeof(*tokens));
    if (!tokens) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the tokens of %s", path);
    }
    (void)pthread_rwlock_init(&tokens->lock, NULL);
    tokens->path = strdup(path);
    enum status status = tokens->path ? list_read(path, &tokens->list, error)
                                      : error_set(error, STATUS_NO_MEMORY, "no memory for a path");
    if (status != STATUS_OK) {
        tokens_close(tokens);
        return status;
    }
    tokens->looked_ms = clock_unix_ms(&clock_system);
    *ret_tokens = tokens;
    return STATUS_OK;
}

void tokens_close(struct tokens *tokens) {
    if (tokens) {
        list_clear(&tokens->list);
        (void)pthread_rwlock_destroy(&tokens->lock);
        free(tokens->path);
        free(tokens);
    }
}

enum status tokens_reload(struct tokens *tokens, struct error *error) {
    struct token_list fresh = {0};
    TRY(list_read(tokens->path, &fresh, error));
    (void)pthread_rwlock_wrlock(&tokens->lock);
    struct token_list old = tokens->list;
    tokens->list = fresh;
    (void)pthread_rwlock_unlock(&tokens->lock);
    list_clear(&old);
    return STATUS_OK;
}

size_t tokens_count(struct tokens *tokens) {
    (void)pthread_rwlock_rdlock(&tokens->lock);
    size_t n = tokens->list.n;
    (void)pthread_rwlock_unlock(&tokens->lock);
    return n;
}

static bool is_over(const struct token *token, int64_t now_ms) {
    return token->expires_ms > 0 && token->expires_ms <= now_ms;
}

int tokens_expire(struct tokens *tokens) {
    int n = 0;
    int64_t now_ms = clock_unix_ms(&clock_system);
    (void)pthread_rwlock_rdlock(&tokens->lock);
    for (size_t i = 0; i < tokens->list.n; i++) {
        const struct token *token = &tokens->list.items[i];
        n += is_over(token, now_ms) && !is_over(token, tokens->looked_ms);
    }
    (void)pthread_rwlock_unlock(&tokens->lock);
    tokens->looked_ms = now_ms;
    return n;
}

bool tokens_line(struct tokens *tokens, size_t index, struct token_line *ret_line) {
    (void)pthread_rwlock_rdlock(&tokens->lock);
    bool found = index < tokens->list.n;
    if (found) {
        const struct token *token = &tokens->list.items[index];
        *ret_line = (struct token_line){.scope = token->scope, .expires_ms = token->expires_ms};
        memcpy(ret_line->name, token->name, sizeof(ret_line->name));
        (void)sodium_bin2hex(ret_line->sha256, sizeof(ret_line->sha256), token->hash, HASH_BYTES);
    }
    (void)pthread_rwlock_unlock(&tokens->lock);
    return found;
}

bool tokens_grant(struct tokens *tokens, const char *text, struct token_grant *ret_grant) {
    bool found = false;
    int64_t now_ms = clock_unix_ms(&clock_system);
    *ret_grant = (struct token_grant){.scope = SCOPE_NONE};
    (void)crypto_hash_sha256(ret_grant->sha256, (const unsigned char *)text, strlen(text));
    (void)pthread_rwlock_rdlock(&tokens->lock);
    /* To the end, whether found or not. */
    for (size_t i = 0; i < tokens->list.n; i++) {
        const struct token *token = &tokens->list.items[i];
        if (sodium_memcmp(token->hash, ret_grant->sha256, HASH_BYTES) == 0 &&
            !is_over(token, now_ms)) {
            found = true;
            memcpy(ret_grant->name, token->name, TOKEN_NAME_SIZE);
            ret_grant->scope = token->scope;
            ret_grant->expires_ms = token->expires_ms;
        }
    }
    (void)pthread_rwlock_unlock(&tokens->lock);
    return found;
}

bool tokens_hold(struct tokens *tokens, const struct token_grant *grant) {
    bool holds = false;
    int64_t now_ms = clock_unix_ms(&clock_system);
    (void)pthread_rwlock_rdlock(&tokens->lock);
    for (size_t i = 0; i < tokens->list.n && !holds; i++) {
        const struct token *token = &tokens->list.items[i];
        holds = memcmp(token->hash, grant->sha256, HASH_BYTES) == 0 &&
                strcmp(token->name, grant->name) == 0 && token->scope >= grant->scope &&
                !is_over(token, now_ms);
    }
    (void)pthread_rwlock_unlock(&tokens->lock);
    return holds;
}
