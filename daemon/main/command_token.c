/* Layer: daemon. */
#include "daemon/main/command_token.h"

#include <stdio.h>
#include <string.h>

#include "daemon/config/tokens.h"

static int usage_error(const char *message) {
    (void)fprintf(stderr,
                  "cutoutd: %s\nusage: cutoutd token NAME [--scope read|submit|admin]   (default: "
                  "submit)\n",
                  message);
    return 2;
}

int command_token(int argc, char **argv) {
    const char *name = NULL;
    const char *scope_text = "submit";
    enum scope scope = SCOPE_NONE;
    for (int i = 0; i < argc; i++) {
        if (!strncmp(argv[i], "--scope=", 8)) {
            scope_text = argv[i] + 8;
        } else if (!strcmp(argv[i], "--scope") && i + 1 < argc) {
            scope_text = argv[++i];
        } else if (argv[i][0] == '-' || name) {
            return usage_error("token takes one NAME and --scope");
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
    token_make(TOKEN_PREFIX, text, sha256);
    (void)printf("# The token of %s; it is shown this once. Use it as: Authorization: Bearer "
                 "TOKEN\n%s\n"
                 "# The line for the tokens_file; then systemctl reload cutoutd, or kill -HUP:\n"
                 "%s %s %s\n",
                 name, text, name, scope_name(scope), sha256);
    return 0;
}
