/* Layer: daemon. */
#include "daemon/main/command_token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/decimal.h"
#include "core/base/time_text.h"
#include "daemon/config/config.h"
#include "daemon/config/tokens.h"

enum { MOST_DAYS = 36500 };

static const int64_t DAY_MS = 24 * 3600 * 1000;

static int usage_error(const char *message) {
    (void)fprintf(stderr,
                  "cutoutd: %s\n"
                  "usage: cutoutd token NAME [--scope read|submit|admin] [--days N]   (default: "
                  "submit, for ever)\n"
                  "       cutoutd token list [--tokens-file FILE | --config FILE]\n"
                  "       cutoutd token revoke NAME [--tokens-file FILE | --config FILE]\n",
                  message);
    return 2;
}

static int failure(const struct error *error) {
    (void)fprintf(stderr, "cutoutd: %s\n", error->message);
    return 1;
}

/* ---- a new one ---- */

/* At argv[*i], "--name VALUE" or "--name=VALUE": takes it with its value. false: it is another. */
static bool take_flag(int argc, char **argv, int *i, const char *flag, const char **ret_value) {
    size_t n = strlen(flag);
    if (strncmp(argv[*i], flag, n) != 0) {
        return false;
    }
    if (argv[*i][n] == '=') {
        *ret_value = argv[*i] + n + 1;
        return true;
    }
    if (argv[*i][n] != '\0' || *i + 1 >= argc) {
        return false;
    }
    *ret_value = argv[++*i];
    return true;
}

static int make(int argc, char **argv) {
    const char *name = NULL;
    const char *scope_text = "submit";
    enum scope scope = SCOPE_NONE;
    int days = 0;
    for (int i = 0; i < argc; i++) {
        const char *value = NULL;
        if (take_flag(argc, argv, &i, "--scope", &value)) {
            scope_text = value;
        } else if (take_flag(argc, argv, &i, "--days", &value)) {
            if (!text_to_int(value, 1, MOST_DAYS, &days)) {
                return usage_error("--days takes a whole number from 1 to 36500");
            }
        } else if (argv[i][0] == '-' || name) {
            return usage_error("token takes one NAME, --scope and --days");
        } else {
            name = argv[i];
        }
    }
    if (!name || !token_name_is_good(name)) {
        return usage_error("token needs a NAME of letters, digits, '.', '_' and '-'");
    }
    if (!scope_from_name(scope_text, &scope)) {
        return usage_error("a scope is one of read, submit, admin");
    }
    char text[TOKEN_TEXT_SIZE];
    char sha256[SHA256_HEX_SIZE];
    char expires[TIME_TEXT_SIZE] = "";
    token_make(TOKEN_PREFIX, text, sha256);
    if (days > 0) {
        (void)time_format(clock_unix_ms(&clock_system) + days * DAY_MS, expires);
    }
    (void)printf("# The token of %s; it is shown this once. Use it as: Authorization: Bearer "
                 "TOKEN\n%s\n"
                 "# The line for the tokens_file; then systemctl reload cutoutd, or kill -HUP:\n"
                 "%s %s %s%s%s\n",
                 name, text, name, scope_name(scope), sha256, days > 0 ? " " : "", expires);
    return 0;
}

/* ---- those that are there ---- */

/* Of the settings: the flags are those of serve. Not 0: the exit status, told why. */
static int find_file(int argc, char **argv, char ret_path[CONFIG_TEXT_SIZE]) {
    CLEANUP(free_pointer) struct config *config = calloc(1, sizeof(*config));
    struct error error;
    if (!config) {
        (void)error_set(&error, STATUS_NO_MEMORY, "no memory for the settings");
        return failure(&error);
    }
    if (config_load(argc, argv, environ, CONFIG_DEFAULT_FILE, config, &error) != STATUS_OK) {
        return usage_error(error.message);
    }
    (void)snprintf(ret_path, CONFIG_TEXT_SIZE, "%s", config->tokens_file);
    if (!ret_path[0]) {
        (void)error_set(&error, STATUS_NOT_FOUND,
                        "there is no tokens_file in the settings; name it with --tokens-file");
        return failure(&error);
    }
    return 0;
}

static int show(int argc, char **argv) {
    char path[CONFIG_TEXT_SIZE];
    struct tokens *tokens = NULL;
    struct error error;
    int found = find_file(argc, argv, path);
    if (found != 0) {
        return found;
    }
    if (tokens_open(path, &tokens, &error) != STATUS_OK) {
        return failure(&error);
    }
    int64_t now_ms = clock_unix_ms(&clock_system);
    struct token_line line;
    (void)printf("%-24s %-7s %-9s %s\n", "NAME", "SCOPE", "SHA256", "EXPIRES");
    for (size_t i = 0; tokens_line(tokens, i, &line); i++) {
        char time[TIME_TEXT_SIZE];
        (void)printf("%-24s %-7s %.8s  %s%s\n", line.name, scope_name(line.scope), line.sha256,
                     line.expires_ms > 0 ? time_format(line.expires_ms, time) : "never",
                     line.expires_ms > 0 && line.expires_ms <= now_ms ? " (over)" : "");
    }
    tokens_close(tokens);
    return 0;
}

static int take_out(int argc, char **argv) {
    char path[CONFIG_TEXT_SIZE];
    struct error error;
    int n = 0;
    if (argc < 1 || !token_name_is_good(argv[0]) || argv[0][0] == '-') {
        return usage_error("revoke needs the NAME of a token");
    }
    int found = find_file(argc - 1, argv + 1, path);
    if (found != 0) {
        return found;
    }
    if (tokens_revoke(path, argv[0], &n, &error) != STATUS_OK) {
        return failure(&error);
    }
    (void)printf("%s: %d token%s of %s revoked. It takes effect with: systemctl reload cutoutd, or "
                 "kill -HUP\n",
                 path, n, n == 1 ? "" : "s", argv[0]);
    return 0;
}

int command_token(int argc, char **argv) {
    if (argc > 0 && !strcmp(argv[0], "list")) {
        return show(argc - 1, argv + 1);
    }
    if (argc > 0 && !strcmp(argv[0], "revoke")) {
        return take_out(argc - 1, argv + 1);
    }
    return make(argc, argv);
}
