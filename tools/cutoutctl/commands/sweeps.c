/* sweep list, show, and what is done to all runs of a sweep. Layer: tools. */
#include <stdio.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "core/base/time_text.h"
#include "tools/cutoutctl/table.h"

static const struct column sweep_columns[] = {
    {.title = "id", .path = "id", .kind = CELL_NUMBER},
    {.title = "runs", .path = "progress.runs", .kind = CELL_NUMBER, .rank = 4},
    {.title = "done", .path = "progress.fraction", .kind = CELL_PERCENT},
    {.title = "left", .path = "progress.eta_seconds", .kind = CELL_SECONDS},
    {.title = "running", .path = "progress.by_state.running", .kind = CELL_NUMBER, .rank = 5},
    {.title = "failed", .path = "progress.by_state.failed", .kind = CELL_NUMBER, .rank = 3},
    {.title = "queued", .path = "progress.by_state.queued", .kind = CELL_NUMBER, .rank = WIDE},
    {.title = "held", .path = "progress.by_state.held", .kind = CELL_NUMBER, .rank = WIDE},
    {.title = "paused", .path = "progress.by_state.paused", .kind = CELL_NUMBER, .rank = WIDE},
    {.title = "succeeded",
     .path = "progress.by_state.succeeded",
     .kind = CELL_NUMBER,
     .rank = WIDE},
    {.title = "canceled", .path = "progress.by_state.canceled", .kind = CELL_NUMBER, .rank = WIDE},
    {.title = "owner", .path = "owner", .rank = 6},
    {.title = "created", .path = "created_at", .kind = CELL_TIME, .rank = 7},
    {.title = "grid", .path = "spec.grid", .rank = WIDE},
    {.title = "name", .path = "name", .rank = 1, .elastic = true},
};

int command_sweep_list(const struct invocation *invocation) {
    return table_ask_with(invocation, "/sweeps", sweep_columns,
                          sizeof(sweep_columns) / sizeof(sweep_columns[0]));
}

static void print_sweep(const cJSON *sweep) {
    const cJSON *progress = cJSON_GetObjectItemCaseSensitive(sweep, "progress");
    const cJSON *item = NULL;
    const char *between = " ";
    char left[DURATION_SIZE];
    double eta = json_number(progress, "eta_seconds", -1);
    const char *name = json_text(sweep, "name", "");
    (void)printf("Sweep %s%s%s: %.0f%% of %.0f epochs done%s%s\n", json_text(sweep, "id", "?"),
                 name[0] ? " " : "", name, 100 * json_number(progress, "fraction", 0),
                 json_number(progress, "epochs_total", 0), eta > 0 ? ", left: " : "",
                 eta > 0 ? duration_format(eta, left) : "");
    (void)printf("%.0f runs:", json_number(progress, "runs", 0));
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(progress, "by_state")) {
        if (cJSON_IsNumber(item) && item->valuedouble > 0) {
            (void)printf("%s%.0f %s", between, item->valuedouble, item->string);
            between = ", ";
        }
    }
    (void)printf("\nIds:");
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(sweep, "runs")) {
        const char *id = cJSON_GetStringValue(item);
        (void)printf(" %s", id ? id : "?");
    }
    (void)printf("\n");
}

int command_sweep_show(const struct invocation *invocation) {
    char path[64];
    (void)snprintf(path, sizeof(path), "/sweeps/%s", invocation->arguments[0]);
    const struct call call = {.method = "GET", .path = path};
    CLEANUP(answer_clear) struct answer answer = {.http_status = 0};
    int exit_status = EXIT_DONE;
    if (command_ask_to_print(invocation, &call, &answer, &exit_status)) {
        print_sweep(answer.json);
    }
    return exit_status;
}

/* What came of the runs; those that the action makes no sense for were left alone. */
static int say_outcomes(const struct invocation *invocation, const cJSON *answer) {
    const cJSON *item = NULL;
    double succeeded = json_number(answer, "succeeded", 0);
    double failed = json_number(answer, "failed", 0);
    double skipped = json_number(answer, "skipped", 0);
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(answer, "items")) {
        const cJSON *problem = cJSON_GetObjectItemCaseSensitive(item, "problem");
        if (problem) {
            command_print_problem(problem, (long)json_number(item, "status", 0));
        }
    }
    (void)printf("Sweep %s: %s of %.0f runs", invocation->arguments[0], invocation->verb,
                 succeeded);
    if (failed > 0) {
        (void)printf(", %.0f refused", failed);
    }
    if (skipped > 0) {
        (void)printf(", for %.0f it makes no sense", skipped);
    }
    (void)puts(".");
    return failed > 0 ? EXIT_REFUSED : EXIT_DONE;
}

int command_sweep_act(const struct invocation *invocation) {
    bool is_delete = strcmp(invocation->verb, "delete") == 0;
    char path[96];
    char said[96];
    (void)snprintf(path, sizeof(path), "/sweeps/%s%s%s", invocation->arguments[0],
                   is_delete ? "" : "/", is_delete ? "" : invocation->verb);
    if (is_delete) {
        (void)snprintf(said, sizeof(said), "Sweep %s is deleted.", invocation->arguments[0]);
        return command_do(invocation, "DELETE", path, said);
    }
    const struct call call = {.method = "POST", .path = path};
    CLEANUP(answer_clear) struct answer answer = {.http_status = 0};
    int exit_status = EXIT_DONE;
    if (!command_ask_to_print(invocation, &call, &answer, &exit_status)) {
        bool refused = answer.json && json_number(answer.json, "failed", 0) > 0;
        return exit_status == EXIT_DONE && refused ? EXIT_REFUSED : exit_status;
    }
    return say_outcomes(invocation, answer.json);
}
