/* What a delivery says: the body for the receiver's kind, and its signature.
 *
 * Layer: daemon/notify. Thread rule: pure functions.
 */
#ifndef CUTOUTD_DAEMON_NOTIFY_MESSAGE_H
#define CUTOUTD_DAEMON_NOTIFY_MESSAGE_H

#include "daemon/store/table/webhook_table.h"

enum { MESSAGE_SIZE = 512, SIGNATURE_SIZE = 128 };

struct message {
    char title[MESSAGE_SIZE]; /* "run 12 succeeded" */
    char text[MESSAGE_SIZE];  /* a sentence for people */
    char *body;               /* owned */
    const char *content_type; /* static */
};

/* Frees and zeroes. A zeroed message is fine. */
void message_clear(struct message *message);

/* On success the caller owns *ret_message (message_clear). STATUS_NO_MEMORY, STATUS_CORRUPT (the
 * facts are no JSON object). */
enum status message_make(const struct webhook_row *webhook, const struct delivery_row *delivery,
                         struct message *ret_message, struct error *error);

/* "t=UNIX,v1=HEX": the HMAC-SHA-256 of "UNIX.BODY" under the secret. */
void message_sign(const char *secret, int64_t unix_s, const char *body,
                  char ret_signature[SIGNATURE_SIZE]);

#endif
