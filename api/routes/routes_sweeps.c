/* /sweeps: many runs submitted at once, and looked at as one. Layer: api. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/change/admission.h"
#include "api/query/arguments.h"
#include "api/routes/routes.h"
#include "api/view/sweep_view.h"
#include "core/base/cleanup.h"
#include "daemon/queue/queue.h"
#include "daemon/spec/sweep_spec.h"

/* Everything about one sweep. */
struct sweep_parts {
    struct sweep_row row;
    struct sweep_progress progress;
    struct halving_state halving;
    int64_t *ids; /* [n_ids] */
    size_t n_ids;
};

static void sweep_parts_clear(struct sweep_parts *parts) {
    sweep_row_clear(&parts->row);
    halving_state_clear(&parts->halving);
    free(parts->ids);
    parts->ids = NULL;
}

/* What there is besides the row. */
static enum status read_rest(struct api_context *context, struct sweep_parts *parts,
                             struct error *error) {
    struct store *store = context->options.store;
    TRY(sweep_table_progress(store, parts->row.id, &parts->progress, error));
    TRY(sweep_table_halving(store, parts->row.id, &parts->halving, error));
    return sweep_table_runs(store, parts->row.id, &parts->ids, &parts->n_ids, error);
}

/* How many of its runs may train at a time. */
static int count_places(const struct api_context *context, const struct sweep_progress *progress) {
    struct pool *pool = context->options.pool;
    size_t n_names = 0;
    int n = 0;
    const char *const *names = pool_executor_names(pool, &n_names);
    for (size_t i = 0; i < n_names; i++) {
        if (progress->mixed || !strcmp(names[i], progress->executor)) {
            n += pool_places(pool, pool_executor(pool, names[i]));
        }
    }
    return n;
}

static void reply_sweep(struct api_context *context, const struct request *request,
                        struct reply *reply, int http_status, const struct sweep_parts *parts) {
    static const int64_t none[1];
    struct json_writer writer = {.link_prefix = request->prefix};
    sweep_write(&writer, NULL, &parts->row, &parts->progress, &parts->halving,
                parts->ids ? parts->ids : none, parts->n_ids,
                count_places(context, &parts->progress));
    reply_json(reply, request, http_status, &writer);
}

static enum status find_sweep(const struct api_context *context, const struct request *request,
                              struct sweep_row *row, struct error *error) {
    int64_t id = 0;
    TRY(request_read_id(request, "sweep", &id, error));
    TRY(sweep_table_get(context->options.store, id, row, error));
    /* Everybody reads all sweeps; what changes one asks whose it is. */
    return request_only_reads(request)
               ? STATUS_OK
               : request_check_owner(request, row->owner, "sweep", id, error);
}

bool route_find_sweep(struct api_context *context, const struct request *request,
                      struct reply *reply, struct sweep_row *ret_row) {
    struct error error;
    if (find_sweep(context, request, ret_row, &error) == STATUS_OK) {
        return true;
    }
    sweep_row_clear(ret_row);
    reply_error(reply, request, &error);
    return false;
}

/* POST /sweeps */

/* What each child takes: admission[n_children]. */
static bool check_admission(const struct api_context *context, const struct request *request,
                            const struct sweep_spec *spec, struct admission *admission,
                            struct reply *reply) {
    struct field_errors errors = {.n = 0};
    struct error error;
    for (size_t i = 0; i < spec->n_children && errors.n < RUN_SPEC_MAX_ERRORS; i++) {
        struct field_errors of_run = {.n = 0};
        if (admission_check(context, request, &spec->children[i].spec, &admission[i], &of_run,
                            &error) != STATUS_OK) {
            reply_error(reply, request, &error);
            return false;
        }
        sweep_errors_add(spec, &spec->children[i], &of_run, &errors);
    }
    if (errors.n > 0) {
        reply_field_errors(reply, request, STATUS_INVALID, "sweep", &errors);
    }
    return errors.n == 0;
}

static void reply_dry_run(struct reply *reply, const struct request *request,
                          const struct sweep_spec *spec, const struct admission *admission) {
    int64_t epochs_total = 0;
    struct json_writer writer = {0};
    json_write_object(&writer, NULL);
    json_write_string(&writer, "name", spec->name[0] ? spec->name : NULL);
    json_write_int(&writer, "runs", (int64_t)spec->n_children);
    json_write_array(&writer, "items");
    for (size_t i = 0; i < spec->n_children; i++) {
        const struct run_spec *run = &spec->children[i].spec;
        epochs_total += run->config.epochs;
        json_write_object(&writer, NULL);
        json_write_string(&writer, "name", run->name);
        admission_write_plan(&writer, &run->config, &admission[i]);
        json_write_end(&writer, '}');
    }
    json_write_end(&writer, ']');
    json_write_int(&writer, "epochs_total", epochs_total);
    json_write_end(&writer, '}');
    reply_json(reply, request, 200, &writer);
}

/* All children, and their drafts in a row, as the queue takes them. */
struct children {
    struct submission *submissions; /* [n] */
    struct run_draft *drafts;       /* [n] */
    const char **settings;          /* [n], borrowed from the spec */
    size_t n;
};

static void children_clear(struct children *children) {
    for (size_t i = 0; i < children->n; i++) {
        submission_clear(&children->submissions[i]);
    }
    free(children->submissions);
    free(children->drafts);
    free(children->settings);
}

static enum status make_children(const struct api_context *context, const struct request *request,
                                 const struct sweep_spec *spec, struct children *children,
                                 struct error *error) {
    children->submissions = calloc(spec->n_children, sizeof(*children->submissions));
    children->drafts = calloc(spec->n_children, sizeof(*children->drafts));
    children->settings = calloc(spec->n_children, sizeof(*children->settings));
    if (!children->submissions || !children->drafts || !children->settings) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the runs of a sweep");
    }
    for (size_t i = 0; i < spec->n_children; i++) {
        struct submission *submission = &children->submissions[i];
        children->n++; /* to be cleared in any case */
        TRY(submission_make(context, request, &spec->children[i].spec, submission, error));
        submission->draft.held |= spec->hold;
        children->drafts[i] = submission->draft;
        children->settings[i] = spec->children[i].setting;
    }
    return STATUS_OK;
}

/* Stores everything in one transaction and answers. */
static void accept(struct api_context *context, const struct request *request,
                   const struct sweep_spec *spec, struct reply *reply) {
    CLEANUP(children_clear) struct children children = {.n = 0};
    CLEANUP(sweep_parts_clear) struct sweep_parts parts = {.n_ids = 0};
    struct error error;
    if (make_children(context, request, spec, &children, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    const struct halving_rule halving = {.first_epochs = spec->halving.first_epochs,
                                         .eta = spec->halving.eta,
                                         .metric = spec->halving.metric};
    const struct sweep_draft draft = {.name = spec->name,
                                      .owner = request->owner,
                                      .spec_json = spec->spec_json,
                                      .runs = children.drafts,
                                      .n_runs = children.n,
                                      .halving = spec->halving.given ? &halving : NULL,
                                      .settings = children.settings,
                                      .idempotency = request->idempotency};
    int64_t id = 0;
    if (queue_submit_sweep(context->options.queue, &draft, &id, &error) != STATUS_OK ||
        sweep_table_get(context->options.store, id, &parts.row, &error) != STATUS_OK ||
        read_rest(context, &parts, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    reply_sweep(context, request, reply, 201, &parts);
    (void)snprintf(reply->location, sizeof(reply->location), "/api/v1/sweeps/%" PRId64, id);
}

void route_sweep_create(struct api_context *context, const struct request *request,
                        struct reply *reply) {
    const struct run_spec_context spec_context = run_surroundings(context);
    bool dry_run = false;
    if (!arguments_read_flag(request, reply, "dry_run", &dry_run)) {
        return;
    }
    CLEANUP(sweep_spec_clear) struct sweep_spec spec = {.n_fields = 0};
    struct field_errors errors;
    enum status status =
        sweep_spec_parse(request->body, request->n_body, &spec_context, &spec, &errors);
    if (status != STATUS_OK) {
        reply_field_errors(reply, request, status, "sweep", &errors);
        return;
    }
    CLEANUP(free_pointer) struct admission *admission = calloc(spec.n_children, sizeof(*admission));
    if (!admission) {
        reply_problem(reply, request, STATUS_NO_MEMORY, "Try again later.");
    } else if (!check_admission(context, request, &spec, admission, reply)) {
        return;
    } else if (dry_run) {
        reply_dry_run(reply, request, &spec, admission);
    } else {
        accept(context, request, &spec, reply);
    }
}

/* GET /sweeps */

void route_sweep_list(struct api_context *context, const struct request *request,
                      struct reply *reply) {
    int64_t limit = 0;
    int64_t before_id = 0;
    if (!arguments_read_page(request, reply, &limit, &before_id)) {
        return;
    }
    CLEANUP(sweep_list_clear) struct sweep_list list = {0};
    struct store *store = context->options.store;
    struct error error;
    enum status status = sweep_table_list(store, before_id, (int)limit, &list, &error);
    struct json_writer writer = {.link_prefix = request->prefix};
    json_write_object(&writer, NULL);
    json_write_array(&writer, "items");
    for (size_t i = 0; status == STATUS_OK && i < list.n; i++) {
        struct sweep_progress progress = {0};
        status = sweep_table_progress(store, list.rows[i].id, &progress, &error);
        sweep_write(&writer, NULL, &list.rows[i], &progress, NULL, NULL, 0,
                    count_places(context, &progress));
    }
    if (status != STATUS_OK) {
        json_write_free(&writer);
        reply_error(reply, request, &error);
        return;
    }
    char cursor[ID_CURSOR_SIZE];
    reply_page(reply, request, &writer,
               list.more && list.n > 0 ? arguments_cursor(list.rows[list.n - 1].id, cursor) : NULL);
}

/* GET /sweeps/{id} */

void route_sweep_get(struct api_context *context, const struct request *request,
                     struct reply *reply) {
    CLEANUP(sweep_parts_clear) struct sweep_parts parts = {.n_ids = 0};
    struct error error;
    if (!route_find_sweep(context, request, reply, &parts.row)) {
        return;
    }
    if (read_rest(context, &parts, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    /* The estimate goes with the number of workers. */
    char state[80];
    (void)snprintf(state, sizeof(state), "s%" PRId64 "-%" PRId64 "-%" PRId64 "-%d%s", parts.row.id,
                   parts.progress.n_runs, parts.progress.revision_sum,
                   count_places(context, &parts.progress), parts.row.has_note ? "n" : "");
    if (!reply_tag_state(reply, request, context->options.commit, state)) {
        reply_sweep(context, request, reply, 200, &parts);
    }
}
