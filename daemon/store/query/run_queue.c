/* Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/query/run_queue.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "daemon/store/owner/turn.h"
#include "daemon/store/owner/usage.h"
#include "daemon/store/table/run_columns.h"
#include "daemon/store/table/run_rows.h"

enum { LIST, OWNED, TOTALS, BEFORE, ABOVE, OWNED_BEFORE, AHEAD, NEXT_START, N_STATEMENTS };

#define COLUMNS RUN_COLUMNS_WITH("''", "''", RUN_PART_SQL_AFTER)

const struct statement_set queue_statements = {
    N_STATEMENTS,
    {
        [LIST] = ("SELECT " COLUMNS " FROM run WHERE state = ?4"
                  " AND (?1 IS NULL OR priority < ?1 OR (priority = ?1 AND id > ?2))"
                  " ORDER BY priority DESC, id LIMIT ?3"),
        [OWNED] = ("SELECT " COLUMNS " FROM run INDEXED BY run_waiting WHERE state = 'queued'"
                   " AND priority = ?1 AND owner = ?2 AND id > ?3 ORDER BY id LIMIT ?4"),
        [TOTALS] = "SELECT total(queued), total(held) FROM owner",
        [BEFORE] = ("SELECT count(*) FROM run WHERE state = 'queued'"
                    " AND (priority > ?1 OR (priority = ?1 AND id <= ?2))"),
        [ABOVE] = "SELECT total(n) FROM waiting WHERE priority > ?1",
        [OWNED_BEFORE] = ("SELECT count(*) FROM run INDEXED BY run_waiting WHERE state = 'queued'"
                          " AND priority = ?1 AND owner = ?2 AND id <= ?3"),
        [AHEAD] = ("SELECT count(*) FROM (SELECT 1 FROM run WHERE state = 'queued'"
                   " AND (priority > ?1 OR (priority = ?1 AND id < ?2)) LIMIT ?3)"),
        [NEXT_START] = ("SELECT min(not_before_ms) FROM run INDEXED BY run_not_before"
                        " WHERE state = 'queued' AND not_before_ms > ?1"),
    },
};

void queue_page_clear(struct queue_page *page) {
    run_list_clear(&page->list);
    memset(page, 0, sizeof(*page));
}

/* Adds the rows of the statement until there are `end`, for which there is room; list->more: it had
 * others. */
static enum status read_rows(struct db *db, sqlite3_stmt *statement, size_t end,
                             struct run_list *list, struct error *error) {
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

/* Adds at most `limit` of a state in order of arrival. */
static enum status read_state(struct db *db, enum run_state state, const struct queue_place *after,
                              size_t limit, struct run_list *list, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_QUEUE, LIST);
    if (after) {
        sqlite3_bind_int(statement, 1, after->priority);
        sqlite3_bind_int64(statement, 2, after->id);
    }
    sqlite3_bind_int64(statement, 3, (int64_t)limit + 1);
    db_bind_text(statement, 4, run_state_name(state));
    return read_rows(db, statement, list->n + limit, list, error);
}

/* ---- by turns ---- */

/* Adds the runs of the owners from `first` on, of the first one those behind after_id. */
static enum status read_turns(struct db *db, struct turns *turns, size_t first, int64_t after_id,
                              size_t end, struct run_list *list, struct error *error) {
    for (size_t i = first; i < turns->n && list->n < end; i++) {
        TRY(turns_settle(db, turns, i, error));
        sqlite3_stmt *statement = db_statement(db, DB_QUEUE, OWNED);
        sqlite3_bind_int(statement, 1, turns->priority);
        db_bind_text(statement, 2, turns->items[i].owner);
        sqlite3_bind_int64(statement, 3, i == first ? after_id : 0);
        sqlite3_bind_int64(statement, 4, (int64_t)(end - list->n));
        TRY(read_rows(db, statement, end, list, error));
    }
    return STATUS_OK;
}

/* Where the place is among the turns of its priority: of the owner there those behind *ret_id are
 * behind it. */
static enum status find_place(struct db *db, struct turns *turns, const struct queue_place *after,
                              int64_t now_ms, size_t *ret_first, int64_t *ret_id,
                              struct error *error) {
    *ret_first = 0;
    *ret_id = 0;
    if (!after || turns->n == 0 || turns->priority != after->priority) {
        return STATUS_OK;
    }
    TRY(turns_find(db, turns, after->owner, after->id, now_ms, ret_first, error));
    bool there = *ret_first < turns->n && strcmp(turns->items[*ret_first].owner, after->owner) == 0;
    *ret_id = there ? after->id : 0;
    return STATUS_OK;
}

static enum status read_by_turns(struct db *db, const struct queue_place *after, int64_t now_ms,
                                 size_t limit, struct run_list *list, struct error *error) {
    CLEANUP(turns_clear) struct turns turns = {.n = 0};
    int64_t below = after ? (int64_t)after->priority + 1 : INT64_MAX;
    size_t end = list->n + limit;
    do {
        size_t first = 0;
        int64_t after_id = 0;
        TRY(turns_read(db, below, now_ms, &turns, error));
        TRY(find_place(db, &turns, after, now_ms, &first, &after_id, error));
        TRY(read_turns(db, &turns, first, after_id, end, list, error));
        below = turns.priority;
    } while (turns.n > 0 && list->n < end);
    return STATUS_OK;
}

static enum status is_fair(struct db *db, bool *ret_fair, struct error *error) {
    int half_life_s = 0;
    TRY(usage_half_life(db, &half_life_s, error));
    *ret_fair = half_life_s > 0;
    return STATUS_OK;
}

static enum status read_waiting(struct db *db, const struct queue_place *after, int64_t now_ms,
                                size_t limit, struct run_list *list, struct error *error) {
    bool fair = false;
    TRY(is_fair(db, &fair, error));
    return fair ? read_by_turns(db, after, now_ms, limit, list, error)
                : read_state(db, RUN_QUEUED, after, limit, list, error);
}

/* ---- lists ---- */

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
    enum status status = read_state(db, state, NULL, (size_t)limit, &list, error);
    store_reader_release(store, db);
    if (status != STATUS_OK) {
        run_list_clear(&list);
        return status;
    }
    *ret_list = list;
    return STATUS_OK;
}

enum status run_queue_waiting(struct store *store, int64_t now_ms, int limit,
                              struct run_list *ret_list, struct error *error) {
    struct run_list list = {0};
    TRY(make_room(&list, limit, error));
    struct db *db = store_reader_acquire(store);
    enum status status = db_begin_reading(db, error);
    if (status == STATUS_OK) {
        status = read_waiting(db, NULL, now_ms, (size_t)limit, &list, error);
        db_end_reading(db);
    }
    store_reader_release(store, db);
    if (status != STATUS_OK) {
        run_list_clear(&list);
        return status;
    }
    *ret_list = list;
    return STATUS_OK;
}

/* ---- positions ---- */

static enum status read_count(struct db *db, sqlite3_stmt *statement, int64_t *ret_count,
                              struct error *error) {
    bool row = false;
    TRY(db_step(db, statement, &row, error));
    *ret_count = sqlite3_column_int64(statement, 0);
    (void)sqlite3_reset(statement);
    return STATUS_OK;
}

/* How many are queued up to the place. Counts no further than `most`. */
static enum status count_by_turns(struct db *db, const struct queue_place *place, int64_t now_ms,
                                  int64_t most, int64_t *ret_count, struct error *error) {
    CLEANUP(turns_clear) struct turns turns = {.n = 0};
    size_t first = 0;
    int64_t id = 0;
    sqlite3_stmt *statement = db_statement(db, DB_QUEUE, ABOVE);
    sqlite3_bind_int(statement, 1, place->priority);
    TRY(read_count(db, statement, ret_count, error));
    if (*ret_count >= most) {
        return STATUS_OK;
    }
    TRY(turns_read(db, (int64_t)place->priority + 1, now_ms, &turns, error));
    TRY(find_place(db, &turns, place, now_ms, &first, &id, error));
    for (size_t i = 0; i < first; i++) {
        *ret_count += turns.items[i].n_queued;
    }
    if (id > 0) {
        int64_t own = 0;
        statement = db_statement(db, DB_QUEUE, OWNED_BEFORE);
        sqlite3_bind_int(statement, 1, place->priority);
        db_bind_text(statement, 2, place->owner);
        sqlite3_bind_int64(statement, 3, id);
        TRY(read_count(db, statement, &own, error));
        *ret_count += own;
    }
    return STATUS_OK;
}

static enum status count_until(struct db *db, const struct queue_place *place, int64_t now_ms,
                               int64_t *ret_count, struct error *error) {
    bool fair = false;
    TRY(is_fair(db, &fair, error));
    if (fair) {
        return count_by_turns(db, place, now_ms, INT64_MAX, ret_count, error);
    }
    sqlite3_stmt *statement = db_statement(db, DB_QUEUE, BEFORE);
    sqlite3_bind_int(statement, 1, place->priority);
    sqlite3_bind_int64(statement, 2, place->id);
    return read_count(db, statement, ret_count, error);
}

static enum status read_totals(struct db *db, struct queue_page *page, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_QUEUE, TOTALS);
    bool row = false;
    TRY(db_step(db, statement, &row, error));
    page->n_queued = sqlite3_column_int64(statement, 0);
    page->n_held = sqlite3_column_int64(statement, 1);
    (void)sqlite3_reset(statement);
    return STATUS_OK;
}

/* ---- a page ---- */

static enum status read_queue(struct db *db, const struct queue_place *after, int64_t now_ms,
                              int limit, struct queue_page *page, struct error *error) {
    struct run_list *list = &page->list;
    bool among_held = after && after->held;
    int64_t n_before = 0;
    TRY(read_totals(db, page, error));
    if (after && !among_held) {
        TRY(count_until(db, after, now_ms, &n_before, error));
    }
    page->first_position = n_before + 1;
    TRY(make_room(list, limit, error));
    if (!among_held) {
        TRY(read_waiting(db, after, now_ms, (size_t)limit, list, error));
    }
    if (list->n == (size_t)limit) {
        list->more = n_before + limit < page->n_queued || page->n_held > 0;
        return STATUS_OK;
    }
    return read_state(db, RUN_HELD, among_held ? after : NULL, (size_t)limit - list->n, list,
                      error);
}

enum status run_queue_page(struct store *store, const struct queue_place *after, int64_t now_ms,
                           int limit, struct queue_page *ret_page, struct error *error) {
    struct queue_page page = {0};
    struct db *db = store_reader_acquire(store);
    enum status status = db_begin_reading(db, error);
    if (status == STATUS_OK) {
        status = read_queue(db, after, now_ms, limit, &page, error);
        db_end_reading(db);
    }
    store_reader_release(store, db);
    if (status != STATUS_OK) {
        queue_page_clear(&page);
        return status;
    }
    *ret_page = page;
    return STATUS_OK;
}

/* ---- how far behind ---- */

static enum status count_ahead(struct db *db, const struct run_row *row, int64_t now_ms, int most,
                               int *ret_count, struct error *error) {
    struct queue_place place = {.priority = row->priority, .id = row->id - 1};
    bool fair = false;
    int64_t n = 0;
    memcpy(place.owner, row->owner, sizeof(place.owner));
    TRY(is_fair(db, &fair, error));
    if (fair) {
        TRY(count_by_turns(db, &place, now_ms, most, &n, error));
    } else {
        sqlite3_stmt *statement = db_statement(db, DB_QUEUE, AHEAD);
        sqlite3_bind_int(statement, 1, row->priority);
        sqlite3_bind_int64(statement, 2, row->id);
        sqlite3_bind_int(statement, 3, most);
        TRY(read_count(db, statement, &n, error));
    }
    *ret_count = n < most ? (int)n : most;
    return STATUS_OK;
}

enum status run_queue_count_ahead(struct store *store, const struct run_row *row, int64_t now_ms,
                                  int most, int *ret_count, struct error *error) {
    struct db *db = store_reader_acquire(store);
    enum status status = db_begin_reading(db, error);
    if (status == STATUS_OK) {
        status = count_ahead(db, row, now_ms, most, ret_count, error);
        db_end_reading(db);
    }
    store_reader_release(store, db);
    return status;
}

/* ---- runs whose time has not come ---- */

static enum status next_start(struct db *db, int64_t now_ms, int64_t *ret_at_ms,
                              struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_QUEUE, NEXT_START);
    sqlite3_bind_int64(statement, 1, now_ms);
    return read_count(db, statement, ret_at_ms, error);
}

enum status run_queue_next_start(struct store *store, int64_t now_ms, int64_t *ret_at_ms,
                                 struct error *error) {
    struct db *db = store_reader_acquire(store);
    enum status status = next_start(db, now_ms, ret_at_ms, error);
    store_reader_release(store, db);
    return status;
}
