/* Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/query/run_queue.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/store/table/run_columns.h"
#include "daemon/store/table/run_rows.h"

enum { LIST, PLACE, AHEAD, N_STATEMENTS };

const struct statement_set queue_statements = {
    N_STATEMENTS,
    {
        [LIST] = ("SELECT " RUN_COLUMNS_WITH(
            "''", "''", RUN_PART_SQL_AFTER) " FROM run WHERE state = ?4"
                                            " AND (?1 IS NULL OR priority < ?1"
                                            "  OR (priority = ?1 AND id > ?2))"
                                            " ORDER BY priority DESC, id LIMIT ?3"),
        [PLACE] =
            ("SELECT count(*) FILTER (WHERE state = 'queued'), count(*) FILTER (WHERE"
             " state = 'queued' AND (priority > ?1 OR (priority = ?1 AND id <= ?2))),"
             " count(*) FILTER (WHERE state = 'held') FROM run WHERE state IN ('queued', 'held')"),
        [AHEAD] = ("SELECT count(*) FROM (SELECT 1 FROM run WHERE state = 'queued'"
                   " AND (priority > ?1 OR (priority = ?1 AND id < ?2)) LIMIT ?3)"),
    },
};

void queue_page_clear(struct queue_page *page) {
    run_list_clear(&page->list);
    memset(page, 0, sizeof(*page));
}

/* Adds at most `limit` rows, for which there is room. */
static enum status read_rows(struct db *db, enum run_state state, const struct queue_place *after,
                             size_t limit, struct run_list *list, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_QUEUE, LIST);
    if (after) {
        sqlite3_bind_int(statement, 1, after->priority);
        sqlite3_bind_int64(statement, 2, after->id);
    }
    sqlite3_bind_int64(statement, 3, (int64_t)limit + 1);
    db_bind_text(statement, 4, run_state_name(state));
    size_t end = list->n + limit;
    bool row = false;
    enum status status = db_step(db, statement, &row, error);
    while (status == STATUS_OK && row && list->n < end) {
        status = run_read_row(statement, &list->rows[list->n], error);
        if (status == STATUS_OK) {
            list->n++;
            status = db_step(db, statement, &row, error);
        }
    }
    list->more = status == STATUS_OK && row;
    (void)sqlite3_reset(statement);
    return status;
}

static enum status make_room(struct run_list *list, int n, struct error *error) {
    list->rows = calloc((size_t)n, sizeof(*list->rows));
    return list->rows ? STATUS_OK
                      : error_set(error, STATUS_NO_MEMORY, "no memory for %d runs of the queue", n);
}

enum status run_queue_list(struct store *store, enum run_state state, int limit,
                           struct run_list *ret_list, struct error *error) {
    struct run_list list = {0};
    TRY(make_room(&list, limit, error));
    struct db *db = store_reader_acquire(store);
    enum status status = read_rows(db, state, NULL, (size_t)limit, &list, error);
    store_reader_release(store, db);
    if (status != STATUS_OK) {
        run_list_clear(&list);
        return status;
    }
    *ret_list = list;
    return STATUS_OK;
}

static enum status read_place(struct db *db, const struct queue_place *after,
                              struct queue_page *page, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_QUEUE, PLACE);
    if (after) {
        sqlite3_bind_int(statement, 1, after->priority);
        sqlite3_bind_int64(statement, 2, after->id);
    }
    bool row = false;
    TRY(db_step(db, statement, &row, error));
    page->n_queued = sqlite3_column_int64(statement, 0);
    page->first_position = sqlite3_column_int64(statement, 1) + 1;
    page->n_held = sqlite3_column_int64(statement, 2);
    (void)sqlite3_reset(statement);
    return STATUS_OK;
}

static enum status read_queue(struct db *db, const struct queue_place *after, int limit,
                              struct queue_page *page, struct error *error) {
    struct run_list *list = &page->list;
    bool among_held = after && after->held;
    TRY(read_place(db, after, page, error));
    TRY(make_room(list, limit, error));
    if (!among_held) {
        TRY(read_rows(db, RUN_QUEUED, after, (size_t)limit, list, error));
    }
    if (list->n == (size_t)limit) {
        list->more = list->more || page->n_held > 0;
        return STATUS_OK;
    }
    return read_rows(db, RUN_HELD, among_held ? after : NULL, (size_t)limit - list->n, list, error);
}

enum status run_queue_page(struct store *store, const struct queue_place *after, int limit,
                           struct queue_page *ret_page, struct error *error) {
    struct queue_page page = {0};
    struct db *db = store_reader_acquire(store);
    enum status status = read_queue(db, after, limit, &page, error);
    store_reader_release(store, db);
    if (status != STATUS_OK) {
        queue_page_clear(&page);
        return status;
    }
    *ret_page = page;
    return STATUS_OK;
}

static enum status count_ahead(struct db *db, const struct run_row *row, int most, int *ret_count,
                               struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_QUEUE, AHEAD);
    sqlite3_bind_int(statement, 1, row->priority);
    sqlite3_bind_int64(statement, 2, row->id);
    sqlite3_bind_int(statement, 3, most);
    bool found = false;
    TRY(db_step(db, statement, &found, error));
    *ret_count = sqlite3_column_int(statement, 0);
    (void)sqlite3_reset(statement);
    return STATUS_OK;
}

enum status run_queue_count_ahead(struct store *store, const struct run_row *row, int most,
                                  int *ret_count, struct error *error) {
    struct db *db = store_reader_acquire(store);
    enum status status = count_ahead(db, row, most, ret_count, error);
    store_reader_release(store, db);
    return status;
}
