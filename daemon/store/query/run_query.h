/* Lists of runs: filters that must all hold, one order, one page.
 *
 * Layer: daemon/store. Thread rule and statuses: store/store.h.
 */
#ifndef CUTOUTD_DAEMON_STORE_QUERY_RUN_QUERY_H
#define CUTOUTD_DAEMON_STORE_QUERY_RUN_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/store/table/run_table.h"

enum run_field {
    RUN_FIELD_STATE,
    RUN_FIELD_M,
    RUN_FIELD_CUTOUT_SIZE,
    RUN_FIELD_SEED,
    RUN_FIELD_DEPTH,
    RUN_FIELD_SWEEP,
    RUN_FIELD_FORKED_FROM,
    RUN_FIELD_DATASET,
    RUN_FIELD_PRESET,
    RUN_FIELD_OPTIMIZER,
    RUN_FIELD_COPIES,
    RUN_FIELD_OWNER,
    RUN_FIELD_NAME,
    RUN_FIELD_LABEL,
    RUN_FIELD_TEXT, /* contained in the name, the note or a label, A to Z like a to z */
    RUN_FIELD_COUNT,
};

enum run_sort {
    RUN_SORT_ID,
    RUN_SORT_CREATED,
    RUN_SORT_UPDATED,
    RUN_SORT_FINISHED,
    RUN_SORT_PRIORITY,
    RUN_SORT_NAME,
    RUN_SORT_STATE,
    RUN_SORT_M,
    RUN_SORT_CUTOUT_SIZE,
    RUN_SORT_SEED,
    RUN_SORT_BEST,
    RUN_SORT_BEST_EPOCH,
    RUN_SORT_LAST,
    RUN_SORT_MEAN_LAST_5,
    RUN_SORT_TRAIN_SECONDS,
    RUN_SORT_COUNT,
};

/* "state", "m", ...; "id", "created", ...: what queries call them. */
const char *run_field_name(enum run_field field);
const char *run_sort_name(enum run_sort sort);

/* Whether an index has this order; otherwise a list looks at every run. */
bool run_sort_is_indexed(enum run_sort sort);

/* Whether the field's values are texts; the others are numbers. */
bool run_field_is_text(enum run_field field);

/* One value that a field may have. Texts are borrowed and need no NUL at their end. */
struct run_value {
    int64_t number;
    const char *text;
    size_t n_text;
    const char *key; /* of a label */
    size_t n_key;
};

/* The field has one of n values: query->values[first] and those behind. */
struct run_condition {
    enum run_field field;
    int first;
    int n;
};

/* Where a page ends: the sort key of its last run, and its id, which decides among equals. */
struct run_cursor {
    bool set;
    int64_t id;
    enum { RUN_KEY_NULL, RUN_KEY_INTEGER, RUN_KEY_REAL, RUN_KEY_TEXT } type;
    int64_t integer;
    double real;
    char text[RUN_TITLE_SIZE];
};

enum {
    RUN_QUERY_MAX_CONDITIONS = 16,
    RUN_QUERY_MAX_VALUES = 64,
    RUN_QUERY_UNESCAPED_SIZE = 2048,
};

/* Zeroed: all runs, newest first, without the parts. */
struct run_query {
    int n_conditions;
    struct run_condition conditions[RUN_QUERY_MAX_CONDITIONS];
    int n_values;
    struct run_value values[RUN_QUERY_MAX_VALUES];
    char unescaped[RUN_QUERY_UNESCAPED_SIZE]; /* values that were given with escapes */
    size_t n_unescaped;
    enum run_sort sort; /* runs without a value come last in both directions */
    bool ascending;     /* equals are ordered by id in the same direction */
    struct run_cursor after;
    int limit;      /* at least 1 */
    unsigned parts; /* bits of enum run_part that are read; the others are "" */
};

/* Starts a condition, which run_query_add_* gives its values. false: there are too many. */
bool run_query_begin_condition(struct run_query *query, enum run_field field);
bool run_query_add_value(struct run_query *query, const struct run_value *value);

/* On success the caller owns *ret_list (run_list_clear); the page after it begins at run_cursor_at
 * of its last row. A run that is added or changed between two pages moves no other run from one to
 * the other. */
enum status run_table_list(struct store *store, const struct run_query *query,
                           struct run_list *ret_list, struct error *error);

/* The cursor behind this run in this order. */
void run_cursor_at(enum run_sort sort, const struct run_row *row, struct run_cursor *ret_cursor);

#endif
