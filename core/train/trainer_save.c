/* The end of a run, asked for, and its checkpoints. Layer: core/train. */
#include "core/train/trainer_internal.h"

/* How long a stop waits for the step under way; after that, and at once for a kill, the step is
 * given up, and the run goes on from before it. */
static const double STEP_PATIENCE_S = 3.0;

struct checkpoint_contents trainer_contents(struct trainer *t) {
    return (struct checkpoint_contents){
        .config = t->config,
        .kernels_name = t->options->kernels->name,
        .arithmetic = t->arithmetic,
        .winograd = trainer_uses_winograd(t->config, t->options->kernels),
        .net = &t->net,
        .params = t->params,
        .moving = t->moving,
        .ema = t->ema,
        .optimizer = t->optimizer,
        .state = &t->state,
        .foreign = t->options->resume_foreign,
        .any_arithmetic = t->options->resume_any_arithmetic,
    };
}

static enum status report_checkpoint(struct trainer *t, bool best,
                                     const struct checkpoint_file *file, struct error *error) {
    if (!t->callbacks->on_checkpoint) {
        return STATUS_OK;
    }
    const struct checkpoint_report report = {
        .best = best,
        .path = file->path,
        .sha256 = file->sha256,
        .n_bytes = file->n_bytes,
        .epochs_done = t->state.epochs_done,
        .step = t->state.step,
        .confusion = best ? &t->confusion : NULL,
    };
    return t->callbacks->on_checkpoint(t->callbacks->user, &report, error);
}

/* Older files go only after the new one was reported, so that whoever keeps the books never knows
 * nothing but files that are gone. A state that is on the disk already is not written again: its
 * file would take the place of itself, and that of the one before. */
enum status trainer_save(struct trainer *t, bool best, struct error *error) {
    const struct trainer_options *o = t->options;
    bool saved = t->saved_epochs == t->state.epochs_done && t->saved_step == t->state.step;
    if (!o->checkpoint_dir || saved) {
        return STATUS_OK;
    }
    struct checkpoint_file file;
    struct checkpoint_contents contents = trainer_contents(t);
    TRY(checkpoint_file_name(&t->files, t->state.epochs_done, t->state.step, file.path, error));
    TRY(checkpoint_write(&contents, &file, error));
    TRY(report_checkpoint(t, best, &file, error));
    checkpoint_files_retire(&t->files, file.path, t->state.best_epoch);
    t->saved_epochs = t->state.epochs_done;
    t->saved_step = t->state.step;
    t->checkpoint_at_s = clock_monotonic_s(o->clock) + o->checkpoint_interval_s;
    return STATUS_OK;
}

bool trainer_should_stop(const struct trainer *t) {
    return t->callbacks->should_stop && t->callbacks->should_stop(t->callbacks->user);
}

static bool stops_at_once(const struct trainer *t) {
    return t->callbacks->stops_at_once && t->callbacks->stops_at_once(t->callbacks->user);
}

/* Asked by the team within a step or a validation. */
bool trainer_must_break_off(void *user) {
    struct trainer *t = user;
    if (!trainer_should_stop(t)) {
        return false;
    }
    double now = clock_monotonic_s(t->options->clock);
    t->asked_at_s = t->asked_at_s > 0 ? t->asked_at_s : now;
    return stops_at_once(t) || now - t->asked_at_s >= STEP_PATIENCE_S;
}

bool trainer_save_is_due(const struct trainer *t) {
    const struct trainer_callbacks *c = t->callbacks;
    return clock_monotonic_s(t->options->clock) >= t->checkpoint_at_s ||
           (c->should_checkpoint && c->should_checkpoint(c->user));
}

enum status trainer_stop(struct trainer *t, struct error *error) {
    if (!stops_at_once(t)) {
        TRY(trainer_save(t, false, error));
    }
    return error_set(error, STATUS_STOPPED, "stopped after epoch %d, step %d", t->state.epochs_done,
                     t->state.step);
}
