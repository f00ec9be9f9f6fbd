/* POST /runs/{id}/fork: a new run that goes on from a checkpoint of another, with other settings.
 * Layer: api. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/change/admission.h"
#include "api/change/run_actions.h"
#include "api/query/body.h"
#include "api/routes/routes.h"
#include "core/base/cleanup.h"
#include "daemon/config/state_dir.h"
#include "daemon/queue/queue.h"
#include "daemon/spec/field_errors.h"
#include "daemon/spec/run_spec_fields.h"
#include "daemon/spec/run_spec_json.h"
#include "daemon/store/change/run_fork.h"
#include "daemon/store/table/checkpoint_table.h"

struct fork {
    const struct run_row *source;
    bool of_many; /* errors say which of them is meant */
    int epoch;
    struct run_spec spec;
    struct admission admission;
};

static bool check_document(const cJSON *document, const char *names, const struct request *request,
                           struct reply *reply) {
    struct field_errors errors = {.n = 0};
    const cJSON *overrides = cJSON_GetObjectItemCaseSensitive(document, "overrides");
    body_check_names(document, names, &errors);
    if (overrides && !cJSON_IsObject(overrides)) {
        field_errors_add(&errors, "overrides", "overrides must be an object of run fields.");
    }
    if (errors.n > 0) {
        reply_field_errors(reply, request, STATUS_INVALID, "fork", &errors);
    }
    return errors.n == 0;
}

/* The body as an object; an empty one is {}. NULL: *reply says what is wrong. */
static cJSON *read_body(const struct request *request, struct reply *reply) {
    CLEANUP(body_delete) cJSON *document = body_read(request, true, reply);
    if (!document || !check_document(document, "from_epoch, overrides", request, reply)) {
        return NULL;
    }
    cJSON *taken = document;
    document = NULL;
    return taken;
}

/* The epochs that there is a checkpoint of, newest first: "5, 4, 3", as many as fit. */
static void epochs_text(const struct checkpoint_list *list, char *text, size_t size) {
    size_t used = 0;
    int before = -1;
    text[0] = '\0';
    for (size_t i = 0; i < list->n; i++) {
        char one[24];
        int epoch = list->rows[i].epochs_done;
        if (list->rows[i].step != 0 || epoch == before) {
            continue;
        }
        size_t n = (size_t)snprintf(one, sizeof(one), "%s%d", used ? ", " : "", epoch);
        if (used + n + sizeof(", ...") > size) {
            (void)snprintf(text + used, size - used, ", ...");
            return;
        }
        memcpy(text + used, one, n + 1);
        used += n;
        before = epoch;
    }
}

/* Which epoch is asked for. -1: none that a checkpoint exists for. */
static int find_epoch(const cJSON *asked, const struct run_row *source,
                      const struct checkpoint_list *list) {
    bool best = cJSON_IsString(asked) && strcmp(asked->valuestring, "best") == 0;
    const double value = cJSON_GetNumberValue(asked); /* NaN: it is none */
    bool number = value >= 0 && value <= 1e6 && value == floor(value);
    if (asked && !best && !number) {
        return -1;
    }
    int epoch = best ? source->best_epoch : number ? (int)value : -1;
    if (number && epoch == 0) {
        return 0;
    }
    for (size_t i = 0; i < list->n; i++) {
        bool whole = list->rows[i].step == 0 && list->rows[i].epochs_done > 0;
        if (whole && (!asked || list->rows[i].epochs_done == epoch)) {
            return list->rows[i].epochs_done;
        }
    }
    return -1;
}

static void name_run(const struct fork *fork, struct field_errors *errors) {
    for (int i = 0; fork->of_many && i < errors->n; i++) {
        char detail[sizeof(errors->items[i].detail)];
        (void)snprintf(detail, sizeof(detail), "Run %" PRId64 ": %.*s", fork->source->id,
                       (int)sizeof(detail) - 32, errors->items[i].detail);
        memcpy(errors->items[i].detail, detail, sizeof(detail));
    }
}

static bool choose_epoch(struct api_context *context, const struct request *request,
                         const cJSON *asked, struct fork *fork, struct reply *reply) {
    CLEANUP(checkpoint_list_clear) struct checkpoint_list list = {0};
    struct error error;
    if (checkpoint_table_list(context->options.store, fork->source->id, &list, &error) !=
        STATUS_OK) {
        reply_error(reply, request, &error);
        return false;
    }
    fork->epoch = find_epoch(asked, fork->source, &list);
    if (fork->epoch < 0) {
        char epochs[96];
        struct field_errors errors = {.n = 0};
        epochs_text(&list, epochs, sizeof(epochs));
        field_errors_add(
            &errors, "from_epoch",
            "from_epoch must be an epoch that there is a checkpoint of (%s), \"best\", "
            "or 0 to start anew.",
            epochs[0] ? epochs : "none yet");
        name_run(fork, &errors);
        reply_field_errors(reply, request, STATUS_INVALID, "fork", &errors);
    }
    return fork->epoch >= 0;
}

/* What the source was submitted as: its config, and what is kept in columns. NULL: no memory. */
static cJSON *source_document(const struct run_row *source) {
    CLEANUP(free_pointer) char *config = run_spec_stored_json(source->config_json);
    CLEANUP(body_delete) cJSON *document = config ? cJSON_Parse(config) : NULL;
    cJSON *labels = cJSON_Parse(source->labels_json);
    static const char *const columns[] = {"name", "priority",
                                          "labels"}; /* once beside the config */
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        cJSON_DeleteItemFromObjectCaseSensitive(document, columns[i]);
    }
    if (!labels || !cJSON_AddItemToObject(document, "labels", labels)) {
        cJSON_Delete(labels);
        return NULL;
    }
    if (!cJSON_AddStringToObject(document, "name", source->name) ||
        !cJSON_AddNumberToObject(document, "priority", source->priority)) {
        return NULL;
    }
    cJSON *made = document;
    document = NULL;
    return made;
}

/* The source with the overrides laid over it. */
static enum status parse_spec(const struct api_context *context, const cJSON *overrides,
                              struct fork *fork, struct field_errors *errors) {
    const struct run_spec_context surroundings = run_surroundings(context);
    CLEANUP(body_delete) cJSON *document = source_document(fork->source);
    const cJSON *item = NULL;
    errors->n = 0;
    cJSON_ArrayForEach(item, overrides) {
        cJSON *copy = cJSON_Duplicate(item, true);
        cJSON_DeleteItemFromObjectCaseSensitive(document, item->string);
        if (!copy || !cJSON_AddItemToObject(document, item->string, copy)) {
            cJSON_Delete(copy);
            return STATUS_NO_MEMORY;
        }
    }
    enum status status = document ? run_spec_resolve(document, &surroundings, &fork->spec, errors)
                                  : STATUS_NO_MEMORY;
    if (status == STATUS_OK && !fork->spec.executor[0] &&
        pool_executor(context->options.pool, fork->source->executor)) {
        (void)snprintf(fork->spec.executor, sizeof(fork->spec.executor), "%s",
                       fork->source->executor);
    }
    return status;
}

/* The tensors of its network, which the columns do not tell. */
static void check_network(const struct fork *fork, struct field_errors *errors) {
    const struct run_config *config = &fork->spec.config;
    CLEANUP(free_pointer) struct run_spec *source = calloc(1, sizeof(*source));
    if (!source || run_spec_read_stored(fork->source->config_json, source, NULL) != STATUS_OK) {
        return; /* then the attempt says what it lacks */
    }
    if (config->shortcut != source->config.shortcut) {
        field_errors_add(errors, "shortcut",
                         "The checkpoint is of a network with other shortcuts.");
    }
    if (config->conv_bias != source->config.conv_bias) {
        field_errors_add(errors, "conv_bias", "The checkpoint is of a network with%s biases.",
                         source->config.conv_bias ? "" : "out");
    }
}

/* A checkpoint fits only the network and the optimizer that it was made with. */
static void check_fit(const struct fork *fork, struct field_errors *errors) {
    const struct run_config *config = &fork->spec.config;
    const struct run_row *source = fork->source;
    if (fork->epoch == 0) {
        return;
    }
    check_network(fork, errors);
    if (config->depth != source->depth) {
        field_errors_add(errors, "depth", "The checkpoint is of depth %d.", source->depth);
    }
    if (strcmp(optimizer_name(config->optimizer), source->optimizer) != 0) {
        field_errors_add(errors, "optimizer", "The checkpoint is of %s.", source->optimizer);
    }
    if (strcmp(config->dataset, source->dataset) != 0) {
        field_errors_add(errors, "dataset", "The checkpoint is of %s.", source->dataset);
    }
    if (config->epochs <= fork->epoch) {
        field_errors_add(errors, "epochs",
                         "epochs must be more than the %d that are done: give more of them.",
                         fork->epoch);
    }
}

static bool settle_spec(struct api_context *context, const struct request *request,
                        const cJSON *overrides, struct fork *fork, struct reply *reply) {
    struct field_errors errors;
    struct error error;
    enum status status = parse_spec(context, overrides, fork, &errors);
    if (status == STATUS_OK) {
        check_fit(fork, &errors);
        if (admission_check(context, request, &fork->spec, &fork->admission, &errors, &error) !=
            STATUS_OK) {
            reply_error(reply, request, &error);
            return false;
        }
    }
    name_run(fork, &errors);
    for (int i = 0; i < errors.n; i++) {
        char pointer[sizeof(errors.items[i].pointer)];
        (void)snprintf(pointer, sizeof(pointer), "/overrides%.80s", errors.items[i].pointer);
        memcpy(errors.items[i].pointer, pointer, sizeof(pointer));
    }
    if (status != STATUS_OK || errors.n > 0) {
        reply_field_errors(reply, request, status == STATUS_NO_MEMORY ? status : STATUS_INVALID,
                           "fork", &errors);
    }
    return status == STATUS_OK && errors.n == 0;
}

static enum status link_file(void *user, int64_t source_id, int64_t id, const char *name,
                             struct error *error) {
    return state_dir_link_run_file(user, source_id, user, id, name, error);
}

/* The form for the store; it borrows the submission. */
static enum status make_run_fork(const struct api_context *context, const struct request *request,
                                 const struct fork *fork, char *state_dir,
                                 struct submission *submission, struct run_fork *ret_fork,
                                 struct error *error) {
    TRY(submission_make(context, request, &fork->spec, submission, error));
    submission->draft.forked_from = fork->source->id;
    submission->draft.forked_epoch = fork->epoch;
    *ret_fork = (struct run_fork){.draft = &submission->draft,
                                  .steps_per_epoch = fork->admission.steps_per_epoch,
                                  .images_per_epoch = fork->admission.images_per_epoch,
                                  .link_file = link_file,
                                  .user = state_dir};
    return STATUS_OK;
}

static enum status store_fork(struct api_context *context, const struct request *request,
                              const struct fork *fork, int64_t *ret_id, struct error *error) {
    CLEANUP(submission_clear) struct submission submission = {.labels_json = NULL};
    struct run_fork run_fork;
    char state_dir[CONFIG_TEXT_SIZE];
    (void)snprintf(state_dir, sizeof(state_dir), "%s", api_config(context)->state_dir);
    TRY(make_run_fork(context, request, fork, state_dir, &submission, &run_fork, error));
    submission.draft.idempotency = request->idempotency;
    TRY(run_table_fork(context->options.store, &run_fork, clock_unix_ms(context->options.clock),
                       ret_id, error));
    queue_wake(context->options.queue);
    return STATUS_OK;
}

void route_run_fork(struct api_context *context, const struct request *request,
                    struct reply *reply) {
    CLEANUP(run_row_clear) struct run_row source = {0};
    CLEANUP(run_row_clear) struct run_row row = {0};
    /* Who may read a run may go on from it; the fork is their own. */
    if (!route_read_run(context, request, reply, &source)) {
        return;
    }
    CLEANUP(body_delete) cJSON *document = read_body(request, reply);
    struct fork fork = {.source = &source};
    if (!document ||
        !choose_epoch(context, request, cJSON_GetObjectItemCaseSensitive(document, "from_epoch"),
                      &fork, reply) ||
        !settle_spec(context, request, cJSON_GetObjectItemCaseSensitive(document, "overrides"),
                     &fork, reply)) {
        return;
    }
    int64_t id = 0;
    struct error error;
    if (store_fork(context, request, &fork, &id, &error) != STATUS_OK ||
        run_table_get(context->options.store, id, &row, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    route_reply_run(context, request, reply, 201, &row);
    (void)snprintf(reply->location, sizeof(reply->location), "/api/v1/runs/%" PRId64, id);
}

/* ---- many ---- */

struct many {
    size_t n;
    struct run_row *sources; /* [n], as the next three */
    struct fork *forks;
    struct submission *submissions;
    struct run_fork *run_forks;
};

static void many_clear(struct many *many) {
    for (size_t i = 0; i < many->n && many->sources && many->submissions; i++) {
        run_row_clear(&many->sources[i]);
        submission_clear(&many->submissions[i]);
    }
    free(many->sources);
    free(many->forks);
    free(many->submissions);
    free(many->run_forks);
}

/* Where the answer goes that is stored with the forks. */
struct fork_answer {
    const struct request *request;
    struct reply *reply;
};

static const char *answer_forks(void *user, const struct run_outcomes *outcomes,
                                int *ret_http_status) {
    const struct fork_answer *answer = user;
    run_actions_write_forks(answer->request, answer->reply, outcomes);
    *ret_http_status = answer->reply->http_status;
    return answer->reply->http_status < 500 ? answer->reply->body : NULL;
}

/* Everything that can be wrong is found before one is stored. False: *reply says what is. */
static bool settle_many(struct api_context *context, const struct request *request,
                        struct reply *reply, const cJSON *document, const int64_t *ids,
                        char *state_dir, struct many *many) {
    struct error error;
    for (size_t i = 0; i < many->n; i++) {
        struct fork *fork = &many->forks[i];
        *fork = (struct fork){.source = &many->sources[i], .of_many = true};
        if (run_table_get(context->options.store, ids[i], &many->sources[i], &error) != STATUS_OK) {
            reply_error(reply, request, &error);
            return false;
        }
        if (!choose_epoch(context, request,
                          cJSON_GetObjectItemCaseSensitive(document, "from_epoch"), fork, reply) ||
            !settle_spec(context, request, cJSON_GetObjectItemCaseSensitive(document, "overrides"),
                         fork, reply)) {
            return false;
        }
        if (make_run_fork(context, request, fork, state_dir, &many->submissions[i],
                          &many->run_forks[i], &error) != STATUS_OK) {
            reply_error(reply, request, &error);
            return false;
        }
    }
    return true;
}

void route_fork_many(struct api_context *context, const struct request *request,
                     struct reply *reply, const cJSON *document, const int64_t *ids, size_t n_ids) {
    CLEANUP(many_clear)
    struct many many = {.n = n_ids,
                        .sources = calloc(n_ids, sizeof(*many.sources)),
                        .forks = calloc(n_ids, sizeof(*many.forks)),
                        .submissions = calloc(n_ids, sizeof(*many.submissions)),
                        .run_forks = calloc(n_ids, sizeof(*many.run_forks))};
    CLEANUP(run_outcomes_clear) struct run_outcomes outcomes = {.n = 0};
    struct fork_answer answer = {request, reply};
    struct error error;
    char state_dir[CONFIG_TEXT_SIZE];
    (void)snprintf(state_dir, sizeof(state_dir), "%s", api_config(context)->state_dir);
    if (!many.sources || !many.forks || !many.submissions || !many.run_forks) {
        reply_problem(reply, request, STATUS_NO_MEMORY, "Try again later.");
        return;
    }
    if (!check_document(document, "action, ids, from_epoch, overrides", request, reply) ||
        !settle_many(context, request, reply, document, ids, state_dir, &many)) {
        return;
    }
    if (run_table_fork_all(context->options.store, many.run_forks, n_ids, request->idempotency,
                           answer_forks, &answer, clock_unix_ms(context->options.clock), &outcomes,
                           &error) != STATUS_OK) {
        reply_clear(reply);
        *reply = (struct reply){0};
        reply_error(reply, request, &error);
        return;
    }
    queue_wake(context->options.queue);
    reply->stored = request->idempotency != NULL;
    if (!reply->stored) {
        run_actions_write_forks(request, reply, &outcomes);
    }
}
