/* Files that survive a power cut.
 *
 * Layer: core/base. Thread rule: pure functions; two writers of the same path must not meet.
 */
#ifndef CUTOUTD_CORE_BASE_DURABLE_H
#define CUTOUTD_CORE_BASE_DURABLE_H

#include "core/base/error.h"

/* Makes durable that PATH, whatever it is, has its name: syncs the directory that it is in.
 * STATUS_IO, STATUS_NOT_FOUND (the directory), STATUS_NO_SPACE, STATUS_NO_MEMORY. */
enum status durable_name(const char *path, struct error *error);

/* Gives TEMPORARY, written and synced, the name PATH in the same directory, and makes that durable.
 * A directory of that name becomes PATH.in-the-way. STATUS_IO, STATUS_NO_SPACE, STATUS_NO_MEMORY:
 * TEMPORARY is gone and PATH what it was, unless only the last sync of the directory failed. */
enum status durable_rename(const char *temporary, const char *path, struct error *error);

/* Makes the directory where it is missing, and its entry in the one above durable: also of one that
 * is there, since whoever made it may not have come so far. STATUS_IO, STATUS_NO_SPACE,
 * STATUS_NOT_FOUND (the one above), STATUS_NO_MEMORY. */
enum status durable_directory(const char *path, struct error *error);

/* A second name for a file that nobody changes any more, durable as well; `directory` (made when it
 * is not there) becomes the one of the new name. STATUS_NOT_FOUND: there is no such file;
 * STATUS_IO, STATUS_NO_SPACE, STATUS_NO_MEMORY. */
enum status durable_link(const char *path, const char *directory, const char *name,
                         struct error *error);

#endif
