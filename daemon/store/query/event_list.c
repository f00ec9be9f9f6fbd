/* Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/query/event_list.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/analyzer.h"
#include "daemon/store/table/epoch_columns.h"
#include "daemon/store/table/epoch_rows.h"
#include "daemon/store/table/setting_table.h"

enum {
    LIST_RUN,
    LIST_SWEEP,
    LIST_ALL,
    FIRST_OF_SWEEP,
    COUNT_RUN,
    COUNT_SWEEP,
    COUNT_ALL,
    EXPIRED_RUN,
    EXPIRED_SWEEP,
    EXPIRED_ALL,
    LATEST,
    N_STATEMENTS,
};

/* Of a sweep one read looks at no more ids than these, since most of them may be of other runs: a
 * stream that begins long ago does not hold a thread for all of it. */
enum { SWEEP_STRETCH = 5000 };

/* CROSS JOIN: the events come first, in their order. */
#define SELECT                                                                                     \
    "SELECT event.id, event.run_id, event.type, event.at_ms, event.state, event.attempt,"          \
    " event.reason, event.epoch, event.step, event.checkpoint_kind, run.sweep_id, event.name,"     \
    " event.priority, event.labels_json, " EPOCH_COLUMNS EPOCH_RUN_COLUMNS                         \
    " FROM event CROSS JOIN run ON run.id = event.run_id"                                          \
    " LEFT JOIN epoch ON event.type = 'epoch' AND epoch.run_id = event.run_id"                     \
    " AND epoch.epoch = event.epoch "

enum { FIRST_EPOCH_COLUMN = 14 };

const struct statement_set event_list_statements = {
    N_STATEMENTS,
    {
        [LIST_RUN] =
            (SELECT "WHERE event.run_id = ?1 AND event.id > ?2 ORDER BY event.id LIMIT ?3"),
        [LIST_SWEEP] = (SELECT "WHERE event.id > ?2 AND event.id <= ?4 AND run.sweep_id = ?1"
                               " ORDER BY event.id LIMIT ?3"),
        [LIST_ALL] = (SELECT "WHERE event.id > ?2 ORDER BY event.id LIMIT ?3"),
        [FIRST_OF_SWEEP] = ("SELECT min((SELECT event.id FROM event WHERE event.run_id = run.id"
                            " AND event.id > ?2 ORDER BY event.id LIMIT 1))"
                            " FROM run WHERE sweep_id = ?1"),
        [COUNT_RUN] = ("SELECT count(*) FROM (SELECT 1 FROM event WHERE run_id = ?1 AND id > ?2"
                       " LIMIT ?3)"),
        [COUNT_SWEEP] = ("SELECT total((SELECT count(*) FROM (SELECT 1 FROM event"
                         " WHERE event.run_id = run.id AND event.id > ?2 LIMIT ?3)))"
                         " FROM run WHERE sweep_id = ?1"),
        [EXPIRED_RUN] =
            ("SELECT CAST(gone.value AS INTEGER) > ?2 AND created_ms <"
             " CAST(before.value AS INTEGER) FROM run, setting AS gone,"
             " setting AS before WHERE run.id = ?1 AND gone.name = '" SETTING_EVENTS_GONE_UPTO
             "' AND before.name = '" SETTING_EVENTS_GONE_BEFORE "'"),
        [EXPIRED_SWEEP] =
            ("SELECT CAST(gone.value AS INTEGER) > ?2 AND created_ms <"
             " CAST(before.value AS INTEGER) FROM sweep, setting AS gone,"
             " setting AS before WHERE sweep.id = ?1 AND gone.name = '" SETTING_EVENTS_GONE_UPTO
             "' AND before.name = '" SETTING_EVENTS_GONE_BEFORE "'"),
        [EXPIRED_ALL] = ("SELECT CAST(value AS INTEGER) > ?2 FROM setting WHERE name = "
                         "'" SETTING_EVENTS_GONE_UPTO "'"),
        [LATEST] = (SELECT "WHERE event.run_id = ?1 ORDER BY event.id DESC LIMIT ?3"),
        [COUNT_ALL] = "SELECT count(*) FROM (SELECT 1 FROM event WHERE id > ?2 LIMIT ?3)",
    },
};

static enum event_type type_from_name(const char *name) {
    enum event_type type = EVENT_EDIT;
    while (type > 0 && strcmp(name, event_type_name(type)) != 0) {
        type--;
    }
    return type;
}

ANALYZER_IS_WRONG("-Wanalyzer-malloc-leak") /* the list owns it */
static enum status read_row(sqlite3_stmt *statement, struct event_row *row, struct error *error) {
    char text[RUN_TITLE_SIZE];
    memset(row, 0, sizeof(*row));
    row->id = sqlite3_column_int64(statement, 0);
    row->run_id = sqlite3_column_int64(statement, 1);
    db_column_text(statement, 2, text, sizeof(text));
    row->type = type_from_name(text);
    row->at_ms = sqlite3_column_int64(statement, 3);
    db_column_text(statement, 4, text, sizeof(text));
    (void)run_state_from_name(text, &row->state);
    row->attempt = sqlite3_column_int(statement, 5);
    db_column_text(statement, 6, row->reason, sizeof(row->reason));
    row->epoch = sqlite3_column_int(statement, 7);
    row->step = sqlite3_column_int(statement, 8);
    db_column_text(statement, 9, text, sizeof(text));
    row->kind = strcmp(text, "best") == 0 ? CHECKPOINT_BEST : CHECKPOINT_LAST;
    row->sweep_id = sqlite3_column_int64(statement, 10);
    db_column_text(statement, 11, row->name, sizeof(row->name));
    row->priority = sqlite3_column_int(statement, 12);
    epoch_read_row(statement, FIRST_EPOCH_COLUMN, &row->row);
    bool has_labels = sqlite3_column_type(statement, 13) != SQLITE_NULL;
    row->labels_json = has_labels ? db_column_copy(statement, 13) : NULL;
    return !has_labels || row->labels_json
               ? STATUS_OK
               : error_set(error, STATUS_NO_MEMORY, "no memory to read an event");
}
ANALYZER_GOES_ON

/* A statement that returns one number; NULL and no row are 0. */
static enum status read_number(struct db *db, sqlite3_stmt *statement, int64_t *ret_number,
                               struct error *error) {
    bool row = false;
    TRY(db_step(db, statement, &row, error));
    *ret_number = row ? sqlite3_column_int64(statement, 0) : 0;
    (void)sqlite3_reset(statement);
    return STATUS_OK;
}

struct stretch {
    const struct watch *watch;
    int64_t after_id;
    int64_t last_id;
    int limit;
};

/* The statement of the kind that is watched, with the watched id and the stretch bound. */
static sqlite3_stmt *bind(struct db *db, int first_statement, const struct stretch *stretch) {
    const struct watch *watch = stretch->watch;
    sqlite3_stmt *statement = db_statement(db, DB_EVENT_LIST, first_statement + (int)watch->kind);
    sqlite3_bind_int64(statement, 1, watch->id);
    sqlite3_bind_int64(statement, 2, stretch->after_id);
    sqlite3_bind_int(statement, 3, stretch->limit);
    return statement;
}

_Static_assert(WATCH_RUN == 0 && WATCH_SWEEP == 1 && WATCH_ALL == 2,
               "statements are in the order of enum watch_kind");

/* Of a sweep: begins where its runs have their next event and bounds the stretch of ids that is
 * read. *ret_any: there is such an event. */
static enum status narrow(struct db *db, struct stretch *stretch, bool *ret_any,
                          struct error *error) {
    *ret_any = true;
    if (stretch->watch->kind != WATCH_SWEEP) {
        return STATUS_OK;
    }
    int64_t first = 0;
    sqlite3_stmt *statement = db_statement(db, DB_EVENT_LIST, FIRST_OF_SWEEP);
    sqlite3_bind_int64(statement, 1, stretch->watch->id);
    sqlite3_bind_int64(statement, 2, stretch->after_id);
    TRY(read_number(db, statement, &first, error));
    *ret_any = first > 0;
    stretch->after_id = first - 1;
    if (stretch->last_id > first + SWEEP_STRETCH) {
        stretch->last_id = first + SWEEP_STRETCH;
    }
    return STATUS_OK;
}

/* Whether events that are asked for were deleted because of their age. */
static enum status read_expired(struct db *db, const struct stretch *stretch, bool *ret_expired,
                                struct error *error) {
    int64_t expired = 0;
    TRY(read_number(db, bind(db, EXPIRED_RUN, stretch), &expired, error));
    *ret_expired = expired != 0;
    return STATUS_OK;
}

/* The rows of a statement, at most `limit`, for which there is room. */
static enum status read_rows(struct db *db, sqlite3_stmt *statement, int limit,
                             struct event_list *list, struct error *error) {
    bool row = false;
    enum status status = db_step(db, statement, &row, error);
    while (status == STATUS_OK && row && list->n < (size_t)limit) {
        status = read_row(statement, &list->rows[list->n++], error);
        if (status == STATUS_OK) {
            status = db_step(db, statement, &row, error);
        }
    }
    (void)sqlite3_reset(statement);
    list->more = row;
    return status;
}

static enum status make_room(struct event_list *list, int limit, struct error *error) {
    list->rows = calloc((size_t)limit, sizeof(*list->rows));
    return list->rows ? STATUS_OK
                      : error_set(error, STATUS_NO_MEMORY, "no memory for %d events", limit);
}

static enum status read_events(struct db *db, struct stretch *stretch, struct event_list *list,
                               struct error *error) {
    bool row = false;
    /* The newest id before the events: what is committed in between is in the list as well. */
    TRY(event_read_newest(db, &stretch->last_id, error));
    list->upto_id = stretch->last_id;
    TRY(narrow(db, stretch, &row, error));
    if (!row) {
        return STATUS_OK;
    }
    TRY(make_room(list, stretch->limit, error));
    sqlite3_stmt *statement = bind(db, LIST_RUN, stretch);
    if (stretch->watch->kind == WATCH_SWEEP) {
        sqlite3_bind_int64(statement, 4, stretch->last_id);
    }
    TRY(read_rows(db, statement, stretch->limit, list, error));
    int64_t last_row = list->n > 0 ? list->rows[list->n - 1].id : 0;
    bool full = list->n == (size_t)stretch->limit;
    list->more = full || stretch->last_id < list->upto_id;
    list->upto_id = full || last_row > stretch->last_id ? last_row : stretch->last_id;
    return STATUS_OK;
}

static enum status read_list(struct db *db, const struct stretch *stretch, struct event_list *list,
                             struct error *error) {
    struct stretch narrowed = *stretch;
    TRY(read_events(db, &narrowed, list, error));
    /* After the events: what is deleted in between is then known to be missing. */
    return read_expired(db, stretch, &list->expired, error);
}

enum status event_table_follow(struct store *store, const struct watch *watch, int64_t after_id,
                               int limit, struct event_list *ret_list, struct error *error) {
    struct event_list list = {0};
    struct stretch stretch = {.watch = watch, .after_id = after_id, .limit = limit};
    struct db *db = store_reader_acquire(store);
    enum status status = read_list(db, &stretch, &list, error);
    store_reader_release(store, db);
    if (status != STATUS_OK) {
        event_list_clear(&list);
        return status;
    }
    *ret_list = list;
    return STATUS_OK;
}

enum status event_table_list(struct store *store, int64_t run_id, int64_t after_id, int limit,
                             struct event_list *ret_list, struct error *error) {
    const struct watch watch = {WATCH_RUN, run_id};
    return event_table_follow(store, &watch, after_id, limit, ret_list, error);
}

static enum status read_latest(struct db *db, int64_t run_id, int limit, struct event_list *list,
                               struct error *error) {
    const struct watch watch = {WATCH_RUN, run_id};
    /* One more than asked for tells whether there are more. */
    const struct stretch stretch = {.watch = &watch, .limit = limit + 1};
    TRY(make_room(list, limit, error));
    sqlite3_stmt *statement = db_statement(db, DB_EVENT_LIST, LATEST);
    sqlite3_bind_int64(statement, 1, run_id);
    sqlite3_bind_int(statement, 3, limit + 1);
    TRY(read_rows(db, statement, limit, list, error));
    for (size_t i = 0; i < list->n / 2; i++) {
        struct event_row row = list->rows[i];
        list->rows[i] = list->rows[list->n - 1 - i];
        list->rows[list->n - 1 - i] = row;
    }
    return read_expired(db, &stretch, &list->expired, error);
}

enum status event_table_latest(struct store *store, int64_t run_id, int limit,
                               struct event_list *ret_list, struct error *error) {
    struct event_list list = {0};
    struct db *db = store_reader_acquire(store);
    enum status status = read_latest(db, run_id, limit, &list, error);
    store_reader_release(store, db);
    if (status != STATUS_OK) {
        event_list_clear(&list);
        return status;
    }
    *ret_list = list;
    return STATUS_OK;
}

enum status event_table_count(struct store *store, const struct watch *watch, int64_t after_id,
                              int most, int64_t *ret_n, struct error *error) {
    const struct stretch stretch = {.watch = watch, .after_id = after_id, .limit = most};
    struct db *db = store_reader_acquire(store);
    enum status status = read_number(db, bind(db, COUNT_RUN, &stretch), ret_n, error);
    store_reader_release(store, db);
    return status;
}

void event_list_clear(struct event_list *list) {
    for (size_t i = 0; i < list->n; i++) {
        free(list->rows[i].labels_json);
    }
    free(list->rows);
    memset(list, 0, sizeof(*list));
}
