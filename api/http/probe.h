/* Whether a listener of this process answers: asked as any client would ask, one request at a time.
 *
 * Layer: api. Thread rule: one thread. Nothing here waits.
 */
#ifndef CUTOUTD_API_HTTP_PROBE_H
#define CUTOUTD_API_HTTP_PROBE_H

#include <sys/socket.h>

struct probe {
    struct sockaddr_storage address;
    socklen_t size; /* 0: there is nothing to ask */
    int fd;         /* of the request that is under way; -1: none is */
    double asked_s; /* when the last one began */
    int sent;       /* its bytes are on their way */
};

/* Of the socket that listens there (-1: none); from then on probe_look asks at most every few
 * seconds. */
void probe_init(struct probe *probe, int listening_fd, double now_s);

/* Goes on with what is under way. Returns for how many seconds an answer has been owed; 0: none is,
 * or nothing can be said because no connection could be tried. Whatever comes back is an answer:
 * with TLS the end of a connection that does not speak it. */
double probe_look(struct probe *probe, double now_s);

/* Gives up what is under way. */
void probe_end(struct probe *probe);

#endif
