/* Thread rule: one thread. */
#include "tests/sim/fake_train.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "core/train/safetensors.h"
#include "tests/sim/sched.h"
#include "tests/sim/sim.h"

enum { MOST_ACTIVE = 64, N_WEIGHTS = 64 };

static const double STEP_S = 1.0;

static int64_t active[MOST_ACTIVE];
static int n_active;

int metric_wrong(uint64_t seed, int epoch) {
    return (int)(mix(seed ^ mix((uint64_t)epoch)) % (METRIC_TOTAL + 1));
}

double metric_loss(uint64_t seed, int epoch) {
    return (double)(mix(seed + mix((uint64_t)epoch)) >> 11) * 0x1p-53;
}

double metric_val_loss(uint64_t seed, int epoch) {
    return metric_loss(seed + 1, epoch);
}

int metric_best(uint64_t seed, int last) {
    int best = 0;
    for (int epoch = 1; epoch <= last; epoch++) {
        if (best == 0 || metric_wrong(seed, epoch) < metric_wrong(seed, best)) {
            best = epoch;
        }
    }
    return best;
}

struct epoch_report fake_epoch(struct fake_state *state) {
    int epoch = ++state->epochs_done;
    int wrong = metric_wrong(state->seed, epoch);
    bool best = state->best_epoch == 0 || wrong < state->best_wrong;
    state->step = 0;
    if (best) {
        state->best_epoch = epoch;
        state->best_wrong = wrong;
    }
    return (struct epoch_report){.epoch = epoch,
                                 .train_loss = metric_loss(state->seed, epoch),
                                 .train_accuracy = 0.5,
                                 .val_loss = metric_val_loss(state->seed, epoch),
                                 .val_accuracy = (METRIC_TOTAL - wrong) / (double)METRIC_TOTAL,
                                 .val_wrong = wrong,
                                 .val_total = METRIC_TOTAL,
                                 .lr = 0.001,
                                 .seconds = METRIC_STEPS * STEP_S,
                                 .images_per_second = METRIC_IMAGES / (METRIC_STEPS * STEP_S),
                                 .best = best,
                                 .images = METRIC_IMAGES,
                                 .steps = METRIC_STEPS};
}

/* ---- checkpoints ---- */

enum status fake_checkpoint_write(const struct checkpoint_files *files,
                                  const struct fake_state *state, struct checkpoint_file *ret_file,
                                  struct error *error) {
    float weights[N_WEIGHTS];
    char texts[5][32];
    for (int i = 0; i < N_WEIGHTS; i++) {
        weights[i] = (float)metric_loss(state->seed + (uint64_t)i,
                                        state->epochs_done * METRIC_STEPS + state->step);
    }
    (void)snprintf(texts[0], sizeof(texts[0]), "%" PRIu64, state->seed);
    (void)snprintf(texts[1], sizeof(texts[1]), "%d", state->epochs_done);
    (void)snprintf(texts[2], sizeof(texts[2]), "%d", state->step);
    (void)snprintf(texts[3], sizeof(texts[3]), "%d", state->best_epoch);
    (void)snprintf(texts[4], sizeof(texts[4]), "%d", state->best_wrong);
    const struct safetensors_metadata metadata[] = {{"seed", texts[0]},
                                                    {"epochs_done", texts[1]},
                                                    {"step", texts[2]},
                                                    {"best_epoch", texts[3]},
                                                    {"best_wrong", texts[4]}};
    const struct safetensors_tensor tensor = {.name = "weights",
                                              .dtype = SAFETENSORS_F32,
                                              .n_dims = 1,
                                              .shape = {N_WEIGHTS},
                                              .data = weights};
    TRY(checkpoint_file_name(files, state->epochs_done, state->step, ret_file->path, error));
    return safetensors_write(ret_file->path, &tensor, 1, metadata, 5, ret_file->sha256,
                             &ret_file->n_bytes, error);
}

static void free_safetensors(struct safetensors **file) {
    safetensors_free(*file);
}

static uint64_t number(const struct safetensors *file, const char *key) {
    const char *value = safetensors_metadata_value(file, key);
    return value ? strtoull(value, NULL, 10) : 0;
}

enum status fake_checkpoint_read(const char *path, const char *sha256, struct fake_state *ret_state,
                                 struct error *error) {
    CLEANUP(free_safetensors) struct safetensors *file = NULL;
    TRY(safetensors_read(path, sha256, &file, error));
    *ret_state = (struct fake_state){.seed = number(file, "seed"),
                                     .epochs_done = (int)number(file, "epochs_done"),
                                     .step = (int)number(file, "step"),
                                     .best_epoch = (int)number(file, "best_epoch"),
                                     .best_wrong = (int)number(file, "best_wrong")};
    return STATUS_OK;
}

/* ---- training ---- */

struct fake_trainer {
    const struct trainer_options *options;
    const struct trainer_callbacks *callbacks;
    struct fake_state state;
    struct checkpoint_files files;
    int saved_epochs;
    int saved_step;
};

static enum status write_checkpoint(struct fake_trainer *t, bool best, struct error *error) {
    struct checkpoint_file file;
    if (t->saved_epochs == t->state.epochs_done && t->saved_step == t->state.step) {
        return STATUS_OK;
    }
    TRY(fake_checkpoint_write(&t->files, &t->state, &file, error));
    const struct checkpoint_report report = {.best = best,
                                             .path = file.path,
                                             .sha256 = file.sha256,
                                             .n_bytes = file.n_bytes,
                                             .epochs_done = t->state.epochs_done,
                                             .step = t->state.step};
    TRY(t->callbacks->on_checkpoint(t->callbacks->user, &report, error));
    checkpoint_files_retire(&t->files, file.path, t->state.best_epoch);
    t->saved_epochs = t->state.epochs_done;
    t->saved_step = t->state.step;
    return STATUS_OK;
}

static enum status stop(struct fake_trainer *t, struct error *error) {
    if (!t->callbacks->stops_at_once(t->callbacks->user)) {
        TRY(write_checkpoint(t, false, error));
    }
    return error_set(error, STATUS_STOPPED, "stopped after epoch %d, step %d", t->state.epochs_done,
                     t->state.step);
}

static enum status train_epoch(struct fake_trainer *t, struct error *error) {
    const struct trainer_callbacks *c = t->callbacks;
    while (t->state.step < METRIC_STEPS) {
        (void)sched_wait(t, sched_now_s() + STEP_S);
        t->state.step++;
        const struct step_report report = {.epoch = t->state.epochs_done + 1,
                                           .epochs = t->options->config->epochs,
                                           .step = t->state.step,
                                           .steps_per_epoch = METRIC_STEPS,
                                           .loss = 1.0,
                                           .images_per_second = 10};
        TRY(c->on_step(c->user, &report, error));
        if (c->should_stop(c->user)) {
            return stop(t, error);
        }
        if (c->should_checkpoint(c->user)) {
            TRY(write_checkpoint(t, false, error));
        }
    }
    return STATUS_OK;
}

static enum status train(struct fake_trainer *t, struct error *error) {
    const struct trainer_options *o = t->options;
    checkpoint_files_begin(&t->files, o->checkpoint_dir, o->resume_path);
    if (o->resume_path) {
        TRY(fake_checkpoint_read(o->resume_path, o->resume_sha256, &t->state, error));
        t->saved_epochs = t->state.epochs_done;
        t->saved_step = t->state.step;
    }
    while (t->state.epochs_done < o->config->epochs) {
        TRY(train_epoch(t, error));
        struct fake_state next = t->state;
        const struct epoch_report report = fake_epoch(&next);
        TRY(t->callbacks->on_epoch(t->callbacks->user, &report, error));
        t->state = next;
        TRY(write_checkpoint(t, report.best, error));
    }
    return STATUS_OK;
}

static int64_t run_of(const struct trainer_options *options) {
    return strtoll(strrchr(options->checkpoint_dir, '/') + 1, NULL, 10);
}

enum status fake_train(const struct trainer_options *options,
                       const struct trainer_callbacks *callbacks, struct trainer_result *ret_result,
                       struct error *error) {
    struct fake_trainer t = {.options = options,
                             .callbacks = callbacks,
                             .state.seed = metric_seed(options->config->seed, options->config->m),
                             .saved_epochs = -1};
    int64_t id = run_of(options);
    for (int i = 0; i < n_active; i++) {
        if (active[i] == id) {
            sim_fail("one running attempt a run", "run %" PRId64 " is trained twice at once", id);
        }
    }
    active[n_active++] = id;
    enum status status = train(&t, error);
    for (int i = 0; i < n_active; i++) {
        if (active[i] == id) {
            active[i] = active[--n_active];
            break;
        }
    }
    *ret_result = (struct trainer_result){.epochs_done = t.state.epochs_done};
    return status;
}

int64_t fake_train_active(int index) {
    return index < n_active ? active[index] : 0;
}

void fake_train_reset(void) {
    n_active = 0;
}
