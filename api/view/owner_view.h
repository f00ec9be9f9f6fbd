/* What an owner has and may have.
 *
 * Layer: api. Thread rule: any thread; reads the context only.
 */
#ifndef CUTOUTD_API_VIEW_OWNER_VIEW_H
#define CUTOUTD_API_VIEW_OWNER_VIEW_H

#include "api/context.h"
#include "daemon/spec/json_write.h"
#include "daemon/store/owner/owner_list.h"

/* The member "limits" of whatever is open: what each owner may have; null where there is no limit.
 */
void owner_limits_write(struct json_writer *writer, const struct api_context *context);

/* An owner, as a value of an array. */
void owner_write(struct json_writer *writer, const struct api_context *context,
                 const struct owner_row *row);

#endif
