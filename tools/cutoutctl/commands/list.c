/* list, show and queue. Layer: tools. */
#include <stdio.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "daemon/spec/json_tree.h"
#include "tools/cutoutctl/command.h"
#include "tools/cutoutctl/table.h"
#include "tools/cutoutctl/values.h"

static double epochs_of(const cJSON *run) {
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(run, "config");
    return json_number(config ? config : run, "epochs", -1);
}

/* Of its epochs, the begun one too. */
static double fraction_done(const cJSON *run) {
    double epochs = epochs_of(run);
    double done = json_number(run, "epochs_done", -1);
    const cJSON *progress = cJSON_GetObjectItemCaseSensitive(run, "progress");
    double steps = json_number(progress, "steps_per_epoch", 0);
    if (steps > 0) {
        double inside =
            json_number(progress, "epoch", 1) - 1 + json_number(progress, "step", 0) / steps;
        done = inside > done ? inside : done;
    }
    return epochs > 0 && done >= 0 ? done / epochs : -1;
}

static const struct column run_columns[] = {
    {.title = "id", .path = "id", .kind = CELL_NUMBER},
    {.title = "state", .path = "state", .rank = 3},
    {.title = "done", .number = fraction_done, .kind = CELL_PERCENT},
    {.title = "left", .path = "progress.eta_seconds", .kind = CELL_SECONDS},
    {.title = "best", .path = "best.val_error", .kind = CELL_ERROR},
    {.title = "last", .path = "last.val_error", .kind = CELL_ERROR, .rank = 5},
    {.title = "m", .path = "config.m", .kind = CELL_NUMBER, .rank = 6},
    {.title = "cutout", .path = "config.cutout_size", .kind = CELL_NUMBER, .rank = 7},
    {.title = "seed", .path = "config.seed", .kind = CELL_NUMBER, .rank = 8},
    {.title = "epochs", .number = epochs_of, .kind = CELL_NUMBER, .rank = WIDE},
    {.title = "dataset", .path = "config.dataset", .rank = WIDE},
    {.title = "preset", .path = "config.preset", .rank = WIDE},
    {.title = "optimizer", .path = "config.optimizer", .rank = WIDE},
    {.title = "lr", .path = "config.lr", .kind = CELL_NUMBER, .rank = WIDE},
    {.title = "priority", .path = "priority", .kind = CELL_NUMBER, .rank = WIDE},
    {.title = "owner", .path = "owner", .rank = WIDE},
    {.title = "sweep", .path = "sweep", .kind = CELL_NUMBER, .rank = WIDE},
    {.title = "seconds", .path = "train_seconds", .kind = CELL_SECONDS, .rank = WIDE},
    {.title = "created", .path = "created_at", .kind = CELL_TIME, .rank = WIDE},
    {.title = "finished", .path = "finished_at", .kind = CELL_TIME, .rank = WIDE},
    {.title = "labels", .path = "labels", .rank = WIDE},
    {.title = "name", .path = "name", .rank = 1, .elastic = true},
};

int command_list(const struct invocation *invocation) {
    return table_ask_with(invocation, "/runs", run_columns,
                          sizeof(run_columns) / sizeof(run_columns[0]));
}

/* show: one line a value, "config.m  8". */
static void print_flat(const char *prefix, const cJSON *object) {
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, object) {
        char key[128];
        (void)snprintf(key, sizeof(key), "%s%s%s", prefix, prefix[0] ? "." : "", item->string);
        if (cJSON_IsNull(item) || strcmp(key, "links") == 0) {
            continue;
        }
        if (cJSON_IsObject(item)) {
            print_flat(key, item);
        } else if (cJSON_IsString(item)) {
            (void)printf("%-28s %s\n", key, item->valuestring);
        } else {
            CLEANUP(free_pointer) char *text = json_print(item);
            (void)printf("%-28s %s\n", key, text ? text : "");
        }
    }
}

int command_show(const struct invocation *invocation) {
    char path[64];
    (void)snprintf(path, sizeof(path), "/runs/%s", invocation->arguments[0]);
    const struct call call = {.method = "GET", .path = path};
    CLEANUP(answer_clear) struct answer answer = {.http_status = 0};
    int exit_status = EXIT_DONE;
    if (command_ask_to_print(invocation, &call, &answer, &exit_status)) {
        print_flat("", answer.json);
    }
    return exit_status;
}

/* queue */

/* Of what trains. */
static double queue_fraction(const cJSON *item) {
    const cJSON *run = cJSON_GetObjectItemCaseSensitive(item, "run");
    double epochs = json_number(run, "epochs", 0);
    return epochs > 0 ? json_number(run, "epochs_done", 0) / epochs : -1;
}

/* What trains has no place yet, what is held none at all. */
static const struct column queue_columns[] = {
    {.title = "place", .path = "position", .kind = CELL_NUMBER},
    {.title = "id", .path = "run.id", .kind = CELL_NUMBER},
    {.title = "done", .number = queue_fraction, .kind = CELL_PERCENT, .rank = 4},
    {.title = "left", .path = "progress.eta_seconds", .kind = CELL_SECONDS, .rank = 2},
    {.title = "priority", .path = "run.priority", .kind = CELL_NUMBER, .rank = 7},
    {.title = "owner", .path = "run.owner", .rank = 6},
    {.title = "m", .path = "run.m", .kind = CELL_NUMBER, .rank = WIDE},
    {.title = "cutout", .path = "run.cutout_size", .kind = CELL_NUMBER, .rank = WIDE},
    {.title = "epochs", .path = "run.epochs", .kind = CELL_NUMBER, .rank = WIDE},
    {.title = "starts", .path = "expected_start_at", .kind = CELL_TIME, .rank = 8},
    {.title = "name", .path = "run.name", .rank = 1, .elastic = true},
    {.title = "why", .path = "why_waiting", .rank = 3, .elastic = true},
};

/* What trains, then what waits, as one list. */
static bool print_queue(const struct invocation *invocation, cJSON *answer) {
    cJSON *rows = cJSON_DetachItemFromObjectCaseSensitive(answer, "running");
    cJSON *waiting = cJSON_GetObjectItemCaseSensitive(answer, "items");
    while (rows && waiting && waiting->child) {
        (void)cJSON_AddItemToArray(rows, cJSON_DetachItemFromArray(waiting, 0));
    }
    bool good = table_print(invocation, queue_columns,
                            sizeof(queue_columns) / sizeof(queue_columns[0]), rows);
    cJSON_Delete(rows);
    return good;
}

int command_queue(const struct invocation *invocation) {
    CLEANUP(free_pointer) char *query = NULL;
    CLEANUP(free_pointer) char *path = NULL;
    struct error error;
    if (values_to_query(invocation->arguments, invocation->n, &query, &error) != STATUS_OK) {
        return command_refuse(&error);
    }
    if (asprintf(&path, "/queue%s", query) < 0) {
        path = NULL;
        return EXIT_TROUBLE;
    }
    const struct call call = {.method = "GET", .path = path};
    CLEANUP(answer_clear) struct answer answer = {.http_status = 0};
    int exit_status = EXIT_DONE;
    if (!command_ask_to_print(invocation, &call, &answer, &exit_status)) {
        return exit_status;
    }
    const cJSON *scheduler = cJSON_GetObjectItemCaseSensitive(answer.json, "scheduler");
    const char *quiet_until = json_text(scheduler, "quiet_until", NULL);
    bool quiet = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(scheduler, "quiet"));
    if (invocation->output != OUTPUT_CSV) {
        (void)printf(
            "The scheduler is %s, %.0f of %.0f workers train, %.0f runs wait, %.0f are held.\n",
            json_text(scheduler, "state", "?"), json_number(scheduler, "running_runs", 0),
            json_number(scheduler, "workers", 0), json_number(answer.json, "queued", 0),
            json_number(answer.json, "held", 0));
        if (quiet) {
            (void)printf("Quiet hours: nothing trains here%s%s.\n", quiet_until ? " until " : "",
                         quiet_until ? quiet_until : "");
        }
    }
    if (!print_queue(invocation, answer.json)) {
        return EXIT_TROUBLE;
    }
    const char *cursor = json_text(answer.json, "next_cursor", NULL);
    if (cursor) {
        (void)fflush(stdout);
        (void)fprintf(stderr, "There are more: add limit=500, or cursor=%s.\n", cursor);
    }
    return EXIT_DONE;
}
