/* The queue as it stands, and the scheduler that works through it. Layer: api. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "api/query/arguments.h"
#include "api/query/body.h"
#include "api/routes/routes.h"
#include "api/view/forecast.h"
#include "api/view/owner_view.h"
#include "api/view/run_view.h"
#include "core/base/cleanup.h"
#include "core/base/time_text.h"
#include "daemon/spec/field_errors.h"
#include "daemon/store/owner/owner_list.h"
#include "daemon/store/query/run_queue.h"
#include "daemon/store/table/idempotency_table.h"
#include "daemon/work/pool.h"

static void write_scheduler_members(struct json_writer *writer, const struct pool_status *status) {
    char time[TIME_TEXT_SIZE];
    json_write_string(writer, "state", status->draining ? "draining" : "running");
    json_write_int(writer, "workers", status->n_workers);
    json_write_int(writer, "running_runs", status->n_running);
    json_write_bool(writer, "quiet", status->quiet_until_ms > 0);
    json_write_string(writer, "quiet_until",
                      status->quiet_until_ms > 0 && status->quiet_until_ms < INT64_MAX
                          ? time_format(status->quiet_until_ms, time)
                          : NULL);
}

static void write_short_run(struct json_writer *writer, const struct run_row *row) {
    json_write_object(writer, "run");
    json_write_id(writer, "id", row->id);
    json_write_string(writer, "name", row->name[0] ? row->name : NULL);
    json_write_string(writer, "owner", row->owner[0] ? row->owner : NULL);
    json_write_string(writer, "state", run_state_name(row->state));
    json_write_int(writer, "priority", row->priority);
    json_write_int(writer, "m", row->m);
    json_write_int(writer, "cutout_size", row->cutout_size);
    json_write_int(writer, "epochs", row->epochs);
    json_write_int(writer, "epochs_done", row->epochs_done);
    json_write_end(writer, '}');
}

/* What the run needs and is not there at present; others go before it. */
static bool explain_missing(const struct api_context *context, const struct run_row *row,
                            char *text, size_t size) {
    struct dataset_registry *datasets = context->options.datasets;
    const struct executor *executor = pool_executor(context->options.pool, row->executor);
    struct executor_condition condition = {.problem = ""};
    if (!executor) {
        (void)snprintf(text, size, "There is no executor %s in the config.", row->executor);
        return true;
    }
    if (executor->describe) {
        executor->describe(executor->user, &condition);
    }
    if (condition.problem[0]) {
        (void)snprintf(text, size, "The executor %s starts nothing: %.*s.", row->executor,
                       (int)(size / 2), condition.problem);
        return true;
    }
    for (size_t i = 0; i < dataset_registry_count(datasets); i++) {
        struct dataset_description description;
        dataset_registry_describe(datasets, i, &description);
        if (!description.available && strcmp(description.name, row->dataset) == 0 &&
            strcmp(row->executor, EXECUTOR_NAME_LOCAL) == 0) {
            (void)snprintf(text, size, "Its data set %s cannot be read: %.*s.", row->dataset,
                           (int)(size / 2), description.problem);
            return true;
        }
    }
    return false;
}

/* Why its owner gets no more at present. */
static bool explain_owner(const struct api_context *context, const struct pool_status *scheduler,
                          const struct run_row *row, char *text, size_t size) {
    int64_t n_running = 0;
    int64_t n_bytes = 0;
    int64_t max_disk = scheduler->max_disk;
    const char *owner = row->owner[0] ? row->owner : "(whoever comes without a token)";
    if ((scheduler->max_running == 0 && max_disk == 0) ||
        owner_read_state(context->options.store, row->owner, &n_running, &n_bytes, NULL) !=
            STATUS_OK) {
        return false;
    }
    if (max_disk > 0 && n_bytes > max_disk) {
        (void)snprintf(
            text, size,
            "Its owner %s has %.1f GiB of checkpoints, max_disk allows %.1f: delete runs "
            "that are not needed.",
            owner, (double)n_bytes * 0x1p-30, (double)max_disk * 0x1p-30);
        return true;
    }
    if (scheduler->max_running == 0 || n_running < scheduler->max_running) {
        return false;
    }
    (void)snprintf(text, size,
                   "Its owner %s has %" PRId64 " run%s running, as many as max_running "
                   "allows.",
                   owner, n_running, n_running == 1 ? "" : "s");
    return true;
}

/* What the clock keeps it from. */
static bool explain_time(const struct api_context *context, const struct pool_status *scheduler,
                         const struct run_row *row, char *text, size_t size) {
    char time[TIME_TEXT_SIZE];
    const struct executor *executor = pool_executor(context->options.pool, row->executor);
    if (row->not_before_ms > clock_unix_ms(context->options.clock)) {
        (void)snprintf(text, size, "It starts no earlier than %s (not_before).",
                       time_format(row->not_before_ms, time));
        return true;
    }
    if (scheduler->quiet_until_ms == 0 || !executor || !executor->heeds_quiet) {
        return false;
    }
    bool known = scheduler->quiet_until_ms < INT64_MAX;
    (void)snprintf(text, size, "Quiet hours%s%s: nothing trains.", known ? " until " : "",
                   known ? time_format(scheduler->quiet_until_ms, time) : "");
    return true;
}

/* Nothing of its executor is before it. */
static void explain_turn(const struct api_context *context, const struct run_row *row, char *text,
                         size_t size) {
    struct pool *pool = context->options.pool;
    const struct executor *executor = pool_executor(pool, row->executor);
    int n_places = executor ? pool_places(pool, executor) : 0;
    if (executor && pool_count_running(pool, executor) < n_places) {
        (void)snprintf(text, size, "It starts now.");
    } else if (executor && executor->most) {
        (void)snprintf(text, size, "The executor %s has as many runs as it takes (%d); it is next.",
                       executor->name, n_places);
    } else {
        (void)snprintf(text, size, "%s training; it is next.",
                       n_places == 1 ? "The worker is" : "All workers are");
    }
}

static void explain_wait(const struct api_context *context, const struct pool_status *scheduler,
                         const struct run_row *row, int64_t position, bool next, char *text,
                         size_t size) {
    struct after blocker;
    if (row->state == RUN_HELD) {
        (void)snprintf(text, size, "It is held: release puts it into the queue.");
        return;
    }
    if (forecast_blocker(context, row, &blocker)) {
        (void)snprintf(text, size, "It comes after run %" PRId64 ", which is %s.", blocker.run_id,
                       run_state_name(blocker.state));
        return;
    }
    if (explain_missing(context, row, text, size) ||
        explain_time(context, scheduler, row, text, size) ||
        explain_owner(context, scheduler, row, text, size)) {
        return;
    }
    if (scheduler->draining) {
        (void)snprintf(text, size, "The scheduler is draining: no run is started.");
    } else if (scheduler->waits_for[0]) {
        (void)snprintf(text, size, "No run is started for the moment: %.*s.", (int)(size / 2),
                       scheduler->waits_for);
    } else if (next) {
        explain_turn(context, row, text, size);
    } else {
        (void)snprintf(text, size, "%" PRId64 " run%s before it.", position - 1,
                       position == 2 ? " is" : "s are");
    }
}

/* "5.12": behind priority 5, run 12; "5.12.anna": whose it is, where owners take turns; "5.12h":
 * the first among the held ones. */
enum { CURSOR_SIZE = 48 + RUN_OWNER_SIZE };

static bool read_cursor(const char *text, struct queue_place *ret_place) {
    char copy[CURSOR_SIZE];
    size_t n = strlen(text);
    if (n == 0 || n >= sizeof(copy)) {
        return false;
    }
    memcpy(copy, text, n + 1);
    char *dot = strchr(copy, '.');
    char *owner = dot ? strchr(dot + 1, '.') : NULL;
    if (!dot || (owner && strlen(owner + 1) >= sizeof(ret_place->owner))) {
        return false;
    }
    *ret_place = (struct queue_place){.held = !owner && copy[n - 1] == 'h'};
    copy[n - ret_place->held] = '\0';
    *dot = '\0';
    if (owner) {
        *owner = '\0';
        (void)snprintf(ret_place->owner, sizeof(ret_place->owner), "%s", owner + 1);
    }
    int64_t priority = 0;
    bool good =
        text_to_integer(copy, INT_MAX, &priority) && text_to_id(dot + 1, INT64_MAX, &ret_place->id);
    ret_place->priority = (int)priority;
    return good;
}

static void write_cursor(const struct run_row *last, char text[CURSOR_SIZE]) {
    bool held = last->state == RUN_HELD;
    (void)snprintf(text, CURSOR_SIZE, "%d.%" PRId64 "%s%s", last->priority, last->id,
                   held             ? "h"
                   : last->owner[0] ? "."
                                    : "",
                   held ? "" : last->owner);
}

static bool write_running(struct api_context *context, const struct request *request,
                          struct reply *reply, struct json_writer *writer) {
    CLEANUP(run_list_clear) struct run_list list = {0};
    struct error error;
    if (run_queue_list(context->options.store, RUN_RUNNING, LIST_LIMIT_MOST, &list, &error) !=
        STATUS_OK) {
        reply_error(reply, request, &error);
        return false;
    }
    json_write_array(writer, "running");
    for (size_t i = 0; i < list.n; i++) {
        struct progress progress;
        bool found = progress_board_find(context->options.progress, list.rows[i].id, &progress);
        json_write_object(writer, NULL);
        write_short_run(writer, &list.rows[i]);
        if (found) {
            json_write_object(writer, "progress");
            progress_write_members(writer, &progress);
            json_write_end(writer, '}');
        } else {
            json_write_null(writer, "progress");
        }
        json_write_end(writer, '}');
    }
    json_write_end(writer, ']');
    return true;
}

static void write_waiting(struct json_writer *writer, struct forecast *forecast,
                          const struct pool_status *scheduler, const struct run_row *row,
                          int64_t position, bool next) {
    char why[384];
    char time[TIME_TEXT_SIZE];
    struct estimate estimate;
    explain_wait(forecast->context, scheduler, row, position, next, why, sizeof(why));
    forecast_run(forecast, row, NULL, &estimate);
    json_write_object(writer, NULL);
    if (row->state == RUN_HELD) {
        json_write_null(writer, "position");
    } else {
        json_write_int(writer, "position", position);
    }
    write_short_run(writer, row);
    json_write_string(writer, "why_waiting", why);
    json_write_string(writer, "expected_start_at",
                      estimate.start_ms > 0 ? time_format(estimate.start_ms, time) : NULL);
    json_write_end(writer, '}');
}

/* Whether no other run of its executor is before it; known of the beginning of the queue. */
static bool is_next(const struct queue_page *page, size_t i) {
    bool next = page->first_position == 1;
    for (size_t j = 0; next && j < i; j++) {
        next = strcmp(page->list.rows[j].executor, page->list.rows[i].executor) != 0;
    }
    return next;
}

void route_queue(struct api_context *context, const struct request *request, struct reply *reply) {
    int64_t limit = LIST_LIMIT_DEFAULT;
    struct queue_place after;
    const char *cursor = url_argument(&request->url, "cursor");
    if (!arguments_read_limit(request, reply, LIST_LIMIT_MOST, &limit)) {
        return;
    }
    if (cursor && !read_cursor(cursor, &after)) {
        reply_bad_argument(reply, request, "cursor", "cursor must be a next_cursor of an answer.");
        return;
    }
    CLEANUP(queue_page_clear) struct queue_page page = {0};
    struct error error;
    /* The front of the queue is what the forecast looks at as well: it is read once. */
    int n_read = !cursor && limit < FORECAST_MOST_RUNS ? FORECAST_MOST_RUNS : (int)limit;
    if (run_queue_page(context->options.store, cursor ? &after : NULL,
                       clock_unix_ms(context->options.clock), n_read, &page, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    size_t n_shown = page.list.n < (size_t)limit ? page.list.n : (size_t)limit;
    struct pool_status scheduler;
    pool_get_status(context->options.pool, &scheduler);
    struct json_writer writer = {0};
    json_write_object(&writer, NULL);
    json_write_object(&writer, "scheduler");
    write_scheduler_members(&writer, &scheduler);
    json_write_end(&writer, '}');
    json_write_int(&writer, "queued", page.n_queued);
    json_write_int(&writer, "held", page.n_held);
    owner_limits_write(&writer, context);
    if (!write_running(context, request, reply, &writer)) {
        json_write_free(&writer);
        return;
    }
    /* The front of the queue is not far behind it: no need to count. */
    struct forecast forecast = {
        .context = context, .queue = cursor ? NULL : &page.list, .asked = !cursor};
    json_write_array(&writer, "items");
    for (size_t i = 0; i < n_shown; i++) {
        write_waiting(&writer, &forecast, &scheduler, &page.list.rows[i],
                      page.first_position + (int64_t)i, is_next(&page, i));
    }
    json_write_end(&writer, ']');
    char next[CURSOR_SIZE] = "";
    if (n_shown > 0 && (page.list.more || page.list.n > n_shown)) {
        write_cursor(&page.list.rows[n_shown - 1], next);
    }
    json_write_string(&writer, "next_cursor", next[0] ? next : NULL);
    json_write_end(&writer, '}');
    reply_json(reply, request, 200, &writer);
}

/* The scheduler */

static void reply_scheduler(const struct request *request, struct reply *reply,
                            const struct pool_status *status) {
    struct json_writer writer = {0};
    json_write_object(&writer, NULL);
    write_scheduler_members(&writer, status);
    json_write_end(&writer, '}');
    reply_json(reply, request, 200, &writer);
}

void route_scheduler(struct api_context *context, const struct request *request,
                     struct reply *reply) {
    struct pool_status status;
    pool_get_status(context->options.pool, &status);
    reply_scheduler(request, reply, &status);
}

/* The answer is written first, so that it can be stored with what it tells about. */
static void set_draining(struct api_context *context, const struct request *request,
                         struct reply *reply, bool draining) {
    struct error error;
    struct pool_status status;
    pool_get_status(context->options.pool, &status);
    status.draining = draining;
    reply_scheduler(request, reply, &status);
    const struct idempotency_answer answer = {.mark = request->idempotency,
                                              .http_status = reply->http_status,
                                              .location = "",
                                              .body = reply->body ? reply->body : "",
                                              .now_ms = clock_unix_ms(context->options.clock)};
    reply->stored = request->idempotency && reply->http_status == 200;
    if (pool_set_draining(context->options.pool, draining, reply->stored ? &answer : NULL,
                          &error) != STATUS_OK) {
        reply->stored = false;
        reply_error(reply, request, &error);
    }
}

void route_scheduler_drain(struct api_context *context, const struct request *request,
                           struct reply *reply) {
    set_draining(context, request, reply, true);
}

void route_scheduler_resume(struct api_context *context, const struct request *request,
                            struct reply *reply) {
    set_draining(context, request, reply, false);
}

void route_scheduler_edit(struct api_context *context, const struct request *request,
                          struct reply *reply) {
    CLEANUP(body_delete) cJSON *document = body_read(request, false, reply);
    if (!document) {
        return;
    }
    struct field_errors errors = {.n = 0};
    const cJSON *workers = cJSON_GetObjectItemCaseSensitive(document, "workers");
    double value = cJSON_IsNumber(workers) ? workers->valuedouble : 0;
    body_check_names(document, "workers", &errors);
    if (!(value >= 1 && value <= POOL_MAX_WORKERS) || value != (double)(int)value) {
        field_errors_add(&errors, "workers", "workers must be a whole number from 1 to %d.",
                         POOL_MAX_WORKERS);
    }
    struct error error;
    if (errors.n > 0) {
        reply_field_errors(reply, request, STATUS_INVALID, "scheduler", &errors);
    } else if (pool_set_workers(context->options.pool, (int)value, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
    } else {
        route_scheduler(context, request, reply);
    }
}
