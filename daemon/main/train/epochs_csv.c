/* Layer: daemon. */
#include "daemon/main/train/epochs_csv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/analyzer.h"
#include "core/base/cleanup.h"
#include "daemon/compare/epoch_view.h"
#include "daemon/config/text_file.h"

enum { MAX_FILE_BYTES = 64 << 20 };

/* Takes over `row`, also on failure. */
static enum status append(struct epochs_csv *csv, char *row, struct error *error) {
    CLEANUP(free_pointer) char *owned = row;
    if (row && csv->n_rows == csv->n_allocated) {
        int wanted = csv->n_allocated > 0 ? 2 * csv->n_allocated : 64;
        char **rows = reallocarray(csv->rows, (size_t)wanted, sizeof(*rows));
        if (rows) {
            csv->rows = rows;
            csv->n_allocated = wanted;
        }
    }
    if (!row || csv->n_rows == csv->n_allocated) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the rows of %s", csv->path);
    }
    csv->rows[csv->n_rows++] = owned;
    owned = NULL;
    return STATUS_OK;
}

/* The line without its newline, and an empty cell for each of the columns that it lacks. */
static char *padded(const char *line, size_t length, int n_lacking) {
    char *row = malloc(length + (size_t)n_lacking + 2);
    if (row) {
        memcpy(row, line, length);
        memset(row + length, ',', (size_t)n_lacking);
        memcpy(row + length + n_lacking, "\n", 2);
    }
    return row;
}

/* How many columns, all of them at the end, the names in the first line lack: an earlier version
 * wrote them. -1: they are others. */
static int count_lacking(const char *header, const char *text) {
    size_t length = strcspn(text, "\n");
    if (text[length] != '\n' || length < sizeof("epoch") - 1 ||
        strncmp(header, text, length) != 0) {
        return -1;
    }
    const char *rest = header + length;
    int n = 0;
    if (*rest != ',' && *rest != '\n') {
        return -1;
    }
    for (; *rest; rest++) {
        n += *rest == ',';
    }
    return n;
}

/* Each line must be that of the next epoch and end. */
ANALYZER_IS_WRONG("-Wanalyzer-malloc-leak") /* append takes the row over */
static enum status parse(struct epochs_csv *csv, const char *text, size_t n_bytes,
                         struct error *error) {
    int n_lacking = strlen(text) == n_bytes ? count_lacking(csv->header, text) : -1;
    if (n_lacking < 0) {
        return error_set(error, STATUS_CORRUPT, "%s is no epochs.csv, or damaged", csv->path);
    }
    const char *line = strchr(text, '\n') + 1;
    while (*line) {
        const char *end = strchr(line, '\n');
        char number[16];
        int length = snprintf(number, sizeof(number), "%d,", csv->n_rows + 1);
        if (!end || strncmp(line, number, (size_t)length) != 0) {
            return error_set(error, STATUS_CORRUPT, "%s: line %d is not the row of epoch %d",
                             csv->path, csv->n_rows + 2, csv->n_rows + 1);
        }
        TRY(append(csv, padded(line, (size_t)(end - line), n_lacking), error));
        line = end + 1;
    }
    return STATUS_OK;
}
ANALYZER_GOES_ON

enum status epochs_csv_open(const char *path, struct epochs_csv *ret_csv, struct error *error) {
    CLEANUP(epochs_csv_close)
    struct epochs_csv csv = {.path = strdup(path), .header = epoch_csv_line(NULL)};
    if (!csv.path || !csv.header) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for %s", path);
    }
    CLEANUP(free_pointer) char *text = NULL;
    size_t n_bytes = 0;
    enum status status = text_file_read(path, MAX_FILE_BYTES, &text, &n_bytes, error);
    if (status == STATUS_OK) {
        TRY(parse(&csv, text, n_bytes, error));
    } else if (status != STATUS_NOT_FOUND) {
        return status;
    }
    *ret_csv = csv;
    csv = (struct epochs_csv){0};
    return STATUS_OK;
}

void epochs_csv_cut(struct epochs_csv *csv, int n_rows) {
    while (csv->n_rows > n_rows) {
        free(csv->rows[--csv->n_rows]);
    }
}

static enum status save(const struct epochs_csv *csv, struct error *error) {
    size_t size = strlen(csv->header) + 1;
    for (int i = 0; i < csv->n_rows; i++) {
        size += strlen(csv->rows[i]);
    }
    CLEANUP(free_pointer) char *text = malloc(size);
    if (!text) {
        return error_set(error, STATUS_NO_MEMORY, "no memory to write %s", csv->path);
    }
    char *end = stpcpy(text, csv->header);
    for (int i = 0; i < csv->n_rows; i++) {
        end = stpcpy(end, csv->rows[i]);
    }
    return text_file_write(csv->path, text, error);
}

enum status epochs_csv_put(struct epochs_csv *csv, const struct epoch_report *report,
                           struct error *error) {
    if (report->epoch > csv->n_rows + 1) {
        return error_set(error, STATUS_INTERNAL, "%s has no row before epoch %d", csv->path,
                         report->epoch);
    }
    epochs_csv_cut(csv, report->epoch - 1);
    const struct epoch_row row = {.report = *report};
    TRY(append(csv, epoch_csv_line(&row), error));
    return save(csv, error);
}

void epochs_csv_close(struct epochs_csv *csv) {
    epochs_csv_cut(csv, 0);
    free(csv->rows);
    free(csv->header);
    free(csv->path);
    *csv = (struct epochs_csv){0};
}
