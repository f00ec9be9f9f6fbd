/* Who asks, and whether they may.
 *
 * Layer: api. Thread rule: any thread.
 *
 * Without tokens everybody who reaches the daemon may do everything; daemon/main/parts.c sees to it
 * that only this machine does. With tokens `read` may look, `submit` may also submit runs and act
 * on those that came with a token of the same name, `admin` may do everything.
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

#endif
