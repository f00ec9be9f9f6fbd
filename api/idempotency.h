/* POSTs that can be sent again: the same Idempotency-Key gives the stored answer instead of doing
 * the same twice (draft-ietf-httpapi-idempotency-key-header).
 *
 * Layer: api. Thread rule: any thread of the server.
 *
 * What a request does and its key are one transaction, so that a daemon that ends at any moment
 * never does it twice: what changes runs or the scheduler stores its answer there, what creates
 * runs and sweeps stores their place (store/table/idempotency_table.h). Backups and purges are
 * files, which are in no transaction; their answers are stored behind them, and a repeat after a
 * crash in between is harmless: a backup of that name is refused (409), one without a name is made
 * once more, and a purge frees what is left. The test of a webhook is sent once more. While a
 * request with a key is being answered, another one with the same key is refused with 409 and
 * Retry-After, which no other 409 has.
 */
#ifndef CUTOUTD_API_IDEMPOTENCY_H
#define CUTOUTD_API_IDEMPOTENCY_H

#include "api/router.h"

/* Of one server: which keys have a request that is being answered. STATUS_NO_MEMORY. */
struct keys_in_flight;
enum status keys_in_flight_create(struct keys_in_flight **ret_keys, struct error *error);

/* No request may be in flight. NULL is fine. */
void keys_in_flight_free(struct keys_in_flight *keys);

/* Runs `answer`, or answers in its place when the request is a POST whose key is known. */
void idempotency_dispatch(struct api_context *context, struct request *request, handler *answer,
                          struct reply *reply);

#endif
