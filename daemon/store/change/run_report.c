/* Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/change/run_report.h"

#include "daemon/store/table/run_statements.h"
#include "daemon/store/table/tables.h"

struct report_arguments {
    const struct run_report *report;
    const struct epoch_row *epoch;
    const struct checkpoint_row *checkpoint;
    const char *reason;
    int64_t now_ms;
};

/* Why a report was not accepted; *ret_again: it came before. */
static enum status explain(struct db *db, const struct run_report *report, bool *ret_again,
                           struct error *error) {
    struct run_row row = {0};
    TRY(run_read(db, report->run_id, &row, error));
    enum run_state state = row.state;
    int attempt = row.attempt;
    run_row_clear(&row);
    *ret_again = state == RUN_RUNNING && attempt == report->attempt;
    return *ret_again
               ? STATUS_OK
               : error_set(error, STATUS_CONFLICT,
                           "run %lld is %s, at attempt %d: a report of attempt %d is refused",
                           (long long)report->run_id, run_state_name(state), attempt,
                           report->attempt);
}

static enum status accept(struct db *db, const struct run_report *report, bool *ret_again,
                          struct error *error) {
    int changes = 0;
    sqlite3_stmt *statement = db_statement(db, DB_RUN, RUN_REPORT);
    sqlite3_bind_int64(statement, 1, report->run_id);
    sqlite3_bind_int(statement, 3, report->attempt);
    sqlite3_bind_int64(statement, 4, report->number);
    TRY(db_execute(db, statement, &changes, error));
    *ret_again = false;
    return changes == 1 ? STATUS_OK : explain(db, report, ret_again, error);
}

static enum status store_report(struct db *db, void *arguments, struct error *error) {
    const struct report_arguments *a = arguments;
    int64_t id = a->report->run_id;
    bool again = false;
    TRY(accept(db, a->report, &again, error));
    if (again) {
        return STATUS_OK;
    }
    if (a->epoch) {
        return epoch_put(db, id, a->epoch, error);
    }
    return a->checkpoint ? checkpoint_put(db, id, a->checkpoint, error)
                         : run_set_reason(db, id, a->reason, a->now_ms, error);
}

enum status run_report_epoch(struct store *store, const struct run_report *report,
                             const struct epoch_row *row, struct error *error) {
    struct report_arguments arguments = {.report = report, .epoch = row};
    return store_write(store, store_report, &arguments, error);
}

enum status run_report_checkpoint(struct store *store, const struct run_report *report,
                                  const struct checkpoint_row *row, struct error *error) {
    struct report_arguments arguments = {.report = report, .checkpoint = row};
    return store_write(store, store_report, &arguments, error);
}

enum status run_report_note(struct store *store, const struct run_report *report,
                            const char *reason, int64_t now_ms, struct error *error) {
    struct report_arguments arguments = {.report = report, .reason = reason, .now_ms = now_ms};
    return store_write(store, store_report, &arguments, error);
}
