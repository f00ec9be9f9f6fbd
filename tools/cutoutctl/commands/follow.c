/* log and events: what happened, and what happens. Layer: tools. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "core/base/text_stream.h"
#include "daemon/spec/json_tree.h"
#include "tools/cutoutctl/event_stream.h"

enum { PATH_SIZE = 64 };

struct listener {
    const struct invocation *invocation;
    bool of_log;        /* lines are those of the log, which comes first */
    struct answer log;  /* what of it was printed */
    const char *not_in; /* the log, as long as an event may be in it as well; NULL */
    bool ended;         /* the stream said so */
    int exit_status;    /* not EXIT_DONE: it is over for this reason */
};

/* ---- lines ---- */

static void put_labels(FILE *out, const cJSON *data) {
    CLEANUP(free_pointer)
    char *labels = json_print(cJSON_GetObjectItemCaseSensitive(data, "labels"));
    (void)fprintf(out, ", labels %s", labels ? labels : "{}");
}

/* As GET /runs/{id}/log writes it, behind its time. */
static void put_event(FILE *out, const char *event, const cJSON *data) {
    const char *reason = json_text(data, "reason", NULL);
    if (strcmp(event, "state") == 0) {
        (void)fprintf(out, "%s, attempt %.0f%s%s", json_text(data, "state", "?"),
                      json_number(data, "attempt", 0), reason ? ": " : "", reason ? reason : "");
    } else if (strcmp(event, "epoch") == 0) {
        (void)fprintf(out,
                      "epoch %.0f: training loss %.4f, validation error %.4f (%.0f of %.0f), "
                      "%.1f s",
                      json_number(data, "epoch", 0), json_number(data, "train_loss", 0),
                      json_number(data, "val_error", 0), json_number(data, "val_wrong", 0),
                      json_number(data, "val_total", 0), json_number(data, "seconds", 0));
    } else if (strcmp(event, "checkpoint") == 0) {
        double epochs = json_number(data, "epochs_done", 0);
        double steps = json_number(data, "step", 0);
        (void)fprintf(out, "checkpoint %s: %.0f epoch%s and %.0f step%s",
                      json_text(data, "kind", "?"), epochs, epochs == 1 ? "" : "s", steps,
                      steps == 1 ? "" : "s");
    } else {
        (void)fprintf(out, "changed: priority %.0f, name \"%s\"", json_number(data, "priority", 0),
                      json_text(data, "name", ""));
        put_labels(out, data);
    }
}

/* NULL: no memory. */
static char *event_line(const struct listener *listener, const struct stream_event *event) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = text_stream_open(&text, &size);
    if (!out) {
        return NULL;
    }
    (void)fputs(json_text(event->data, "at", ""), out);
    if (listener->of_log) {
        (void)fputc(' ', out);
    } else {
        (void)fprintf(out, "  run %s  ", json_text(event->data, "run", "?"));
    }
    put_event(out, event->name, event->data);
    return text_stream_close(out, &text);
}

/* ---- the log ---- */

static bool ask_log(struct listener *listener) {
    const struct invocation *invocation = listener->invocation;
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof(path), "/runs/%s/log?limit=5000", invocation->arguments[0]);
    const struct call call = {.method = "GET", .path = path, .text = true};
    if (!command_ask(invocation->client, &call, &listener->log, &listener->exit_status)) {
        return false;
    }
    answer_print_text(&listener->log);
    return true;
}

/* ---- the stream ---- */

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

/* The log is asked for behind the snapshot, so what happens in between comes twice: an event whose
 * line is in the log was printed with it. What is not there is newer, as is all behind it. */
static void tell(struct listener *listener, const struct stream_event *event) {
    CLEANUP(free_pointer) char *line = event_line(listener, event);
    if (!line) {
        command_complain("no memory");
    } else if (!listener->not_in || !strstr(listener->not_in, line)) {
        listener->not_in = NULL;
        (void)puts(line);
    }
}

static bool hear(void *user, const struct stream_event *event) {
    struct listener *listener = user;
    if (listener->of_log && !listener->log.body && strcmp(event->name, "snapshot") == 0) {
        if (!ask_log(listener)) {
            return false;
        }
        listener->not_in = listener->log.body;
    } else if (listener->invocation->output == OUTPUT_JSON) {
        CLEANUP(free_pointer) char *text = json_print(event->json);
        (void)puts(text ? text : "");
    } else if (is_told(event->name)) {
        tell(listener, event);
    } else if (strcmp(event->name, "resync") == 0) {
        command_complain("too much happened at once: events are missing here");
    }
    listener->ended = strcmp(event->name, "end") == 0;
    return fflush(stdout) == 0 && !listener->ended;
}

static int follow(struct listener *listener, const char *path) {
    const struct event_stream stream = {.client = listener->invocation->client,
                                        .path = path,
                                        .resumes = true,
                                        .handler = hear,
                                        .user = listener};
    if (listener->invocation->client->print_curl) {
        event_stream_print_curl(&stream);
        return EXIT_DONE;
    }
    int exit_status = (int)event_stream_follow(&stream);
    if (exit_status != EXIT_DONE || listener->ended) {
        return exit_status;
    }
    return listener->exit_status != EXIT_DONE ? listener->exit_status : EXIT_TROUBLE;
}

int command_log(const struct invocation *invocation) {
    struct listener listener = {.invocation = invocation, .of_log = true};
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof(path), "/runs/%s/events", invocation->arguments[0]);
    if (!invocation->follow || invocation->client->print_curl) {
        (void)ask_log(&listener);
    }
    if (invocation->follow) {
        listener.exit_status = follow(&listener, path);
    }
    answer_clear(&listener.log);
    return listener.exit_status;
}

int command_events(const struct invocation *invocation) {
    struct listener listener = {.invocation = invocation};
    char path[PATH_SIZE] = "/events";
    if (invocation->n > 0) {
        (void)snprintf(path, sizeof(path), "/runs/%s/events", invocation->arguments[0]);
    }
    return follow(&listener, path);
}
