/* What people ask of runs, for the routes of one run, of many, and of sweeps.
 *
 * Layer: api. Thread rule: any thread of the server.
 */
#ifndef CUTOUTD_API_RUN_ACTIONS_H
#define CUTOUTD_API_RUN_ACTIONS_H

#include "api/router.h"
#include "daemon/store/run_table.h"

/* STATUS_FORBIDDEN: the token may submit, but the run is somebody else's. */
enum status run_actions_permit(const struct request *request, const struct run_row *row,
                               struct error *error);

/* Asks it of the run. STATUS_OK: done, or a running run will obey as soon as it can.
 * STATUS_NOT_FOUND, STATUS_CONFLICT, STATUS_FORBIDDEN; statuses of the store. */
enum status run_action_apply(struct api_context *context, const struct request *request,
                             enum run_action action, int64_t id, struct error *error);

/* Deletes the run and frees its files. The same statuses. */
enum status run_delete_apply(struct api_context *context, const struct request *request, int64_t id,
                             struct error *error);

enum { BULK_MAX = 1000 };

/* Does the same to many runs, each on its own, and answers what became of each: {"items":[{"id",
 * "status","run" or "problem"}],"succeeded","failed"}. action RUN_ACTION_COUNT: delete. */
void run_actions_reply_bulk(struct api_context *context, const struct request *request,
                            struct reply *reply, enum run_action action, const int64_t *ids,
                            size_t n_ids);

#endif
