/* watch and wait: follow runs through the stream of events until all have ended. Layer: tools.
 *
 * The stream of everything is asked for once. Whenever it gives a snapshot (at its start, and after
 * it could not keep up) or a heartbeat (now and then), each run is asked for, so that a run that
 * was deleted is noticed too; in between the events say what happens.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "daemon/spec/json_tree.h"
#include "tools/cutoutctl/board.h"
#include "tools/cutoutctl/event_stream.h"

struct follower {
    const struct client *client;
    struct board board;
    int exit_status; /* not EXIT_DONE: the following is over for this reason */
};

static bool ask_run(struct follower *follower, struct board_run *run, const char *id) {
    char path[64];
    (void)snprintf(path, sizeof(path), "/runs/%s", id);
    const struct call call = {.method = "GET", .path = path};
    CLEANUP(answer_clear) struct answer answer = {.http_status = 0};
    int exit_status = EXIT_DONE;
    if (!command_ask(follower->client, &call, &answer, &exit_status)) {
        follower->exit_status = EXIT_TROUBLE; /* also when there is no such run */
        return false;
    }
    board_set(run, answer.json);
    return true;
}

/* false: it is over. */
static bool ask_all(struct follower *follower) {
    for (size_t i = 0; i < follower->board.n; i++) {
        struct board_run *run = &follower->board.runs[i];
        char id[sizeof(run->id)];
        memcpy(id, run->id, sizeof(id));
        if (!board_is_final(run) && !ask_run(follower, run, id)) {
            return false;
        }
    }
    return true;
}

static bool hear(void *user, const struct stream_event *event) {
    struct follower *follower = user;
    bool going = true;
    if (strcmp(event->name, "snapshot") == 0 || strcmp(event->name, "resync") == 0 ||
        strcmp(event->name, "heartbeat") == 0) {
        going = ask_all(follower);
    } else {
        board_hear(&follower->board, event->name, event->data);
        /* Whether it is paused for good is not in the event. */
        if (strcmp(event->name, "state") == 0 &&
            strcmp(json_text(event->data, "state", ""), "paused") == 0) {
            going = ask_all(follower);
        }
    }
    bool done = going && board_is_done(&follower->board);
    if (going) {
        board_draw(&follower->board, done);
    }
    return going && !done;
}

static int follow(struct follower *follower) {
    const struct event_stream stream = {
        .client = follower->client, .path = "/events", .handler = hear, .user = follower};
    if (event_stream_follow(&stream) != EXIT_DONE) {
        return EXIT_TROUBLE;
    }
    return follower->exit_status ? follower->exit_status : (int)board_exit_status(&follower->board);
}

/* Every run that trains or waits. */
static bool find_active(struct follower *follower) {
    CLEANUP(json_delete)
    cJSON *items = command_ask_pages(
        follower->client, "/runs?state=running,queued&sort=id&limit=500", &follower->exit_status);
    if (!items) {
        return false;
    }
    follower->board.runs = calloc((size_t)cJSON_GetArraySize(items) + 1, sizeof(struct board_run));
    if (!follower->board.runs) {
        command_complain("no memory");
        follower->exit_status = EXIT_TROUBLE;
        return false;
    }
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, items) {
        board_set(&follower->board.runs[follower->board.n++], item);
    }
    return true;
}

static bool find_given(struct follower *follower, const struct invocation *invocation) {
    follower->board.runs = calloc((size_t)invocation->n, sizeof(struct board_run));
    if (!follower->board.runs) {
        command_complain("no memory");
        follower->exit_status = EXIT_TROUBLE;
        return false;
    }
    follower->board.n = (size_t)invocation->n;
    for (int i = 0; i < invocation->n; i++) {
        if (!ask_run(follower, &follower->board.runs[i], invocation->arguments[i])) {
            return false;
        }
    }
    return true;
}

static int print_curl(const struct invocation *invocation) {
    struct event_stream stream = {.client = invocation->client, .path = "/events"};
    if (invocation->n == 0) {
        event_stream_print_curl(&stream);
    }
    for (int i = 0; i < invocation->n; i++) {
        char path[64];
        (void)snprintf(path, sizeof(path), "/runs/%s/events", invocation->arguments[i]);
        stream.path = path;
        event_stream_print_curl(&stream);
    }
    return EXIT_DONE;
}

static int follow_runs(const struct invocation *invocation, FILE *out) {
    if (invocation->client->print_curl) {
        return print_curl(invocation);
    }
    struct follower follower = {.client = invocation->client,
                                .board = {.out = out, .live = out && isatty(fileno(out))}};
    bool found = invocation->n > 0 ? find_given(&follower, invocation) : find_active(&follower);
    int exit_status = follower.exit_status;
    if (found) {
        bool done = board_is_done(&follower.board);
        board_draw(&follower.board, true);
        exit_status = done ? (int)board_exit_status(&follower.board) : follow(&follower);
    }
    if (found && follower.board.n == 0) {
        (void)puts("No run trains or waits.");
    }
    free(follower.board.runs);
    return exit_status;
}

int command_watch(const struct invocation *invocation) {
    return follow_runs(invocation, stdout);
}

int command_wait(const struct invocation *invocation) {
    return follow_runs(invocation, NULL);
}

/* The runs of a sweep are followed as if they had been named. */
static int follow_sweep(const struct invocation *invocation, FILE *out) {
    char path[64];
    (void)snprintf(path, sizeof(path), "/sweeps/%s", invocation->arguments[0]);
    const struct call call = {.method = "GET", .path = path};
    CLEANUP(answer_clear) struct answer answer = {.http_status = 0};
    int exit_status = EXIT_DONE;
    if (!command_ask(invocation->client, &call, &answer, &exit_status)) {
        return exit_status == EXIT_REFUSED ? EXIT_TROUBLE : exit_status;
    }
    const cJSON *runs = cJSON_GetObjectItemCaseSensitive(answer.json, "runs");
    const cJSON *run = NULL;
    struct invocation of_runs = *invocation;
    CLEANUP(free_pointer) char **ids = calloc((size_t)cJSON_GetArraySize(runs) + 1, sizeof(*ids));
    of_runs.n = 0;
    if (!ids) {
        command_complain("no memory");
        return EXIT_TROUBLE;
    }
    cJSON_ArrayForEach(run, runs) {
        if (cJSON_IsString(run)) {
            ids[of_runs.n++] = run->valuestring;
        }
    }
    of_runs.arguments = ids;
    return of_runs.n > 0 ? follow_runs(&of_runs, out) : EXIT_DONE;
}

int command_sweep_watch(const struct invocation *invocation) {
    return follow_sweep(invocation, stdout);
}

int command_sweep_wait(const struct invocation *invocation) {
    return follow_sweep(invocation, NULL);
}
