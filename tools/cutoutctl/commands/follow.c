/* log and events: what happened, and what happens. Layer: tools. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/cleanup.h"
#include "tools/cutoutctl/command.h"

enum { TRIES = 6, ID_SIZE = 24 }; /* pauses of 1, 2, 4, 8, 16 seconds: a restart is survived */

int command_log(const struct invocation *invocation) {
    char path[64];
    (void)snprintf(path, sizeof(path), "/runs/%s/log?limit=5000", invocation->arguments[0]);
    const struct call call = {.method = "GET", .path = path, .text = true};
    CLEANUP(answer_clear) struct answer answer = {.http_status = 0};
    int exit_status = EXIT_DONE;
    if (command_ask(invocation->client, &call, &answer, &exit_status)) {
        answer_print_text(&answer);
    }
    return exit_status;
}

/* Where the stream was, so that it can be asked for again from there. */
struct listener {
    const struct invocation *invocation;
    char last_id[ID_SIZE]; /* "": none yet */
    bool heard;
    bool ended;
};

static void print_event(const char *event, const cJSON *data) {
    const char *reason = json_text(data, "reason", NULL);
    (void)printf("%s  run %s  ", json_text(data, "at", ""), json_text(data, "run", "?"));
    if (strcmp(event, "state") == 0) {
        (void)printf("%s, attempt %.0f%s%s\n", json_text(data, "state", "?"),
                     json_number(data, "attempt", 0), reason ? ": " : "", reason ? reason : "");
    } else if (strcmp(event, "epoch") == 0) {
        (void)printf(
            "epoch %.0f: training loss %.4f, validation error %.4f (%.0f of %.0f), %.1f s\n",
            json_number(data, "epoch", 0), json_number(data, "train_loss", 0),
            json_number(data, "val_error", 0), json_number(data, "val_wrong", 0),
            json_number(data, "val_total", 0), json_number(data, "seconds", 0));
    } else if (strcmp(event, "checkpoint") == 0) {
        (void)printf("checkpoint %s: %.0f epochs and %.0f steps\n", json_text(data, "kind", "?"),
                     json_number(data, "epochs_done", 0), json_number(data, "step", 0));
    } else {
        (void)printf("changed: priority %.0f, name \"%s\"\n", json_number(data, "priority", 0),
                     json_text(data, "name", ""));
    }
}

/* Whether it is one that log has as well, and not of the stream itself. */
static bool is_told(const char *event) {
    static const char *const told[] = {"state", "epoch", "checkpoint", "edit"};
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
        if (strcmp(event, told[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool hear_line(void *user, const char *line) {
    struct listener *listener = user;
    cJSON *json = json_parse_foreign(line, strlen(line));
    const char *event = json_text(json, "event", "");
    const char *id = json_text(json, "id", NULL);
    listener->heard = true;
    if (id) {
        (void)snprintf(listener->last_id, sizeof(listener->last_id), "%s", id);
    }
    if (listener->invocation->output == OUTPUT_JSON) {
        CLEANUP(free_pointer) char *text = cJSON_PrintUnformatted(json);
        (void)puts(text ? text : "");
    } else if (is_told(event)) {
        print_event(event, cJSON_GetObjectItemCaseSensitive(json, "data"));
    } else if (strcmp(event, "resync") == 0) {
        command_complain("too much happened at once: events are missing here");
    }
    listener->ended = strcmp(event, "end") == 0;
    cJSON_Delete(json);
    return fflush(stdout) == 0 && !listener->ended;
}

int command_events(const struct invocation *invocation) {
    struct listener listener = {.invocation = invocation};
    bool of_run = invocation->n > 0;
    for (int n_failed = 0; n_failed < TRIES;) {
        char path[128];
        (void)snprintf(path, sizeof(path), "%s%s/events?format=ndjson%s%s", of_run ? "/runs/" : "",
                       of_run ? invocation->arguments[0] : "", listener.last_id[0] ? "&since=" : "",
                       listener.last_id);
        const struct call call = {.method = "GET", .path = path, .stream = true};
        struct error error;
        if (invocation->client->print_curl) {
            client_print_curl(invocation->client, &call);
            return EXIT_DONE;
        }
        listener.heard = false;
        enum status status = client_stream(invocation->client, &call, hear_line, &listener, &error);
        if (status == STATUS_STOPPED) {
            return listener.ended ? EXIT_DONE : EXIT_TROUBLE;
        }
        if (status == STATUS_INVALID) {
            command_complain(error.message);
            return EXIT_REFUSED;
        }
        n_failed = listener.heard ? 1 : n_failed + 1;
        if (n_failed == TRIES) {
            command_complain(status == STATUS_OK ? "the daemon ends every stream at once"
                                                 : error.message);
            break;
        }
        const struct timespec pause = {.tv_sec = 1 << (n_failed - 1)};
        (void)nanosleep(&pause, NULL);
    }
    return EXIT_TROUBLE;
}
