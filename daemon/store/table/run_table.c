/* Table `run`: adding and reading rows. Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/table/run_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store/table/run_statements.h"
#include "daemon/store/table/tables.h"

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

/* 0 becomes NULL. */
static void bind_id(sqlite3_stmt *statement, int index, int64_t id) {
    if (id > 0) {
        sqlite3_bind_int64(statement, index, id);
    }
}

enum status run_insert(struct db *db, const struct run_draft *draft, int64_t now_ms,
                       int64_t *ret_id, struct error *error) {
    const struct run_config *config = draft->config;
    sqlite3_stmt *statement = db_statement(db, DB_RUN, RUN_INSERT);
    db_bind_text(statement, 1, draft->name);
    sqlite3_bind_int64(statement, 2, now_ms);
    sqlite3_bind_int(statement, 3, draft->priority);
    db_bind_text(statement, 4, draft->labels_json);
    db_bind_text(statement, 5, draft->config_json);
    db_bind_text(statement, 6, config->preset);
    db_bind_text(statement, 7, config->dataset);
    sqlite3_bind_int(statement, 8, config->depth);
    sqlite3_bind_int(statement, 9, config->epochs);
    sqlite3_bind_int(statement, 10, config->m);
    sqlite3_bind_int(statement, 11, config->cutout_size);
    sqlite3_bind_int64(statement, 12, (int64_t)config->seed);
    db_bind_text(statement, 13, copies_name(config->copies));
    db_bind_text(statement, 14, optimizer_name(config->optimizer));
    db_bind_text(statement, 15, draft->owner ? draft->owner : "");
    bind_id(statement, 16, draft->sweep_id);
    bind_id(statement, 17, draft->forked_from);
    if (draft->forked_from > 0) {
        sqlite3_bind_int(statement, 18, draft->forked_epoch);
    }
    db_bind_text(statement, 19, run_state_name(draft->held ? RUN_HELD : RUN_QUEUED));
    sqlite3_bind_int(statement, 20, config->batch_size);
    sqlite3_bind_int(statement, 21, config->train_images);
    sqlite3_bind_int(statement, 22, config->drop_last);
    db_bind_text(statement, 23, draft->executor ? draft->executor : RUN_EXECUTOR_DEFAULT);
    TRY(db_execute(db, statement, NULL, error));
    int64_t id = sqlite3_last_insert_rowid(db->handle);
    db_touch(db, id);
    statement = db_statement(db, DB_RUN, RUN_INSERT_LABELS);
    sqlite3_bind_int64(statement, 1, id);
    db_bind_text(statement, 2, draft->labels_json);
    TRY(db_execute(db, statement, NULL, error));
    TRY(idempotency_add_created(db, draft->idempotency, "/api/v1/runs", id, now_ms, error));
    TRY(after_add(db, id, draft->after_ids, draft->n_after, error));
    TRY(event_add_state(db, id, now_ms, error));
    *ret_id = id;
    return STATUS_OK;
}

struct insert_arguments {
    const struct run_draft *draft;
    int64_t now_ms;
    int64_t id;
};

static enum status insert(struct db *db, void *arguments, struct error *error) {
    struct insert_arguments *a = arguments;
    return run_insert(db, a->draft, a->now_ms, &a->id, error);
}

enum status run_table_insert(struct store *store, const struct run_draft *draft, int64_t now_ms,
                             int64_t *ret_id, struct error *error) {
    struct insert_arguments arguments = {draft, now_ms, 0};
    TRY(store_write(store, insert, &arguments, error));
    *ret_id = arguments.id;
    return STATUS_OK;
}

static char *column_copy(sqlite3_stmt *statement, int column) {
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return strdup(text ? text : "");
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

/* The columns whose NULL means "not yet" read as 0. */
enum status run_read_row(sqlite3_stmt *s, struct run_row *row, struct error *error) {
    char state[16];
    int c = 0;
    memset(row, 0, sizeof(*row));
    row->id = sqlite3_column_int64(s, c++);
    db_column_text(s, c++, row->name, sizeof(row->name));
    row->priority = sqlite3_column_int(s, c++);
    row->labels_json = column_copy(s, c++);
    row->config_json = column_copy(s, c++);
    db_column_text(s, c++, row->preset, sizeof(row->preset));
    db_column_text(s, c++, row->dataset, sizeof(row->dataset));
    row->depth = sqlite3_column_int(s, c++);
    row->epochs = sqlite3_column_int(s, c++);
    row->m = sqlite3_column_int(s, c++);
    row->cutout_size = sqlite3_column_int(s, c++);
    row->seed = (uint64_t)sqlite3_column_int64(s, c++);
    db_column_text(s, c++, state, sizeof(state));
    db_column_text(s, c++, row->reason, sizeof(row->reason));
    row->attempt = sqlite3_column_int(s, c++);
    row->request = read_request(s, c++);
    db_column_text(s, c++, row->variant, sizeof(row->variant));
    db_column_text(s, c++, row->dataset_sha256, sizeof(row->dataset_sha256));
    row->epochs_done = sqlite3_column_int(s, c++);
    row->best_epoch = sqlite3_column_int(s, c++);
    row->best_wrong = sqlite3_column_int(s, c++);
    row->last_wrong = sqlite3_column_int(s, c++);
    row->val_total = sqlite3_column_int(s, c++);
    row->diverged = sqlite3_column_int(s, c++) != 0;
    row->images_per_second = sqlite3_column_double(s, c++);
    row->created_ms = sqlite3_column_int64(s, c++);
    row->started_ms = sqlite3_column_int64(s, c++);
    row->finished_ms = sqlite3_column_int64(s, c++);
    row->updated_ms = sqlite3_column_int64(s, c++);
    row->revision = sqlite3_column_int64(s, c++);
    db_column_text(s, c++, row->owner, sizeof(row->owner));
    row->sweep_id = sqlite3_column_int64(s, c++);
    row->forked_from = sqlite3_column_int64(s, c++);
    row->forked_epoch = sqlite3_column_int(s, c++);
    db_column_text(s, c++, row->copies, sizeof(row->copies));
    db_column_text(s, c++, row->optimizer, sizeof(row->optimizer));
    row->steps_per_epoch = sqlite3_column_int(s, c++);
    row->images_per_epoch = sqlite3_column_int64(s, c++);
    row->best_error = db_column_number(s, c++);
    row->last_error = db_column_number(s, c++);
    row->mean_last_5 = db_column_number(s, c++);
    row->train_seconds = sqlite3_column_double(s, c++);
    row->interruptions = sqlite3_column_int(s, c++);
    row->batch_size = sqlite3_column_int(s, c++);
    row->train_images = sqlite3_column_int(s, c++);
    row->drop_last = sqlite3_column_int(s, c++) != 0;
    db_column_text(s, c++, row->executor, sizeof(row->executor));
    db_column_text(s, c++, row->handle, sizeof(row->handle));
    row->after = column_copy(s, c++);
    if (!row->labels_json || !row->config_json || !row->after) {
        run_row_clear(row);
        return error_set(error, STATUS_NO_MEMORY, "no memory to read a run");
    }
    if (!run_state_from_name(state, &row->state)) {
        run_row_clear(row);
        return error_set(error, STATUS_CORRUPT, "a run has the unknown state '%s'", state);
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

/* Lines of runs: those of one state, in the order in which they are claimed */

void queue_page_clear(struct queue_page *page) {
    run_list_clear(&page->list);
    memset(page, 0, sizeof(*page));
}

/* Adds at most `limit` rows, for which there is room. */
static enum status read_line(struct db *db, enum run_state state, const struct queue_place *after,
                             size_t limit, struct run_list *list, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_RUN, RUN_LINE);
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
                      : error_set(error, STATUS_NO_MEMORY, "no memory for %d runs in line", n);
}

enum status run_table_line(struct store *store, enum run_state state, int limit,
                           struct run_list *ret_list, struct error *error) {
    struct run_list list = {0};
    TRY(make_room(&list, limit, error));
    struct db *db = store_reader_acquire(store);
    enum status status = read_line(db, state, NULL, (size_t)limit, &list, error);
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
    sqlite3_stmt *statement = db_statement(db, DB_RUN, RUN_LINE_PLACE);
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
        TRY(read_line(db, RUN_QUEUED, after, (size_t)limit, list, error));
    }
    if (list->n == (size_t)limit) {
        list->more = list->more || page->n_held > 0;
        return STATUS_OK;
    }
    return read_line(db, RUN_HELD, among_held ? after : NULL, (size_t)limit - list->n, list, error);
}

enum status run_table_queue(struct store *store, const struct queue_place *after, int limit,
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
    sqlite3_stmt *statement = db_statement(db, DB_RUN, RUN_AHEAD);
    sqlite3_bind_int(statement, 1, row->priority);
    sqlite3_bind_int64(statement, 2, row->id);
    sqlite3_bind_int(statement, 3, most);
    bool found = false;
    TRY(db_step(db, statement, &found, error));
    *ret_count = sqlite3_column_int(statement, 0);
    (void)sqlite3_reset(statement);
    return STATUS_OK;
}

enum status run_table_count_ahead(struct store *store, const struct run_row *row, int most,
                                  int *ret_count, struct error *error) {
    struct db *db = store_reader_acquire(store);
    enum status status = count_ahead(db, row, most, ret_count, error);
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
