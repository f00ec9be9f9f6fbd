/* Histories as JSON, NDJSON and CSV: one table of columns, one walk over the epochs.
 *
 * Layer: daemon. Thread rule: pure functions on their arguments.
 */
#ifndef CUTOUTD_DAEMON_COMPARE_EPOCH_VIEW_H
#define CUTOUTD_DAEMON_COMPARE_EPOCH_VIEW_H

#include "daemon/spec/json_write.h"
#include "daemon/store/table/epoch_table.h"

enum epoch_columns { EPOCH_ALL, EPOCH_CURVE /* the validation error alone */ };

enum epoch_format {
    EPOCH_JSON,   /* an array of objects */
    EPOCH_NDJSON, /* an object a line */
    EPOCH_CSV,    /* a line of names, then a line a row; an empty cell is what JSON calls null */
};

/* The text, owned by the caller (free), or NULL when memory ran out. */
char *epochs_format(const struct epoch_list *list, enum epoch_columns which,
                    enum epoch_format format);

/* A line of that CSV with its newline: the row, or the names when row is NULL. Owned by the caller
 * (free); NULL when memory ran out. */
char *epoch_csv_line(const struct epoch_row *row);

/* One row of the history; without the object's brackets. */
void epoch_write_members(struct json_writer *writer, const struct epoch_row *row);

/* Keeps n (at least 3) of the epochs: the first, the last, the best, and others evenly between. A
 * list that is not longer stays as it is. */
void epochs_thin(struct epoch_list *list, size_t n);

/* wrong / total; 0 when nothing was counted. */
double error_ratio(int wrong, int total);

#endif
