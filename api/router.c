/* Layer: api. */
#include "api/router.h"

#include <stdio.h>
#include <string.h>

#include "api/access.h"
#include "api/compare/routes_compare.h"
#include "api/idempotency.h"
#include "api/notify/routes_webhooks.h"
#include "api/owners/routes_owners.h"
#include "api/query/arguments.h"
#include "api/query/compare_query.h"
#include "api/query/figure_query.h"
#include "api/query/run_list_query.h"
#include "api/routes/routes.h"

#define V1 "/api/v1"

/* What several routes take */
#define HISTORY "format, since_epoch, limit, points, cursor"
#define CURVES COMPARE_ARGUMENTS ", " FIGURE_ARGUMENTS
#define CUTOUT                                                                                     \
    "dataset, preset, m, cutout_size, cutout_squares, copies, seed, shift, flip, crop_pad, "       \
    "normalise, mix, mix_alpha, train_images, index, epoch, theme"

static const struct route routes[] = {
    {"GET", "/", SCOPE_NONE, "", LANE_HERE, route_welcome},
    /* The page's addresses: what they show, it asks the API for. */
    {"GET", "/runs", SCOPE_NONE, "*", LANE_HERE, route_page},
    {"GET", "/runs/{id}", SCOPE_NONE, "*", LANE_HERE, route_page},
    {"GET", "/compare", SCOPE_NONE, "*", LANE_HERE, route_page},
    {"GET", "/sweeps/{id}", SCOPE_NONE, "*", LANE_HERE, route_page},
    {"GET", "/new", SCOPE_NONE, "*", LANE_HERE, route_page},
    {"GET", "/system", SCOPE_NONE, "*", LANE_HERE, route_page},
    {"GET", "/assets/{digest}/{name}", SCOPE_NONE, "", LANE_HERE, route_asset},
    {"POST", V1 "/admin/backup", SCOPE_ADMIN, "", LANE_ADMIN, route_admin_backup},
    {"POST", V1 "/admin/purge", SCOPE_ADMIN, "", LANE_ADMIN, route_admin_purge},
    {"GET", "/metrics", SCOPE_READ, "", LANE_HERE, route_metrics},
    {"GET", "/healthz", SCOPE_NONE, "", LANE_HERE, route_health},
    {"GET", "/readyz", SCOPE_NONE, "", LANE_HERE, route_ready},
    {"GET", V1 "/healthz", SCOPE_NONE, "", LANE_HERE, route_health},
    {"GET", V1 "/readyz", SCOPE_NONE, "", LANE_HERE, route_ready},
    {"GET", "/openapi.json", SCOPE_NONE, "", LANE_HERE, route_openapi},
    {"GET", V1 "/openapi.json", SCOPE_NONE, "", LANE_HERE, route_openapi},
    {"POST", V1 "/runs", SCOPE_SUBMIT, "dry_run", LANE_WRITE, route_run_create},
    {"POST", V1 "/runs/measure", SCOPE_SUBMIT, "", LANE_SLOW, route_run_measure},
    {"GET", V1 "/runs", SCOPE_READ, RUN_LIST_ARGUMENTS, LANE_READ, route_run_list},
    {"POST", V1 "/runs/bulk", SCOPE_SUBMIT, "", LANE_WRITE, route_run_bulk},
    {"GET", V1 "/runs/{id}", SCOPE_READ, "fields", LANE_READ, route_run_get},
    {"PATCH", V1 "/runs/{id}", SCOPE_SUBMIT, "", LANE_WRITE, route_run_edit},
    {"DELETE", V1 "/runs/{id}", SCOPE_SUBMIT, "", LANE_WRITE, route_run_delete},
    {"POST", V1 "/runs/{id}/cancel", SCOPE_SUBMIT, "", LANE_WRITE, route_run_act},
    {"POST", V1 "/runs/{id}/kill", SCOPE_SUBMIT, "", LANE_WRITE, route_run_act},
    {"POST", V1 "/runs/{id}/pause", SCOPE_SUBMIT, "", LANE_WRITE, route_run_act},
    {"POST", V1 "/runs/{id}/resume", SCOPE_SUBMIT, "", LANE_WRITE, route_run_act},
    {"POST", V1 "/runs/{id}/hold", SCOPE_SUBMIT, "", LANE_WRITE, route_run_act},
    {"POST", V1 "/runs/{id}/release", SCOPE_SUBMIT, "", LANE_WRITE, route_run_act},
    {"POST", V1 "/runs/{id}/requeue", SCOPE_SUBMIT, "", LANE_WRITE, route_run_act},
    {"POST", V1 "/runs/{id}/fork", SCOPE_SUBMIT, "", LANE_WRITE, route_run_fork},
    {"GET", V1 "/runs/{id}/epochs", SCOPE_READ, HISTORY, LANE_READ, route_run_epochs},
    {"GET", V1 "/runs/{id}/validation-error", SCOPE_READ, HISTORY, LANE_READ,
     route_run_validation_error},
    {"GET", V1 "/runs/{id}/events", SCOPE_READ, "since, format", LANE_READ, route_run_events},
    {"GET", V1 "/sweeps/{id}/events", SCOPE_READ, "since, format", LANE_READ, route_sweep_events},
    {"GET", V1 "/events", SCOPE_READ, "since, format", LANE_READ, route_events},
    {"POST", V1 "/runs/{id}/checkpoint", SCOPE_SUBMIT, "", LANE_WRITE, route_checkpoint_save},
    {"GET", V1 "/runs/{id}/checkpoints", SCOPE_READ, "", LANE_READ, route_checkpoint_list},
    {"GET", V1 "/runs/{id}/checkpoints/{name}", SCOPE_READ, "", LANE_READ,
     route_checkpoint_download},
    {"GET", V1 "/runs/{id}/confusion", SCOPE_READ, "format", LANE_READ, route_run_confusion},
    {"GET", V1 "/runs/{id}/log", SCOPE_READ, "limit", LANE_READ, route_run_log},
    {"GET", V1 "/runs/{id}/summary", SCOPE_READ, "format", LANE_READ, route_run_summary},
    {"GET", V1 "/runs/{id}/note", SCOPE_READ, "", LANE_READ, route_note_get},
    {"PUT", V1 "/runs/{id}/note", SCOPE_SUBMIT, "", LANE_WRITE, route_note_put},
    {"DELETE", V1 "/runs/{id}/note", SCOPE_SUBMIT, "", LANE_WRITE, route_note_delete},
    {"GET", V1 "/sweeps/{id}/note", SCOPE_READ, "", LANE_READ, route_note_get},
    {"PUT", V1 "/sweeps/{id}/note", SCOPE_SUBMIT, "", LANE_WRITE, route_note_put},
    {"DELETE", V1 "/sweeps/{id}/note", SCOPE_SUBMIT, "", LANE_WRITE, route_note_delete},
    {"POST", V1 "/sweeps", SCOPE_SUBMIT, "dry_run", LANE_WRITE, route_sweep_create},
    {"GET", V1 "/sweeps", SCOPE_READ, "limit, cursor", LANE_READ, route_sweep_list},
    {"GET", V1 "/sweeps/{id}", SCOPE_READ, "", LANE_READ, route_sweep_get},
    {"DELETE", V1 "/sweeps/{id}", SCOPE_SUBMIT, "", LANE_WRITE, route_sweep_delete},
    {"POST", V1 "/sweeps/{id}/links", SCOPE_SUBMIT, "", LANE_WRITE, route_link_create},
    {"GET", V1 "/sweeps/{id}/links", SCOPE_READ, "", LANE_READ, route_link_list},
    {"DELETE", V1 "/links/{id}", SCOPE_SUBMIT, "", LANE_WRITE, route_link_delete},
    {"POST", V1 "/sweeps/{id}/cancel", SCOPE_SUBMIT, "", LANE_WRITE, route_sweep_act},
    {"POST", V1 "/sweeps/{id}/kill", SCOPE_SUBMIT, "", LANE_WRITE, route_sweep_act},
    {"POST", V1 "/sweeps/{id}/pause", SCOPE_SUBMIT, "", LANE_WRITE, route_sweep_act},
    {"POST", V1 "/sweeps/{id}/resume", SCOPE_SUBMIT, "", LANE_WRITE, route_sweep_act},
    {"POST", V1 "/sweeps/{id}/hold", SCOPE_SUBMIT, "", LANE_WRITE, route_sweep_act},
    {"POST", V1 "/sweeps/{id}/release", SCOPE_SUBMIT, "", LANE_WRITE, route_sweep_act},
    {"POST", V1 "/sweeps/{id}/requeue", SCOPE_SUBMIT, "", LANE_WRITE, route_sweep_act},
    {"GET", V1 "/compare", SCOPE_READ, COMPARE_ARGUMENTS ", format", LANE_READ, route_compare},
    {"GET", V1 "/queue", SCOPE_READ, "limit, cursor", LANE_READ, route_queue},
    {"GET", V1 "/audit", SCOPE_ADMIN, "limit, cursor, owner, subject, subject_id", LANE_SLOW,
     route_audit},
    {"POST", V1 "/webhooks", SCOPE_ADMIN, "", LANE_WRITE, route_webhook_create},
    {"GET", V1 "/webhooks", SCOPE_READ, "", LANE_READ, route_webhook_list},
    {"DELETE", V1 "/webhooks/{id}", SCOPE_ADMIN, "", LANE_WRITE, route_webhook_delete},
    {"GET", V1 "/webhooks/{id}/deliveries", SCOPE_ADMIN, "limit, cursor", LANE_READ,
     route_webhook_deliveries},
    {"POST", V1 "/webhooks/{id}/test", SCOPE_ADMIN, "", LANE_WRITE, route_webhook_test},
    {"GET", V1 "/owners", SCOPE_READ, "limit, cursor", LANE_READ, route_owner_list},
    {"GET", V1 "/token", SCOPE_READ, "", LANE_HERE, route_token},
    {"GET", V1 "/scheduler", SCOPE_READ, "", LANE_READ, route_scheduler},
    {"PATCH", V1 "/scheduler", SCOPE_ADMIN, "", LANE_WRITE, route_scheduler_edit},
    {"POST", V1 "/scheduler/drain", SCOPE_ADMIN, "", LANE_WRITE, route_scheduler_drain},
    {"POST", V1 "/scheduler/resume", SCOPE_ADMIN, "", LANE_WRITE, route_scheduler_resume},
    {"GET", V1 "/figures/validation-error.svg", SCOPE_READ, CURVES, LANE_READ, route_figure_curves},
    {"GET", V1 "/figures/validation-error.png", SCOPE_READ, CURVES, LANE_READ, route_figure_curves},
    {"GET", V1 "/figures/validation-error.pdf", SCOPE_READ, CURVES, LANE_READ, route_figure_curves},
    {"GET", V1 "/figures/cutout.png", SCOPE_READ, CUTOUT, LANE_PICTURE, route_figure_cutout},
    {"GET", V1 "/presets", SCOPE_READ, "", LANE_HERE, route_preset_list},
    {"GET", V1 "/presets/{name}", SCOPE_READ, "", LANE_HERE, route_preset_get},
    {"GET", V1 "/datasets", SCOPE_READ, "", LANE_READ, route_dataset_list},
    {"GET", V1 "/system", SCOPE_READ, "", LANE_READ, route_system},
};

enum { AUDIT_REQUEST_SIZE = 256 };
enum { N_ROUTES = sizeof(routes) / sizeof(routes[0]) };

/* Whether `path` has the form of `pattern`; the segments in the places of {name} are copied. */
static bool matches(const char *pattern, const char *path, struct request *request) {
    request->n_parameters = 0;
    while (*pattern && *path) {
        if (*pattern != '{') {
            if (*pattern++ != *path++) {
                return false;
            }
            continue;
        }
        size_t n = strcspn(path, "/");
        size_t size = sizeof(request->parameters[0]);
        if (n == 0 || n >= size || request->n_parameters == REQUEST_MAX_PARAMETERS) {
            return false;
        }
        char *parameter = request->parameters[request->n_parameters++];
        memcpy(parameter, path, n);
        parameter[n] = '\0';
        path += n;
        pattern += strcspn(pattern, "}") + 1;
    }
    return *pattern == '\0' && *path == '\0';
}

static bool method_fits(const struct route *route, const char *method) {
    return strcmp(route->method, method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

int router_count(void) {
    return N_ROUTES;
}

const struct route *router_at(int index) {
    return &routes[index];
}

const char *router_body_type(int index) {
    static const char note[] = "/note";
    size_t n = strlen(routes[index].pattern);
    bool is_note = n > strlen(note) && !strcmp(routes[index].pattern + n - strlen(note), note);
    return is_note ? "text/markdown" : NULL;
}

void router_answer(struct api_context *context, struct request *request, handler *found,
                   struct reply *reply) {
    if (!access_link_reaches(context, request, routes[request->route - 1].pattern, reply)) {
        return;
    }
    char what[AUDIT_REQUEST_SIZE];
    (void)snprintf(what, sizeof(what), "%s %.*s", request->method, AUDIT_REQUEST_SIZE - 32,
                   request->url.path);
    const struct store_actor actor = {.at_ms = clock_unix_ms(context->options.clock),
                                      .owner = request->owner,
                                      .peer = request->peer,
                                      .request_id = request->id,
                                      .request = what};
    store_act_for(request_only_reads(request) ? NULL : &actor);
    idempotency_dispatch(context, request, found, reply);
    store_act_for(NULL);
}

/* A change that holds only if nothing was changed before is not made by who cannot tell. */
static bool condition_check(const struct request *request, struct reply *reply, int index) {
    if (request_only_reads(request) || router_body_type(index) || !request->if_match[0] ||
        strcmp(request->if_match, "*") == 0) {
        return true;
    }
    reply_problem(
        reply, request, STATUS_MALFORMED,
        "If-Match is for notes: here nothing is compared with it, and nothing was changed. "
        "Send the request without it.");
    return false;
}

handler *router_find(struct api_context *context, struct request *request, struct reply *reply) {
    char allow[sizeof(reply->allow)] = "";
    for (size_t i = 0; i < N_ROUTES; i++) {
        if (!matches(routes[i].pattern, request->url.path, request)) {
            continue;
        }
        if (method_fits(&routes[i], request->method)) {
            request->route = (int)i + 1;
            return access_grant(context, request, routes[i].scope, reply) &&
                           (routes[i].scope == SCOPE_NONE ||
                            access_link_may(request, routes[i].pattern, reply)) &&
                           arguments_check(request, reply, routes[i].arguments) &&
                           condition_check(request, reply, (int)i)
                       ? routes[i].handler
                       : NULL;
        }
        size_t used = strlen(allow);
        (void)snprintf(allow + used, sizeof(allow) - used, "%s%s%s", used ? ", " : "",
                       routes[i].method, strcmp(routes[i].method, "GET") == 0 ? ", HEAD" : "");
    }
    if (allow[0] == '\0') {
        reply_problem(reply, request, STATUS_NOT_FOUND,
                      "There is nothing at %s; GET / shows where to begin.", request->url.path);
        return NULL;
    }
    char detail[160];
    (void)snprintf(detail, sizeof(detail), "%s is not possible here, but %s.", request->method,
                   allow);
    reply_http_problem(reply, request, 405, "method-not-allowed", "Method not allowed", detail);
    memcpy(reply->allow, allow, sizeof(allow));
    return NULL;
}

void router_dispatch(struct api_context *context, struct request *request, struct reply *reply) {
    handler *found = router_find(context, request, reply);
    request->slow = true;
    if (found) {
        router_answer(context, request, found, reply);
    }
}
