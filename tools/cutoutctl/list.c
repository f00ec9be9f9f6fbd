/* list, show and queue. Layer: tools. */
#include <stdio.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "tools/cutoutctl/command.h"
#include "tools/cutoutctl/values.h"

static void print_error_ratio(const cJSON *run, const char *name) {
    double error = json_number(cJSON_GetObjectItemCaseSensitive(run, name), "val_error", -1);
    if (error < 0) {
        (void)printf("  %6s", "-");
    } else {
        (void)printf("  %6.4f", error);
    }
}

static void print_run(const cJSON *run) {
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(run, "config");
    config = config ? config : run;
    char epochs[32];
    (void)snprintf(epochs, sizeof(epochs), "%.0f/%.0f", json_number(run, "epochs_done", 0),
                   json_number(config, "epochs", 0));
    (void)printf("%6s  %-9s  %4.0f  %6.0f  %6.0f  %9s", json_text(run, "id", "?"),
                 json_text(run, "state", "?"), json_number(config, "m", 0),
                 json_number(config, "cutout_size", 0), json_number(config, "seed", 0), epochs);
    print_error_ratio(run, "best");
    print_error_ratio(run, "last");
    (void)printf("  %s\n", json_text(run, "name", ""));
}

int command_list(const struct invocation *invocation) {
    CLEANUP(free_pointer) char *query = NULL;
    CLEANUP(free_pointer) char *path = NULL;
    struct error error;
    if (values_to_query(invocation->arguments, invocation->n, &query, &error) != STATUS_OK) {
        command_complain(error.message);
        return EXIT_USAGE;
    }
    if (asprintf(&path, "/runs%s", query) < 0) {
        path = NULL;
        return EXIT_TROUBLE;
    }
    const struct call call = {.method = "GET", .path = path};
    CLEANUP(answer_clear) struct answer answer;
    int exit_status = EXIT_DONE;
    if (!command_ask_to_print(invocation, &call, &answer, &exit_status)) {
        return exit_status;
    }
    if (!invocation->quiet) {
        (void)printf("%6s  %-9s  %4s  %6s  %6s  %9s  %6s  %6s  %s\n", "id", "state", "m", "cutout",
                     "seed", "epochs", "best", "last", "name");
    }
    const cJSON *run = NULL;
    cJSON_ArrayForEach(run, cJSON_GetObjectItemCaseSensitive(answer.json, "items")) {
        if (invocation->quiet) {
            (void)printf("%s\n", json_text(run, "id", "?"));
        } else {
            print_run(run);
        }
    }
    const char *cursor = json_text(answer.json, "next_cursor", NULL);
    if (cursor && !invocation->quiet) {
        (void)fflush(stdout);
        (void)fprintf(stderr, "There are more: add limit=500, or cursor=%s.\n", cursor);
    }
    return EXIT_DONE;
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
            CLEANUP(free_pointer) char *text = cJSON_PrintUnformatted(item);
            (void)printf("%-28s %s\n", key, text ? text : "");
        }
    }
}

int command_show(const struct invocation *invocation) {
    char path[64];
    (void)snprintf(path, sizeof(path), "/runs/%s", invocation->arguments[0]);
    const struct call call = {.method = "GET", .path = path};
    CLEANUP(answer_clear) struct answer answer;
    int exit_status = EXIT_DONE;
    if (command_ask_to_print(invocation, &call, &answer, &exit_status)) {
        print_flat("", answer.json);
    }
    return exit_status;
}

/* queue */

static void print_waiting(const cJSON *items) {
    const cJSON *item = NULL;
    char label[LABEL_SIZE];
    cJSON_ArrayForEach(item, items) {
        const cJSON *run = cJSON_GetObjectItemCaseSensitive(item, "run");
        char place[16] = " held";
        double position = json_number(item, "position", 0);
        if (position > 0) {
            (void)snprintf(place, sizeof(place), "%4.0f.", position);
        }
        (void)printf("%s  %s  (priority %.0f)  %s\n", place, run_label(run, label),
                     json_number(run, "priority", 0), json_text(item, "why_waiting", ""));
    }
}

static void print_running(const cJSON *items) {
    const cJSON *item = NULL;
    char label[LABEL_SIZE];
    cJSON_ArrayForEach(item, items) {
        const cJSON *run = cJSON_GetObjectItemCaseSensitive(item, "run");
        (void)printf("  now  %s  %.0f of %.0f epochs done\n", run_label(run, label),
                     json_number(run, "epochs_done", 0), json_number(run, "epochs", 0));
    }
}

int command_queue(const struct invocation *invocation) {
    const struct call call = {.method = "GET", .path = "/queue"};
    CLEANUP(answer_clear) struct answer answer;
    int exit_status = EXIT_DONE;
    if (!command_ask_to_print(invocation, &call, &answer, &exit_status)) {
        return exit_status;
    }
    const cJSON *scheduler = cJSON_GetObjectItemCaseSensitive(answer.json, "scheduler");
    (void)printf("The scheduler is %s, %.0f of %.0f workers train, %.0f runs wait.\n",
                 json_text(scheduler, "state", "?"), json_number(scheduler, "running_runs", 0),
                 json_number(scheduler, "workers", 0), json_number(answer.json, "queued", 0));
    print_running(cJSON_GetObjectItemCaseSensitive(answer.json, "running"));
    print_waiting(cJSON_GetObjectItemCaseSensitive(answer.json, "items"));
    if (json_text(answer.json, "next_cursor", NULL)) {
        (void)puts("  ...");
    }
    return EXIT_DONE;
}
