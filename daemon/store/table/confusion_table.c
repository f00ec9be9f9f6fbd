/* Table `confusion`. Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/table/confusion_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

enum {
    CLASSES_SIZE = DATASET_CLASSES * (DATASET_CLASS_SIZE + 1),
    COUNTS_SIZE = DATASET_CLASSES * DATASET_CLASSES * 12,
};

enum status confusion_forget(struct db *db, int64_t run_id, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_CONFUSION, FORGET);
    sqlite3_bind_int64(statement, 1, run_id);
    return db_execute(db, statement, NULL, error);
}

enum status confusion_put(struct db *db, int64_t run_id, int epoch,
                          const struct confusion *confusion, struct error *error) {
    char classes[CLASSES_SIZE];
    char counts[COUNTS_SIZE];
    size_t n_classes = 0;
    size_t n_counts = 0;
    TRY(confusion_forget(db, run_id, error));
    if (!confusion) {
        return STATUS_OK;
    }
    for (int i = 0; i < DATASET_CLASSES; i++) {
        n_classes += (size_t)snprintf(classes + n_classes, sizeof(classes) - n_classes, "%s%s",
                                      i ? "\n" : "", confusion->class_names[i]);
        for (int j = 0; j < DATASET_CLASSES; j++) {
            n_counts += (size_t)snprintf(counts + n_counts, sizeof(counts) - n_counts, "%s%d",
                                         i + j ? "," : "", confusion->counts[i][j]);
        }
    }
    sqlite3_stmt *statement = db_statement(db, DB_CONFUSION, PUT);
    sqlite3_bind_int64(statement, 1, run_id);
    sqlite3_bind_int(statement, 2, epoch);
    db_bind_text(statement, 3, classes);
    db_bind_text(statement, 4, counts);
    return db_execute(db, statement, NULL, error);
}

static void read_row(sqlite3_stmt *statement, struct confusion_row *row) {
    char classes[CLASSES_SIZE];
    char counts[COUNTS_SIZE];
    const char *name = classes;
    char *number = counts;
    memset(row, 0, sizeof(*row));
    row->epoch = sqlite3_column_int(statement, 0);
    db_column_text(statement, 1, classes, sizeof(classes));
    db_column_text(statement, 2, counts, sizeof(counts));
    for (int i = 0; i < DATASET_CLASSES; i++) {
        size_t n = strcspn(name, "\n");
        (void)snprintf(row->confusion.class_names[i], DATASET_CLASS_SIZE, "%.*s", (int)n, name);
        name += n + (name[n] == '\n');
        for (int j = 0; j < DATASET_CLASSES; j++) {
            row->confusion.counts[i][j] = (int)strtol(number, &number, 10);
            number += *number == ',';
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
