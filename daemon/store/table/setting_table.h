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

struct db;

/* The same on any connection. */
enum status setting_read(struct db *db, const char *name, char *ret_value, size_t size,
                         struct error *error);

/* From a store_body: adds or replaces. */
enum status setting_write(struct db *db, const char *name, const char *value, struct error *error);

#endif
