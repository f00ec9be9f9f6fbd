/* Table `confusion`. Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/table/confusion_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "daemon/store/table/confusion_rows.h"

enum { GET, PUT, FORGET, N_STATEMENTS };

const struct statement_set confusion_statements = {
    N_STATEMENTS,
    {
        [GET] = "SELECT epoch, classes, counts FROM confusion WHERE run_id = ?1",
        [PUT] = "INSERT INTO confusion (run_id, epoch, classes, counts) VALUES (?1, ?2, ?3, ?4)",
        [FORGET] = "DELETE FROM confusion WHERE run_id = ?1",
    },
};

enum status confusion_forget(struct db *db, int64_t run_id, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_CONFUSION, FORGET);
    sqlite3_bind_int64(statement, 1, run_id);
    return db_execute(db, statement, NULL, error);
}

/* Bytes of a class's name and of a count, with what stands behind it. */
enum { NAME_BYTES = DATASET_CLASS_SIZE + 1, COUNT_BYTES = 12 };

static enum status put(struct db *db, int64_t run_id, int epoch, const struct confusion *confusion,
                       char *classes, char *counts, struct error *error) {
    char *name = classes;
    char *count = counts;
    for (int i = 0; i < confusion->n_classes; i++) {
        name += snprintf(name, NAME_BYTES, "%s%s", i ? "\n" : "", confusion->class_names[i]);
        for (int j = 0; j < confusion->n_classes; j++) {
            count +=
                snprintf(count, COUNT_BYTES, "%s%d", i + j ? "," : "", confusion->counts[i][j]);
        }
    }
    sqlite3_stmt *statement = db_statement(db, DB_CONFUSION, PUT);
    sqlite3_bind_int64(statement, 1, run_id);
    sqlite3_bind_int(statement, 2, epoch);
    db_bind_text(statement, 3, classes);
    db_bind_text(statement, 4, counts);
    return db_execute(db, statement, NULL, error);
}

enum status confusion_put(struct db *db, int64_t run_id, int epoch,
                          const struct confusion *confusion, struct error *error) {
    TRY(confusion_forget(db, run_id, error));
    if (!confusion) {
        return STATUS_OK;
    }
    size_t n = (size_t)confusion->n_classes;
    CLEANUP(free_pointer) char *classes = calloc(n + 1, NAME_BYTES);
    CLEANUP(free_pointer) char *counts = calloc(n * n + 1, COUNT_BYTES);
    if (!classes || !counts) {
        return error_set(error, STATUS_NO_MEMORY, "no memory to store errors by class");
    }
    return put(db, run_id, epoch, confusion, classes, counts, error);
}

static const char *column_text(sqlite3_stmt *statement, int column) {
    const unsigned char *text = sqlite3_column_text(statement, column);
    return text ? (const char *)text : "";
}

/* As many classes as names: one a line. */
static int read_names(const char *name, struct confusion *confusion) {
    int n = 0;
    for (bool more = true; more && n < DATASET_MAX_CLASSES; n++) {
        size_t length = strcspn(name, "\n");
        (void)snprintf(confusion->class_names[n], DATASET_CLASS_SIZE, "%.*s", (int)length, name);
        more = name[length] == '\n';
        name += length + more;
    }
    return n;
}

static void read_row(sqlite3_stmt *statement, struct confusion_row *row) {
    struct confusion *confusion = &row->confusion;
    memset(row, 0, sizeof(*row));
    row->epoch = sqlite3_column_int(statement, 0);
    confusion->n_classes = read_names(column_text(statement, 1), confusion);
    const char *number = column_text(statement, 2);
    for (int i = 0; i < confusion->n_classes; i++) {
        for (int j = 0; j < confusion->n_classes; j++) {
            char *end = NULL;
            confusion->counts[i][j] = (int)strtol(number, &end, 10);
            number = end + (*end == ',');
        }
    }
}

static enum status read_confusion(struct db *db, int64_t run_id, struct confusion_row *ret_row,
                                  struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_CONFUSION, GET);
    sqlite3_bind_int64(statement, 1, run_id);
    bool row = false;
    TRY(db_step(db, statement, &row, error));
    if (!row) {
        return error_set(error, STATUS_NOT_FOUND,
                         "for the best epoch of run %lld it was not counted which class was taken "
                         "for which",
                         (long long)run_id);
    }
    read_row(statement, ret_row);
    (void)sqlite3_reset(statement);
    return STATUS_OK;
}

enum status confusion_table_get(struct store *store, int64_t run_id, struct confusion_row *ret_row,
                                struct error *error) {
    struct db *db = store_reader_acquire(store);
    enum status status = read_confusion(db, run_id, ret_row, error);
    store_reader_release(store, db);
    return status;
}
