/* When queued runs will probably start: the workers' remaining times, and the measured speed of
 * runs of the same kind, played forward in the order of the queue.
 *
 * Layer: api. Thread rule: a forecast belongs to the thread that serves the request.
 *
 * Nothing is guessed: from the first run whose speed was never measured on, starts are unknown.
 */
#ifndef CUTOUTD_API_QUEUE_FORECAST_H
#define CUTOUTD_API_QUEUE_FORECAST_H

#include "api/context.h"

enum { FORECAST_MAX_KINDS = 8 };

struct queue_forecast {
    double free_s[POOL_MAX_WORKERS]; /* seconds from now until each worker is free; NaN: unknown */
    int n_workers;
    struct {
        int depth, m, batch_size;
        double images_per_second; /* NaN: not measured */
    } kinds[FORECAST_MAX_KINDS];  /* looked up already */
    int n_kinds;
};

/* With what the running runs still need. */
void queue_forecast_begin(struct queue_forecast *forecast, struct api_context *context,
                          const struct pool_status *scheduler);

/* Seconds from now until this run starts, which is the next in the queue; NaN: unknown. */
double queue_forecast_next(struct queue_forecast *forecast, struct api_context *context,
                           const struct run_row *row);

#endif
