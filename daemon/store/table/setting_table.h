/* Table `setting`: facts about this state directory that outlive the daemon, by name.
 *
 * Layer: daemon/store. Thread rule and statuses: store/store.h.
 */
#ifndef CUTOUTD_DAEMON_STORE_TABLE_SETTING_TABLE_H
#define CUTOUTD_DAEMON_STORE_TABLE_SETTING_TABLE_H

#include <stddef.h>

#include "daemon/store/store.h"

/* Events up to this id, all of them from before this time (Unix ms), were deleted because of their
 * age (change/old_rows.h). */
#define SETTING_EVENTS_GONE_UPTO "events_gone_upto"
#define SETTING_EVENTS_GONE_BEFORE "events_gone_before"

/* Runs up to this id may still have name, priority and labels in their config_json. */
#define SETTING_CONFIG_REWRITE_UPTO "config_rewrite_upto"

/* The value into ret_value[size]. STATUS_NOT_FOUND; STATUS_TOO_LARGE. */
enum status setting_table_get(struct store *store, const char *name, char *ret_value, size_t size,
                              struct error *error);

/* 32 hex digits drawn when the database was made: tells one history from another. STATUS_CORRUPT:
 * it has none any more. */
enum { SETTING_INSTANCE_SIZE = 64 };
enum status setting_table_instance(struct store *store, char ret_instance[SETTING_INSTANCE_SIZE],
                                   struct error *error);

/* Adds or replaces what the daemon itself keeps here; what somebody asks for:
 * change/setting_change.h. */
enum status setting_table_put(struct store *store, const char *name, const char *value,
                              struct error *error);

struct db;

/* setting_table_get on any connection. */
enum status setting_read(struct db *db, const char *name, char *ret_value, size_t size,
                         struct error *error);

/* From a store_body: adds or replaces. */
enum status setting_write(struct db *db, const char *name, const char *value, struct error *error);

#endif
