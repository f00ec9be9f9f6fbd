/* Who asks, and whether they may.
 *
 * Layer: api. Thread rule: any thread.
 *
 * Without tokens everybody who reaches the daemon may do everything; daemon/main/parts.c sees to it
 * that only this machine does. With tokens `read` may look, `submit` may also submit runs and act
 * on those that came with a token of the same name, `admin` may do everything. Who shows the secret
 * of a link may read its sweep, with tokens or without, and nothing else.
 */
#ifndef CUTOUTD_API_ACCESS_H
#define CUTOUTD_API_ACCESS_H

#include "api/context.h"
#include "api/http/reply.h"
#include "api/http/request.h"

/* Sets request->owner and request->scope from the token in `request->authorization`. False: it does
 * not allow `needed`; *reply says so: 401 without a good token, else 403. */
bool access_grant(const struct api_context *context, struct request *request, enum scope needed,
                  struct reply *reply);

/* Whether the bearer of a link, which is of one sweep, may ask for this route (its pattern) with
 * these parameters and arguments: reading that sweep, its runs, their comparison and figures. Other
 * requests may. False: *reply says so, with 403 or, for another sweep, 404. Does not wait. */
bool access_link_may(const struct request *request, const char *pattern, struct reply *reply);

/* Whether the run that the path names, if it does, is of the link's sweep. Asks the store. False:
 * *reply is 404, as for one that is not there. */
bool access_link_reaches(const struct api_context *context, const struct request *request,
                         const char *pattern, struct reply *reply);

#endif
