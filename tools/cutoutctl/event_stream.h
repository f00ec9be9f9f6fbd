/* A stream of events, over breaks of the connection and restarts of the daemon.
 *
 * Layer: tools. Thread rule: one thread.
 */
#ifndef CUTOUTD_TOOLS_CUTOUTCTL_EVENT_STREAM_H
#define CUTOUTD_TOOLS_CUTOUTCTL_EVENT_STREAM_H

#include "tools/cutoutctl/command.h"

struct stream_event {
    const char *name;  /* "state", "snapshot", "heartbeat", ... */
    const cJSON *data; /* NULL: it has none */
    const cJSON *json; /* all of its line */
};

/* false: that is enough. It may ask the daemon something with client_send. */
typedef bool event_handler(void *user, const struct stream_event *event);

struct event_stream {
    const struct client *client;
    const char *path; /* "/events", "/runs/7/events" */
    bool resumes;     /* after a break it goes on behind the last event; else with a snapshot */
    event_handler *handler;
    void *user;
};

/* Hands over the events as they come. A connection that breaks off is made again, after pauses of
 * 1, 2, 4, 8, 16 seconds in a row: a restart of the daemon is survived. EXIT_DONE: the handler has
 * had enough. EXIT_REFUSED, EXIT_TROUBLE: stderr says what is wrong. */
enum exit_status event_stream_follow(const struct event_stream *stream);

/* The curl command that shows the same. */
void event_stream_print_curl(const struct event_stream *stream);

#endif
