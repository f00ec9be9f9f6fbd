/* The connections of a store: one that writes, a few that read. Layer: daemon/store.
 *
 * Thread rule: the write queue orders all writes; read_mutex only guards which reader is free.
 */
#include "daemon/store/store.h"

#include <pthread.h>
#include <stdlib.h>

#include "daemon/store/actor.h"
#include "daemon/store/before_migration.h"
#include "daemon/store/db.h"
#include "daemon/store/log_renew.h"
#include "daemon/store/migrate.h"
#include "daemon/store/write_queue.h"

/* More threads than this may read: the rest wait for a moment. */
enum { N_READERS = 12 };

struct store {
    struct write_queue writes;

    pthread_mutex_t read_mutex;
    pthread_cond_t reader_free;
    struct db readers[N_READERS];
    bool reader_taken[N_READERS]; /* guarded by read_mutex */

    store_observer *observer; /* both are written before threads start */
    void *observer_user;
    int schema_version;
};

/* After a kill the log holds commits that were never synced. Who reads them, and tells them, before
 * a loss of power would have told what is gone. */
static enum status settle_first(struct db *db, struct error *error) {
    enum status status = db_settle(db, error);
    return status == STATUS_BUSY || status == STATUS_NO_SPACE ? STATUS_OK : status;
}

static enum status open_connections(struct store *store, const char *path, struct error *error) {
    TRY(log_renew(path, error));
    TRY(db_open(&store->writes.db, path, true, error));
    TRY(migrate_check(store->writes.db.handle, migrations_embedded_count, error));
    TRY(db_begin_writing(&store->writes.db, error));
    TRY(before_migration_keep(&store->writes.db, path, error));
    TRY(migrate_apply(store->writes.db.handle, migrations_embedded, migrations_embedded_count,
                      error));
    TRY(settle_first(&store->writes.db, error));
    TRY(db_prepare(&store->writes.db, error));
    for (int i = 0; i < N_READERS; i++) {
        TRY(db_open(&store->readers[i], path, false, error));
    }
    store->schema_version = migrations_embedded_count;
    return STATUS_OK;
}

enum status store_open(const char *path, struct store **ret_store, struct error *error) {
    struct store *store = calloc(1, sizeof(*store));
    if (!store) {
        return error_set(error, STATUS_NO_MEMORY, "no memory to open %s", path);
    }
    write_queue_init(&store->writes);
    (void)pthread_mutex_init(&store->read_mutex, NULL);
    (void)pthread_cond_init(&store->reader_free, NULL);
    enum status status = open_connections(store, path, error);
    if (status != STATUS_OK) {
        error_prefix(error, "cannot open the database %s%s", path,
                     status == STATUS_IO ? " (it must be a file that the daemon may read and write)"
                                         : "");
        store_close(store);
        return status;
    }
    *ret_store = store;
    return STATUS_OK;
}

void store_close(struct store *store) {
    if (!store) {
        return;
    }
    /* The writer goes last: the last connection to close checkpoints the WAL. */
    for (int i = 0; i < N_READERS; i++) {
        db_close(&store->readers[i]);
    }
    write_queue_destroy(&store->writes);
    (void)pthread_cond_destroy(&store->reader_free);
    (void)pthread_mutex_destroy(&store->read_mutex);
    free(store);
}

void store_observe(struct store *store, store_observer *observer, void *user) {
    store->observer = observer;
    store->observer_user = user;
}

int store_schema_version(const struct store *store) {
    return store->schema_version;
}

const struct histogram *store_commits(const struct store *store) {
    return &store->writes.commits;
}

void store_inject_failure(struct store *store, int nth_write) {
    atomic_store(&store->writes.failure_countdown, nth_write);
}

void store_inject_status(struct store *store, enum status status) {
    atomic_store(&store->writes.failure_status, (int)status);
}

static enum status control(struct db *db, const char *sql, struct error *error) {
    int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? STATUS_OK : db_status(db->handle, code, sql, error);
}

static enum status run(struct store *store, store_body *body, void *arguments,
                       struct run_ids *touched, struct error *error) {
    struct asked_body asked = actor_ask(body, arguments);
    return asked.actor ? write_queue_run(&store->writes, actor_run, &asked, touched, error)
                       : write_queue_run(&store->writes, body, arguments, touched, error);
}

enum status store_write(struct store *store, store_body *body, void *arguments,
                        struct error *error) {
    struct run_ids touched = {0};
    enum status status = run(store, body, arguments, &touched, error);
    for (size_t i = 0; i < touched.n && store->observer; i++) {
        store->observer(store->observer_user, touched.ids[i]);
    }
    run_ids_clear(&touched);
    return status;
}

static int find_free_reader(const struct store *store) {
    for (int i = 0; i < N_READERS; i++) {
        if (!store->reader_taken[i]) {
            return i;
        }
    }
    return -1;
}

struct db *store_reader_acquire(struct store *store) {
    (void)pthread_mutex_lock(&store->read_mutex);
    int i = find_free_reader(store);
    while (i < 0) {
        (void)pthread_cond_wait(&store->reader_free, &store->read_mutex);
        i = find_free_reader(store);
    }
    store->reader_taken[i] = true;
    (void)pthread_mutex_unlock(&store->read_mutex);
    return &store->readers[i];
}

void store_reader_release(struct store *store, struct db *reader) {
    (void)pthread_mutex_lock(&store->read_mutex);
    store->reader_taken[reader - store->readers] = false;
    (void)pthread_cond_signal(&store->reader_free);
    (void)pthread_mutex_unlock(&store->read_mutex);
}

/* Stores nothing: the lock alone is of interest. */
static enum status write_nothing(struct db *db, void *arguments, struct error *error) {
    (void)db;
    (void)arguments;
    (void)error;
    return STATUS_OK;
}

/* Changes a page and leaves the rows as they were, so that the commit has to reach the disk. */
static enum status write_a_page(struct db *db, void *arguments, struct error *error) {
    (void)arguments;
    return control(db,
                   "INSERT OR REPLACE INTO setting (name, value) VALUES ('check', '');"
                   "DELETE FROM setting WHERE name = 'check'",
                   error);
}

enum status store_check(struct store *store, struct error *error) {
    bool failed = atomic_load(&store->writes.disk_failed);
    return store_write(store, failed ? write_a_page : write_nothing, NULL, error);
}

enum status store_settle(struct store *store, struct error *error) {
    return write_queue_settle(&store->writes, error);
}
