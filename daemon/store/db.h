/* One SQLite connection with its prepared statements, and the transaction around a write.
 *
 * Layer: daemon/store (inside of the store only: no other folder includes this). Thread rule: a
 * struct db is used by one thread at a time; store.c hands them out.
 */
#ifndef CUTOUTD_DAEMON_STORE_DB_H
#define CUTOUTD_DAEMON_STORE_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/error.h"
#include "daemon/store/store.h"

/* Each table file owns the statements of its table. */
enum db_table {
    DB_RUN,
    DB_EPOCH,
    DB_CHECKPOINT,
    DB_EVENT,
    DB_SETTING,
    DB_SWEEP,
    DB_WATCH,
    DB_FORK,
    DB_PROGRESS,
    DB_QUEUE,
    DB_EVENT_LIST,
    DB_AFTER,
    DB_IDEMPOTENCY,
    DB_UPKEEP,
    DB_NOTE,
    DB_OLD_ROWS,
    DB_CONFUSION,
    DB_LINK,
    DB_HALVING,
    DB_HALVING_VIEW,
    DB_OWNER,
    DB_USAGE,
    DB_TURN,
    DB_AUDIT,
    DB_ACTOR,
    DB_WEBHOOK,
    DB_TABLE_COUNT,
};

enum { DB_MAX_STATEMENTS = 32, DB_KEPT_STATEMENTS = 16 };

struct statement_set {
    int n;
    const char *sql[DB_MAX_STATEMENTS];
};

extern const struct statement_set run_statements;
extern const struct statement_set epoch_statements;
extern const struct statement_set checkpoint_statements;
extern const struct statement_set event_statements;
extern const struct statement_set setting_statements;
extern const struct statement_set watch_statements;
extern const struct statement_set sweep_statements;
extern const struct statement_set fork_statements;
extern const struct statement_set progress_statements;
extern const struct statement_set queue_statements;
extern const struct statement_set event_list_statements;
extern const struct statement_set upkeep_statements;
extern const struct statement_set note_statements;
extern const struct statement_set old_rows_statements;
extern const struct statement_set confusion_statements;
extern const struct statement_set link_statements;
extern const struct statement_set halving_statements;
extern const struct statement_set halving_view_statements;
extern const struct statement_set owner_statements;
extern const struct statement_set usage_statements;
extern const struct statement_set turn_statements;
extern const struct statement_set audit_statements;
extern const struct statement_set actor_statements;
extern const struct statement_set webhook_statements;
extern const struct statement_set after_statements;
extern const struct statement_set idempotency_statements;

/* Runs that a transaction changed. */
struct run_ids {
    int64_t *ids;
    size_t n;
    size_t capacity;
    bool failed; /* memory ran out: one is missing */
};

/* Frees and zeroes. A zeroed list is fine. */
void run_ids_clear(struct run_ids *list);

/* Which file a name stood for; ino 0: not looked yet. */
struct file_identity {
    dev_t dev;
    ino_t ino;
};

/* A statement whose text was made while the program runs. */
struct kept_statement {
    char *sql;
    sqlite3_stmt *statement;
    unsigned used; /* when, counted in uses of such statements; 0: never */
};

/* Begins and ends of what belongs together. Prepared when a connection is opened: to end it must
 * not want memory. */
enum db_move {
    DB_BEGIN,           /* of a reader */
    DB_BEGIN_IMMEDIATE, /* of the writer */
    DB_SAVEPOINT,
    DB_ROLLBACK_TO,
    DB_RELEASE,
    DB_COMMIT,
    DB_ROLLBACK,
    DB_MOVES
};

struct db {
    sqlite3 *handle;
    sqlite3_stmt *moves[DB_MOVES];
    struct file_identity database; /* of db_check_in_place */
    struct file_identity wal;
    sqlite3_stmt *statements[DB_TABLE_COUNT][DB_MAX_STATEMENTS]; /* NULL: not prepared yet */
    int prepare_code; /* of SQLite, of the last one that could not be prepared */
    struct kept_statement kept[DB_KEPT_STATEMENTS];
    unsigned kept_uses;
    struct run_ids touched; /* by the body that runs; filled by db_touch */
};

/* Opens without preparing, and changes nothing in a file that is there. STATUS_IO, STATUS_CORRUPT,
 * STATUS_NO_MEMORY. */
enum status db_open(struct db *db, const char *path, bool writer, struct error *error);

/* The one that writes, once it is known whose database that is: turns the WAL on. Statuses of
 * db_open.
 */
enum status db_begin_writing(struct db *db, struct error *error);

/* Syncs the log and puts what stands in it into the database file; the one that writes, outside of
 * a transaction. STATUS_BUSY: another process is in the way; STATUS_NO_SPACE: the log is on the
 * disk, and all of it is kept. */
enum status db_settle(struct db *db, struct error *error);

/* Before each commit: that the database and its log are still the files of their names. What is
 * written into a file that was removed or replaced is gone with the process. The first call, in the
 * first transaction after the opening, only notes which files those are. STATUS_IO. */
enum status db_check_in_place(struct db *db, struct error *error);

/* Prepares every statement, so that one that does not fit the tables is found at the start.
 * Migrations come before this. Readers prepare each at its first use: they have no others. */
enum status db_prepare(struct db *db, struct error *error);

/* NULL-safe members; a zeroed db is fine. */
void db_close(struct db *db);

/* What to do about a damaged database: the end of such a message. */
#define DB_DAMAGE_REMEDY                                                                           \
    " (stop the daemon, see `cutoutd doctor`, and restore a backup; or move the database away to " \
    "begin anew)"

/* Translates the last result of the connection into a status and a message. */
enum status db_status(sqlite3 *handle, int code, const char *what, struct error *error);

enum status db_move(struct db *db, enum db_move move, struct error *error);

/* Around several statements of a reader: they see the same commit, and lock the database once
 * instead of each for itself, which takes longer than a small one. Statements must be reset before
 * the end. */
enum status db_begin_reading(struct db *db, struct error *error);
void db_end_reading(struct db *db);

/* A prepared statement, reset and without bindings. NULL when it cannot be prepared: to bind to
 * that has no effect, and db_step and db_execute tell why. */
sqlite3_stmt *db_statement(struct db *db, enum db_table table, int index);

/* The same for a text made while the program runs. It belongs to the connection, which keeps those
 * that were used last; the caller resets it before the next call. STATUS_NO_MEMORY, db_status. */
enum status db_statement_of(struct db *db, const char *sql, sqlite3_stmt **ret_statement,
                            struct error *error);

/* Steps once. *ret_row says whether there is a row; when there is none the statement was reset. */
enum status db_step(struct db *db, sqlite3_stmt *statement, bool *ret_row, struct error *error);

/* Runs a statement that returns no rows; ret_changes (may be NULL): rows it changed. */
enum status db_execute(struct db *db, sqlite3_stmt *statement, int *ret_changes,
                       struct error *error);

/* Binds and reads. Numbers that are not finite become NULL, NULL is read back as NaN; as a text
 * NULL is
 * "". A text that could not be bound (STATUS_NO_MEMORY) is told by the next db_step of the thread.
 */
void db_bind_text(sqlite3_stmt *statement, int index, const char *text);
void db_bind_number(sqlite3_stmt *statement, int index, double number);
double db_column_number(sqlite3_stmt *statement, int column);
void db_column_text(sqlite3_stmt *statement, int column, char *text, size_t size);
/* sqlite3_column_bytes of them, without a NUL behind; until the next step. Never NULL. */
const char *db_column_bytes(sqlite3_stmt *statement, int column);
/* The caller owns it; NULL: no memory. */
char *db_column_copy(sqlite3_stmt *statement, int column);

/* The work of one write: it runs inside a transaction on the writing connection and may run only
 * there, perhaps on another thread than its caller's: it takes no locks and writes through nothing
 * but `db`. A status other than STATUS_OK takes back what it did. */
typedef enum status store_body(struct db *db, void *arguments, struct error *error);

/* Notes that the body changes this run, for the observer. */
void db_touch(struct db *db, int64_t run_id);

/* Runs `body` and commits, together with what other threads write at the moment
 * (store/write_queue.h); after the commit the observer hears of each run that was touched. */
enum status store_write(struct store *store, store_body *body, void *arguments,
                        struct error *error);

/* A connection for reading. Waits until one is free; give it back with store_reader_release. */
struct db *store_reader_acquire(struct store *store);
void store_reader_release(struct store *store, struct db *reader);

#endif
