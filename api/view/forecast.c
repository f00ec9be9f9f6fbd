/* Layer: api. */
#include "api/view/forecast.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "daemon/store/query/run_queue.h"

/* Speeds */

static double speed_of_kind(struct forecast *f, const struct run_row *row) {
    for (int i = 0; i < f->n_kinds && i < FORECAST_MOST_KINDS; i++) {
        if (f->kinds[i].depth == row->depth && f->kinds[i].m == row->m &&
            f->kinds[i].batch_size == row->batch_size) {
            return f->kinds[i].images_per_second;
        }
    }
    const struct run_config kind = {
        .depth = row->depth, .m = row->m, .batch_size = row->batch_size};
    struct run_speed speed = {0};
    if (run_table_speed(f->context->options.store, &kind, &speed, NULL) != STATUS_OK) {
        return (double)NAN;
    }
    int i = f->n_kinds++ % FORECAST_MOST_KINDS;
    f->kinds[i].depth = row->depth;
    f->kinds[i].m = row->m;
    f->kinds[i].batch_size = row->batch_size;
    f->kinds[i].images_per_second =
        speed.n_runs > 0 && speed.images_per_second > 0 ? speed.images_per_second : (double)NAN;
    return f->kinds[i].images_per_second;
}

/* All copies counted; 0: unknown. */
static int64_t images_per_epoch(struct forecast *f, const struct run_row *row) {
    if (row->images_per_epoch > 0 || row->batch_size <= 0) {
        return row->images_per_epoch;
    }
    if (strcmp(f->dataset, row->dataset) != 0) {
        (void)snprintf(f->dataset, sizeof(f->dataset), "%s", row->dataset);
        f->n_train = dataset_registry_train_images(f->context->options.datasets, row->dataset);
    }
    int n_train = f->n_train;
    if (row->train_images > 0 && row->train_images < n_train) {
        n_train = row->train_images;
    }
    const struct run_config config = {
        .batch_size = row->batch_size, .m = row->m, .drop_last = row->drop_last};
    return run_images_per_epoch(&config, n_train);
}

/* NaN: unknown. */
static double seconds_per_epoch(struct forecast *f, const struct run_row *row,
                                const struct progress *progress) {
    int n_own = row->epochs_done - row->inherited_epochs;
    if (n_own > 0 && row->train_seconds > row->inherited_seconds) {
        return (row->train_seconds - row->inherited_seconds) / n_own;
    }
    double images = (double)images_per_epoch(f, row);
    bool trains = progress && progress->epoch > 0 && progress->images_per_second > 0;
    double speed = trains ? progress->images_per_second : speed_of_kind(f, row);
    return images > 0 ? images / speed : (double)NAN;
}

static double epochs_left(const struct run_row *row, const struct progress *progress) {
    double left = row->epochs - row->epochs_done;
    if (progress && progress->epoch == row->epochs_done + 1 && progress->steps_per_epoch > 0) {
        left -= (double)progress->step / progress->steps_per_epoch;
    }
    return left;
}

/* By the epochs, and no longer than stop.max_seconds allow: it ends with the epoch in which they
 * are full. NaN: unknown. */
static double seconds_left(struct forecast *f, const struct run_row *row,
                           const struct progress *progress) {
    double per_epoch = seconds_per_epoch(f, row, progress);
    double left = epochs_left(row, progress);
    if (row->max_seconds > 0) {
        int n_own = row->epochs_done - row->inherited_epochs;
        double own = n_own > 0 ? row->train_seconds - row->inherited_seconds : 0;
        double within = row->epochs - row->epochs_done - left; /* of the epoch under way */
        left = fmin(left, fmax(ceil((row->max_seconds - own) / per_epoch) - within, 0));
    }
    return left * per_epoch;
}

/* The queue */

bool forecast_blocker(const struct api_context *context, const struct run_row *row,
                      struct after *ret_blocker) {
    struct after_list list = {.n = 0};
    if (row->after[0] == '\0' ||
        after_table_list(context->options.store, row->id, &list, NULL) != STATUS_OK) {
        return false;
    }
    for (size_t i = 0; i < list.n; i++) {
        if (list.items[i].state != RUN_SUCCEEDED) {
            *ret_blocker = list.items[i];
            return true;
        }
    }
    return false;
}

/* Where runs of an executor train. */
struct places {
    const struct executor *executor;
    int n;          /* places; 0: nobody can say when one of them takes a run */
    double *free_s; /* [n], owned: seconds until each is free; NaN: unknown */
};

/* Everything that the queue is played forward with. */
struct play {
    struct pool_status scheduler;
    struct run_list running;
    double quiet_s; /* until quiet hours end; infinite: they do not */
    struct places kinds[EXECUTOR_MOST];
    int n_places;
};

static void play_clear(struct play *play) {
    for (int i = 0; i < play->n_places; i++) {
        free(play->kinds[i].free_s);
    }
    run_list_clear(&play->running);
}

static void play_begin(struct forecast *f, struct play *play) {
    const struct api_options *options = &f->context->options;
    pool_get_status(options->pool, &play->scheduler);
    if (run_queue_list(options->store, RUN_RUNNING, FORECAST_MOST_RUNNING, &play->running, NULL) !=
        STATUS_OK) {
        play->running.more = true;
    }
    int64_t until_ms = play->scheduler.quiet_until_ms;
    double left_s = (double)(until_ms - clock_unix_ms(options->clock)) / 1000.0;
    play->quiet_s = until_ms == INT64_MAX ? (double)INFINITY : fmax(left_s, 0);
}

/* Beyond as many free places as there are runs to be placed nothing changes. */
static void fill_places(struct forecast *f, const struct play *play, struct places *places) {
    const struct api_options *options = &f->context->options;
    int most = pool_places(options->pool, places->executor);
    double quiet_s = places->executor->heeds_quiet ? play->quiet_s : 0;
    int n = 0;
    places->free_s = calloc(FORECAST_MOST_RUNNING + FORECAST_MOST_RUNS, sizeof(*places->free_s));
    /* More may be running than are wanted, after the number was lowered: the first to end is then
     * not followed by another. */
    if (!places->free_s || play->scheduler.draining || isinf(quiet_s) || play->running.more) {
        return;
    }
    for (size_t i = 0; i < play->running.n; i++) {
        const struct run_row *row = &play->running.rows[i];
        struct progress progress;
        if (!strcmp(row->executor, places->executor->name)) {
            bool live = progress_board_find(options->progress, row->id, &progress);
            places->free_s[n++] = seconds_left(f, row, live ? &progress : NULL);
        }
    }
    if (n > most) {
        return;
    }
    for (int i = 0; i < FORECAST_MOST_RUNS && n < most; i++) {
        places->free_s[n++] = quiet_s;
    }
    places->n = n;
}

/* NULL: there is no such executor. */
static struct places *find_places(struct forecast *f, struct play *play, const char *name) {
    const struct executor *executor = pool_executor(f->context->options.pool, name);
    for (int i = 0; i < play->n_places; i++) {
        if (play->kinds[i].executor == executor) {
            return &play->kinds[i];
        }
    }
    if (!executor || play->n_places == EXECUTOR_MOST) {
        return NULL;
    }
    struct places *places = &play->kinds[play->n_places++];
    places->executor = executor;
    fill_places(f, play, places);
    return places;
}

/* The place that is free first; -1: unknown, as long as one of them is. */
static int first_free(const struct places *places) {
    int first = places && places->n > 0 ? 0 : -1;
    for (int i = 0; first >= 0 && i < places->n; i++) {
        first = isnan(places->free_s[i])                    ? -1
                : places->free_s[i] < places->free_s[first] ? i
                                                            : first;
    }
    return first;
}

static void play_queue(struct forecast *f, const struct run_list *queue, int64_t now_ms) {
    CLEANUP(play_clear) struct play play = {.n_places = 0};
    play_begin(f, &play);
    for (size_t i = 0; i < queue->n && f->n_starts < FORECAST_MOST_RUNS; i++) {
        const struct run_row *row = &queue->rows[i];
        if (row->state != RUN_QUEUED) {
            break; /* held ones, behind all others */
        }
        struct after blocker;
        struct places *places = find_places(f, &play, row->executor);
        int place = first_free(places);
        double start_s = (double)NAN;
        if (place >= 0 && !forecast_blocker(f->context, row, &blocker)) {
            start_s = fmax(places->free_s[place], (double)(row->not_before_ms - now_ms) / 1000.0);
            places->free_s[place] = start_s + seconds_left(f, row, NULL);
        }
        f->starts[f->n_starts].run_id = row->id;
        f->starts[f->n_starts++].start_s = start_s;
    }
}

static void read_queue(struct forecast *f) {
    CLEANUP(run_list_clear) struct run_list looked_up = {0};
    int64_t now_ms = clock_unix_ms(f->context->options.clock);
    f->read = true;
    if (f->queue) {
        play_queue(f, f->queue, now_ms);
    } else if (run_queue_waiting(f->context->options.store, now_ms, FORECAST_MOST_RUNS, &looked_up,
                                 NULL) == STATUS_OK) {
        play_queue(f, &looked_up, now_ms);
    }
}

/* Whether more than FORECAST_MOST_RUNS are ahead of the run: a count over the index, which spares a
 * single run far behind the reading of the whole queue. */
static bool is_too_far(struct forecast *f, const struct run_row *row) {
    int n_ahead = 0;
    if (f->read || f->asked) {
        return false;
    }
    f->asked = true;
    return run_queue_count_ahead(f->context->options.store, row,
                                 clock_unix_ms(f->context->options.clock), FORECAST_MOST_RUNS,
                                 &n_ahead, NULL) != STATUS_OK ||
           n_ahead >= FORECAST_MOST_RUNS;
}

static double start_of(struct forecast *f, const struct run_row *row) {
    if (is_too_far(f, row)) {
        return (double)NAN;
    }
    if (!f->read) {
        read_queue(f);
    }
    for (int i = 0; i < f->n_starts; i++) {
        if (f->starts[i].run_id == row->id) {
            return f->starts[i].start_s;
        }
    }
    return (double)NAN;
}

/* To the second: that is fine enough, and an unchanged forecast stays the same text. 0: unknown. */
static int64_t moment(const struct forecast *f, double seconds) {
    enum { SECOND_MS = 1000 };
    int64_t now_ms = clock_unix_ms(f->context->options.clock);
    return isfinite(seconds) && seconds < 1e9
               ? (now_ms + (int64_t)(seconds * SECOND_MS) + SECOND_MS / 2) / SECOND_MS * SECOND_MS
               : 0;
}

void forecast_run(struct forecast *f, const struct run_row *row, const struct progress *progress,
                  struct estimate *ret_estimate) {
    double per_epoch = seconds_per_epoch(f, row, progress);
    double left_s = seconds_left(f, row, progress);
    *ret_estimate = (struct estimate){.seconds_per_epoch = per_epoch};
    if (row->state == RUN_QUEUED) {
        double start_s = start_of(f, row);
        ret_estimate->start_ms = moment(f, start_s);
        ret_estimate->end_ms = moment(f, start_s + left_s);
    } else if (row->state == RUN_RUNNING) {
        ret_estimate->end_ms = moment(f, left_s);
    }
}

void forecast_write_run(struct json_writer *writer, struct forecast *f, const struct run_row *row,
                        uint64_t members) {
    struct progress progress;
    struct estimate estimate;
    bool running = row->state == RUN_RUNNING &&
                   progress_board_find(f->context->options.progress, row->id, &progress);
    bool wanted = run_members_have_estimate(members);
    if (wanted) {
        forecast_run(f, row, running ? &progress : NULL, &estimate);
    }
    run_write(writer, NULL, row, running ? &progress : NULL, wanted ? &estimate : NULL, members);
}
