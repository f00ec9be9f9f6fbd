/* One POST to a webhook's receiver.
 *
 * Layer: daemon/notify. Thread rule: any thread; waits for the receiver, at most POST_MOST_S.
 *
 * A target is http or https. Whatever its name stands for, loopback, private, link-local and other
 * special addresses are refused unless the config names them. Redirects are not followed, proxies
 * of the environment not asked, and nothing of an answer is read but its status.
 */
#ifndef CUTOUTD_DAEMON_NOTIFY_POST_H
#define CUTOUTD_DAEMON_NOTIFY_POST_H

#include <stdatomic.h>

#include "daemon/notify/message.h"

enum { POST_MOST_S = 15 };

struct post {
    const char *url;
    const char *content_type;
    const char *event;
    const char *title; /* a header of its own for ntfy; NULL: none */
    int64_t delivery;
    const char *signature;
    const char *body;
    const char *allowed;     /* addresses, as host_address_is_listed takes them */
    const atomic_bool *stop; /* true: it is given up */
};

/* Once, before other threads run. */
void post_init(void);

/* STATUS_INVALID: it is no URL of http or https, with a host and without a user. */
enum status post_check_url(const char *text, struct error *error);

/* Whether the numeric address is one that only the config can allow. */
bool post_address_is_special(const char *address);

/* STATUS_OK: 2xx; STATUS_STOPPED: given up; STATUS_IO: anything else, which *error says.
 * *ret_http_status: of the answer; 0: there was none. */
enum status post_send(const struct post *post, int *ret_http_status, struct error *error);

#endif
