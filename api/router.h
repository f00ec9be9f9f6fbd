/* Which handler answers which method and path.
 *
 * Layer: api. Thread rule: the table is constant; router_dispatch may run on any thread.
 */
#ifndef CUTOUTD_API_ROUTER_H
#define CUTOUTD_API_ROUTER_H

#include "api/routes/routes.h"

struct route {
    const char *method;    /* "GET" also answers HEAD */
    const char *pattern;   /* "/api/v1/runs/{id}/epochs": each {name} stands for one segment */
    enum scope scope;      /* what a token must allow; daemons without tokens ask for none */
    const char *arguments; /* of the query, as arguments_check takes them; others are refused */
    enum lane lane;
    handler *handler;
};

/* The table, for those who walk it: 0 .. router_count() - 1. */
int router_count(void);
const struct route *router_at(int index);

/* What bodies of a route are instead of JSON ("text/markdown" for notes), or NULL. */
const char *router_body_type(int index);

/* Finds the route of request->url.path, sets request->parameters and what the token allows. NULL:
 * *reply is the answer. No route: 404; a route of other methods only: 405 with Allow; a token that
 * does not allow it: 401 or 403 (api/access.h); an unknown query argument, or an If-Match of a
 * change that compares nothing with it: 400. */
handler *router_find(struct api_context *context, struct request *request, struct reply *reply);

/* Runs what router_find found, or gives the stored answer to an Idempotency-Key. */
void router_answer(struct api_context *context, struct request *request, handler *found,
                   struct reply *reply);

/* Both, at once, also what takes long. */
void router_dispatch(struct api_context *context, struct request *request, struct reply *reply);

#endif
