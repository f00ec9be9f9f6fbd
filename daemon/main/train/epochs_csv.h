/* epochs.csv: the history of one run as a spreadsheet reads it, one row an epoch, as the API
 * gives it (epoch_view.h).
 *
 * Layer: daemon. Thread rule: a struct epochs_csv belongs to one thread.
 *
 * The rows are kept in memory and the file is replaced whole after each epoch, so it is complete at
 * every moment, also when a run is continued or an epoch repeated.
 */
#ifndef CUTOUTD_DAEMON_MAIN_TRAIN_EPOCHS_CSV_H
#define CUTOUTD_DAEMON_MAIN_TRAIN_EPOCHS_CSV_H

#include "core/train/trainer.h"

struct epochs_csv {
    char *path;
    char *header; /* the names of the columns, with its newline */
    char **rows;  /* [n_rows], row i is of epoch i + 1, with its newline */
    int n_rows;
    int n_allocated;
};

/* Reads the rows of PATH; a file that is not there has none. STATUS_CORRUPT when it is no such
 * file, with path and line; STATUS_IO, STATUS_TOO_LARGE, STATUS_NO_MEMORY. On success *ret_csv is
 * the caller's (epochs_csv_close); on failure it is not touched. */
enum status epochs_csv_open(const char *path, struct epochs_csv *ret_csv, struct error *error);

/* Forgets the rows after the first n_rows; the file follows with the next row. */
void epochs_csv_cut(struct epochs_csv *csv, int n_rows);

/* Adds the row of report->epoch, which is at most the one after the last; it and what follows are
 * replaced. Statuses of text_file_write and STATUS_NO_MEMORY: the file is what it was.
 * STATUS_INTERNAL: an epoch is left out. */
enum status epochs_csv_put(struct epochs_csv *csv, const struct epoch_report *report,
                           struct error *error);

/* Frees the rows. A zeroed struct is fine. */
void epochs_csv_close(struct epochs_csv *csv);

#endif
