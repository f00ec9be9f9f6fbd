/* Runs that were running when the daemon ended. Layer: daemon/work. Thread rule: see the header. */
#include "daemon/work/recovery.h"

#include "core/base/log.h"
#include "daemon/store/run_table.h"

/* More than can ever be running at once; what is left over would come in the next round. */
enum { ROUND = 128 };

/* A run that takes the daemon down with it every time must not do so for ever. */
enum { MOST_INTERRUPTIONS = 5 };

static enum status requeue(struct store *store, const struct run_row *run, int64_t now_ms,
                           struct recovery_result *result, struct error *error) {
    struct run_move move = {.id = run->id,
                            .from = RUN_RUNNING,
                            .to = RUN_QUEUED,
                            .reason = "interrupted",
                            .next_attempt = true,
                            .now_ms = now_ms};
    TRY(run_table_count_interruption(store, run->id, now_ms, error));
    if (run->interruptions >= MOST_INTERRUPTIONS) {
        move.to = RUN_FAILED;
        move.reason = "the daemon ended during it 6 times in a row without progress (out of "
                      "memory?); requeue tries again";
        move.next_attempt = false;
        result->n_failed++;
        log_error("run %lld: %s", (long long)run->id, move.reason);
        return run_table_move(store, &move, error);
    }
    result->n_requeued++;
    log_info("run %lld was interrupted in epoch %d of %d: queued again", (long long)run->id,
             run->epochs_done + 1, run->epochs);
    return run_table_move(store, &move, error);
}

/* What was asked of it before the daemon ended. */
static enum status obey(struct store *store, const struct run_row *run, int64_t now_ms,
                        struct recovery_result *result, struct error *error) {
    bool pause = run->request == RUN_REQUEST_PAUSE;
    enum run_action action = pause                                ? RUN_ACTION_PAUSE
                             : run->request == RUN_REQUEST_CANCEL ? RUN_ACTION_CANCEL
                                                                  : RUN_ACTION_KILL;
    const struct run_move move = {.id = run->id,
                                  .from = RUN_RUNNING,
                                  .to = run_action_target(action),
                                  .reason = run_action_reason(action),
                                  .now_ms = now_ms};
    result->n_canceled += !pause;
    result->n_paused += pause;
    log_info("run %lld was asked to %s when the daemon ended: %s", (long long)run->id,
             run_action_name(action), run_state_name(move.to));
    return run_table_move(store, &move, error);
}

static enum status recover_list(struct store *store, const struct run_list *list, int64_t now_ms,
                                struct recovery_result *result, struct error *error) {
    for (size_t i = 0; i < list->n; i++) {
        const struct run_row *run = &list->rows[i];
        TRY(run->request != RUN_REQUEST_NONE ? obey(store, run, now_ms, result, error)
                                             : requeue(store, run, now_ms, result, error));
    }
    return STATUS_OK;
}

enum status recovery_run(struct store *store, const struct clock *clock,
                         struct recovery_result *ret_result, struct error *error) {
    struct recovery_result result = {0};
    const struct run_filter filter = {.states = 1u << RUN_RUNNING, .limit = ROUND};
    bool more = true;
    while (more) {
        struct run_list list = {0};
        TRY(run_table_list(store, &filter, &list, error));
        more = list.more;
        enum status status = recover_list(store, &list, clock_unix_ms(clock), &result, error);
        run_list_clear(&list);
        TRY(status);
    }
    *ret_result = result;
    return STATUS_OK;
}
