/* Answers as tables: for a terminal, which they fit, or a pipe, where nothing is cut; or as CSV.
 *
 * Layer: tools. Thread rule: one thread.
 */
#ifndef CUTOUTD_TOOLS_CUTOUTCTL_TABLE_H
#define CUTOUTD_TOOLS_CUTOUTCTL_TABLE_H

#include "tools/cutoutctl/command.h"

enum cell_kind {
    CELL_TEXT,    /* whatever it is: lists as a,b, objects as name:value */
    CELL_NUMBER,  /* the same, to the right */
    CELL_ERROR,   /* 0.0612 */
    CELL_PERCENT, /* a fraction: 83% */
    CELL_SECONDS, /* 3:07 */
    CELL_HOURS,   /* seconds, as hours: 12.5 */
    CELL_BYTES,   /* 6.9 MB */
    CELL_TIME     /* a moment, by the local clock: 2026-03-01 12:00 */
};

enum { WIDE = 100 /* a rank: only with -o wide and csv */ };

struct column {
    const char *title;
    const char *path; /* of the value in an item: "best.val_error"; NULL: `number` says it */
    double (*number)(const cJSON *item); /* negative: there is none */
    enum cell_kind kind;
    int rank;     /* where the terminal is too narrow the highest is left out first; 0: never */
    bool elastic; /* its texts may be cut before columns are left out */
};

/* Prints the items (an array) as the invocation wants it (table, wide, CSV) on stdout. CSV has all
 * columns, whole values and titles with '_' for ' '. false: no memory, which stderr says. */
bool table_print(const struct invocation *invocation, const struct column *columns,
                 size_t n_columns, const cJSON *items);

/* The value at "best.val_error" in the item; NULL: there is none, or it is null. */
const cJSON *json_at(const cJSON *item, const char *path);

/* Asks for what stands at `path` and prints its items; with --quiet their ids alone. Returns the
 * exit status. */
int table_ask(const struct invocation *invocation, const char *path, const struct column *columns,
              size_t n_columns);

/* The same with key=value arguments as the query behind the path. */
int table_ask_with(const struct invocation *invocation, const char *path,
                   const struct column *columns, size_t n_columns);

#endif
