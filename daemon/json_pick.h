/* Some members of a JSON object.
 *
 * Layer: daemon. Thread rule: pure functions on their arguments.
 */
#ifndef CUTOUTD_DAEMON_JSON_PICK_H
#define CUTOUTD_DAEMON_JSON_PICK_H

#include "daemon/json_write.h"

/* Writes `object`, a JSON object as json_write makes it, with those of its members alone that are
 * in `names` ("id,state,best"), in the order of the object. The text is changed while it is read
 * and is whole again afterwards. */
void json_pick(struct json_writer *writer, const char *key, char *object, const char *names);

/* The first of `names` that is no member of the object, with its length, or NULL. */
const char *json_missing_member(char *object, const char *names, size_t *ret_length);

#endif
