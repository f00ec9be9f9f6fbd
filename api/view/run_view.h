/* Runs, epochs and their parts as JSON: the same words in every answer and every event.
 *
 * Layer: api. Thread rule: pure functions on their arguments.
 */
#ifndef CUTOUTD_API_VIEW_RUN_VIEW_H
#define CUTOUTD_API_VIEW_RUN_VIEW_H

#include "daemon/spec/json_write.h"
#include "daemon/store/table/epoch_table.h"
#include "daemon/store/table/run_table.h"
#include "daemon/work/progress.h"

/* What is expected of a run. */
struct estimate {
    double seconds_per_epoch; /* NaN: unknown */
    int64_t start_ms;         /* Unix time; 0: unknown, or not to come */
    int64_t end_ms;           /* likewise */
};

/* The run with those of its members that are in `wanted`, bits as run_members_read gives them.
 * progress: NULL when the run is not running. estimate: NULL leaves that member out. */
#define RUN_MEMBERS_ALL UINT64_MAX
void run_write(struct json_writer *writer, const char *key, const struct run_row *row,
               const struct progress *progress, const struct estimate *estimate, uint64_t wanted);

/* "id,state,best" as bits. false: *ret_unknown is the first name, of *ret_n_unknown bytes, that no
 * member of a run has. */
bool run_members_read(const char *names, uint64_t *ret_members, const char **ret_unknown,
                      size_t *ret_n_unknown);

/* What a row must have for these members: bits of enum run_part. */
unsigned run_members_parts(uint64_t wanted);

/* Whether the member estimate is among them. */
bool run_members_have_estimate(uint64_t wanted);

/* The few members that a list of many needs. progress: NULL when the run is not running. */
void run_write_short(struct json_writer *writer, const char *key, const struct run_row *row,
                     const struct progress *progress);

/* {"epoch":..,"epochs":..,...}; without the object's brackets. */
void progress_write_members(struct json_writer *writer, const struct progress *progress);

#endif
