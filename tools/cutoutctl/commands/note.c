/* note and sweep note: what people wrote about a run or a sweep. Layer: tools. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "tools/cutoutctl/command.h"

enum { PATH_SIZE = 64, MOST_BYTES = 1 << 20 }; /* the daemon takes less, and says how much */

static int show(const struct invocation *invocation, const char *path) {
    const struct call call = {.method = "GET", .path = path, .text = true};
    CLEANUP(answer_clear) struct answer answer = {.http_status = 0};
    int exit_status = EXIT_DONE;
    if (command_ask(invocation->client, &call, &answer, &exit_status)) {
        answer_print_text(&answer);
        if (!isatty(STDOUT_FILENO) && answer.n_body > 0 && answer.body[answer.n_body - 1] != '\n') {
            (void)putchar('\n');
        }
    }
    return exit_status;
}

/* NULL: it cannot be read, or is longer than any note; stderr says so. */
static char *read_input(void) {
    CLEANUP(free_pointer) char *text = malloc(MOST_BYTES + 1);
    size_t n = text ? fread(text, 1, MOST_BYTES, stdin) : 0;
    if (!text || ferror(stdin) || !feof(stdin)) {
        command_complain(text ? "standard input cannot be read, or is too long for a note"
                              : "no memory");
        return NULL;
    }
    text[n] = '\0';
    if (strlen(text) < n) {
        command_complain("what standard input has is no text");
        return NULL;
    }
    char *taken = text;
    text = NULL;
    return taken;
}

static int change(const struct invocation *invocation, const char *path, const char *text) {
    const struct call call = {.method = text[0] ? "PUT" : "DELETE",
                              .path = path,
                              .body = text[0] ? text : NULL,
                              .type = "text/markdown",
                              .text = true};
    CLEANUP(answer_clear) struct answer answer = {.http_status = 0};
    int exit_status = EXIT_DONE;
    if (command_ask(invocation->client, &call, &answer, &exit_status)) {
        (void)puts(text[0] ? "The note is kept." : "The note is taken away.");
    }
    return exit_status;
}

static int do_note(const struct invocation *invocation, const char *kind) {
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof(path), "/%s/%s/note", kind, invocation->arguments[0]);
    if (invocation->n == 1) {
        return show(invocation, path);
    }
    if (strcmp(invocation->arguments[1], "-") != 0) {
        return change(invocation, path, invocation->arguments[1]);
    }
    CLEANUP(free_pointer) char *text = read_input();
    return text ? change(invocation, path, text) : EXIT_TROUBLE;
}

int command_note(const struct invocation *invocation) {
    return do_note(invocation, "runs");
}

int command_sweep_note(const struct invocation *invocation) {
    return do_note(invocation, "sweeps");
}
