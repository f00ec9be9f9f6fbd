/* A stored config read as text: which members it has, without a tree of it.
 *
 * Layer: daemon. Thread rule: pure functions on their arguments.
 *
 * A stored config is one JSON object without blanks between its tokens, as run_spec_to_json and
 * SQLite's json_remove write it. Of a text that is none, the members up to the first that cannot be
 * read are there.
 */
#ifndef CUTOUTD_DAEMON_SPEC_CONFIG_TEXT_H
#define CUTOUTD_DAEMON_SPEC_CONFIG_TEXT_H

#include <stdbool.h>
#include <stddef.h>

enum { CONFIG_MOST_FIELDS = 128 };

/* Pieces of the text, not ended by NUL. */
struct config_member {
    const char *name;
    size_t n_name;
    const char *value; /* as JSON: 8, "aliased", [...] */
    size_t n_value;
};

/* The member at *at, which begins as the text and moves along. False: there is none. */
bool config_member_next(const char **at, struct config_member *ret_member);

bool config_member_is(const struct config_member *member, const char *name);

/* The member of this name. False: there is none. */
bool config_member_find(const char *config_json, const char *name,
                        struct config_member *ret_member);

/* The members of all fields, by row of run_config_fields; n_name 0 where there is none. */
struct config_values {
    struct config_member of[CONFIG_MOST_FIELDS];
};

/* True: nothing else is in the text, but perhaps name, priority and labels, which were in it before
 * they were columns. */
bool config_values_read(const char *config_json, struct config_values *ret_values);

#endif
