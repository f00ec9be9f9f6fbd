/* Layer: daemon/store. Thread rule: see the header. */
#include "daemon/store/db_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "core/base/durable.h"
#include "daemon/store/db.h"

static void close_handle(sqlite3 **handle) {
    (void)sqlite3_close(*handle);
}

static enum status open_handle(const char *path, int flags, sqlite3 **ret_handle,
                               struct error *error) {
    int code = sqlite3_open_v2(path, ret_handle, flags | SQLITE_OPEN_NOMUTEX, NULL);
    return code == SQLITE_OK ? STATUS_OK : db_status(*ret_handle, code, path, error);
}

static bool must_stop(const atomic_bool *stop) {
    return stop && atomic_load(stop);
}

static enum status stopped(struct error *error) {
    return error_set(error, STATUS_BUSY, "the copy was given up: the daemon is stopping");
}

/* All steps within one read transaction, which sees one state, whoever writes meanwhile. */
static enum status copy_pages(sqlite3 *source, sqlite3 *target, const atomic_bool *stop,
                              struct error *error) {
    enum { PAGES_A_STEP = 256 };
    int begun = sqlite3_exec(source, "BEGIN; SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
    if (begun != SQLITE_OK) {
        return db_status(source, begun, "cannot begin to read", error);
    }
    sqlite3_backup *backup = sqlite3_backup_init(target, "main", source, "main");
    if (!backup) {
        return db_status(target, sqlite3_errcode(target), "cannot begin the copy", error);
    }
    int code = SQLITE_OK;
    while (code == SQLITE_OK && !must_stop(stop)) {
        code = sqlite3_backup_step(backup, PAGES_A_STEP);
    }
    int finish_code = sqlite3_backup_finish(backup);
    if (code == SQLITE_OK) {
        return stopped(error);
    }
    if (code != SQLITE_DONE || finish_code != SQLITE_OK) {
        int reason = code != SQLITE_DONE ? code : finish_code;
        return error_set(error, (reason & 0xff) == SQLITE_FULL ? STATUS_NO_SPACE : STATUS_IO,
                         "cannot copy the database: %s", sqlite3_errstr(reason));
    }
    return STATUS_OK;
}

static int interrupts(void *user) {
    return must_stop(*(const atomic_bool *const *)user);
}

static enum status check(sqlite3 *target, const char *path, const atomic_bool *stop,
                         struct error *error) {
    enum { INSTRUCTIONS_A_STEP = 100000 };
    sqlite3_progress_handler(target, INSTRUCTIONS_A_STEP, interrupts, (void *)&stop);
    sqlite3_stmt *statement = NULL;
    char text[256] = "";
    int code = sqlite3_prepare_v2(target, "PRAGMA quick_check(1)", -1, &statement, NULL);
    code = code == SQLITE_OK ? sqlite3_step(statement) : code;
    if (code == SQLITE_ROW) {
        db_column_text(statement, 0, text, sizeof(text));
    }
    (void)sqlite3_finalize(statement);
    sqlite3_progress_handler(target, 0, NULL, NULL);
    if (must_stop(stop)) {
        return stopped(error);
    }
    if (code != SQLITE_ROW) {
        return db_status(target, code, "cannot check the copy", error);
    }
    return strcmp(text, "ok") == 0
               ? STATUS_OK
               : error_set(error, STATUS_CORRUPT, "the copy %s is damaged: %s", path, text);
}

static enum status make_durable(const char *path, struct error *error) {
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && fsync(fd) == 0 ? durable_name(path, error)
                                     : error_set_errno(error, errno, "cannot sync %s", path);
}

static enum status copy_and_check(const char *source_path, const char *target_path,
                                  const atomic_bool *stop, struct error *error) {
    CLEANUP(close_handle) sqlite3 *source = NULL;
    CLEANUP(close_handle) sqlite3 *target = NULL;
    TRY(open_handle(source_path, SQLITE_OPEN_READONLY, &source, error));
    TRY(open_handle(target_path, SQLITE_OPEN_READWRITE, &target, error));
    /* Only the store's writer moves what is in the log into the database. */
    (void)sqlite3_exec(source, "PRAGMA wal_autocheckpoint = 0", NULL, NULL, NULL);
    (void)sqlite3_busy_timeout(source, 5000);
    TRY(copy_pages(source, target, stop, error));
    /* One file, without a log beside it. */
    int code = sqlite3_exec(target, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    if (code != SQLITE_OK) {
        return db_status(target, code, target_path, error);
    }
    return check(target, target_path, stop, error);
}

enum status db_copy(const char *source, const char *target, const atomic_bool *stop,
                    struct error *error) {
    int fd = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0) {
        return errno == EEXIST ? error_set(error, STATUS_CONFLICT, "%s exists already", target)
                               : error_set_errno(error, errno, "cannot create %s", target);
    }
    (void)close(fd);
    enum status status = copy_and_check(source, target, stop, error);
    if (status == STATUS_OK) {
        status = make_durable(target, error);
    }
    if (status != STATUS_OK) {
        (void)unlink(target);
    }
    return status;
}
