/* The handlers, one a route. Each file routes_*.c serves one resource.
 *
 * Layer: api. Thread rule: any thread of the server. None waits for anything but the store.
 */
#ifndef CUTOUTD_API_ROUTES_ROUTES_H
#define CUTOUTD_API_ROUTES_ROUTES_H

#include "api/context.h"
#include "api/http/reply.h"
#include "api/http/request.h"

/* Fills *reply, which is zeroed before. */
typedef void handler(struct api_context *context, const struct request *request,
                     struct reply *reply);

/* routes_runs.c */
handler route_run_create, route_run_measure;

/* routes_actions.c */
handler route_run_act, route_run_bulk, route_run_delete, route_sweep_act, route_sweep_delete;

/* routes_fork.c */
handler route_run_fork;

/* Forks each of the runs as "from_epoch" and "overrides" of the document say: all of them or none.
 */
struct cJSON;
void route_fork_many(struct api_context *context, const struct request *request,
                     struct reply *reply, const struct cJSON *document, const int64_t *ids,
                     size_t n_ids);

/* routes_edit.c */
handler route_run_edit;

/* routes_queue.c */
handler route_queue, route_scheduler, route_scheduler_drain, route_scheduler_resume,
    route_scheduler_edit;

/* routes_run_list.c */
handler route_run_list, route_run_get;

/* routes_note.c */
handler route_note_get, route_note_put, route_note_delete;

/* routes_epochs.c */
handler route_run_epochs, route_run_validation_error;

/* routes_checkpoints.c */
handler route_checkpoint_list, route_checkpoint_download, route_checkpoint_save;

/* routes_confusion.c */
handler route_run_confusion;

/* routes_summary.c */
handler route_run_summary;

/* routes_events.c */
handler route_run_events, route_sweep_events, route_events, route_run_log;

/* routes_sweeps.c */
handler route_sweep_create, route_sweep_list, route_sweep_get;

/* routes_links.c */
handler route_link_create, route_link_list, route_link_delete;

/* routes_admin.c */
handler route_admin_backup, route_admin_purge;

/* routes_metrics.c */
handler route_metrics;

/* routes_meta.c */
handler route_welcome, route_page, route_asset, route_health, route_ready, route_openapi,
    route_preset_list, route_preset_get, route_dataset_list, route_system;

/* The run that the path names: the caller owns *ret_row (run_row_clear) when it returns true;
 * otherwise *reply is the answer (404, or the store's failure; 403 for what is not a GET when the
 * run belongs to another token). */
struct run_row;
bool route_find_run(struct api_context *context, const struct request *request, struct reply *reply,
                    struct run_row *ret_row);

/* The same for what does not change the run, whatever the method: no 403. */
bool route_read_run(struct api_context *context, const struct request *request, struct reply *reply,
                    struct run_row *ret_row);

/* The same for a sweep (sweep_row_clear). */
struct sweep_row;
bool route_find_sweep(struct api_context *context, const struct request *request,
                      struct reply *reply, struct sweep_row *ret_row);

/* Answers with the run as it stands in *row, and its progress when it is running. */
void route_reply_run(struct api_context *context, const struct request *request,
                     struct reply *reply, int http_status, const struct run_row *row);

#endif
