/* compare: groups of runs as a table. Layer: tools. */
#include <stdio.h>

#include "core/base/cleanup.h"
#include "tools/cutoutctl/table.h"
#include "tools/cutoutctl/values.h"

static const struct column group_columns[] = {
    {.title = "group", .path = "label", .elastic = true},
    {.title = "runs", .path = "n", .kind = CELL_NUMBER, .rank = 3},
    {.title = "diverged", .path = "n_diverged", .kind = CELL_NUMBER, .rank = 6},
    {.title = "best", .path = "best.mean", .kind = CELL_ERROR},
    {.title = "std", .path = "best.std", .kind = CELL_ERROR, .rank = 1},
    {.title = "min", .path = "best.min", .kind = CELL_ERROR, .rank = 4},
    {.title = "max", .path = "best.max", .kind = CELL_ERROR, .rank = WIDE},
    {.title = "to target", .path = "to_target.seconds.mean", .kind = CELL_SECONDS, .rank = 2},
    {.title = "reached", .path = "to_target.seconds.n_reached", .kind = CELL_NUMBER, .rank = 5},
    {.title = "epochs to target",
     .path = "to_target.epochs.mean",
     .kind = CELL_NUMBER,
     .rank = WIDE},
    {.title = "images to target",
     .path = "to_target.images.mean",
     .kind = CELL_NUMBER,
     .rank = WIDE},
    {.title = "total", .path = "total_seconds.mean", .kind = CELL_SECONDS, .rank = 7},
    {.title = "images/s", .path = "images_per_second.mean", .kind = CELL_NUMBER, .rank = WIDE},
    {.title = "vs baseline", .path = "versus_baseline.mean", .kind = CELL_ERROR, .rank = 1},
};

int command_compare(const struct invocation *invocation) {
    CLEANUP(free_pointer) char *query = NULL;
    CLEANUP(free_pointer) char *path = NULL;
    struct error error;
    bool csv = invocation->output == OUTPUT_CSV;
    if (values_to_selection(invocation->arguments, invocation->n, &query, &error) != STATUS_OK) {
        return command_refuse(&error);
    }
    if (asprintf(&path, "/compare%s%s", query, csv ? "&format=csv" : "") < 0) {
        path = NULL;
        return EXIT_TROUBLE;
    }
    const struct call call = {.method = "GET", .path = path, .text = csv};
    CLEANUP(answer_clear) struct answer answer = {.http_status = 0};
    int exit_status = EXIT_DONE;
    if (!command_ask_to_print(invocation, &call, &answer, &exit_status)) {
        return exit_status;
    }
    if (csv) {
        answer_print_text(&answer);
        return EXIT_DONE;
    }
    const cJSON *groups = cJSON_GetObjectItemCaseSensitive(answer.json, "groups");
    (void)printf("%s, the best of each run:\n", json_text(answer.json, "metric", "?"));
    return table_print(invocation, group_columns, sizeof(group_columns) / sizeof(group_columns[0]),
                       groups)
               ? EXIT_DONE
               : EXIT_TROUBLE;
}
