/* Layer: api. */
#include "api/query/compare_query.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "core/base/cleanup.h"
#include "core/base/sha256.h"
#include "daemon/spec/run_spec.h"
#include "daemon/spec/sweep_spec.h"
#include "daemon/store/table/sweep_table.h"

void compare_query_clear(struct compare_query *query) {
    run_set_clear(&query->set);
    config_diff_clear(&query->varies);
    memset(query, 0, sizeof(*query));
}

/* The next piece of a list with commas; false at its end. One that does not fit matches nothing. */
static bool next_piece(const char **list, char *piece, size_t size) {
    if (**list == '\0') {
        return false;
    }
    size_t n = strcspn(*list, ",");
    (void)snprintf(piece, size, "%.*s", (int)n, n < size ? *list : "(too long)");
    *list += n;
    *list += **list == ',';
    return true;
}

/* ids=1,2,3. */
static bool read_ids(const struct request *request, struct reply *reply, int64_t *ids,
                     size_t *ret_n) {
    const char *list = url_argument(&request->url, "ids");
    char piece[24];
    size_t n = 0;
    while (next_piece(&list, piece, sizeof(piece))) {
        int64_t id = 0;
        if (n == COMPARE_MAX_RUNS || !text_to_id(piece, INT64_MAX, &id)) {
            reply_bad_argument(reply, request, "ids",
                               "ids must be at most %d ids of runs with commas in between.",
                               COMPARE_MAX_RUNS);
            return false;
        }
        for (size_t i = 0; i < n; i++) {
            if (ids[i] == id) {
                reply_bad_argument(reply, request, "ids", "Run %" PRId64 " is given twice.", id);
                return false;
            }
        }
        ids[n++] = id;
    }
    *ret_n = n;
    return true;
}

static bool read_named_runs(struct api_context *context, const struct request *request,
                            struct reply *reply, struct compare_query *query) {
    CLEANUP(free_pointer) int64_t *ids = calloc(COMPARE_MAX_RUNS, sizeof(*ids));
    if (!ids) {
        reply_problem(reply, request, STATUS_NO_MEMORY, "Try again later.");
        return false;
    }
    size_t n = 0;
    struct error error;
    if (!read_ids(request, reply, ids, &n)) {
        return false;
    }
    if (n == 0) {
        reply_bad_argument(reply, request, "ids", "ids must name at least one run.");
        return false;
    }
    if (run_set_read(context->options.store, ids, n, &query->set, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return false;
    }
    return true;
}

static bool read_sweep_runs(struct api_context *context, const struct request *request,
                            struct reply *reply, struct compare_query *query) {
    const char *text = url_argument(&request->url, "sweep");
    CLEANUP(sweep_row_clear) struct sweep_row sweep = {0};
    struct error error;
    if (!text_to_id(text, INT64_MAX, &query->sweep_id)) {
        reply_bad_argument(reply, request, "sweep", "sweep must be the id of a sweep.");
        return false;
    }
    if (sweep_table_get(context->options.store, query->sweep_id, &sweep, &error) != STATUS_OK ||
        run_set_read_sweep(context->options.store, query->sweep_id, &query->set, &error) !=
            STATUS_OK) {
        reply_error(reply, request, &error);
        return false;
    }
    if (!url_argument(&request->url, "group_by")) {
        query->request.n_fields =
            sweep_spec_grid_fields(sweep.spec_json, query->request.fields, COMPARE_MAX_FIELDS);
    }
    return true;
}

/* Of a link's sweep; others are not there for it. */
static bool check_link(const struct request *request, struct reply *reply,
                       const struct run_set *set) {
    for (size_t i = 0; i < set->n && request->grant.sweep_id > 0; i++) {
        if (set->rows[i].sweep_id != request->grant.sweep_id) {
            reply_problem(reply, request, STATUS_NOT_FOUND, "There is no run %" PRId64 ".",
                          set->rows[i].id);
            return false;
        }
    }
    return true;
}

static bool read_runs(struct api_context *context, const struct request *request,
                      struct reply *reply, struct compare_query *query) {
    bool ids = url_argument(&request->url, "ids") != NULL;
    bool sweep = url_argument(&request->url, "sweep") != NULL;
    if (ids == sweep) {
        reply_bad_argument(reply, request, ids ? "sweep" : "ids",
                           "Give either sweep=ID or ids=ID,ID,...");
        return false;
    }
    return sweep ? read_sweep_runs(context, request, reply, query)
                 : read_named_runs(context, request, reply, query);
}

/* group_by=m,copies; nothing: what the runs differ in. */
static bool read_grouping(const struct request *request, struct reply *reply,
                          struct compare_query *query) {
    struct compare_request *wanted = &query->request;
    const char *list = url_argument(&request->url, "group_by");
    char piece[COMPARE_FIELD_SIZE];
    if (list && strcmp(list, "none") == 0) {
        wanted->each_run = true;
        return true;
    }
    while (list && next_piece(&list, piece, sizeof(piece))) {
        const char *near = NULL;
        if (!run_spec_has_field(piece, &near)) {
            reply_bad_argument(
                reply, request, "group_by", "There is no field \"%s\" of a run%s%s%s.", piece,
                near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
            return false;
        }
        if (!run_spec_has_config_field(piece)) {
            reply_bad_argument(
                reply, request, "group_by",
                "%s makes no difference to training: runs are not grouped by it, but by fields of "
                "their config, or by none: each for itself.",
                piece);
            return false;
        }
        if (wanted->n_fields == COMPARE_MAX_FIELDS) {
            reply_bad_argument(reply, request, "group_by", "At most %d fields make a group.",
                               COMPARE_MAX_FIELDS);
            return false;
        }
        (void)snprintf(wanted->fields[wanted->n_fields++], COMPARE_FIELD_SIZE, "%s", piece);
    }
    return true;
}

/* What the runs differ in, and with it what to group by without group_by=: of named runs the fields
 * in which they differ; of a sweep its grid, which read_sweep_runs has set. */
static bool find_differences(const struct request *request, struct reply *reply,
                             struct compare_query *query) {
    struct error error;
    for (size_t i = 0; i < query->set.n; i++) {
        if (config_diff_add(&query->varies, query->set.rows[i].config_json, &error) != STATUS_OK) {
            reply_error(reply, request, &error);
            return false;
        }
    }
    if (query->sweep_id == 0 && !url_argument(&request->url, "group_by")) {
        compare_find_fields(&query->varies, &query->request);
    }
    return true;
}

static bool read_target(const struct request *request, struct reply *reply,
                        struct compare_request *wanted) {
    const char *text = url_argument(&request->url, "target");
    wanted->target = (double)NAN;
    if (!text) {
        return true;
    }
    char *end = NULL;
    double value = strtod(text, &end);
    if (strspn(text, "0123456789.eE-+") != strlen(text) || *text == '\0' || *end != '\0' ||
        !isfinite(value)) {
        reply_bad_argument(reply, request, "target", "target must be a number like 0.06.");
        return false;
    }
    wanted->target = value;
    return true;
}

static bool read_choices(const struct request *request, struct reply *reply,
                         struct compare_query *query) {
    const char *metric = url_argument(&request->url, "metric");
    const char *x = url_argument(&request->url, "x");
    if (metric && !compare_metric_from_name(metric, &query->request.metric)) {
        reply_bad_argument(reply, request, "metric",
                           "metric must be one of val_error, val_error_tta, val_error_ema, "
                           "val_loss, train_loss, "
                           "train_accuracy.");
        return false;
    }
    if (x && !compare_x_from_name(x, &query->request.x)) {
        reply_bad_argument(reply, request, "x", "x must be one of epoch, step, images, seconds.");
        return false;
    }
    query->request.baseline = url_argument(&request->url, "baseline");
    return read_target(request, reply, &query->request) && read_grouping(request, reply, query);
}

/* A digest of which runs there are in which revision. */
static void make_tag(struct compare_query *query) {
    struct sha256 sha;
    char hex[SHA256_HEX_SIZE];
    sha256_begin(&sha);
    for (size_t i = 0; i < query->set.n; i++) {
        const int64_t state[2] = {query->set.rows[i].id, query->set.rows[i].revision};
        sha256_update(&sha, state, sizeof(state));
    }
    sha256_end(&sha, hex);
    (void)snprintf(query->tag, sizeof(query->tag), "c%.20s", hex);
}

/* Every epoch of every run is read into memory, so there must be an end to it. */
static bool check_size(const struct request *request, struct reply *reply,
                       struct compare_query *query) {
    query->n_epochs = 0;
    for (size_t i = 0; i < query->set.n; i++) {
        query->n_epochs += query->set.rows[i].epochs_done;
    }
    if (query->n_epochs > COMPARE_MAX_EPOCHS) {
        reply_problem(
            reply, request, STATUS_INVALID,
            "These %zu runs have %" PRId64
            " epochs; at most %d can be compared at once. Give fewer runs (ids=), or read "
            "thinned histories (/runs/{id}/epochs?points=).",
            query->set.n, query->n_epochs, COMPARE_MAX_EPOCHS);
        return false;
    }
    return true;
}

bool compare_query_read(struct api_context *context, const struct request *request,
                        struct reply *reply, struct compare_query *ret_query) {
    memset(ret_query, 0, sizeof(*ret_query));
    if (!read_choices(request, reply, ret_query) ||
        !read_runs(context, request, reply, ret_query) ||
        !check_link(request, reply, &ret_query->set) || !check_size(request, reply, ret_query) ||
        !find_differences(request, reply, ret_query)) {
        return false;
    }
    make_tag(ret_query);
    return true;
}

bool compare_query_run(struct api_context *context, const struct request *request,
                       struct reply *reply, struct compare_query *query, struct comparison *ret) {
    struct run_set *set = &query->set;
    struct error error;
    enum status status = run_set_read_epochs(context->options.store, set, &error);
    if (status == STATUS_OK) {
        CLEANUP(free_pointer) struct compare_run *runs = calloc(set->n + 1, sizeof(*runs));
        for (size_t i = 0; runs && i < set->n; i++) {
            runs[i] = (struct compare_run){&set->rows[i], &set->epochs[i]};
        }
        status = runs ? compare_make(&query->request, runs, set->n, ret, &error)
                      : error_set(&error, STATUS_NO_MEMORY, "no memory to compare runs");
    }
    if (status == STATUS_NOT_FOUND) {
        reply_bad_argument(reply, request, "baseline", "baseline must be a group; %s.",
                           error.message);
    } else if (status != STATUS_OK) {
        reply_error(reply, request, &error);
    }
    return status == STATUS_OK;
}
