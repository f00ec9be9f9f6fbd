/* submit and sweep. Layer: tools. */
#include <stdio.h>

#include "core/base/cleanup.h"
#include "core/base/time_text.h"
#include "tools/cutoutctl/command.h"
#include "tools/cutoutctl/values.h"

/* Says what a run without any field would be. false: that cannot be had. */
static bool say_what_starts(const struct invocation *invocation, int *ret_exit) {
    const struct call call = {.method = "POST", .path = "/runs?dry_run=true", .body = "{}"};
    CLEANUP(answer_clear) struct answer answer = {.http_status = 0};
    if (!command_ask(invocation->client, &call, &answer, ret_exit)) {
        return false;
    }
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(answer.json, "config");
    const cJSON *estimate = cJSON_GetObjectItemCaseSensitive(answer.json, "estimate");
    char duration[DURATION_SIZE];
    double seconds = json_number(estimate, "seconds", -1);
    double epochs = json_number(config, "epochs", 0);
    (void)fprintf(stderr,
                  "This would start ResNet-%.0f on %s by the preset %s: M=%.0f, cutout %.0f, "
                  "%.0f epoch%s, seed %.0f",
                  json_number(config, "depth", 0), json_text(config, "dataset", "?"),
                  json_text(config, "preset", "?"), json_number(config, "m", 0),
                  json_number(config, "cutout_size", 0), epochs, epochs == 1 ? "" : "s",
                  json_number(config, "seed", 0));
    (void)fprintf(stderr, seconds >= 0 ? "; about %s.\n" : "; how long is not known.\n",
                  duration_format(seconds, duration));
    return true;
}

/* Whether a run without any field is meant: on a terminal it is asked. */
static bool is_meant(const struct invocation *invocation, int *ret_exit) {
    if (!say_what_starts(invocation, ret_exit)) {
        return false;
    }
    return command_confirm("Start it?", "Nothing was started", "give a field, or --yes", ret_exit);
}

int command_submit(const struct invocation *invocation) {
    CLEANUP(free_pointer) char *body = NULL;
    struct error error;
    if (values_to_run(invocation->arguments, invocation->n, &body, &error) != STATUS_OK) {
        return command_refuse(&error);
    }
    const struct call call = {.method = "POST", .path = "/runs", .body = body, .once = true};
    CLEANUP(answer_clear) struct answer answer = {.http_status = 0};
    int exit_status = EXIT_DONE;
    bool ask = invocation->n == 0 && !invocation->yes && !invocation->client->print_curl;
    if (ask && !is_meant(invocation, &exit_status)) {
        return exit_status;
    }
    if (!command_ask_to_print(invocation, &call, &answer, &exit_status)) {
        return exit_status;
    }
    const char *id = json_text(answer.json, "id", "?");
    if (invocation->quiet) {
        (void)printf("%s\n", id);
    } else {
        const cJSON *config = cJSON_GetObjectItemCaseSensitive(answer.json, "config");
        double epochs = json_number(config, "epochs", 0);
        (void)printf("Run %s is %s: M=%.0f, cutout %.0f, %.0f epoch%s, seed %.0f.\n", id,
                     json_text(answer.json, "state", "?"), json_number(config, "m", 0),
                     json_number(config, "cutout_size", 0), epochs, epochs == 1 ? "" : "s",
                     json_number(config, "seed", 0));
    }
    return EXIT_DONE;
}

int command_sweep(const struct invocation *invocation) {
    CLEANUP(free_pointer) char *body = NULL;
    struct error error;
    if (values_to_sweep(invocation->arguments, invocation->n, &body, &error) != STATUS_OK) {
        return command_refuse(&error);
    }
    const struct call call = {.method = "POST", .path = "/sweeps", .body = body, .once = true};
    CLEANUP(answer_clear) struct answer answer = {.http_status = 0};
    int exit_status = EXIT_DONE;
    if (!command_ask_to_print(invocation, &call, &answer, &exit_status)) {
        return exit_status;
    }
    const cJSON *runs = cJSON_GetObjectItemCaseSensitive(answer.json, "runs");
    if (!invocation->quiet) {
        (void)printf("Sweep %s: %d runs,", json_text(answer.json, "id", "?"),
                     cJSON_GetArraySize(runs));
    }
    const cJSON *run = NULL;
    cJSON_ArrayForEach(run, runs) {
        const char *id = cJSON_GetStringValue(run);
        (void)printf(invocation->quiet ? "%s\n" : " %s", id ? id : "?");
    }
    if (!invocation->quiet) {
        (void)putchar('\n');
    }
    return EXIT_DONE;
}
