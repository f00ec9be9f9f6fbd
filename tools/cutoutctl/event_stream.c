/* Layer: tools. */
#include "tools/cutoutctl/event_stream.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { TRIES = 6, ID_SIZE = 24, PATH_SIZE = 128 };

struct listener {
    const struct event_stream *stream;
    char last_id[ID_SIZE]; /* "": none yet */
    bool heard;            /* since the last connection */
};

static bool hear_line(void *user, const char *line) {
    struct listener *listener = user;
    cJSON *json = json_parse_foreign(line, strlen(line));
    const char *id = json_text(json, "id", NULL);
    const struct stream_event event = {.name = json_text(json, "event", ""),
                                       .data = cJSON_GetObjectItemCaseSensitive(json, "data"),
                                       .json = json};
    listener->heard = true;
    if (id) {
        (void)snprintf(listener->last_id, sizeof(listener->last_id), "%s", id);
    }
    bool more = listener->stream->handler(listener->stream->user, &event);
    cJSON_Delete(json);
    return more;
}

static void write_path(const struct event_stream *stream, const char *since, char path[PATH_SIZE]) {
    (void)snprintf(path, PATH_SIZE, "%.64s?format=ndjson%s%s", stream->path,
                   since[0] ? "&since=" : "", since);
}

enum exit_status event_stream_follow(const struct event_stream *stream) {
    struct listener listener = {.stream = stream};
    for (int n_failed = 0; n_failed < TRIES;) {
        char path[PATH_SIZE];
        struct error error;
        write_path(stream, stream->resumes ? listener.last_id : "", path);
        const struct call call = {.method = "GET", .path = path, .stream = true};
        listener.heard = false;
        enum status status = client_stream(stream->client, &call, hear_line, &listener, &error);
        if (status == STATUS_STOPPED) {
            return EXIT_DONE;
        }
        if (status != STATUS_OK && status != STATUS_IO && status != STATUS_BUSY) {
            command_complain(error.message);
            return status == STATUS_INVALID ? EXIT_REFUSED : EXIT_TROUBLE;
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

void event_stream_print_curl(const struct event_stream *stream) {
    char path[PATH_SIZE];
    write_path(stream, "", path);
    const struct call call = {.method = "GET", .path = path, .stream = true};
    client_print_curl(stream->client, &call);
}
