/* Runs, epochs and their parts as JSON: the same words in every answer and every event.
 *
 * Layer: api. Thread rule: pure functions on their arguments.
 */
#ifndef CUTOUTD_API_RUN_VIEW_H
#define CUTOUTD_API_RUN_VIEW_H

#include "daemon/json_write.h"
#include "daemon/store/epoch_table.h"
#include "daemon/store/run_table.h"
#include "daemon/work/progress.h"

enum { TIME_TEXT_SIZE = 32 };

/* "2026-03-01T12:00:00.250Z". Returns ret_text. */
const char *time_format(int64_t unix_ms, char ret_text[TIME_TEXT_SIZE]);

/* The whole resource. progress: NULL when the run is not running. */
void run_write(struct json_writer *writer, const char *key, const struct run_row *row,
               const struct progress *progress);

/* The few members that a list of many needs. progress: NULL when the run is not running. */
void run_write_short(struct json_writer *writer, const char *key, const struct run_row *row,
                     const struct progress *progress);

/* {"epoch":..,"epochs":..,...}; without the object's brackets. */
void progress_write_members(struct json_writer *writer, const struct progress *progress);

#endif
