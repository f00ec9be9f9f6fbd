/* Layer: api. */
#include "api/access.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/change/grants.h"
#include "core/base/cleanup.h"
#include "daemon/store/table/run_table.h"
#include "daemon/work/sweep_links.h"

/* The token behind "Bearer ", or NULL. */
static const char *bearer_token(const struct request *request) {
    static const char scheme[] = "Bearer ";
    if (strncasecmp(request->authorization, scheme, strlen(scheme)) != 0) {
        return NULL;
    }
    const char *token = request->authorization + strlen(scheme);
    return token + strspn(token, " ");
}

/* token: NULL for none. */
static void refuse_unknown(const struct request *request, const char *token, struct reply *reply) {
    bool is_link = token && sweep_links_is_secret(token);
    reply_problem(reply, request, STATUS_UNAUTHORIZED, "%s",
                  is_link ? "This link has expired or was withdrawn; ask for a new one."
                  : token ? "This token is not one of the daemon's; the admin makes new ones "
                            "with: cutoutd token NAME."
                          : "This daemon asks for an access token: send the header "
                            "\"Authorization: Bearer TOKEN\".");
    reply->authenticate =
        token ? "Bearer realm=\"cutoutd\", error=\"invalid_token\"" : "Bearer realm=\"cutoutd\"";
}

static void refuse_link(const struct request *request, struct reply *reply) {
    reply_problem(reply, request, STATUS_FORBIDDEN,
                  "A link shows sweep %" PRId64 " and its runs, and changes nothing.",
                  request->grant.sweep_id);
}

bool access_grant(const struct api_context *context, struct request *request, enum scope needed,
                  struct reply *reply) {
    request->owner[0] = '\0';
    request->scope = SCOPE_NONE;
    const char *token = bearer_token(request);
    if (!context->options.tokens && !(token && sweep_links_is_secret(token))) {
        request->scope = SCOPE_ADMIN;
        return true;
    }
    bool known = token && grant_find(context, token, &request->grant);
    if (known) {
        (void)snprintf(request->owner, sizeof(request->owner), "%s", request->grant.name);
        request->scope = request->grant.scope;
    }
    if (needed == SCOPE_NONE) {
        return true;
    }
    if (!known) {
        refuse_unknown(request, token, reply);
        return false;
    }
    if (request->grant.sweep_id > 0 && needed > SCOPE_READ) {
        refuse_link(request, reply);
        return false;
    }
    if (request->scope < needed) {
        reply_problem(reply, request, STATUS_FORBIDDEN,
                      "This needs a token of scope %s; the one of %s has scope %s.",
                      scope_name(needed), request->owner, scope_name(request->scope));
        return false;
    }
    return true;
}

#define V1 "/api/v1"

/* What a link shows, and what says of which sweep it is. */
static const struct {
    const char *pattern;
    enum { OF_SWEEP, OF_RUN, OF_ARGUMENTS } of;
} shown[] = {
    {V1 "/sweeps/{id}", OF_SWEEP},
    {V1 "/sweeps/{id}/events", OF_SWEEP},
    {V1 "/runs/{id}", OF_RUN},
    {V1 "/runs/{id}/epochs", OF_RUN},
    {V1 "/runs/{id}/validation-error", OF_RUN},
    {V1 "/runs/{id}/confusion", OF_RUN},
    {V1 "/runs/{id}/events", OF_RUN},
    {V1 "/runs/{id}/log", OF_RUN},
    {V1 "/runs/{id}/summary", OF_RUN},
    {V1 "/runs", OF_ARGUMENTS},
    {V1 "/compare", OF_ARGUMENTS},
    {V1 "/figures/validation-error.svg", OF_ARGUMENTS},
    {V1 "/figures/validation-error.png", OF_ARGUMENTS},
    {V1 "/figures/validation-error.pdf", OF_ARGUMENTS},
};

enum { N_SHOWN = sizeof(shown) / sizeof(shown[0]) };

/* N_SHOWN: it does not show that. */
static int find_shown(const char *pattern) {
    int i = 0;
    while (i < N_SHOWN && strcmp(shown[i].pattern, pattern) != 0) {
        i++;
    }
    return i;
}

/* Whether the text names the link's sweep. */
static bool is_own_sweep(const struct request *request, const char *text) {
    int64_t id = 0;
    return text_to_id(text, INT64_MAX, &id) && id == request->grant.sweep_id;
}

bool access_link_may(const struct request *request, const char *pattern, struct reply *reply) {
    if (request->grant.sweep_id == 0) {
        return true;
    }
    int i = find_shown(pattern);
    if (i == N_SHOWN || !request_only_reads(request)) {
        refuse_link(request, reply);
        return false;
    }
    if (url_argument(&request->url, "text")) { /* also finds what stands in notes */
        reply_problem(reply, request, STATUS_FORBIDDEN, "A link does not look into notes: text=.");
        return false;
    }
    const char *sweep = shown[i].of == OF_SWEEP       ? request->parameters[0]
                        : shown[i].of == OF_ARGUMENTS ? url_argument(&request->url, "sweep")
                                                      : NULL;
    if (sweep && !is_own_sweep(request, sweep)) {
        reply_problem(reply, request, STATUS_NOT_FOUND, "There is no sweep %.20s.", sweep);
        return false;
    }
    /* The runs that ids= names are looked at when they are read (compare_query.c). */
    if (shown[i].of == OF_ARGUMENTS && !sweep && !url_argument(&request->url, "ids")) {
        reply_problem(reply, request, STATUS_FORBIDDEN,
                      "A link shows the runs of its own sweep: ask with sweep=%" PRId64 ".",
                      request->grant.sweep_id);
        return false;
    }
    return true;
}

bool access_link_reaches(const struct api_context *context, const struct request *request,
                         const char *pattern, struct reply *reply) {
    int i = request->grant.sweep_id > 0 ? find_shown(pattern) : N_SHOWN;
    if (i == N_SHOWN || shown[i].of != OF_RUN) {
        return true;
    }
    CLEANUP(run_row_clear) struct run_row row = {0};
    struct error error;
    int64_t id = 0;
    enum status status = request_read_id(request, "run", &id, &error);
    if (status == STATUS_OK) {
        status = run_table_get(context->options.store, id, &row, &error);
    }
    if (status == STATUS_OK && row.sweep_id != request->grant.sweep_id) {
        status = error_set(&error, STATUS_NOT_FOUND, "there is no run %" PRId64, id);
    }
    if (status != STATUS_OK) {
        reply_error(reply, request, &error);
    }
    return status == STATUS_OK;
}
