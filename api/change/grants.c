/* Layer: api. */
#include "api/change/grants.h"

#include "api/http/connections.h"
#include "daemon/work/sweep_links.h"

bool grant_find(const struct api_context *context, const char *text,
                struct token_grant *ret_grant) {
    const struct api_options *options = &context->options;
    *ret_grant = (struct token_grant){.scope = SCOPE_NONE};
    if (sweep_links_is_secret(text)) {
        return options->links && sweep_links_grant(options->links, text, ret_grant);
    }
    return options->tokens && tokens_grant(options->tokens, text, ret_grant);
}

bool grant_holds(const struct api_context *context, const struct token_grant *grant) {
    const struct api_options *options = &context->options;
    return grant->sweep_id > 0 ? options->links && sweep_links_hold(options->links, grant)
                               : options->tokens && tokens_hold(options->tokens, grant);
}

static bool holds(void *user, const struct token_grant *grant) {
    return grant_holds(user, grant);
}

int grants_end_revoked(const struct api_context *context) {
    return connections_end_revoked(context->connections, holds, (void *)context);
}
