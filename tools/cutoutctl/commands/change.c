/* fork and edit. Layer: tools. */
#include <stdio.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "tools/cutoutctl/command.h"
#include "tools/cutoutctl/values.h"

int command_fork(const struct invocation *invocation) {
    CLEANUP(free_pointer) char *body = NULL;
    struct error error;
    char path[64];
    if (values_to_fork(invocation->arguments + 1, invocation->n - 1, &body, &error) != STATUS_OK) {
        return command_refuse(&error);
    }
    (void)snprintf(path, sizeof(path), "/runs/%s/fork", invocation->arguments[0]);
    const struct call call = {.method = "POST", .path = path, .body = body, .once = true};
    CLEANUP(answer_clear) struct answer answer = {.http_status = 0};
    int exit_status = EXIT_DONE;
    if (!command_ask_to_print(invocation, &call, &answer, &exit_status)) {
        return exit_status;
    }
    const char *id = json_text(answer.json, "id", "?");
    if (invocation->quiet) {
        (void)printf("%s\n", id);
        return EXIT_DONE;
    }
    const cJSON *from = cJSON_GetObjectItemCaseSensitive(answer.json, "forked_from");
    (void)printf("Run %s is %s: it goes on from run %s, epoch %.0f.\n", id,
                 json_text(answer.json, "state", "?"), json_text(from, "run", "?"),
                 json_number(from, "epoch", 0));
    return EXIT_DONE;
}

/* Ids stand in front. */
static int count_ids(const struct invocation *invocation) {
    int n = 0;
    while (n < invocation->n && !strchr(invocation->arguments[n], '=')) {
        n++;
    }
    return n;
}

static int say_edited(const cJSON *answer) {
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(answer, "items")) {
        const cJSON *problem = cJSON_GetObjectItemCaseSensitive(item, "problem");
        if (problem) {
            command_print_problem(problem, (long)json_number(item, "status", 0));
        } else {
            (void)printf("Run %s is changed.\n", json_text(item, "id", "?"));
        }
    }
    return json_number(answer, "failed", 0) > 0 ? EXIT_REFUSED : EXIT_DONE;
}

int command_edit(const struct invocation *invocation) {
    CLEANUP(free_pointer) char *body = NULL;
    struct error error;
    char path[64];
    bool is_bulk = false;
    int n_ids = count_ids(invocation);
    if (values_to_edit(invocation->arguments, n_ids, invocation->arguments + n_ids,
                       invocation->n - n_ids, &body, &is_bulk, &error) != STATUS_OK) {
        return command_refuse(&error);
    }
    (void)snprintf(path, sizeof(path), "/runs/%s", is_bulk ? "bulk" : invocation->arguments[0]);
    const struct call call = {.method = is_bulk ? "POST" : "PATCH", .path = path, .body = body};
    CLEANUP(answer_clear) struct answer answer = {.http_status = 0};
    int exit_status = EXIT_DONE;
    if (!command_ask(invocation->client, &call, &answer, &exit_status)) {
        return exit_status;
    }
    if (invocation->output == OUTPUT_JSON) {
        answer_print(&answer);
        return json_number(answer.json, "failed", 0) > 0 ? EXIT_REFUSED : EXIT_DONE;
    }
    if (is_bulk) {
        return say_edited(answer.json);
    }
    (void)printf("Run %s is changed.\n", invocation->arguments[0]);
    return EXIT_DONE;
}
