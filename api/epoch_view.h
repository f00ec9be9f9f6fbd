/* Histories as JSON, NDJSON and CSV: one table of columns, one walk over the epochs.
 *
 * Layer: api. Thread rule: pure functions on their arguments.
 */
#ifndef CUTOUTD_API_EPOCH_VIEW_H
#define CUTOUTD_API_EPOCH_VIEW_H

#include "daemon/json_write.h"
#include "daemon/store/epoch_table.h"

enum epoch_columns { EPOCH_ALL, EPOCH_CURVE /* the validation error alone */ };

enum epoch_format {
    EPOCH_JSON,   /* an array of objects */
    EPOCH_NDJSON, /* an object a line */
    EPOCH_CSV,    /* a line of names, then a line a row; an empty cell is what JSON calls null */
};

/* The text, owned by the caller (free), or NULL when memory ran out. */
char *epochs_format(const struct epoch_list *list, enum epoch_columns columns,
                    enum epoch_format format);

/* One row of the history; without the object's brackets. */
void epoch_write_members(struct json_writer *writer, const struct epoch_row *row);

/* Keeps n (at least 3) of the epochs: the first, the last, the best, and others evenly between. A
 * list that is not longer stays as it is. */
void epochs_thin(struct epoch_list *list, size_t n);

#endif
