/* Table `event`. Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/table/event_table.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/store/table/tables.h"

enum {
    ADD_STATE,
    ADD_EPOCH,
    ADD_CHECKPOINT,
    ADD_EDIT,
    FORGET,
    LIST_RUN,
    LIST_SWEEP,
    LIST_ALL,
    FIRST_OF_SWEEP,
    COUNT_RUN,
    COUNT_SWEEP,
    COUNT_ALL,
    NEWEST,
    N_STATEMENTS,
};

/* Of a sweep so many ids are looked at at a time, whosever they are: a stream that begins long ago
 * does not hold a thread for all of it. */
enum { SWEEP_STRETCH = 5000 };

/* CROSS JOIN: the events come first, in their order. */
#define SELECT                                                                                     \
    "SELECT event.id, event.run_id, event.type, event.at_ms, event.state, event.attempt,"          \
    " event.reason, event.epoch, event.step, event.checkpoint_kind, run.sweep_id, epoch.epoch,"    \
    " train_loss, train_accuracy, val_loss, val_accuracy, epoch.val_wrong, epoch.val_total, lr,"   \
    " seconds, epoch.images_per_second, epoch.at_ms, event.name, event.priority,"                  \
    " event.labels_json"                                                                           \
    " FROM event CROSS JOIN run ON run.id = event.run_id"                                          \
    " LEFT JOIN epoch ON event.type = 'epoch' AND epoch.run_id = event.run_id"                     \
    " AND epoch.epoch = event.epoch "

const struct statement_set event_statements = {
    N_STATEMENTS,
    {
        [ADD_STATE] = ("INSERT INTO event (run_id, type, at_ms, state, attempt, reason)"
                       " SELECT id, 'state', ?2, state, attempt, reason FROM run WHERE id = ?1"),
        [ADD_EPOCH] = ("INSERT INTO event (run_id, type, at_ms, epoch) VALUES (?1, 'epoch', ?2, ?3)"
                       " ON CONFLICT DO NOTHING"),
        [ADD_CHECKPOINT] = ("INSERT INTO event (run_id, type, at_ms, epoch, step, checkpoint_kind)"
                            " VALUES (?1, 'checkpoint', ?2, ?3, ?4, ?5)"),
        [ADD_EDIT] = ("INSERT INTO event (run_id, type, at_ms, name, priority, labels_json)"
                      " SELECT id, 'edit', ?2, name, priority, labels_json FROM run WHERE id = ?1"),
        [FORGET] = "DELETE FROM event WHERE run_id = ?1 AND type IN ('epoch', 'checkpoint')",
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
        [COUNT_ALL] = "SELECT count(*) FROM (SELECT 1 FROM event WHERE id > ?2 LIMIT ?3)",
        [NEWEST] = "SELECT seq FROM sqlite_sequence WHERE name = 'event'",
    },
};

const char *event_type_name(enum event_type type) {
    switch (type) {
    case EVENT_STATE:
        return "state";
    case EVENT_EPOCH:
        return "epoch";
    case EVENT_CHECKPOINT:
        return "checkpoint";
    case EVENT_EDIT:
        return "edit";
    }
    return "unknown";
}

static enum event_type type_from_name(const char *name) {
    enum event_type type = EVENT_EDIT;
    while (type > 0 && strcmp(name, event_type_name(type)) != 0) {
        type--;
    }
    return type;
}

/* ?1 is the run, ?2 the time; the row of the run says the rest. */
static enum status add_of_run(struct db *db, int index, int64_t run_id, int64_t at_ms,
                              struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_EVENT, index);
    sqlite3_bind_int64(statement, 1, run_id);
    sqlite3_bind_int64(statement, 2, at_ms);
    return db_execute(db, statement, NULL, error);
}

enum status event_add_state(struct db *db, int64_t run_id, int64_t at_ms, struct error *error) {
    return add_of_run(db, ADD_STATE, run_id, at_ms, error);
}

enum status event_add_edit(struct db *db, int64_t run_id, int64_t at_ms, struct error *error) {
    return add_of_run(db, ADD_EDIT, run_id, at_ms, error);
}

enum status event_add_epoch(struct db *db, int64_t run_id, int epoch, int64_t at_ms,
                            struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_EVENT, ADD_EPOCH);
    sqlite3_bind_int64(statement, 1, run_id);
    sqlite3_bind_int64(statement, 2, at_ms);
    sqlite3_bind_int(statement, 3, epoch);
    return db_execute(db, statement, NULL, error);
}

enum status event_add_checkpoint(struct db *db, int64_t run_id, const struct checkpoint_row *row,
                                 struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_EVENT, ADD_CHECKPOINT);
    sqlite3_bind_int64(statement, 1, run_id);
    sqlite3_bind_int64(statement, 2, row->at_ms);
    sqlite3_bind_int(statement, 3, row->epochs_done);
    sqlite3_bind_int(statement, 4, row->step);
    db_bind_text(statement, 5, checkpoint_kind_name(row->kind));
    return db_execute(db, statement, NULL, error);
}

enum status event_forget_history(struct db *db, int64_t run_id, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_EVENT, FORGET);
    sqlite3_bind_int64(statement, 1, run_id);
    return db_execute(db, statement, NULL, error);
}

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
    row->row = (struct epoch_row){
        .epoch = sqlite3_column_int(statement, 11),
        .train_loss = db_column_number(statement, 12),
        .train_accuracy = db_column_number(statement, 13),
        .val_loss = db_column_number(statement, 14),
        .val_accuracy = db_column_number(statement, 15),
        .val_wrong = sqlite3_column_int(statement, 16),
        .val_total = sqlite3_column_int(statement, 17),
        .lr = db_column_number(statement, 18),
        .seconds = db_column_number(statement, 19),
        .images_per_second = db_column_number(statement, 20),
        .at_ms = sqlite3_column_int64(statement, 21),
    };
    db_column_text(statement, 22, row->name, sizeof(row->name));
    row->priority = sqlite3_column_int(statement, 23);
    const char *labels = (const char *)sqlite3_column_text(statement, 24);
    row->labels_json = labels ? strdup(labels) : NULL;
    return !labels || row->labels_json
               ? STATUS_OK
               : error_set(error, STATUS_NO_MEMORY, "no memory to read an event");
}

/* A statement that returns one number; NULL and no row are 0. */
static enum status read_number(struct db *db, sqlite3_stmt *statement, int64_t *ret_number,
                               struct error *error) {
    bool row = false;
    TRY(db_step(db, statement, &row, error));
    *ret_number = row ? sqlite3_column_int64(statement, 0) : 0;
    (void)sqlite3_reset(statement);
    return STATUS_OK;
}

enum status event_read_newest(struct db *db, int64_t *ret_id, struct error *error) {
    return read_number(db, db_statement(db, DB_EVENT, NEWEST), ret_id, error);
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
    sqlite3_stmt *statement = db_statement(db, DB_EVENT, first_statement + (int)watch->kind);
    sqlite3_bind_int64(statement, 1, watch->id);
    sqlite3_bind_int64(statement, 2, stretch->after_id);
    sqlite3_bind_int(statement, 3, stretch->limit);
    return statement;
}

_Static_assert(WATCH_RUN == 0 && WATCH_SWEEP == 1 && WATCH_ALL == 2,
               "statements are in the order of enum watch_kind");

/* Leaves out what is of no interest for certain. false: nothing is left. */
static enum status narrow(struct db *db, struct stretch *stretch, bool *ret_any,
                          struct error *error) {
    *ret_any = true;
    if (stretch->watch->kind != WATCH_SWEEP) {
        return STATUS_OK;
    }
    int64_t first = 0;
    sqlite3_stmt *statement = db_statement(db, DB_EVENT, FIRST_OF_SWEEP);
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

static enum status read_list(struct db *db, struct stretch *stretch, struct event_list *list,
                             struct error *error) {
    bool row = false;
    /* The newest id before the events: what is committed in between is in the list as well. */
    TRY(event_read_newest(db, &stretch->last_id, error));
    list->upto_id = stretch->last_id;
    TRY(narrow(db, stretch, &row, error));
    if (!row) {
        return STATUS_OK;
    }
    list->rows = calloc((size_t)stretch->limit, sizeof(*list->rows));
    if (!list->rows) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for %d events", stretch->limit);
    }
    sqlite3_stmt *statement = bind(db, LIST_RUN, stretch);
    if (stretch->watch->kind == WATCH_SWEEP) {
        sqlite3_bind_int64(statement, 4, stretch->last_id);
    }
    enum status status = db_step(db, statement, &row, error);
    while (status == STATUS_OK && row && list->n < (size_t)stretch->limit) {
        status = read_row(statement, &list->rows[list->n++], error);
        if (status == STATUS_OK) {
            status = db_step(db, statement, &row, error);
        }
    }
    (void)sqlite3_reset(statement);
    TRY(status);
    int64_t last_row = list->n > 0 ? list->rows[list->n - 1].id : 0;
    bool full = list->n == (size_t)stretch->limit;
    list->more = full || stretch->last_id < list->upto_id;
    list->upto_id = full || last_row > stretch->last_id ? last_row : stretch->last_id;
    return STATUS_OK;
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

enum status event_table_count(struct store *store, const struct watch *watch, int64_t after_id,
                              int most, int64_t *ret_n, struct error *error) {
    const struct stretch stretch = {.watch = watch, .after_id = after_id, .limit = most};
    struct db *db = store_reader_acquire(store);
    enum status status = read_number(db, bind(db, COUNT_RUN, &stretch), ret_n, error);
    store_reader_release(store, db);
    return status;
}

enum status event_table_newest(struct store *store, int64_t *ret_id, struct error *error) {
    struct db *db = store_reader_acquire(store);
    enum status status = event_read_newest(db, ret_id, error);
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
