/* Attempts and their reports. Layer: daemon/work. Thread rule: see the header. */
#include "daemon/work/attempt.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "core/base/log.h"
#include "core/base/time_text.h"
#include "daemon/compare/epoch_view.h"
#include "daemon/config/state_dir.h"
#include "daemon/queue/run_action.h"
#include "daemon/store/change/run_change.h"
#include "daemon/store/table/sweep_table.h"
#include "daemon/work/recovery.h"

/* Followers are woken by steps no more often than this; epochs and states wake them at once. */
static const double STEP_PUBLISH_INTERVAL_S = 0.5;

static int64_t now_ms(const struct attempt_table *table) {
    return clock_unix_ms(table->options->clock);
}

/* ---- the table ---- */

enum status attempt_new(struct attempt **ret_attempt, struct error *error) {
    struct attempt *attempt = calloc(1, sizeof(*attempt));
    if (!attempt) {
        return error_set(error, STATUS_NO_MEMORY, "no memory to start a run");
    }
    *ret_attempt = attempt;
    return STATUS_OK;
}

void attempt_free(struct attempt *attempt) {
    if (attempt) {
        run_row_clear(&attempt->run);
        free(attempt);
    }
}

static bool is_slot_taken(const struct attempt_table *table, int slot) {
    for (const struct attempt *a = table->first; a; a = a->next) {
        if (a->slot == slot) {
            return true;
        }
    }
    return false;
}

void attempt_table_add(struct attempt_table *table, struct attempt *attempt) {
    attempt->progress = (struct progress){.run_id = attempt->run.id,
                                          .sweep_id = attempt->run.sweep_id,
                                          .epochs = attempt->run.epochs};
    (void)pthread_mutex_lock(&table->mutex);
    attempt->slot = 0;
    while (is_slot_taken(table, attempt->slot)) {
        attempt->slot++;
    }
    attempt->next = table->first;
    table->first = attempt;
    (void)pthread_mutex_unlock(&table->mutex);
    progress_board_set(table->options->progress, attempt->slot, &attempt->progress);
}

void attempt_table_remove(struct attempt_table *table, struct attempt *attempt) {
    (void)pthread_mutex_lock(&table->mutex);
    struct attempt **link = &table->first;
    while (*link != attempt) {
        link = &(*link)->next;
    }
    *link = attempt->next;
    (void)pthread_mutex_unlock(&table->mutex);
}

struct attempt *attempt_table_find(struct attempt_table *table, int64_t run_id) {
    (void)pthread_mutex_lock(&table->mutex);
    struct attempt *a = table->first;
    while (a && a->run.id != run_id) {
        a = a->next;
    }
    (void)pthread_mutex_unlock(&table->mutex);
    return a;
}

int attempt_table_count(struct attempt_table *table, const struct executor *executor) {
    int n = 0;
    (void)pthread_mutex_lock(&table->mutex);
    for (const struct attempt *a = table->first; a; a = a->next) {
        n += !executor || a->executor == executor;
    }
    (void)pthread_mutex_unlock(&table->mutex);
    return n;
}

/* The attempt that a report is about. It stays: only its outcome, which comes after this report,
 * removes it. */
static enum status find(struct attempt_table *table, const struct run_report *report,
                        struct attempt **ret_attempt, struct error *error) {
    (void)pthread_mutex_lock(&table->mutex);
    struct attempt *a = table->first;
    while (a && (a->run.id != report->run_id || a->run.attempt != report->attempt)) {
        a = a->next;
    }
    (void)pthread_mutex_unlock(&table->mutex);
    if (!a) {
        (void)error_set(error, STATUS_CONFLICT,
                        "run %lld is not at attempt %d: its report is refused",
                        (long long)report->run_id, report->attempt);
        return STATUS_CONFLICT;
    }
    *ret_attempt = a;
    return STATUS_OK;
}

/* A failing store, a damaged one as well, is not the run's fault: noted, so that it is tried again.
 */
static enum status note_store(struct attempt *a, enum status status) {
    a->store_failed = a->store_failed || (status != STATUS_OK && status != STATUS_CONFLICT &&
                                          status != STATUS_INVALID);
    return status;
}

/* ---- begin ---- */

static enum status make_run_dir(const struct attempt_table *table, int64_t run_id,
                                char ret_path[EXECUTOR_PATH_SIZE], struct error *error) {
    const char *state_dir = table->options->state_dir;
    state_dir_run_path(state_dir, run_id, NULL, ret_path, EXECUTOR_PATH_SIZE);
    return state_dir_make_run(state_dir, run_id, error);
}

/* Whether there is anything that another arithmetic could be mixed with. */
static bool has_trained(const struct run_row *run, const struct checkpoint_list *checkpoints) {
    return run->epochs_done > 0 || checkpoints->n > 0;
}

/* The names of an arithmetic for people. */
struct arithmetic_words {
    char text[128];
};

static struct arithmetic_words name_arithmetic(const char *arithmetic, const char *variant) {
    struct arithmetic_words words;
    if (arithmetic[0]) {
        (void)snprintf(words.text, sizeof(words.text), "the arithmetic %s (%s kernels)", arithmetic,
                       variant);
    } else {
        (void)snprintf(words.text, sizeof(words.text), "an older arithmetic of the %s kernels",
                       variant);
    }
    return words;
}

static enum status refuse_arithmetic(const struct run_row *run, const char *before, const char *now,
                                     struct error *error) {
    bool fork = executor_forked_epoch(run) > 0;
    return error_set(error, STATUS_UNSUPPORTED,
                     "%s trained with %s, which is not to be had here%s; "
                     "on_arithmetic_change = continue in the config lets it go on with %s",
                     fork ? "it was forked from a run that was" : "it was", before,
                     fork ? ", and it cannot begin before the epoch of the fork" : "", now);
}

/* It cannot go on with its own bits. Nothing is mixed unless that is allowed, and the reason is
 * stored first: a crash in between repeats it. */
static enum status change_arithmetic(const struct attempt_table *table, struct attempt *a,
                                     const struct executor_origin *found,
                                     const struct checkpoint_list *checkpoints,
                                     struct error *error) {
    const struct run_row *run = &a->run;
    struct store *store = table->options->store;
    enum arithmetic_change rule = (enum arithmetic_change)atomic_load(&table->arithmetic_change);
    struct arithmetic_words before = name_arithmetic(run->arithmetic, run->variant);
    struct arithmetic_words now = name_arithmetic(found->arithmetic, found->variant);
    bool goes_on = rule == ARITHMETIC_CONTINUE && checkpoints->n > 0;
    char reason[RUN_REASON_SIZE];
    if (!goes_on && (rule == ARITHMETIC_FAIL || executor_forked_epoch(run) > 0)) {
        return refuse_arithmetic(run, before.text, now.text, error);
    }
    if (goes_on) {
        (void)snprintf(reason, sizeof(reason),
                       "from epoch %d, step %d on with %s: it began with %s, which is not to be "
                       "had here",
                       checkpoints->rows[0].epochs_done + 1, checkpoints->rows[0].step, now.text,
                       before.text);
    } else {
        (void)snprintf(reason, sizeof(reason),
                       "started anew with %s: it began with %s, which is not to be had here",
                       now.text, before.text);
    }
    const struct log_subject subject = run_row_subject(run);
    log_about(&subject, LOG_LEVEL_WARNING, "run %lld: %s", (long long)run->id, reason);
    const struct run_report report = {.run_id = run->id, .attempt = run->attempt};
    return note_store(a, goes_on ? run_report_note(store, &report, reason, now_ms(table), error)
                                 : run_table_reset(store, run->id, reason, now_ms(table), error));
}

/* A first attempt notes what it trains with; a later one must find the same images, and kernels
 * that give the same bits. */
static enum status settle_origin(const struct attempt_table *table, struct attempt *a,
                                 const struct executor_origin *found,
                                 const struct checkpoint_list *checkpoints, struct error *error) {
    const struct run_row *run = &a->run;
    bool begun = run->variant[0] != '\0';
    if (begun && strcmp(run->dataset_sha256, found->dataset_sha256) != 0) {
        return error_set(error, STATUS_CONFLICT,
                         "the data set %s is not the one this run started with (sha256 %.12s now, "
                         "%.12s then)",
                         run->dataset, found->dataset_sha256, run->dataset_sha256);
    }
    if (begun && !executor_keeps_arithmetic(run, found->arithmetic) &&
        has_trained(run, checkpoints)) {
        TRY(change_arithmetic(table, a, found, checkpoints, error));
    } else if (begun && strcmp(run->variant, found->variant) == 0 &&
               strcmp(run->arithmetic, found->arithmetic) == 0) {
        return STATUS_OK;
    }
    const struct run_origin origin = {.variant = found->variant,
                                      .arithmetic = found->arithmetic,
                                      .dataset_sha256 = found->dataset_sha256,
                                      .steps_per_epoch = found->steps_per_epoch,
                                      .images_per_epoch = found->images_per_epoch};
    return note_store(
        a, run_table_set_origin(table->options->store, run->id, &origin, now_ms(table), error));
}

static enum status begin(void *user, const struct run_report *report,
                         struct executor_plan *ret_plan, struct error *error) {
    struct attempt_table *table = user;
    struct attempt *a = NULL;
    struct executor_origin origin;
    CLEANUP(checkpoint_list_clear) struct checkpoint_list checkpoints = {0};
    TRY(find(table, report, &a, error));
    TRY(make_run_dir(table, report->run_id, ret_plan->run_dir, error));
    TRY(a->executor->origin(a->executor->user, &a->run, &origin, error));
    TRY(note_store(
        a, checkpoint_table_list(table->options->store, report->run_id, &checkpoints, error)));
    TRY(settle_origin(table, a, &origin, &checkpoints, error));
    TRY(note_store(
        a, run_table_note_begin(table->options->store, report->run_id, report->attempt, error)));
    (void)snprintf(ret_plan->variant, sizeof(ret_plan->variant), "%s", origin.variant);
    ret_plan->any_arithmetic = atomic_load(&table->arithmetic_change) == ARITHMETIC_CONTINUE;
    return note_store(a, checkpoint_table_list(table->options->store, report->run_id,
                                               &ret_plan->checkpoints, error));
}

/* ---- while it trains ---- */

static enum status step(void *user, const struct run_report *report, const struct step_report *step,
                        struct error *error) {
    struct attempt_table *table = user;
    struct attempt *a = NULL;
    TRY(find(table, report, &a, error));
    struct progress *p = &a->progress;
    p->epoch = step->epoch;
    p->epochs = step->epochs;
    p->step = step->step;
    p->steps_per_epoch = step->steps_per_epoch;
    p->loss = step->loss;
    p->accuracy = step->accuracy;
    p->images_per_second = step->images_per_second;
    p->eta_seconds = step->eta_seconds;
    p->n_reports++;
    progress_board_set(table->options->progress, a->slot, p);
    double now = clock_monotonic_s(table->options->clock);
    if (p->n_reports == 1 || now - a->published_at_s >= STEP_PUBLISH_INTERVAL_S) {
        a->published_at_s = now;
        notifier_publish(table->options->notifier, p->run_id);
    }
    return STATUS_OK;
}

static enum status epoch(void *user, const struct run_report *report,
                         const struct epoch_report *epoch, struct error *error) {
    struct attempt_table *table = user;
    struct attempt *a = NULL;
    TRY(find(table, report, &a, error));
    const struct epoch_row row = {.report = *epoch, .at_ms = now_ms(table)};
    TRY(note_store(a, run_report_epoch(table->options->store, report, &row, error)));
    a->progressed = true;
    bool ends = epoch->stopped_by != STOP_NONE || epoch->epoch >= a->run.epochs;
    if (a->run.pause_at > 0 && epoch->epoch >= a->run.pause_at && !ends) {
        a->at_rung = true;
        a->executor->ask(a->executor->user, a->run.handle, EXECUTOR_STOP);
    }
    progress_board_add_epoch(table->options->progress, epoch->seconds);
    const struct log_subject subject = run_row_subject(&a->run);
    log_about(&subject, LOG_LEVEL_INFO,
              "run %lld: epoch %d of %d, training loss %.4f, validation error %.4f, %.0f images/s",
              (long long)report->run_id, epoch->epoch, a->run.epochs, epoch->train_loss,
              error_ratio(epoch->val_wrong, epoch->val_total), epoch->images_per_second);
    return STATUS_OK;
}

static enum status checkpoint(void *user, const struct run_report *report,
                              const struct checkpoint_report *checkpoint, struct error *error) {
    struct attempt_table *table = user;
    struct attempt *a = NULL;
    TRY(find(table, report, &a, error));
    struct checkpoint_row rows[2] = {{
        .kind = CHECKPOINT_LAST,
        .n_bytes = checkpoint->n_bytes,
        .epochs_done = checkpoint->epochs_done,
        .step = checkpoint->step,
        .at_ms = now_ms(table),
    }};
    const char *slash = strrchr(checkpoint->path, '/');
    (void)snprintf(rows[0].path, sizeof(rows[0].path), "%s", slash ? slash + 1 : checkpoint->path);
    (void)snprintf(rows[0].sha256, sizeof(rows[0].sha256), "%s", checkpoint->sha256);
    rows[1] = rows[0];
    rows[1].kind = CHECKPOINT_BEST;
    rows[1].confusion = checkpoint->confusion;
    TRY(note_store(a, run_report_checkpoints(table->options->store, report, rows,
                                             checkpoint->best ? 2 : 1, error)));
    a->progressed = true;
    return STATUS_OK;
}

static enum status note(void *user, const struct run_report *report, const char *reason,
                        struct error *error) {
    struct attempt_table *table = user;
    struct attempt *a = NULL;
    TRY(find(table, report, &a, error));
    return note_store(a,
                      run_report_note(table->options->store, report, reason, now_ms(table), error));
}

static enum status fell_back(void *user, const struct run_report *report, const char *path,
                             const char *reason, struct error *error) {
    struct attempt_table *table = user;
    struct attempt *a = NULL;
    TRY(find(table, report, &a, error));
    return note_store(
        a, run_report_fallback(table->options->store, report, path, reason, now_ms(table), error));
}

static enum status placed(void *user, const struct run_report *report,
                          const struct run_placement *placement, struct error *error) {
    struct attempt_table *table = user;
    struct attempt *a = NULL;
    TRY(find(table, report, &a, error));
    return run_report_placement(table->options->store, report, placement, now_ms(table), error);
}

static enum status list_checkpoints(void *user, const struct run_report *report,
                                    struct checkpoint_list *ret_list, struct error *error) {
    struct attempt_table *table = user;
    struct attempt *a = NULL;
    TRY(find(table, report, &a, error));
    return checkpoint_table_list(table->options->store, report->run_id, ret_list, error);
}

static void outcome(void *user, const struct run_report *report,
                    const struct executor_outcome *outcome) {
    struct attempt_table *table = user;
    struct attempt *a = NULL;
    struct error error;
    if (find(table, report, &a, &error) != STATUS_OK) {
        log_warning("%s", error.message);
        return;
    }
    a->status = outcome->status;
    a->again = outcome->again;
    a->bounded = outcome->bounded;
    a->at_once = outcome->at_once;
    a->needed_bytes = outcome->needed_bytes;
    (void)snprintf(a->message, sizeof(a->message), "%s", outcome->message);
    table->on_outcome(table->user, a);
}

void attempt_table_init(struct attempt_table *table, const struct pool_options *options,
                        void (*on_outcome)(void *user, struct attempt *attempt), void *user) {
    *table = (struct attempt_table){
        .options = options,
        .arithmetic_change = (int)options->on_arithmetic_change,
        .reports = {table, begin, step, epoch, checkpoint, note, outcome, placed, fell_back,
                    list_checkpoints},
        .on_outcome = on_outcome,
        .user = user,
    };
    (void)pthread_mutex_init(&table->mutex, NULL);
}

void attempt_table_destroy(struct attempt_table *table) {
    while (table->first) {
        struct attempt *a = table->first;
        table->first = a->next;
        progress_board_clear(table->options->progress, a->slot);
        attempt_free(a);
    }
    (void)pthread_mutex_destroy(&table->mutex);
}

/* ---- where the run goes ---- */

static void go(struct destination *destination, enum run_state to, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void go(struct destination *destination, enum run_state to, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    destination->to = to;
    (void)vsnprintf(destination->reason, sizeof(destination->reason), format, arguments);
    va_end(arguments);
}

void attempt_decide(const struct attempt *a, bool stopping, struct destination *ret) {
    enum run_request request = a->request;
    bool again = a->store_failed || a->again || a->status == STATUS_STOPPED;
    bool bounded = a->bounded && !a->store_failed;
    int in_a_row = a->progressed ? 0 : a->run.interruptions;
    *ret = (struct destination){.to = RUN_QUEUED};
    if (a->status == STATUS_OK) {
        go(ret, RUN_SUCCEEDED, "%s", a->message);
    } else if (request == RUN_REQUEST_CANCEL || request == RUN_REQUEST_KILL ||
               (request == RUN_REQUEST_PAUSE && again)) {
        go(ret, run_request_state(request), "%s", run_request_reason(request));
    } else if (a->status == STATUS_STOPPED && !a->store_failed && a->at_rung) {
        go(ret, RUN_PAUSED, HALVING_WAITS, a->run.pause_at);
    } else if (a->status == STATUS_STOPPED && !a->store_failed && a->quiet_until_ms > 0 &&
               !stopping) {
        char until[TIME_TEXT_SIZE];
        go(ret, RUN_QUEUED, "stopped for quiet hours, goes on after %s",
           a->quiet_until_ms < INT64_MAX ? time_format(a->quiet_until_ms, until) : "them");
    } else if (a->status == STATUS_STOPPED && !a->store_failed) {
        go(ret, RUN_QUEUED, "%s", stopping ? "daemon stopped" : a->message);
        ret->wait = !stopping;
    } else if (again && bounded && in_a_row >= RECOVERY_MOST_INTERRUPTIONS) {
        go(ret, RUN_FAILED, "%d times in a row without progress: %.400s",
           RECOVERY_MOST_INTERRUPTIONS + 1, a->message);
    } else if (again) {
        go(ret, RUN_QUEUED, "will be tried again: %.400s", a->message);
        ret->count = bounded;
        ret->wait = !a->at_once;
    } else {
        go(ret, RUN_FAILED, "%.500s", a->message);
    }
}
