/* Table `run`: changing rows. Layer: daemon/store. Thread rule: store/store.h. */
#include <stdio.h>

#include "core/base/text.h"
#include "daemon/store/table/run_rows.h"
#include "daemon/store/table/run_statements.h"

/* 0 becomes NULL. */
static void bind_id(sqlite3_stmt *statement, int index, int64_t id) {
    if (id > 0) {
        sqlite3_bind_int64(statement, index, id);
    }
}

static enum status add_labels(struct db *db, int64_t id, const char *labels_json,
                              struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_RUN, RUN_INSERT_LABELS);
    sqlite3_bind_int64(statement, 1, id);
    db_bind_text(statement, 2, labels_json);
    return db_execute(db, statement, NULL, error);
}

enum status run_add(struct db *db, const struct run_draft *draft, int64_t now_ms, int64_t *ret_id,
                    struct error *error) {
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
    if (config->stop.max_seconds > 0) {
        sqlite3_bind_double(statement, 24, config->stop.max_seconds);
    }
    bind_id(statement, 25, draft->not_before_ms);
    db_bind_text(statement, 26, draft->notify ? draft->notify : "");
    TRY(db_execute(db, statement, NULL, error));
    int64_t id = sqlite3_last_insert_rowid(db->handle);
    db_touch(db, id);
    TRY(add_labels(db, id, draft->labels_json, error));
    *ret_id = id;
    return STATUS_OK;
}

/* ?1 is the run, ?2 the time; the rest was bound by the caller. */
static enum status change(struct db *db, sqlite3_stmt *statement, int64_t id, int64_t now_ms,
                          bool *ret_changed, struct error *error) {
    int changes = 0;
    sqlite3_bind_int64(statement, 1, id);
    sqlite3_bind_int64(statement, 2, now_ms);
    TRY(db_execute(db, statement, &changes, error));
    *ret_changed = changes == 1;
    db_touch(db, id);
    return STATUS_OK;
}

static enum status change_existing(struct db *db, sqlite3_stmt *statement, int64_t id,
                                   int64_t now_ms, struct error *error) {
    bool changed = false;
    TRY(change(db, statement, id, now_ms, &changed, error));
    return changed ? STATUS_OK
                   : error_set(error, STATUS_NOT_FOUND, "there is no run %lld", (long long)id);
}

/* Cut to its room; it may have come from anywhere, and is shown everywhere. */
static void bind_reason(sqlite3_stmt *statement, int place, const char *text) {
    char reason[RUN_REASON_SIZE];
    (void)snprintf(reason, sizeof(reason), "%s", text);
    text_make_plain(reason);
    db_bind_text(statement, place, reason);
}

enum status run_set_state(struct db *db, const struct run_move *move, bool *ret_changed,
                          struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_RUN, RUN_MOVE);
    db_bind_text(statement, 3, run_state_name(move->from));
    db_bind_text(statement, 4, run_state_name(move->to));
    bind_reason(statement, 5, move->reason);
    sqlite3_bind_int(statement, 6, move->next_attempt ? 1 : 0);
    sqlite3_bind_int(statement, 7, run_state_is_final(move->to) ? 1 : 0);
    sqlite3_bind_int(statement, 8, move->interrupted ? 1 : 0);
    sqlite3_bind_int(statement, 9, move->abandoned ? 0 : 1);
    return change(db, statement, move->id, move->now_ms, ret_changed, error);
}

enum status run_set_request(struct db *db, int64_t id, enum run_request request, int64_t now_ms,
                            bool *ret_changed, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_RUN, RUN_REQUEST);
    db_bind_text(statement, 3, run_request_name(request));
    return change(db, statement, id, now_ms, ret_changed, error);
}

enum status run_set_claimed(struct db *db, int64_t id, int64_t now_ms, bool *ret_changed,
                            struct error *error) {
    return change(db, db_statement(db, DB_RUN, RUN_CLAIM), id, now_ms, ret_changed, error);
}

enum status run_set_reason(struct db *db, int64_t id, const char *reason, int64_t now_ms,
                           struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_RUN, RUN_SET_REASON);
    bind_reason(statement, 3, reason);
    return change_existing(db, statement, id, now_ms, error);
}

/* Cut to its room by whoever filled it; the words are of another program. */
static void bind_words(sqlite3_stmt *statement, int place, const char *text) {
    bind_reason(statement, place, text);
}

enum status run_set_placement(struct db *db, int64_t id, const struct run_placement *placement,
                              int64_t now_ms, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_RUN, RUN_SET_PLACEMENT);
    bind_words(statement, 3, placement->job);
    bind_words(statement, 4, placement->node);
    bind_words(statement, 5, placement->state);
    bind_words(statement, 6, placement->reason);
    return change_existing(db, statement, id, now_ms, error);
}

static enum status replace_labels(struct db *db, int64_t id, const char *labels_json,
                                  struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_RUN, RUN_FORGET_LABELS);
    sqlite3_bind_int64(statement, 1, id);
    TRY(db_execute(db, statement, NULL, error));
    return add_labels(db, id, labels_json, error);
}

enum status run_set_edit(struct db *db, int64_t id, const struct run_edit *edit, int64_t now_ms,
                         struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_RUN, RUN_EDIT);
    if (edit->name) {
        db_bind_text(statement, 3, edit->name);
    }
    if (edit->priority) {
        sqlite3_bind_int(statement, 4, *edit->priority);
    }
    if (edit->labels_json) {
        db_bind_text(statement, 5, edit->labels_json);
    }
    if (edit->not_before_ms) {
        sqlite3_bind_int64(statement, 6, *edit->not_before_ms);
    }
    TRY(change_existing(db, statement, id, now_ms, error));
    return edit->labels_json ? replace_labels(db, id, edit->labels_json, error) : STATUS_OK;
}

enum status run_clear_results(struct db *db, int64_t id, const char *reason, int64_t now_ms,
                              struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_RUN, RUN_RESET);
    bind_reason(statement, 3, reason);
    return change_existing(db, statement, id, now_ms, error);
}

enum status run_touch(struct db *db, int64_t id, int64_t now_ms, struct error *error) {
    return change_existing(db, db_statement(db, DB_RUN, RUN_TOUCH), id, now_ms, error);
}

enum status run_remove(struct db *db, int64_t id, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_RUN, RUN_DELETE);
    sqlite3_bind_int64(statement, 1, id);
    db_touch(db, id);
    return db_execute(db, statement, NULL, error);
}

/* ---- each in a commit of its own ---- */

struct update {
    int64_t id;
    int64_t now_ms;
    const struct run_origin *origin;
};

struct begin_arguments {
    int64_t id;
    int attempt;
};

static enum status note_begin(struct db *db, void *arguments, struct error *error) {
    const struct begin_arguments *a = arguments;
    sqlite3_stmt *statement = db_statement(db, DB_RUN, RUN_NOTE_BEGIN);
    sqlite3_bind_int64(statement, 1, a->id);
    sqlite3_bind_int(statement, 2, a->attempt);
    return db_execute(db, statement, NULL, error);
}

enum status run_table_note_begin(struct store *store, int64_t id, int attempt,
                                 struct error *error) {
    struct begin_arguments arguments = {id, attempt};
    return store_write(store, note_begin, &arguments, error);
}

static enum status set_origin(struct db *db, void *arguments, struct error *error) {
    const struct update *a = arguments;
    sqlite3_stmt *statement = db_statement(db, DB_RUN, RUN_SET_ORIGIN);
    db_bind_text(statement, 3, a->origin->variant);
    db_bind_text(statement, 4, a->origin->dataset_sha256);
    sqlite3_bind_int(statement, 5, a->origin->steps_per_epoch);
    sqlite3_bind_int64(statement, 6, a->origin->images_per_epoch);
    db_bind_text(statement, 7, a->origin->arithmetic);
    return change_existing(db, statement, a->id, a->now_ms, error);
}

enum status run_table_set_origin(struct store *store, int64_t id, const struct run_origin *origin,
                                 int64_t now_ms, struct error *error) {
    struct update arguments = {.id = id, .now_ms = now_ms, .origin = origin};
    return store_write(store, set_origin, &arguments, error);
}

enum status run_take_report(struct db *db, int64_t id, int attempt, int64_t number, bool *ret_taken,
                            struct error *error) {
    int changes = 0;
    sqlite3_stmt *statement = db_statement(db, DB_RUN, RUN_REPORT);
    sqlite3_bind_int64(statement, 1, id);
    sqlite3_bind_int(statement, 3, attempt);
    sqlite3_bind_int64(statement, 4, number);
    TRY(db_execute(db, statement, &changes, error));
    *ret_taken = changes == 1;
    return STATUS_OK;
}
