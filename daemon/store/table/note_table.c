/* Table `note`. Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/table/note_table.h"

#include <string.h>

#include "core/base/cleanup.h"
#include "daemon/store/db.h"

/* Each twice, in the order of enum note_kind. */
enum { GET_RUN, GET_SWEEP, PUT_RUN, PUT_SWEEP, DELETE_RUN, DELETE_SWEEP, N_STATEMENTS };

const struct statement_set note_statements = {
    N_STATEMENTS,
    {
        [GET_RUN] = "SELECT text FROM note WHERE run_id = ?1",
        [GET_SWEEP] = "SELECT text FROM note WHERE sweep_id = ?1",
        [PUT_RUN] = ("INSERT INTO note (run_id, text, updated_ms)"
                     " SELECT id, ?2, ?3 FROM run WHERE id = ?1 ON CONFLICT (run_id)"
                     " DO UPDATE SET text = excluded.text, updated_ms = excluded.updated_ms"),
        [PUT_SWEEP] = ("INSERT INTO note (sweep_id, text, updated_ms)"
                       " SELECT id, ?2, ?3 FROM sweep WHERE id = ?1 ON CONFLICT (sweep_id)"
                       " DO UPDATE SET text = excluded.text, updated_ms = excluded.updated_ms"),
        [DELETE_RUN] = "DELETE FROM note WHERE run_id = ?1",
        [DELETE_SWEEP] = "DELETE FROM note WHERE sweep_id = ?1",
    },
};

static sqlite3_stmt *statement_for(struct db *db, int first, const struct note_subject *subject) {
    sqlite3_stmt *statement = db_statement(db, DB_NOTE, first + (int)subject->kind);
    sqlite3_bind_int64(statement, 1, subject->id);
    return statement;
}

static const char *kind_name(const struct note_subject *subject) {
    return subject->kind == NOTE_OF_RUN ? "run" : "sweep";
}

static enum status no_note(const struct note_subject *subject, struct error *error) {
    return error_set(error, STATUS_NOT_FOUND, "%s %lld has no note", kind_name(subject),
                     (long long)subject->id);
}

/* *ret_text NULL: there is none. The caller owns it. */
static enum status read_text(struct db *db, const struct note_subject *subject, char **ret_text,
                             struct error *error) {
    sqlite3_stmt *statement = statement_for(db, GET_RUN, subject);
    bool row = false;
    *ret_text = NULL;
    TRY(db_step(db, statement, &row, error));
    if (!row) {
        return STATUS_OK;
    }
    *ret_text = db_column_copy(statement, 0);
    (void)sqlite3_reset(statement);
    return *ret_text ? STATUS_OK : error_set(error, STATUS_NO_MEMORY, "no memory to read a note");
}

enum status note_table_get(struct store *store, const struct note_subject *subject, char **ret_text,
                           struct error *error) {
    struct db *db = store_reader_acquire(store);
    enum status status = read_text(db, subject, ret_text, error);
    store_reader_release(store, db);
    return status == STATUS_OK && !*ret_text ? no_note(subject, error) : status;
}

struct change_arguments {
    const struct note_change *change;
    enum note_result result;
};

static enum status write_text(struct db *db, const struct note_change *change,
                              struct error *error) {
    int changes = 0;
    sqlite3_stmt *statement = statement_for(db, PUT_RUN, &change->subject);
    db_bind_text(statement, 2, change->text);
    sqlite3_bind_int64(statement, 3, change->now_ms);
    TRY(db_execute(db, statement, &changes, error));
    return changes > 0 ? STATUS_OK
                       : error_set(error, STATUS_NOT_FOUND, "there is no %s %lld",
                                   kind_name(&change->subject), (long long)change->subject.id);
}

static enum status change_note(struct db *db, void *arguments, struct error *error) {
    struct change_arguments *a = arguments;
    const struct note_change *change = a->change;
    CLEANUP(free_pointer) char *before = NULL;
    TRY(read_text(db, &change->subject, &before, error));
    if (change->condition && !change->condition(change->user, before)) {
        a->result = NOTE_KEPT;
        return STATUS_OK;
    }
    if (change->text) {
        a->result = before ? NOTE_REPLACED : NOTE_ADDED;
        return write_text(db, change, error);
    }
    a->result = NOTE_DELETED;
    return before ? db_execute(db, statement_for(db, DELETE_RUN, &change->subject), NULL, error)
                  : no_note(&change->subject, error);
}

enum status note_table_change(struct store *store, const struct note_change *change,
                              enum note_result *ret_result, struct error *error) {
    struct change_arguments arguments = {change, NOTE_KEPT};
    TRY(store_write(store, change_note, &arguments, error));
    *ret_result = arguments.result;
    return STATUS_OK;
}
