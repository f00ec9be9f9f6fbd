/* What a user asks of runs, carried out and answered: of one run, of a list, of a sweep's.
 *
 * Layer: api. Thread rule: any thread of the server.
 */
#ifndef CUTOUTD_API_CHANGE_RUN_ACTIONS_H
#define CUTOUTD_API_CHANGE_RUN_ACTIONS_H

#include <cjson/cJSON.h>

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

struct run_edit;

/* The same change of many runs, in one commit, answered like an action on a list. edit: without
 * labels. labels: an object of key and value, where null takes the label away; those that are not
 * named stay. NULL: all stay. All were read by run_spec_parse but for the nulls. */
void run_actions_edit(struct api_context *context, const struct request *request,
                      struct reply *reply, const struct run_edit *edit, const cJSON *labels,
                      const int64_t *ids, size_t n_ids);

/* {"items","succeeded","failed"} of new runs that were made of others: outcomes[i].id with its
 * fork.
 */
void run_actions_write_forks(const struct request *request, struct reply *reply,
                             const struct run_outcomes *outcomes);

/* Frees the disk of a run that the store has forgotten. What cannot be removed is logged. */
void run_files_remove(const struct api_context *context, int64_t id);

#endif
