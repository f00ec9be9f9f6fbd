/* GET /runs/{id}/epochs and /runs/{id}/validation-error. Layer: api. */
#include <stdio.h>
#include <string.h>

#include "api/query/arguments.h"
#include "api/routes/routes.h"
#include "core/base/cleanup.h"
#include "daemon/compare/epoch_view.h"

enum { EPOCH_MOST = 1000000, POINTS_LEAST = 3 };

/* Longer histories are left to the threads for what takes long; JSON without
 * a limit comes in pages of JSON_PAGE. */
enum { MOST_EPOCHS_AT_ONCE = 5000, JSON_PAGE = 10000 };

struct history {
    struct run_row run;
    struct epoch_list list;
    enum epoch_format format;
    bool more; /* epochs behind the last of the list */
};

static void history_clear(struct history *history) {
    run_row_clear(&history->run);
    epoch_list_clear(&history->list);
}

struct window {
    int64_t after; /* only later epochs */
    int64_t limit; /* 0: without the argument: all, of JSON a page */
    int64_t points;
};

static bool read_window(const struct request *request, struct reply *reply,
                        struct window *ret_window) {
    int64_t cursor = 0;
    *ret_window = (struct window){0};
    if (!arguments_read_count(request, reply, "since_epoch", EPOCH_MOST, &ret_window->after) ||
        !arguments_read_count(request, reply, "cursor", EPOCH_MOST, &cursor) ||
        !arguments_read_limit(request, reply, EPOCH_MOST, &ret_window->limit) ||
        !arguments_read_count(request, reply, "points", EPOCH_MOST, &ret_window->points)) {
        return false;
    }
    const char *points = url_argument(&request->url, "points");
    if (points && ret_window->points < POINTS_LEAST) {
        reply_bad_argument(reply, request, "points",
                           "points must be at least %d: the first, the last and the best.",
                           POINTS_LEAST);
        return false;
    }
    if (points && ret_window->limit > 0) {
        reply_bad_argument(reply, request, "points", "Give either points or limit.");
        return false;
    }
    ret_window->after = cursor > ret_window->after ? cursor : ret_window->after;
    return true;
}

static bool read_format(const struct request *request, struct reply *reply,
                        enum epoch_format *ret_format) {
    char name[8];
    struct error error;
    if (request_format(request, "json, ndjson, csv", name, &error) != STATUS_OK) {
        reply_bad_argument(reply, request, "format", "%s.", error.message);
        return false;
    }
    *ret_format = strcmp(name, "csv") == 0      ? EPOCH_CSV
                  : strcmp(name, "ndjson") == 0 ? EPOCH_NDJSON
                                                : EPOCH_JSON;
    return true;
}

/* false: *reply is the answer. The caller clears *history whatever is returned. */
static bool read_history(struct api_context *context, const struct request *request,
                         struct reply *reply, struct history *history) {
    struct window window;
    struct error error;
    if (!read_window(request, reply, &window) || !read_format(request, reply, &history->format) ||
        !route_find_run(context, request, reply, &history->run)) {
        return false;
    }
    if (history->format == EPOCH_JSON && window.limit == 0 && window.points == 0) {
        window.limit = JSON_PAGE;
    }
    int64_t n = history->run.epochs_done - window.after;
    n = window.limit > 0 && window.limit < n ? window.limit : n;
    if (n > MOST_EPOCHS_AT_ONCE && reply_leave_to_slow(reply, request)) {
        return false;
    }
    /* One more than asked for tells whether there are more. */
    int limit = window.limit > 0 ? (int)window.limit + 1 : 0;
    if (epoch_table_list(context->options.store, history->run.id, (int)window.after, limit,
                         &history->list, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return false;
    }
    history->more = limit > 0 && history->list.n == (size_t)limit;
    history->list.n -= history->more;
    epochs_thin(&history->list, (size_t)window.points);
    return true;
}

/* The epoch after which the next page begins. */
static void cursor_of(const struct history *history, char text[16]) {
    const struct epoch_list *list = &history->list;
    (void)snprintf(text, 16, "%d", history->more ? list->rows[list->n - 1].report.epoch : 0);
}

/* Lines, when that is what was asked for. false: JSON was. */
static bool reply_lines(const struct request *request, struct reply *reply,
                        const struct history *history, enum epoch_columns columns) {
    if (history->format == EPOCH_JSON) {
        return false;
    }
    reply_text(reply, request, 200, history->format == EPOCH_CSV ? CONTENT_CSV : CONTENT_NDJSON,
               epochs_format(&history->list, columns, history->format));
    return true;
}

static void reply_end(const struct request *request, struct reply *reply,
                      const struct history *history) {
    if (history->more) {
        char cursor[16];
        cursor_of(history, cursor);
        reply_link_next(reply, request, cursor);
    }
    reply_tag(reply, request);
}

static void write_cursor(struct json_writer *writer, const struct history *history) {
    char cursor[16];
    cursor_of(history, cursor);
    json_write_string(writer, "next_cursor", history->more ? cursor : NULL);
}

void route_run_epochs(struct api_context *context, const struct request *request,
                      struct reply *reply) {
    CLEANUP(history_clear) struct history history = {.more = false};
    if (!read_history(context, request, reply, &history)) {
        return;
    }
    if (!reply_lines(request, reply, &history, EPOCH_ALL)) {
        struct json_writer writer = {0};
        CLEANUP(free_pointer) char *items = epochs_format(&history.list, EPOCH_ALL, EPOCH_JSON);
        json_write_object(&writer, NULL);
        json_write_id(&writer, "run", history.run.id);
        json_write_string(&writer, "state", run_state_name(history.run.state));
        json_write_raw(&writer, "items", items ? items : "[]");
        write_cursor(&writer, &history);
        json_write_end(&writer, '}');
        writer.failed |= items == NULL;
        reply_json(reply, request, 200, &writer);
    }
    reply_end(request, reply, &history);
}

/* The curve as arrays, which is what a plot takes. */
static void write_curve(struct json_writer *writer, const struct epoch_list *list) {
    json_write_array(writer, "epochs");
    for (size_t i = 0; i < list->n; i++) {
        json_write_int(writer, NULL, list->rows[i].report.epoch);
    }
    json_write_end(writer, ']');
    json_write_array(writer, "val_error");
    for (size_t i = 0; i < list->n; i++) {
        const struct epoch_row *row = &list->rows[i];
        json_write_number(writer, NULL, error_ratio(row->report.val_wrong, row->report.val_total));
    }
    json_write_end(writer, ']');
    json_write_array(writer, "val_wrong");
    for (size_t i = 0; i < list->n; i++) {
        json_write_int(writer, NULL, list->rows[i].report.val_wrong);
    }
    json_write_end(writer, ']');
    json_write_int(writer, "val_total", list->n > 0 ? list->rows[0].report.val_total : 0);
}

void route_run_validation_error(struct api_context *context, const struct request *request,
                                struct reply *reply) {
    CLEANUP(history_clear) struct history history = {.more = false};
    if (!read_history(context, request, reply, &history)) {
        return;
    }
    if (!reply_lines(request, reply, &history, EPOCH_CURVE)) {
        struct json_writer writer = {0};
        const struct run_row *run = &history.run;
        json_write_object(&writer, NULL);
        json_write_id(&writer, "run", run->id);
        json_write_string(&writer, "name", run->name[0] ? run->name : NULL);
        json_write_string(&writer, "state", run_state_name(run->state));
        json_write_int(&writer, "m", run->m);
        json_write_int(&writer, "cutout_size", run->cutout_size);
        write_curve(&writer, &history.list);
        write_cursor(&writer, &history);
        json_write_end(&writer, '}');
        reply_json(reply, request, 200, &writer);
    }
    reply_end(request, reply, &history);
}
