/* A setting that a request changes, with its line of the audit and what was answered to it.
 *
 * Layer: daemon/store. Thread rule and statuses: store/store.h.
 */
#ifndef CUTOUTD_DAEMON_STORE_CHANGE_SETTING_CHANGE_H
#define CUTOUTD_DAEMON_STORE_CHANGE_SETTING_CHANGE_H

#include "daemon/store/table/setting_table.h"

struct idempotency_answer;

struct setting_change {
    const char *name;
    const char *value;
    /* What is in force before and after it, as JSON objects, for the audit. The table does not know
     * the first where the config says it. */
    const char *before;
    const char *after;
    const struct idempotency_answer *answer; /* NULL: none is stored with it */
};

/* Adds or replaces, in one commit. The audit has a line if before and after differ. */
enum status setting_change(struct store *store, const struct setting_change *wanted,
                           struct error *error);

#endif
