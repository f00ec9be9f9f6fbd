/* Layer: daemon/store. Thread rule: see the header. */
#include "daemon/store/write_queue.h"

#include "core/base/clock.h"

/* One call of write_queue_run, on the stack of its thread. */
struct write_job {
    store_body *body;
    void *arguments;
    struct error *error;
    enum status status;
    struct run_ids touched;
    bool done; /* guarded by the queue's mutex */
    struct write_job *next;
};

static const struct histogram_bounds commit_bounds = {
    11, {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0}};

void write_queue_init(struct write_queue *queue) {
    (void)pthread_mutex_init(&queue->mutex, NULL);
    (void)pthread_cond_init(&queue->group_done, NULL);
    queue->end = &queue->first;
    atomic_store(&queue->failure_status, (int)STATUS_NO_SPACE);
    histogram_init(&queue->commits, &commit_bounds);
}

void write_queue_destroy(struct write_queue *queue) {
    db_close(&queue->db);
    (void)pthread_cond_destroy(&queue->group_done);
    (void)pthread_mutex_destroy(&queue->mutex);
}

/* SQLite ends the whole transaction by itself on some errors, a full disk among them. */
static bool transaction_is_lost(const struct db *db) {
    return sqlite3_get_autocommit(db->handle) != 0;
}

static bool must_fail(struct write_queue *queue) {
    return atomic_load(&queue->failure_countdown) > 0 &&
           atomic_fetch_sub(&queue->failure_countdown, 1) == 1;
}

static enum status run_body(struct write_queue *queue, struct write_job *job) {
    struct db *db = &queue->db;
    TRY(job->body(db, job->arguments, job->error));
    if (db->touched.failed) {
        return error_set(job->error, STATUS_NO_MEMORY, "no memory to note what was changed");
    }
    if (must_fail(queue)) {
        enum status injected = (enum status)atomic_load(&queue->failure_status);
        return error_set(job->error, injected, "injected: %s",
                         injected == STATUS_NO_SPACE ? "the disk is full" : status_name(injected));
    }
    return db_move(db, DB_RELEASE, job->error);
}

/* A statement that a failed body left in the middle would stand in the way of the rollback. */
static void reset_statements(struct db *db) {
    for (sqlite3_stmt *s = sqlite3_next_stmt(db->handle, NULL); s;
         s = sqlite3_next_stmt(db->handle, s)) {
        if (sqlite3_stmt_busy(s)) {
            (void)sqlite3_reset(s);
        }
    }
}

/* Whether it says what is wrong with the database, not what the body was asked for. */
static bool is_of_the_store(enum status status) {
    return status == STATUS_NO_SPACE || status == STATUS_IO || status == STATUS_CORRUPT ||
           status == STATUS_NO_MEMORY || status == STATUS_BUSY || status == STATUS_INTERNAL;
}

/* Takes back what a body did that failed. Another status: the transaction is over for all. */
static enum status take_back(struct write_queue *queue, const struct write_job *job,
                             struct error *error) {
    struct db *db = &queue->db;
    reset_statements(db);
    if (!transaction_is_lost(db)) {
        TRY(db_move(db, DB_ROLLBACK_TO, error));
        return db_move(db, DB_RELEASE, error);
    }
    if (is_of_the_store(job->status)) {
        *error = *job->error;
        return job->status;
    }
    return error_set(error, STATUS_IO, "the database ended a transaction; nothing of it is stored");
}

/* A body that fails takes only itself back. Another status than STATUS_OK: the transaction is over
 * for all of the group, whose status that is. */
static enum status run_job(struct write_queue *queue, struct write_job *job, struct error *error) {
    struct db *db = &queue->db;
    TRY(db_move(db, DB_SAVEPOINT, error));
    job->status = run_body(queue, job);
    job->touched = db->touched;
    db->touched = (struct run_ids){0};
    if (job->status == STATUS_OK) {
        return STATUS_OK;
    }
    run_ids_clear(&job->touched);
    return take_back(queue, job, error);
}

/* No body of the group is stored, also of those that had succeeded. */
static void fail_group(struct write_job *group, enum status status, const struct error *error) {
    for (struct write_job *job = group; job; job = job->next) {
        if (job->status == STATUS_OK) {
            job->status = status;
            *job->error = *error;
        }
        run_ids_clear(&job->touched);
    }
}

static enum status run_bodies(struct write_queue *queue, struct write_job *group,
                              struct error *error) {
    struct db *db = &queue->db;
    int n_changes = sqlite3_total_changes(db->handle);
    TRY(db_move(db, DB_BEGIN_IMMEDIATE, error));
    for (struct write_job *job = group; job; job = job->next) {
        TRY(run_job(queue, job, error));
    }
    TRY(db_check_in_place(db, error));
    bool changed = sqlite3_total_changes(db->handle) != n_changes;
    double begun_s = clock_monotonic_s(&clock_system);
    TRY(db_move(db, DB_COMMIT, error));
    if (changed) {
        histogram_add(&queue->commits, clock_monotonic_s(&clock_system) - begun_s);
        atomic_store(&queue->disk_failed, false);
    }
    return STATUS_OK;
}

static void note_disk(struct write_queue *queue, enum status status) {
    if (status == STATUS_NO_SPACE || status == STATUS_IO || status == STATUS_CORRUPT) {
        atomic_store(&queue->disk_failed, true);
    }
}

static void run_group(struct write_queue *queue, struct write_job *group) {
    struct error error = {.code = STATUS_OK};
    enum status status = run_bodies(queue, group, &error);
    note_disk(queue, status);
    for (struct write_job *job = group; job; job = job->next) {
        note_disk(queue, job->status);
    }
    if (status == STATUS_OK) {
        return;
    }
    reset_statements(&queue->db);
    if (!transaction_is_lost(&queue->db)) {
        (void)db_move(&queue->db, DB_ROLLBACK, NULL);
    }
    fail_group(group, status, &error);
}

/* With the mutex held, which it gives back while the group runs. */
static void lead(struct write_queue *queue) {
    struct write_job *group = queue->first;
    queue->first = NULL;
    queue->end = &queue->first;
    queue->n_waiting = 0;
    queue->led = true;
    (void)pthread_mutex_unlock(&queue->mutex);
    run_group(queue, group);
    (void)pthread_mutex_lock(&queue->mutex);
    queue->led = false;
    while (group) {
        /* A job is its writer's again, and may be gone, as soon as it is done. */
        struct write_job *next = group->next;
        group->done = true;
        group = next;
    }
    (void)pthread_cond_broadcast(&queue->group_done);
}

enum status write_queue_run(struct write_queue *queue, store_body *body, void *arguments,
                            struct run_ids *ret_touched, struct error *error) {
    struct error unread;
    struct write_job job = {.body = body, .arguments = arguments, .error = error ? error : &unread};
    (void)pthread_mutex_lock(&queue->mutex);
    *queue->end = &job;
    /* cppcheck-suppress autoVariables ; it is taken out again before this function returns */
    queue->end = &job.next;
    queue->n_waiting++;
    while (!job.done) {
        if (queue->led) {
            (void)pthread_cond_wait(&queue->group_done, &queue->mutex);
        } else {
            lead(queue);
        }
    }
    (void)pthread_mutex_unlock(&queue->mutex);
    *ret_touched = job.touched;
    return job.status;
}

enum status write_queue_settle(struct write_queue *queue, struct error *error) {
    (void)pthread_mutex_lock(&queue->mutex);
    while (queue->led) {
        (void)pthread_cond_wait(&queue->group_done, &queue->mutex);
    }
    queue->led = true;
    (void)pthread_mutex_unlock(&queue->mutex);
    enum status status = db_settle(&queue->db, error);
    (void)pthread_mutex_lock(&queue->mutex);
    queue->led = false;
    (void)pthread_cond_broadcast(&queue->group_done);
    (void)pthread_mutex_unlock(&queue->mutex);
    return status;
}
