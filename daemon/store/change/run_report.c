/* Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/change/run_report.h"

#include "daemon/store/change/run_progress.h"
#include "daemon/store/table/event_table.h"
#include "daemon/store/table/run_rows.h"

struct report_arguments {
    const struct run_report *report;
    const struct epoch_row *epoch;
    const struct checkpoint_row *checkpoints;
    size_t n_checkpoints;
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
    bool taken = false;
    TRY(run_take_report(db, report->run_id, report->attempt, report->number, &taken, error));
    *ret_again = false;
    return taken ? STATUS_OK : explain(db, report, ret_again, error);
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
    if (a->checkpoints) {
        return checkpoints_put(db, id, a->checkpoints, a->n_checkpoints, error);
    }
    TRY(run_set_reason(db, id, a->reason, a->now_ms, error));
    return event_add_state(db, id, a->now_ms, error);
}

enum status run_report_epoch(struct store *store, const struct run_report *report,
                             const struct epoch_row *row, struct error *error) {
    struct report_arguments arguments = {.report = report, .epoch = row};
    return store_write(store, store_report, &arguments, error);
}

enum status run_report_checkpoints(struct store *store, const struct run_report *report,
                                   const struct checkpoint_row *rows, size_t n_rows,
                                   struct error *error) {
    struct report_arguments arguments = {
        .report = report, .checkpoints = rows, .n_checkpoints = n_rows};
    return store_write(store, store_report, &arguments, error);
}

enum status run_report_note(struct store *store, const struct run_report *report,
                            const char *reason, int64_t now_ms, struct error *error) {
    struct report_arguments arguments = {.report = report, .reason = reason, .now_ms = now_ms};
    return store_write(store, store_report, &arguments, error);
}
