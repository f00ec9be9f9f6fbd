/* What a user asks of runs, carried out and answered: of one run, of a list, of a sweep's.
 *
 * Layer: api. Thread rule: any thread of the server.
 */
#ifndef CUTOUTD_API_CHANGE_RUN_ACTIONS_H
#define CUTOUTD_API_CHANGE_RUN_ACTIONS_H

#include "api/context.h"
#include "api/http/reply.h"
#include "daemon/queue/run_action.h"

/* What is answered. An item is {"id","status","run" or "problem"}, as the run alone would have been
 * answered: 202 for one that runs on until it can obey. */
enum act_form {
    ACT_ON_RUN,   /* the run, or the problem; 204 for a deletion */
    ACT_ON_LIST,  /* {"items","succeeded","failed"}: an item for each id */
    ACT_ON_SWEEP, /* the same and "skipped": how many runs the action makes no sense for */
};

enum { BULK_MAX = 1000 };

/* Does it, in one commit with the answer to an Idempotency-Key, and answers. A run that refuses
 * (its state, its owner, there is none) is told as such; the others are changed all the same. */
void run_actions_reply(struct api_context *context, const struct request *request,
                       struct reply *reply, enum act_form form, enum run_action action,
                       const int64_t *ids, size_t n_ids);

/* Frees the disk of a run that the store has forgotten. What cannot be removed is logged. */
void run_files_remove(const struct api_context *context, int64_t id);

#endif
