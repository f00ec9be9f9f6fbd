/* How long runs still take, and when those in the queue will probably start: the measured epochs of
 * the runs themselves, or of others of their kind, played forward in the order of the queue over
 * the places of each executor: the workers here, or as many jobs as it may have elsewhere. (When
 * such a job gets its node nobody here knows.)
 *
 * Layer: api. Thread rule: a forecast belongs to the thread that serves the request.
 *
 * Nothing is guessed: from the first run whose speed was never measured on, starts are unknown.
 */
#ifndef CUTOUTD_API_VIEW_FORECAST_H
#define CUTOUTD_API_VIEW_FORECAST_H

#include "api/context.h"
#include "api/view/run_view.h"
#include "daemon/store/table/after_table.h"

enum { FORECAST_MOST_KINDS = 16, FORECAST_MOST_RUNS = 200, FORECAST_MOST_RUNNING = 500 };

/* For all runs of one answer: what it has looked up it knows. Begin with
 * (struct forecast){.context = context}. */
struct forecast {
    const struct api_context *context;
    struct {
        int depth, m, batch_size;
        double images_per_second; /* NaN: not measured */
    } kinds[FORECAST_MOST_KINDS]; /* a ring */
    int n_kinds;                  /* ever added */
    char dataset[RUN_NAME_SIZE];  /* looked up last */
    int n_train;                  /* its training images; 0: it cannot be read */
    const struct run_list *queue; /* the front of the queue, where the caller has it: as many as the
                                     forecast looks at, or all; NULL: it is looked up */
    bool asked;                   /* for the start of a run far behind in the queue */
    bool read;                    /* the first FORECAST_MOST_RUNS of the queue are in `starts` */
    int n_starts;
    struct {
        int64_t run_id;
        double start_s; /* from now; NaN: unknown */
    } starts[FORECAST_MOST_RUNS];
};

/* progress: NULL when the run is not running. */
void forecast_run(struct forecast *forecast, const struct run_row *row,
                  const struct progress *progress, struct estimate *ret_estimate);

/* The run as it stands now, with its live progress and what is expected of it, as a value of an
 * array or as all there is; those of its members that are wanted (run_members_read). */
void forecast_write_run(struct json_writer *writer, struct forecast *forecast,
                        const struct run_row *row, uint64_t members);

/* The first run that this one comes after and that has not succeeded; false: there is none. */
bool forecast_blocker(const struct api_context *context, const struct run_row *row,
                      struct after *ret_blocker);

#endif
