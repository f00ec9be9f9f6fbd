/* webhook and link: who else is told, and who else may look. Layer: tools. */
#include <stdio.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "tools/cutoutctl/table.h"
#include "tools/cutoutctl/values.h"

static const struct column webhook_columns[] = {
    {.title = "id", .path = "id", .kind = CELL_NUMBER},
    {.title = "name", .path = "name", .elastic = true},
    {.title = "events", .path = "events", .rank = 2, .elastic = true},
    {.title = "target", .path = "target", .kind = CELL_NUMBER, .rank = WIDE},
    {.title = "template", .path = "template", .rank = 5},
    {.title = "waiting", .path = "pending", .kind = CELL_NUMBER, .rank = 4},
    {.title = "given up", .path = "dead", .kind = CELL_NUMBER, .rank = 3},
    {.title = "owner", .path = "owner", .rank = WIDE},
    {.title = "created", .path = "created_at", .kind = CELL_TIME, .rank = WIDE},
    {.title = "url", .path = "url", .rank = 1, .elastic = true},
};

int command_webhook_list(const struct invocation *invocation) {
    return table_ask(invocation, "/webhooks", webhook_columns,
                     sizeof(webhook_columns) / sizeof(webhook_columns[0]));
}

/* Without events it has none of its own. */
static bool names_events(const struct invocation *invocation) {
    for (int i = 0; i < invocation->n; i++) {
        if (strncmp(invocation->arguments[i], "events=", strlen("events=")) == 0) {
            return true;
        }
    }
    return false;
}

int command_webhook_create(const struct invocation *invocation) {
    CLEANUP(free_pointer) char *body = NULL;
    struct error error;
    char *arguments[16];
    char none[] = "events=[]";
    int n = invocation->n;
    if (n > 8) {
        (void)error_set(&error, STATUS_INVALID, "too many arguments");
        return command_refuse(&error);
    }
    memcpy(arguments, invocation->arguments, (size_t)n * sizeof(*arguments));
    bool named = names_events(invocation);
    if (!named) {
        arguments[n++] = none;
    }
    if (values_to_object(arguments, n, named ? "events" : NULL, &body, &error) != STATUS_OK) {
        return command_refuse(&error);
    }
    const struct call call = {.method = "POST", .path = "/webhooks", .body = body};
    CLEANUP(answer_clear) struct answer answer = {.http_status = 0};
    int exit_status = EXIT_DONE;
    if (command_ask_to_print(invocation, &call, &answer, &exit_status)) {
        (void)printf("Webhook %s is made. Its secret, which is shown only now:\n%s\n",
                     json_text(answer.json, "id", "?"), json_text(answer.json, "secret", "?"));
    }
    return exit_status;
}

int command_webhook_delete(const struct invocation *invocation) {
    char path[64];
    char said[96];
    (void)snprintf(path, sizeof(path), "/webhooks/%s", invocation->arguments[0]);
    (void)snprintf(said, sizeof(said), "Webhook %s is forgotten.", invocation->arguments[0]);
    return command_do(invocation, "DELETE", path, said);
}

int command_webhook_test(const struct invocation *invocation) {
    char path[64];
    char said[128];
    (void)snprintf(path, sizeof(path), "/webhooks/%s/test", invocation->arguments[0]);
    (void)snprintf(said, sizeof(said),
                   "A test is on its way; webhook deliveries %s says what comes of it.",
                   invocation->arguments[0]);
    return command_do(invocation, "POST", path, said);
}

static const struct column delivery_columns[] = {
    {.title = "id", .path = "id", .kind = CELL_NUMBER},
    {.title = "event", .path = "event"},
    {.title = "state", .path = "state"},
    {.title = "tries", .path = "attempts", .kind = CELL_NUMBER, .rank = 4},
    {.title = "stored", .path = "created_at", .kind = CELL_TIME, .rank = 2},
    {.title = "next try", .path = "next_try_at", .kind = CELL_TIME, .rank = 3},
    {.title = "ended", .path = "ended_at", .kind = CELL_TIME, .rank = WIDE},
    {.title = "status", .path = "http_status", .kind = CELL_NUMBER, .rank = 5},
    {.title = "facts", .path = "facts", .rank = WIDE},
    {.title = "error", .path = "error", .rank = 1, .elastic = true},
};

int command_webhook_deliveries(const struct invocation *invocation) {
    struct invocation of_list = *invocation;
    char path[64];
    (void)snprintf(path, sizeof(path), "/webhooks/%s/deliveries", invocation->arguments[0]);
    of_list.arguments++;
    of_list.n--;
    return table_ask_with(&of_list, path, delivery_columns,
                          sizeof(delivery_columns) / sizeof(delivery_columns[0]));
}

/* ---- links ---- */

static const struct column link_columns[] = {
    {.title = "id", .path = "id", .kind = CELL_NUMBER},
    {.title = "owner", .path = "owner", .elastic = true},
    {.title = "created", .path = "created_at", .kind = CELL_TIME, .rank = 1},
    {.title = "expires", .path = "expires_at", .kind = CELL_TIME},
};

int command_link_list(const struct invocation *invocation) {
    char path[64];
    (void)snprintf(path, sizeof(path), "/sweeps/%s/links", invocation->arguments[0]);
    return table_ask(invocation, path, link_columns,
                     sizeof(link_columns) / sizeof(link_columns[0]));
}

int command_link_create(const struct invocation *invocation) {
    CLEANUP(free_pointer) char *body = NULL;
    struct error error;
    char path[64];
    if (values_to_object(invocation->arguments + 1, invocation->n - 1, NULL, &body, &error) !=
        STATUS_OK) {
        return command_refuse(&error);
    }
    (void)snprintf(path, sizeof(path), "/sweeps/%s/links", invocation->arguments[0]);
    const struct call call = {.method = "POST", .path = path, .body = body};
    CLEANUP(answer_clear) struct answer answer = {.http_status = 0};
    int exit_status = EXIT_DONE;
    if (command_ask_to_print(invocation, &call, &answer, &exit_status)) {
        (void)printf("%s%s\nIt is good until %s; its secret is shown only now.\n",
                     invocation->client->origin, json_text(answer.json, "url", "?"),
                     json_text(answer.json, "expires_at", "?"));
    }
    return exit_status;
}

int command_link_delete(const struct invocation *invocation) {
    char path[64];
    char said[96];
    (void)snprintf(path, sizeof(path), "/links/%s", invocation->arguments[0]);
    (void)snprintf(said, sizeof(said), "Link %s is withdrawn.", invocation->arguments[0]);
    return command_do(invocation, "DELETE", path, said);
}
