/* The JSON form of a run's configuration, for those who write it as a part of something larger.
 *
 * Layer: daemon. Thread rule: pure functions on their arguments.
 */
#ifndef CUTOUTD_DAEMON_SPEC_RUN_SPEC_JSON_H
#define CUTOUTD_DAEMON_SPEC_RUN_SPEC_JSON_H

#include "daemon/spec/json_write.h"
#include "daemon/spec/run_spec.h"

/* Every field of `config`, "preset" first, as members of the object that the writer is in. */
void run_config_write(struct json_writer *writer, const struct run_config *config);

/* The labels as one object {"key":"value"}. */
void run_labels_write(struct json_writer *writer, const char *key, const struct run_spec *spec);

/* The config of a stored run as the API shows it: every field of today. The stored text itself when
 * it has them all, which takes no parsing; the same with what an older run means by a field that it
 * lacks; and what another version wrote that knew other fields, as it is. Owned by the caller
 * (free); NULL: no memory. */
char *run_spec_stored_json(const char *config_json);

#endif
