/* scheduler, owners, audit, token, purge and backup: the server itself. Layer: tools. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "tools/cutoutctl/table.h"
#include "tools/cutoutctl/values.h"

static int ask_scheduler(const struct invocation *invocation, const struct call *call) {
    CLEANUP(answer_clear) struct answer answer = {.http_status = 0};
    int exit_status = EXIT_DONE;
    if (!command_ask_to_print(invocation, call, &answer, &exit_status)) {
        return exit_status;
    }
    bool quiet = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer.json, "quiet"));
    (void)printf("The scheduler is %s, %.0f of %.0f workers train.%s\n",
                 json_text(answer.json, "state", "?"), json_number(answer.json, "running_runs", 0),
                 json_number(answer.json, "workers", 0),
                 quiet ? " Quiet hours: nothing trains here." : "");
    return EXIT_DONE;
}

int command_scheduler(const struct invocation *invocation) {
    const struct call call = {.method = "GET", .path = "/scheduler"};
    return ask_scheduler(invocation, &call);
}

int command_scheduler_turn(const struct invocation *invocation) {
    const struct call call = {.method = "POST",
                              .path = strcmp(invocation->verb, "drain") == 0 ? "/scheduler/drain"
                                                                             : "/scheduler/resume"};
    return ask_scheduler(invocation, &call);
}

int command_scheduler_workers(const struct invocation *invocation) {
    const char *number = invocation->arguments[0];
    struct error error;
    char body[64];
    if (number[0] < '1' || number[0] > '9' || strspn(number, "0123456789") != strlen(number) ||
        strlen(number) > 9) {
        (void)error_set(&error, STATUS_INVALID, "\"%.40s\" is no number of workers", number);
        return command_refuse(&error);
    }
    (void)snprintf(body, sizeof(body), "{\"workers\":%s}", number);
    const struct call call = {.method = "PATCH", .path = "/scheduler", .body = body};
    return ask_scheduler(invocation, &call);
}

static const struct column owner_columns[] = {
    {.title = "owner", .path = "owner", .elastic = true},
    {.title = "running", .path = "running", .kind = CELL_NUMBER, .rank = 1},
    {.title = "queued", .path = "queued", .kind = CELL_NUMBER, .rank = 2},
    {.title = "held", .path = "held", .kind = CELL_NUMBER, .rank = 6},
    {.title = "core-h day", .path = "core_seconds.day", .kind = CELL_HOURS, .rank = 3},
    {.title = "week", .path = "core_seconds.week", .kind = CELL_HOURS, .rank = 4},
    {.title = "month", .path = "core_seconds.month", .kind = CELL_HOURS, .rank = 5},
    {.title = "recent", .path = "core_seconds.recent", .kind = CELL_HOURS, .rank = WIDE},
    {.title = "disk", .path = "checkpoint_bytes", .kind = CELL_BYTES, .rank = 3},
    {.title = "max running", .path = "limits.max_running", .kind = CELL_NUMBER, .rank = WIDE},
    {.title = "max queued", .path = "limits.max_queued", .kind = CELL_NUMBER, .rank = WIDE},
    {.title = "max priority", .path = "limits.max_priority", .kind = CELL_NUMBER, .rank = WIDE},
    {.title = "max disk", .path = "limits.max_checkpoint_bytes", .kind = CELL_BYTES, .rank = WIDE},
};

int command_owners(const struct invocation *invocation) {
    return table_ask_with(invocation, "/owners", owner_columns,
                          sizeof(owner_columns) / sizeof(owner_columns[0]));
}

static const struct column audit_columns[] = {
    {.title = "time", .path = "at", .kind = CELL_TIME},
    {.title = "owner", .path = "owner", .elastic = true},
    {.title = "peer", .path = "peer", .rank = 3},
    {.title = "request", .path = "request", .rank = 1, .elastic = true},
    {.title = "subject", .path = "subject", .rank = WIDE},
    {.title = "id", .path = "subject_id", .rank = WIDE},
    {.title = "request id", .path = "request_id", .rank = WIDE},
    {.title = "before", .path = "before", .rank = WIDE},
    {.title = "after", .path = "after", .rank = 2, .elastic = true},
};

int command_audit(const struct invocation *invocation) {
    return table_ask_with(invocation, "/audit", audit_columns,
                          sizeof(audit_columns) / sizeof(audit_columns[0]));
}

int command_token(const struct invocation *invocation) {
    const struct client *client = invocation->client;
    const struct call call = {.method = "GET", .path = "/token"};
    CLEANUP(answer_clear) struct answer answer = {.http_status = 0};
    int exit_status = EXIT_DONE;
    if (!command_ask_to_print(invocation, &call, &answer, &exit_status)) {
        return exit_status;
    }
    const char *owner = json_text(answer.json, "owner", NULL);
    const char *expires = json_text(answer.json, "expires_at", NULL);
    if (owner) {
        (void)printf("The token of %s %s is %s's",
                     client->token_in_file ? "the file" : "the variable",
                     client->token ? client->token_from : "?", owner);
    } else {
        (void)printf("%s wants no token here: everybody", client->origin);
    }
    (void)printf(owner ? " and may %s" : " may %s", json_text(answer.json, "scope", "?"));
    (void)printf(expires ? ", until %s.\n" : owner ? "; it does not expire.\n" : ".\n", expires);
    return EXIT_DONE;
}

/* ---- purge ---- */

static bool ask_purge(const struct invocation *invocation, bool dry_run, struct answer *answer,
                      int *ret_exit) {
    char body[96];
    (void)snprintf(body, sizeof(body), "{\"older_than_days\":%s,\"dry_run\":%s}",
                   invocation->arguments[0], dry_run ? "true" : "false");
    const struct call call = {.method = "POST", .path = "/admin/purge", .body = body};
    return command_ask_to_print(invocation, &call, answer, ret_exit);
}

static void say_purge(const cJSON *answer, const char *what) {
    double n_files = json_number(answer, "files", 0);
    double n_runs = json_number(answer, "runs", 0);
    (void)printf("%.0f checkpoint%s of %.0f run%s %s, %.1f MB.\n", n_files, n_files == 1 ? "" : "s",
                 n_runs, n_runs == 1 ? "" : "s", what, json_number(answer, "bytes", 0) / 1e6);
    (void)fflush(stdout);
}

/* What would go is told first. With -o json that is all, unless --yes is given. */
static bool is_purge_meant(const struct invocation *invocation, int *ret_exit) {
    CLEANUP(answer_clear) struct answer answer = {.http_status = 0};
    if (!ask_purge(invocation, true, &answer, ret_exit)) {
        return false;
    }
    say_purge(answer.json, "would go");
    *ret_exit = EXIT_DONE;
    return json_number(answer.json, "files", 0) > 0 &&
           command_confirm("Remove them?", "Nothing was removed", "with --yes they are", ret_exit);
}

int command_purge(const struct invocation *invocation) {
    const char *days = invocation->arguments[0];
    CLEANUP(answer_clear) struct answer answer = {.http_status = 0};
    struct error error;
    int exit_status = EXIT_DONE;
    if (strspn(days, "0123456789") != strlen(days) || strlen(days) > 9 || !days[0] ||
        (days[0] == '0' && days[1])) {
        (void)error_set(&error, STATUS_INVALID, "\"%.40s\" is no number of days", days);
        return command_refuse(&error);
    }
    bool ask = !invocation->yes && !invocation->client->print_curl;
    if (ask && !is_purge_meant(invocation, &exit_status)) {
        return exit_status;
    }
    if (ask_purge(invocation, false, &answer, &exit_status)) {
        say_purge(answer.json, "removed");
    }
    return exit_status;
}

int command_backup(const struct invocation *invocation) {
    CLEANUP(free_pointer) char *body = NULL;
    struct error error;
    if (values_to_object(invocation->arguments, invocation->n, NULL, &body, &error) != STATUS_OK) {
        return command_refuse(&error);
    }
    const struct call call = {.method = "POST", .path = "/admin/backup", .body = body};
    CLEANUP(answer_clear) struct answer answer = {.http_status = 0};
    int exit_status = EXIT_DONE;
    if (!command_ask_to_print(invocation, &call, &answer, &exit_status)) {
        return exit_status;
    }
    const cJSON *checkpoints = cJSON_GetObjectItemCaseSensitive(answer.json, "checkpoints");
    (void)printf("%s: %.0f bytes, SHA-256 %s", json_text(answer.json, "path", "?"),
                 json_number(answer.json, "bytes", 0), json_text(answer.json, "sha256", "?"));
    if (cJSON_IsObject(checkpoints)) {
        (void)printf("; %.0f checkpoints, %.0f bytes", json_number(checkpoints, "files", 0),
                     json_number(checkpoints, "bytes", 0));
    }
    (void)puts(".");
    return EXIT_DONE;
}
