/* POSTs that can be sent again: the same Idempotency-Key gives the stored answer instead of doing
 * the same twice (draft-ietf-httpapi-idempotency-key-header).
 *
 * Layer: api. Thread rule: any thread of the server.
 *
 * What creates something (runs, sweeps) stores the key in its own transaction; the answer of what
 * only changes something is stored right after it. While a request with a key is being answered,
 * another one with the same key is refused with 409.
 */
#ifndef CUTOUTD_API_IDEMPOTENCY_H
#define CUTOUTD_API_IDEMPOTENCY_H

#include "api/router.h"

/* Runs `answer`, or answers in its place when the request is a POST whose key is known. */
void idempotency_dispatch(struct api_context *context, struct request *request, handler *answer,
                          struct reply *reply);

#endif
