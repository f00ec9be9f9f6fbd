/* Table `setting`: facts about this state directory that outlive the daemon, by name.
 *
 * Layer: daemon/store. Thread rule and statuses: store/store.h.
 */
#ifndef CUTOUTD_DAEMON_STORE_TABLE_SETTING_TABLE_H
#define CUTOUTD_DAEMON_STORE_TABLE_SETTING_TABLE_H

#include <stddef.h>

#include "daemon/store/store.h"

/* 32 hex digits drawn when the database was made: tells one history from another. */
#define SETTING_INSTANCE "instance"

/* The value into ret_value[size]. STATUS_NOT_FOUND; STATUS_TOO_LARGE. */
enum status setting_table_get(struct store *store, const char *name, char *ret_value, size_t size,
                              struct error *error);

struct idempotency_answer;

/* Adds or replaces; `answer` (NULL: none) is stored with it. */
enum status setting_table_put(struct store *store, const char *name, const char *value,
                              const struct idempotency_answer *answer, struct error *error);

#endif
