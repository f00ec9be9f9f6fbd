/* Table `note`: a text in Markdown about a run or a sweep.
 *
 * Layer: daemon/store. Thread rule and statuses: store/store.h.
 */
#ifndef CUTOUTD_DAEMON_STORE_TABLE_NOTE_TABLE_H
#define CUTOUTD_DAEMON_STORE_TABLE_NOTE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/store/store.h"

/* What a note is about. */
struct note_subject {
    enum note_kind { NOTE_OF_RUN, NOTE_OF_SWEEP } kind;
    int64_t id;
};

/* On success the caller owns *ret_text (free). STATUS_NOT_FOUND. */
enum status note_table_get(struct store *store, const struct note_subject *subject, char **ret_text,
                           struct error *error);

/* Whether the note as it stands (NULL: there is none) may be replaced or deleted. Runs inside of
 * the transaction, like a store_body perhaps on another thread: it takes no locks. */
typedef bool note_condition(const void *user, const char *text);

enum note_result { NOTE_ADDED, NOTE_REPLACED, NOTE_DELETED, NOTE_KEPT /* the condition said no */ };

/* Borrowed for the call. */
struct note_change {
    struct note_subject subject;
    const char *text;          /* NULL: the note is deleted */
    note_condition *condition; /* NULL: none */
    const void *user;          /* of condition */
    int64_t now_ms;
};

/* STATUS_NOT_FOUND: there is no such run or sweep, or no note to delete. */
enum status note_table_change(struct store *store, const struct note_change *change,
                              enum note_result *ret_result, struct error *error);

#endif
