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
 * STATUS_CONFLICT: its state does not allow it; STATUS_NOT_FOUND; statuses of the store. */
enum status run_action_apply(struct api_context *context, enum run_action action, int64_t id,
                             struct error *error);

/* What the client is told of a refusal: for STATUS_CONFLICT, with the state the run is in (*row;
 * may be NULL for other statuses), the states it may go to and what may be asked of it. Writes a
 * whole problem as the member `key` (NULL: as the document). */
void run_action_write_problem(struct json_writer *writer, const char *key,
                              const struct request *request, enum run_action action,
                              const struct run_row *row, const struct error *error);

#endif
