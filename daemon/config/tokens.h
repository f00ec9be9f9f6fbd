/* Access tokens: who may ask for what.
 *
 * Layer: daemon. Thread rule: tokens_open and tokens_close by one thread; tokens_grant and
 * tokens_reload from any.
 *
 * A file holds one token a line, `NAME SCOPE SHA256 [EXPIRES]`, where SHA256 is that of the token
 * in 64 hex digits and EXPIRES a time (RFC 3339) from which on it is good for nothing; '#' begins a
 * comment. The tokens themselves are stored nowhere: whoever reads the file
 * cannot use it to ask for anything. One name may stand on several lines, so that an old and a new
 * token can both be good for a while.
 */
#ifndef CUTOUTD_DAEMON_CONFIG_TOKENS_H
#define CUTOUTD_DAEMON_CONFIG_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/base/sha256.h"

/* What a token allows; each scope allows what stands before it. */
enum scope { SCOPE_NONE, SCOPE_READ, SCOPE_SUBMIT, SCOPE_ADMIN };

/* "none", "read", "submit", "admin". */
const char *scope_name(enum scope scope);

/* False: it is none of read, submit, admin. */
bool scope_from_name(const char *name, enum scope *ret_scope);

enum { TOKEN_NAME_SIZE = 64, TOKEN_TEXT_SIZE = 64 };

/* Letters, digits, '.', '_' and '-', 1 to TOKEN_NAME_SIZE - 1 of them. */
bool token_name_is_good(const char *name);

/* What a token begins with, so that scanners for lost secrets can look for it. */
#define TOKEN_PREFIX "cutoutd_"

/* A fresh random token behind `prefix`, which has at most 16 bytes, and its SHA-256. */
void token_make(const char *prefix, char ret_text[TOKEN_TEXT_SIZE],
                char ret_sha256[SHA256_HEX_SIZE]);

struct tokens;

/* Reads the file. STATUS_FORBIDDEN: others may read it; STATUS_INVALID: a line is wrong;
 * STATUS_NOT_FOUND, STATUS_IO, STATUS_TOO_LARGE, STATUS_NO_MEMORY. On success *ret_tokens is owned
 * by the caller (tokens_close). */
enum status tokens_open(const char *path, struct tokens **ret_tokens, struct error *error);

/* NULL is fine. */
void tokens_close(struct tokens *tokens);

/* Reads the file again. On any status but STATUS_OK the tokens are those from before. */
enum status tokens_reload(struct tokens *tokens, struct error *error);

/* How many there are. */
size_t tokens_count(struct tokens *tokens);

/* How many have expired since the last call (at first: since they were read). One thread. */
int tokens_expire(struct tokens *tokens);

/* What a line of the file says. */
struct token_line {
    char name[TOKEN_NAME_SIZE];
    enum scope scope;
    char sha256[SHA256_HEX_SIZE];
    int64_t expires_ms; /* 0: never */
};

/* That of number `index`; false: there are no more. */
bool tokens_line(struct tokens *tokens, size_t index, struct token_line *ret_line);

/* Takes all lines of that name out of the file, which keeps owner and mode; a link to it stays one.
 * ret_n: how many. STATUS_NOT_FOUND: there is none; statuses of tokens_open. On failure the file is
 * what it was. */
enum status tokens_revoke(const char *path, const char *name, int *ret_n, struct error *error);

/* What a token gave when it was looked up. */
struct token_grant {
    unsigned char sha256[32];
    char name[TOKEN_NAME_SIZE];
    enum scope scope;
    int64_t expires_ms; /* 0: never */
    int64_t sweep_id;   /* > 0: of a link, which shows this sweep and its runs alone */
};

/* Whether the token is still there under its name, with as much scope or more, and not expired. */
bool tokens_hold(struct tokens *tokens, const struct token_grant *grant);

/* Whose token this is. False: nobody's, or it has expired; *ret_grant is cleared. Takes as long for
 * every text of the same length. */
bool tokens_grant(struct tokens *tokens, const char *text, struct token_grant *ret_grant);

#endif
