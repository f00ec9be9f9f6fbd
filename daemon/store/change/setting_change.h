/* A setting that a request changes, with what was answered to it.
 *
 * Layer: daemon/store. Thread rule and statuses: store/store.h.
 */
#ifndef CUTOUTD_DAEMON_STORE_CHANGE_SETTING_CHANGE_H
#define CUTOUTD_DAEMON_STORE_CHANGE_SETTING_CHANGE_H

#include "daemon/store/table/setting_table.h"

struct idempotency_answer;

/* Adds or replaces; `answer` (NULL: none) is stored with it. */
enum status setting_table_put(struct store *store, const char *name, const char *value,
                              const struct idempotency_answer *answer, struct error *error);

#endif
