/* Table `run`: reading rows. Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/table/run_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store/table/run_columns.h"
#include "daemon/store/table/run_rows.h"
#include "daemon/store/table/run_statements.h"

void run_row_clear(struct run_row *row) {
    free(row->labels_json);
    free(row->config_json);
    free(row->after);
    memset(row, 0, sizeof(*row));
}

void run_list_clear(struct run_list *list) {
    for (size_t i = 0; i < list->n; i++) {
        run_row_clear(&list->rows[i]);
    }
    free(list->rows);
    memset(list, 0, sizeof(*list));
}

static const char *const request_names[RUN_REQUEST_COUNT] = {
    [RUN_REQUEST_NONE] = "",
    [RUN_REQUEST_CANCEL] = "cancel",
    [RUN_REQUEST_KILL] = "kill",
    [RUN_REQUEST_PAUSE] = "pause",
};

const char *run_request_name(enum run_request request) {
    return request_names[request];
}

static enum run_request read_request(sqlite3_stmt *statement, int column) {
    char name[16];
    db_column_text(statement, column, name, sizeof(name));
    int request = RUN_REQUEST_COUNT - 1;
    while (request > 0 && strcmp(name, request_names[request]) != 0) {
        request--;
    }
    return (enum run_request)request;
}

/* One for each kind of RUN_COLUMN_LIST, which says what NULL is read as. The type of the member is
 * checked where a wrong one would compile. */
/* NOLINTNEXTLINE(bugprone-macro-parentheses): a type takes none */
#define IS_A(type, member) _Static_assert(_Generic(row->member, type : 1, default : 0), #member)
#define READ_INT(member)                                                                           \
    IS_A(int, member);                                                                             \
    row->member = sqlite3_column_int(s, c++)
#define READ_INT64(member)                                                                         \
    IS_A(int64_t, member);                                                                         \
    row->member = sqlite3_column_int64(s, c++)
#define READ_UINT64(member)                                                                        \
    IS_A(uint64_t, member);                                                                        \
    row->member = (uint64_t)sqlite3_column_int64(s, c++)
#define READ_BOOL(member)                                                                          \
    IS_A(bool, member);                                                                            \
    row->member = sqlite3_column_int(s, c++) != 0
#define READ_SUM(member)                                                                           \
    IS_A(double, member);                                                                          \
    row->member = sqlite3_column_double(s, c++)
#define READ_REAL(member)                                                                          \
    IS_A(double, member);                                                                          \
    row->member = db_column_number(s, c++)
#define READ_TEXT(member) db_column_text(s, c++, row->member, sizeof(row->member))
#define READ_STATE(member) db_column_text(s, c++, state, sizeof(state))
#define READ_REQUEST(member) row->member = read_request(s, c++)
#define READ(sql, kind, member) READ_##kind(member);

enum status run_read_row(sqlite3_stmt *s, struct run_row *row, struct error *error) {
    char state[16];
    int c = 0;
    memset(row, 0, sizeof(*row));
    RUN_COLUMN_LIST(READ)
    row->labels_json = db_column_copy(s, c++);
    row->config_json = db_column_copy(s, c++);
    row->after = db_column_copy(s, c++);
    if (!row->labels_json || !row->config_json || !row->after) {
        run_row_clear(row);
        return error_set(error, STATUS_NO_MEMORY, "no memory to read a run");
    }
    if (!run_state_from_name(state, &row->state)) {
        run_row_clear(row);
        return error_set(
            error, STATUS_CORRUPT,
            "a run has the unknown state '%s': the database is damaged" DB_DAMAGE_REMEDY, state);
    }
    return STATUS_OK;
}

enum status run_read(struct db *db, int64_t id, struct run_row *ret_row, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_RUN, RUN_GET);
    sqlite3_bind_int64(statement, 1, id);
    bool row = false;
    TRY(db_step(db, statement, &row, error));
    if (!row) {
        return error_set(error, STATUS_NOT_FOUND, "there is no run %lld", (long long)id);
    }
    enum status status = run_read_row(statement, ret_row, error);
    (void)sqlite3_reset(statement);
    return status;
}

enum status run_table_get(struct store *store, int64_t id, struct run_row *ret_row,
                          struct error *error) {
    struct db *db = store_reader_acquire(store);
    enum status status = run_read(db, id, ret_row, error);
    store_reader_release(store, db);
    return status;
}

enum status run_read_counts(struct db *db, sqlite3_stmt *statement, int64_t counts[RUN_STATE_COUNT],
                            struct error *error) {
    bool row = false;
    TRY(db_step(db, statement, &row, error));
    while (row) {
        char name[16];
        enum run_state state;
        db_column_text(statement, 0, name, sizeof(name));
        if (run_state_from_name(name, &state)) {
            counts[state] = sqlite3_column_int64(statement, 1);
        }
        TRY(db_step(db, statement, &row, error));
    }
    return STATUS_OK;
}

enum status run_table_count(struct store *store, int64_t ret_counts[RUN_STATE_COUNT],
                            struct error *error) {
    int64_t counts[RUN_STATE_COUNT] = {0};
    struct db *db = store_reader_acquire(store);
    enum status status = run_read_counts(db, db_statement(db, DB_RUN, RUN_COUNT), counts, error);
    store_reader_release(store, db);
    if (status == STATUS_OK) {
        memcpy(ret_counts, counts, sizeof(counts));
    }
    return status;
}

static enum status read_has_dataset(struct db *db, const char *dataset, bool *ret_has,
                                    struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_RUN, RUN_HAS_DATASET);
    db_bind_text(statement, 1, dataset);
    TRY(db_step(db, statement, ret_has, error));
    (void)sqlite3_reset(statement);
    return STATUS_OK;
}

enum status run_table_has_dataset(struct store *store, const char *dataset, bool *ret_has,
                                  struct error *error) {
    struct db *db = store_reader_acquire(store);
    enum status status = read_has_dataset(db, dataset, ret_has, error);
    store_reader_release(store, db);
    return status;
}

static enum status read_speed(struct db *db, const struct run_config *config,
                              struct run_speed *speed, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_RUN, RUN_SPEED);
    sqlite3_bind_int(statement, 1, config->depth);
    sqlite3_bind_int(statement, 2, config->m);
    sqlite3_bind_int(statement, 3, config->batch_size);
    bool row = false;
    TRY(db_step(db, statement, &row, error));
    double seconds = sqlite3_column_double(statement, 1);
    speed->n_runs = sqlite3_column_int(statement, 0);
    speed->images_per_second = seconds > 0 ? sqlite3_column_double(statement, 2) / seconds : 0;
    (void)sqlite3_reset(statement);
    return STATUS_OK;
}

enum status run_table_speed(struct store *store, const struct run_config *config,
                            struct run_speed *ret_speed, struct error *error) {
    struct db *db = store_reader_acquire(store);
    enum status status = read_speed(db, config, ret_speed, error);
    store_reader_release(store, db);
    return status;
}
