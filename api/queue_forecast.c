/* Layer: api. */
#include "api/queue_forecast.h"

#include <math.h>
#include <string.h>

#include "api/run_means.h"

void queue_forecast_begin(struct queue_forecast *forecast, struct api_context *context,
                          const struct pool_status *scheduler) {
    struct progress running[POOL_MAX_WORKERS];
    size_t n_running = progress_board_all(context->options.progress, running, POOL_MAX_WORKERS);
    memset(forecast, 0, sizeof(*forecast));
    forecast->n_workers = scheduler->n_workers;
    /* More may be running than are wanted, after the number was lowered: the first to end is then
     * not followed by another. That makes every start unknown. */
    for (int i = 0; i < forecast->n_workers; i++) {
        bool busy = (size_t)i < n_running;
        bool known = busy && running[i].images_per_second > 0 && isfinite(running[i].eta_seconds);
        forecast->free_s[i] = !busy ? 0 : known ? running[i].eta_seconds : (double)NAN;
    }
    if (n_running > (size_t)forecast->n_workers || scheduler->draining) {
        forecast->free_s[0] = (double)NAN;
    }
}

static double speed_of(struct queue_forecast *forecast, struct api_context *context,
                       const struct run_config *config) {
    for (int i = 0; i < forecast->n_kinds; i++) {
        if (forecast->kinds[i].depth == config->depth && forecast->kinds[i].m == config->m &&
            forecast->kinds[i].batch_size == config->batch_size) {
            return forecast->kinds[i].images_per_second;
        }
    }
    struct run_speed speed;
    if (forecast->n_kinds == FORECAST_MAX_KINDS ||
        run_table_speed(context->options.store, config, &speed, NULL) != STATUS_OK) {
        return (double)NAN;
    }
    int i = forecast->n_kinds++;
    forecast->kinds[i].depth = config->depth;
    forecast->kinds[i].m = config->m;
    forecast->kinds[i].batch_size = config->batch_size;
    forecast->kinds[i].images_per_second =
        speed.n_runs > 0 && speed.images_per_second > 0 ? speed.images_per_second : (double)NAN;
    return forecast->kinds[i].images_per_second;
}

static double seconds_of(struct queue_forecast *forecast, struct api_context *context,
                         const struct run_row *row) {
    struct run_spec spec;
    struct run_means means;
    struct field_errors errors = {.n = 0};
    if (run_spec_read_stored(row->config_json, &spec, NULL) != STATUS_OK) {
        return (double)NAN;
    }
    run_means_check(context, &spec.config, &means, &errors);
    if (means.images_per_epoch <= 0) {
        return (double)NAN;
    }
    return (double)means.images_per_epoch * (row->epochs - row->epochs_done) /
           speed_of(forecast, context, &spec.config);
}

double queue_forecast_next(struct queue_forecast *forecast, struct api_context *context,
                           const struct run_row *row) {
    int first = 0;
    for (int i = 0; i < forecast->n_workers; i++) {
        if (isnan(forecast->free_s[i])) {
            return (double)NAN;
        }
        first = forecast->free_s[i] < forecast->free_s[first] ? i : first;
    }
    double start_s = forecast->free_s[first];
    forecast->free_s[first] = start_s + seconds_of(forecast, context, row);
    return start_s;
}
