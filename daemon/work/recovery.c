/* Runs that were running when the daemon ended. Layer: daemon/work. Thread rule: see the header. */
#include "daemon/work/recovery.h"

#include "core/base/log.h"
#include "daemon/queue/run_action.h"
#include "daemon/store/change/run_change.h"
#include "daemon/store/query/run_queue.h"

/* A run that takes the daemon down with it every time must not do so for ever. */
static bool is_hopeless(const struct run_row *run) {
    return run->request == RUN_REQUEST_NONE && run->interruptions >= RECOVERY_MOST_INTERRUPTIONS;
}

static enum status recover(struct store *store, const struct run_row *run, int64_t now_ms,
                           struct error *error) {
    bool asked = run->request != RUN_REQUEST_NONE;
    struct run_move move = {
        .id = run->id,
        .from = RUN_RUNNING,
        .to = asked ? run_request_state(run->request) : RUN_QUEUED,
        .reason = asked ? run_request_reason(run->request) : "interrupted",
        .next_attempt = !asked,
        .interrupted = !asked,
        .abandoned = true,
        .now_ms = now_ms,
    };
    if (is_hopeless(run)) {
        move.to = RUN_FAILED;
        move.reason = "the daemon ended during it 6 times in a row without progress (out of "
                      "memory?); requeue tries again";
        move.next_attempt = false;
    }
    return run_table_move(store, &move, error);
}

static void tell(const struct run_row *run, struct recovery_result *result) {
    const struct log_subject subject = run_row_subject(run);
    if (run->request != RUN_REQUEST_NONE) {
        result->n_asked++;
        log_about(&subject, LOG_LEVEL_INFO, "run %lld was asked to %s when the daemon ended: %s",
                  (long long)run->id, run_request_name(run->request),
                  run_state_name(run_request_state(run->request)));
    } else if (is_hopeless(run)) {
        result->n_failed++;
        log_about(&subject, LOG_LEVEL_WARNING, "run %lld ended the daemon again and again: failed",
                  (long long)run->id);
    } else {
        result->n_requeued++;
        log_about(&subject, LOG_LEVEL_WARNING,
                  "run %lld was interrupted in epoch %d of %d: queued again", (long long)run->id,
                  run->epochs_done + 1, run->epochs);
    }
}

static enum status recover_list(struct store *store, struct pool *pool, const struct run_list *list,
                                int64_t now_ms, struct recovery_result *result,
                                struct error *error) {
    for (size_t i = 0; i < list->n; i++) {
        const struct run_row *run = &list->rows[i];
        enum status status = pool ? pool_attach(pool, run->id, error) : STATUS_NOT_FOUND;
        if (status == STATUS_OK) {
            result->n_attached++;
            const struct log_subject subject = run_row_subject(run);
            log_about(&subject, LOG_LEVEL_INFO,
                      "run %lld is trained by the executor %s and goes on", (long long)run->id,
                      run->executor);
        } else if (status == STATUS_NOT_FOUND) {
            TRY(recover(store, run, now_ms, error));
            tell(run, result);
        } else {
            return status;
        }
    }
    return STATUS_OK;
}

/* Nobody else changes rows at this time: those that are counted are those that are listed. */
enum status recovery_run(struct store *store, struct pool *pool, const struct clock *clock,
                         struct recovery_result *ret_result, struct error *error) {
    int64_t counts[RUN_STATE_COUNT] = {0};
    struct recovery_result result = {0};
    TRY(run_table_count(store, counts, error));
    if (counts[RUN_RUNNING] > 0) {
        struct run_list list = {0};
        TRY(run_queue_list(store, RUN_RUNNING, (int)counts[RUN_RUNNING], &list, error));
        enum status status = recover_list(store, pool, &list, clock_unix_ms(clock), &result, error);
        run_list_clear(&list);
        TRY(status);
    }
    *ret_result = result;
    return STATUS_OK;
}
