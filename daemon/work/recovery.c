/* Runs that were running when the daemon ended. Layer: daemon/work. Thread rule: see the header. */
#include "daemon/work/recovery.h"

#include "core/base/log.h"
#include "daemon/queue/run_action.h"
#include "daemon/store/change/run_change.h"
#include "daemon/store/query/run_query.h"

/* More than can ever be running at once; what is left over would come in the next round. */
enum { ROUND = 128 };

/* A run that takes the daemon down with it every time must not do so for ever. */
enum { MOST_INTERRUPTIONS = 5 };

static bool is_hopeless(const struct run_row *run) {
    return run->request == RUN_REQUEST_NONE && run->interruptions >= MOST_INTERRUPTIONS;
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
        .now_ms = now_ms,
    };
    if (!asked) {
        TRY(run_table_count_interruption(store, run->id, now_ms, error));
    }
    if (is_hopeless(run)) {
        move.to = RUN_FAILED;
        move.reason = "the daemon ended during it 6 times in a row without progress (out of "
                      "memory?); requeue tries again";
        move.next_attempt = false;
    }
    return run_table_move(store, &move, error);
}

static enum status recover_list(struct store *store, const struct run_list *list, int64_t now_ms,
                                struct recovery_result *result, struct error *error) {
    for (size_t i = 0; i < list->n; i++) {
        const struct run_row *run = &list->rows[i];
        TRY(recover(store, run, now_ms, error));
        if (run->request != RUN_REQUEST_NONE) {
            result->n_asked++;
            log_info("run %lld was asked to %s when the daemon ended: %s", (long long)run->id,
                     run_request_name(run->request),
                     run_state_name(run_request_state(run->request)));
        } else if (is_hopeless(run)) {
            result->n_failed++;
            log_error("run %lld ended the daemon again and again: failed", (long long)run->id);
        } else {
            result->n_requeued++;
            log_info("run %lld was interrupted in epoch %d of %d: queued again", (long long)run->id,
                     run->epochs_done + 1, run->epochs);
        }
    }
    return STATUS_OK;
}

enum status recovery_run(struct store *store, const struct clock *clock,
                         struct recovery_result *ret_result, struct error *error) {
    struct recovery_result result = {0};
    struct run_query query = {.limit = ROUND};
    run_query_add_states(&query, 1u << RUN_RUNNING);
    bool more = true;
    while (more) {
        struct run_list list = {0};
        TRY(run_table_list(store, &query, &list, error));
        more = list.more;
        enum status status = recover_list(store, &list, clock_unix_ms(clock), &result, error);
        run_list_clear(&list);
        TRY(status);
    }
    *ret_result = result;
    return STATUS_OK;
}
