/* The training loop. Layer: core/train; thread rule as in trainer.h.
 *
 * A run is a sequence of steps and, after each epoch, a validation. struct train_state says how
 * many of them are done; everything else about the next step (order of images, cutouts, learning
 * rate) follows from the config and that count, so going on from a checkpoint is the same as never
 * having stopped.
 */
#include "core/train/trainer_internal.h"

#include <stdlib.h>

#include "core/base/cleanup.h"

static enum status train_epoch(struct trainer *t, struct error *error) {
    epoch_order(t->config->seed, t->state.epochs_done, t->n_train, t->order);
    while (t->state.step < t->steps_per_epoch) {
        TRY(trainer_step(t, error));
        if (trainer_should_stop(t)) {
            return trainer_stop(t, error);
        }
        if (trainer_save_is_due(t)) {
            TRY(trainer_save(t, false, error));
        }
    }
    return STATUS_OK;
}

/* After the checkpoint, and again when the run is asked to go on from it. */
static enum status check_finite(const struct trainer *t, struct error *error) {
    return t->config->stop_on_nan && t->state.diverged
               ? error_set(error, STATUS_DIVERGED,
                           "by epoch %d a loss was no finite number, or ten times that of "
                           "guessing, and stop_on_nan is set",
                           t->state.epochs_done)
               : STATUS_OK;
}

/* Also of a run that had ended by a rule when its end could not be stored. */
static bool has_ended(const struct trainer *t) {
    return t->state.epochs_done >= t->config->epochs ||
           stop_rule_find(&t->config->stop, &t->state) != STOP_NONE;
}

/* By a rule; the last epoch is no early end. */
static enum stop_rule stopped_by(const struct trainer *t, const struct train_state *state) {
    return state->epochs_done < t->config->epochs ? stop_rule_find(&t->config->stop, state)
                                                  : STOP_NONE;
}

static enum status run_epochs(struct trainer *t, struct error *error) {
    TRY(check_finite(t, error));
    while (!has_ended(t)) {
        struct epoch_report report;
        TRY(train_epoch(t, error));
        TRY(trainer_validate(t, &report, error));
        struct train_state next = t->state;
        train_state_next_epoch(&next, &report);
        report.stopped_by = stopped_by(t, &next);
        if (t->callbacks->on_epoch) {
            TRY(t->callbacks->on_epoch(t->callbacks->user, &report, error));
        }
        t->state = next;
        TRY(trainer_save(t, report.best, error));
        TRY(check_finite(t, error));
    }
    return STATUS_OK;
}

enum status trainer_run(const struct trainer_options *options,
                        const struct trainer_callbacks *callbacks,
                        struct trainer_result *ret_result, struct error *error) {
    CLEANUP(trainer_close) struct trainer *t = calloc(1, sizeof(*t));
    if (!t) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for a trainer");
    }
    t->options = options;
    t->callbacks = callbacks;
    t->config = options->config;
    TRY(trainer_open(t, error));
    enum status status = run_epochs(t, error);
    *ret_result = (struct trainer_result){
        .epochs_done = t->state.epochs_done,
        .best_epoch = t->state.best_epoch,
        .best_wrong = t->state.best_wrong,
        .diverged = t->state.diverged,
        .stopped_by = status == STATUS_OK ? stopped_by(t, &t->state) : STOP_NONE,
    };
    stop_rule_say(ret_result->stopped_by, &t->config->stop, &t->state, ret_result->reason,
                  sizeof(ret_result->reason));
    return status;
}
