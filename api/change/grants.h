/* What the bearer of a request may do, by a token or by a link, and what ends when that ends.
 *
 * Layer: api. Thread rule: any thread; none waits for the store.
 */
#ifndef CUTOUTD_API_CHANGE_GRANTS_H
#define CUTOUTD_API_CHANGE_GRANTS_H

#include "api/context.h"

/* Whose text this is. False: nobody's; *ret_grant is cleared. */
bool grant_find(const struct api_context *context, const char *text, struct token_grant *ret_grant);

/* Whether what was granted is still so: the token is there with as much scope, the link neither
 * expired nor withdrawn. */
bool grant_holds(const struct api_context *context, const struct token_grant *grant);

/* Ends the answers and streams of what is no longer granted; returns how many. */
int grants_end_revoked(const struct api_context *context);

#endif
