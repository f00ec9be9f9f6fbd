/* The curl command that is equal to a call. Layer: tools. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cutoutctl/client.h"

/* One word for a POSIX shell. */
static void print_word(const char *text) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-./:,@%+=";
    (void)putchar(' ');
    if (text[0] && text[strspn(text, plain)] == '\0') {
        (void)fputs(text, stdout);
        return;
    }
    (void)putchar('\'');
    for (; *text; text++) {
        if (*text == '\'') {
            (void)fputs("'\\''", stdout);
        } else {
            (void)putchar(*text);
        }
    }
    (void)putchar('\'');
}

/* Whether curl would ask one. */
static bool has_proxy(void) {
    static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                        "ALL_PROXY"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = getenv(names[i]);
        if (value && value[0]) {
            return true;
        }
    }
    return false;
}

void client_print_curl(const struct client *client, const struct call *call) {
    (void)fputs(call->stream ? "curl -sSN" : "curl -sS --fail-with-body", stdout);
    if (client->unix_path) {
        (void)fputs(" --unix-socket", stdout);
        print_word(client->unix_path);
    }
    if (client_is_here(client) && has_proxy()) {
        (void)fputs(" --noproxy '*'", stdout);
    }
    if (client->cacert) {
        (void)fputs(" --cacert", stdout);
        print_word(client->cacert);
    }
    if (client->token) {
        (void)printf(" -H \"Authorization: Bearer $%s\"",
                     client->token_in_file ? "CUTOUTD_TOKEN" : client->token_from);
    }
    bool implied = strcmp(call->method, call->body ? "POST" : "GET") == 0;
    if (!implied) {
        (void)printf(" -X %s", call->method);
    }
    char url[2048];
    int n = snprintf(url, sizeof(url), "%s/api/v1%s", client->origin, call->path);
    if (n >= (int)sizeof(url)) {
        (void)fputs(" # the address is too long for a command\n", stdout);
        return;
    }
    print_word(url);
    if (call->body) {
        (void)printf(" -H Content-Type:%s --data-raw", call_type(call));
        print_word(call->body);
    }
    (void)putchar('\n');
}
