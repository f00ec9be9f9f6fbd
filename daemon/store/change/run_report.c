/* Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/change/run_report.h"

#include <math.h>
#include <string.h>

#include "daemon/store/change/run_progress.h"
#include "daemon/store/owner/usage.h"
#include "daemon/store/table/checkpoint_rows.h"
#include "daemon/store/table/event_table.h"
#include "daemon/store/table/run_rows.h"

/* Of an epoch: 30 years. */
#define MOST_SECONDS 1e9

struct report_arguments {
    const struct run_report *report;
    const struct epoch_row *epoch;
    const struct checkpoint_row *checkpoints;
    size_t n_checkpoints;
    const char *reason;
    bool fell_back;   /* to that of this path */
    const char *path; /* NULL: to the beginning */
    const struct run_placement *placement;
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

static enum status accept(struct db *db, const struct run_report *report, int64_t now_ms,
                          bool *ret_again, struct error *error) {
    bool taken = false;
    TRY(run_take_report(db, report->run_id, report->attempt, report->number, &taken, error));
    *ret_again = false;
    return taken ? usage_charge_run(db, report->run_id, now_ms, error)
                 : explain(db, report, ret_again, error);
}

static bool is_count(int wrong, int total) {
    return total >= 0 && wrong >= 0 && wrong <= total;
}

/* What comes from a file of another process may be damaged. A run's epochs follow each other; one
 * may come again, after a checkpoint of before it. */
static enum status check_epoch(struct db *db, int64_t id, const struct epoch_report *epoch,
                               struct error *error) {
    struct run_row row = {0};
    TRY(run_read(db, id, &row, error));
    int last = row.epochs_done < row.epochs ? row.epochs_done + 1 : row.epochs;
    run_row_clear(&row);
    if (epoch->epoch < 1 || epoch->epoch > last) {
        return error_set(error, STATUS_INVALID,
                         "run %lld: a report of epoch %d; the next one can be %d", (long long)id,
                         epoch->epoch, last);
    }
    if ((unsigned)epoch->stopped_by >= N_STOP_RULES) {
        return error_set(error, STATUS_INVALID, "run %lld: a report of an end by no rule",
                         (long long)id);
    }
    if (!is_count(epoch->tta_wrong, epoch->tta_total) ||
        !is_count(epoch->ema_wrong, epoch->ema_total)) {
        return error_set(error, STATUS_INVALID, "run %lld: a report of more wrong images than all",
                         (long long)id);
    }
    if (epoch->val_total < 1 || epoch->val_wrong < 0 || epoch->val_wrong > epoch->val_total) {
        return error_set(error, STATUS_INVALID, "run %lld: a report of %d wrong images of %d",
                         (long long)id, epoch->val_wrong, epoch->val_total);
    }
    /* Losses may be anything: a run that diverges reports them. */
    if (!(epoch->seconds >= 0 && epoch->seconds <= MOST_SECONDS) ||
        !(epoch->images_per_second >= 0 && isfinite(epoch->images_per_second))) {
        return error_set(error, STATUS_INVALID,
                         "run %lld: a report of an epoch of %g seconds, %g images a second",
                         (long long)id, epoch->seconds, epoch->images_per_second);
    }
    return STATUS_OK;
}

static enum status check_checkpoint(int64_t id, const struct checkpoint_row *row,
                                    struct error *error) {
    bool good = row->epochs_done >= 0 && row->step >= 0 && row->n_bytes >= 0 && row->path[0] &&
                !strchr(row->path, '/') && strlen(row->sha256) == SHA256_HEX_SIZE - 1;
    return good ? STATUS_OK
                : error_set(error, STATUS_INVALID, "run %lld: a report of no checkpoint: %s",
                            (long long)id, row->path);
}

static enum status store_report(struct db *db, void *arguments, struct error *error) {
    const struct report_arguments *a = arguments;
    int64_t id = a->report->run_id;
    bool again = false;
    TRY(accept(db, a->report, a->now_ms, &again, error));
    if (again) {
        return STATUS_OK;
    }
    if (a->epoch) {
        TRY(check_epoch(db, id, &a->epoch->report, error));
        return epoch_put(db, id, a->epoch, error);
    }
    if (a->checkpoints) {
        for (size_t i = 0; i < a->n_checkpoints; i++) {
            TRY(check_checkpoint(id, &a->checkpoints[i], error));
        }
        return checkpoints_put(db, id, a->checkpoints, a->n_checkpoints, error);
    }
    if (a->placement) {
        TRY(run_set_placement(db, id, a->placement, a->now_ms, error));
        return usage_set_cores(db, id, a->placement->cores, error);
    }
    if (a->fell_back) {
        TRY(a->path ? checkpoint_forget_newer(db, id, a->path, error)
                    : checkpoint_forget_all(db, id, error));
    }
    TRY(run_set_reason(db, id, a->reason, a->now_ms, error));
    return event_add_state(db, id, a->now_ms, error);
}

enum status run_report_epoch(struct store *store, const struct run_report *report,
                             const struct epoch_row *row, struct error *error) {
    struct report_arguments arguments = {.report = report, .epoch = row, .now_ms = row->at_ms};
    return store_write(store, store_report, &arguments, error);
}

enum status run_report_checkpoints(struct store *store, const struct run_report *report,
                                   const struct checkpoint_row *rows, size_t n_rows,
                                   struct error *error) {
    struct report_arguments arguments = {.report = report,
                                         .checkpoints = rows,
                                         .n_checkpoints = n_rows,
                                         .now_ms = n_rows > 0 ? rows[0].at_ms : 0};
    return store_write(store, store_report, &arguments, error);
}

enum status run_report_placement(struct store *store, const struct run_report *report,
                                 const struct run_placement *placement, int64_t now_ms,
                                 struct error *error) {
    const struct run_report unnumbered = {.run_id = report->run_id, .attempt = report->attempt};
    struct report_arguments arguments = {
        .report = &unnumbered, .placement = placement, .now_ms = now_ms};
    return store_write(store, store_report, &arguments, error);
}

enum status run_report_note(struct store *store, const struct run_report *report,
                            const char *reason, int64_t now_ms, struct error *error) {
    struct report_arguments arguments = {.report = report, .reason = reason, .now_ms = now_ms};
    return store_write(store, store_report, &arguments, error);
}

enum status run_report_fallback(struct store *store, const struct run_report *report,
                                const char *path, const char *reason, int64_t now_ms,
                                struct error *error) {
    struct report_arguments arguments = {
        .report = report, .reason = reason, .fell_back = true, .path = path, .now_ms = now_ms};
    return store_write(store, store_report, &arguments, error);
}
