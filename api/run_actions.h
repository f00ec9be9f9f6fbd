/* What a user asks of one run, carried out and answered: for one run, for lists and for sweeps.
 *
 * Layer: api. Thread rule: any thread of the server.
 */
#ifndef CUTOUTD_API_RUN_ACTIONS_H
#define CUTOUTD_API_RUN_ACTIONS_H

#include "api/context.h"
#include "api/reply.h"
#include "daemon/queue/run_action.h"

/* STATUS_OK: it is done, or the run is running and will obey (its row has the request).
 * STATUS_CONFLICT: its state does not allow it; STATUS_NOT_FOUND, STATUS_FORBIDDEN;
 * statuses of the store. */
enum status run_action_apply(struct api_context *context, const struct request *request,
                             enum run_action action, int64_t id, struct error *error);

/* Deletes the run and frees its files. STATUS_CONFLICT, STATUS_NOT_FOUND, STATUS_FORBIDDEN. */
enum status run_delete_apply(struct api_context *context, const struct request *request, int64_t id,
                             struct error *error);

/* Frees the disk of a run that the store has forgotten. What cannot be removed is logged. */
void run_files_remove(const struct api_context *context, int64_t id);

enum { BULK_MAX = 1000 };

/* Does the same to many runs, each on its own, and answers what became of each: {"items":[{"id",
 * "status","run" or "problem"}],"succeeded","failed"}. action RUN_ACTION_COUNT: delete. */
void run_actions_reply_bulk(struct api_context *context, const struct request *request,
                            struct reply *reply, enum run_action action, const int64_t *ids,
                            size_t n_ids);

/* What the client is told of a refusal: for STATUS_CONFLICT, with the state the run is in (*row;
 * may be NULL for other statuses), the states it may go to and what may be asked of it. Writes a
 * whole problem as the member `key` (NULL: as the document). */
void run_action_write_problem(struct json_writer *writer, const char *key,
                              const struct request *request, enum run_action action,
                              const struct run_row *row, const struct error *error);

#endif
