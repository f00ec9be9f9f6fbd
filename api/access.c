/* Layer: api. */
#include "api/access.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The token behind "Bearer ", or NULL. */
static const char *bearer_token(const struct request *request) {
    static const char scheme[] = "Bearer ";
    if (strncasecmp(request->authorization, scheme, strlen(scheme)) != 0) {
        return NULL;
    }
    const char *token = request->authorization + strlen(scheme);
    return token + strspn(token, " ");
}

static void refuse_unknown(const struct request *request, bool has_token, struct reply *reply) {
    reply_problem(reply, request, STATUS_UNAUTHORIZED,
                  has_token ? "This token is not one of the daemon's; the admin makes new ones "
                              "with: cutoutd token NAME."
                            : "This daemon asks for an access token: send the header "
                              "\"Authorization: Bearer TOKEN\".");
    reply->authenticate = has_token ? "Bearer realm=\"cutoutd\", error=\"invalid_token\""
                                    : "Bearer realm=\"cutoutd\"";
}

bool access_grant(const struct api_context *context, struct request *request, enum scope needed,
                  struct reply *reply) {
    request->owner[0] = '\0';
    request->scope = SCOPE_NONE;
    if (!context->options.tokens) {
        request->scope = SCOPE_ADMIN;
        return true;
    }
    const char *token = bearer_token(request);
    bool known = token && tokens_grant(context->options.tokens, token, &request->grant);
    if (known) {
        (void)snprintf(request->owner, sizeof(request->owner), "%s", request->grant.name);
        request->scope = request->grant.scope;
    }
    if (needed == SCOPE_NONE) {
        return true;
    }
    if (!known) {
        refuse_unknown(request, token != NULL, reply);
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
