/* submit and sweep. Layer: tools. */
#include <stdio.h>

#include "core/base/cleanup.h"
#include "tools/cutoutctl/command.h"
#include "tools/cutoutctl/values.h"

static int refuse(const struct error *error) {
    command_complain(error->message);
    return error->code == STATUS_INVALID ? EXIT_USAGE : EXIT_TROUBLE;
}

int command_submit(const struct invocation *invocation) {
    CLEANUP(free_pointer) char *body = NULL;
    struct error error;
    if (values_to_run(invocation->arguments, invocation->n, &body, &error) != STATUS_OK) {
        return refuse(&error);
    }
    const struct call call = {.method = "POST", .path = "/runs", .body = body};
    CLEANUP(answer_clear) struct answer answer;
    int exit_status = EXIT_DONE;
    if (!command_ask_to_print(invocation, &call, &answer, &exit_status)) {
        return exit_status;
    }
    const char *id = json_text(answer.json, "id", "?");
    if (invocation->quiet) {
        (void)printf("%s\n", id);
    } else {
        const cJSON *config = cJSON_GetObjectItemCaseSensitive(answer.json, "config");
        (void)printf("Run %s is %s: M=%.0f, cutout %.0f, %.0f epochs, seed %.0f.\n", id,
                     json_text(answer.json, "state", "?"), json_number(config, "m", 0),
                     json_number(config, "cutout_size", 0), json_number(config, "epochs", 0),
                     json_number(config, "seed", 0));
    }
    return EXIT_DONE;
}

int command_sweep(const struct invocation *invocation) {
    CLEANUP(free_pointer) char *body = NULL;
    struct error error;
    if (values_to_sweep(invocation->arguments, invocation->n, &body, &error) != STATUS_OK) {
        return refuse(&error);
    }
    const struct call call = {.method = "POST", .path = "/sweeps", .body = body};
    CLEANUP(answer_clear) struct answer answer;
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
