/* cancel, kill, pause, resume, hold, release, requeue and delete. Layer: tools. */
#include <stdio.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "daemon/spec/json_write.h"
#include "tools/cutoutctl/command.h"

static void print_state(const cJSON *run) {
    const char *request = json_text(run, "request", NULL);
    (void)printf("Run %s is %s%s%s.\n", json_text(run, "id", "?"), json_text(run, "state", "?"),
                 request ? ", asked to " : "", request ? request : "");
}

/* One run: the plain route. */
static int act_on_one(const struct invocation *invocation) {
    bool is_delete = strcmp(invocation->command, "delete") == 0;
    char path[96];
    (void)snprintf(path, sizeof(path), "/runs/%s%s%s", invocation->arguments[0],
                   is_delete ? "" : "/", is_delete ? "" : invocation->command);
    const struct call call = {.method = is_delete ? "DELETE" : "POST", .path = path};
    CLEANUP(answer_clear) struct answer answer = {.http_status = 0};
    int exit_status = EXIT_DONE;
    if (!command_ask_to_print(invocation, &call, &answer, &exit_status)) {
        return exit_status;
    }
    if (is_delete) {
        (void)printf("Run %s is deleted.\n", invocation->arguments[0]);
    } else {
        print_state(answer.json);
    }
    return EXIT_DONE;
}

static char *bulk_body(const struct invocation *invocation) {
    struct json_writer writer = {0};
    json_write_object(&writer, NULL);
    json_write_string(&writer, "action", invocation->command);
    json_write_array(&writer, "ids");
    for (int i = 0; i < invocation->n; i++) {
        json_write_string(&writer, NULL, invocation->arguments[i]);
    }
    json_write_end(&writer, ']');
    json_write_end(&writer, '}');
    return json_write_take(&writer);
}

static void print_item(const cJSON *item) {
    const cJSON *problem = cJSON_GetObjectItemCaseSensitive(item, "problem");
    const cJSON *run = cJSON_GetObjectItemCaseSensitive(item, "run");
    if (problem) {
        command_print_problem(problem, (long)json_number(item, "status", 0));
    } else if (run) {
        print_state(run);
    } else {
        (void)printf("Run %s is deleted.\n", json_text(item, "id", "?"));
    }
}

int command_act(const struct invocation *invocation) {
    if (invocation->n == 1) {
        return act_on_one(invocation);
    }
    CLEANUP(free_pointer) char *body = bulk_body(invocation);
    if (!body) {
        command_complain("no memory");
        return EXIT_TROUBLE;
    }
    const struct call call = {.method = "POST", .path = "/runs/bulk", .body = body};
    CLEANUP(answer_clear) struct answer answer = {.http_status = 0};
    int exit_status = EXIT_DONE;
    if (!command_ask(invocation->client, &call, &answer, &exit_status)) {
        return exit_status;
    }
    if (invocation->output == OUTPUT_JSON) {
        answer_print(&answer);
    } else {
        const cJSON *item = NULL;
        cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(answer.json, "items")) {
            print_item(item);
        }
    }
    return json_number(answer.json, "failed", 0) > 0 ? EXIT_REFUSED : EXIT_DONE;
}
