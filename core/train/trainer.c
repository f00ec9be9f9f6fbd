/* The training loop. Layer: core/train; thread rule as in trainer.h.
 *
 * A run is a sequence of steps and, after each epoch, a validation. struct train_state says how
 * many of them are done; everything else about the next step (order of images, cutouts, learning
 * rate) follows from the config and that count, so going on from a checkpoint is the same as never
 * having stopped.
 */
#include "core/train/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "core/data/augment.h"
#include "core/nn/engine.h"
#include "core/train/checkpoint.h"
#include "core/train/checkpoint_files.h"
#include "core/train/optimizer.h"

enum { FILL_IMAGES = 8 }; /* images one piece of work makes */

static const double SPEED_MEMORY_S = 10.0;
/* How long a stop waits for the step under way; after that, and at once for a kill, the step is
 * given up, and the run goes on from before it. */
static const double STEP_PATIENCE_S = 3.0;

struct trainer {
    const struct trainer_options *options;
    const struct trainer_callbacks *callbacks;
    const struct run_config *config;
    int n_train;
    int n_test;
    int steps_per_epoch;

    struct resnet net;
    struct normaliser normaliser;
    struct team *team;
    struct engine *engine;
    struct optimizer *optimizer;
    float *params;
    float *moving;
    float *moving_before; /* before the step that is under way */
    float *gradient;
    int32_t *order; /* of the epoch under way */

    char arithmetic[ARITHMETIC_TEXT_SIZE];
    struct train_state state;
    struct checkpoint_files files;
    int saved_epochs, saved_step; /* what the newest checkpoint holds; -1: there is none */
    double asked_at_s;            /* when should_stop said true within a step; 0: it has not */
    double checkpoint_at_s;       /* when the next one inside an epoch is due */
    double recent_images, recent_seconds; /* of measure_speed */
    double filled_at_s;                   /* when the images of the step under way were there */
    int n_measured;
    double images_per_second;
    double validation_seconds;  /* of the last validation */
    int batch_first;            /* place in `order` of the batch that is being filled */
    struct confusion confusion; /* of the last validation */
    uint8_t predicted[ENGINE_EVALUATE_MAX];
};

static void close_trainer(struct trainer **trainer) {
    struct trainer *t = *trainer;
    if (t) {
        engine_free(t->engine);
        optimizer_free(t->optimizer);
        team_free(t->team);
        free(t->params);
        free(t->moving);
        free(t->moving_before);
        free(t->gradient);
        free(t->order);
        free(t);
    }
}

bool trainer_uses_winograd(const struct run_config *config, const struct kernels *kernels) {
    enum conv_algorithm wanted =
        config->conv_algorithm == CONV_AUTO ? CONV_BEST : config->conv_algorithm;
    return wanted == CONV_WINOGRAD && kernels->has_winograd;
}

/* ---- opening ---- */

static enum status resolve_count(int wanted, int available, const char *field, int *ret_n,
                                 struct error *error) {
    if (wanted > available) {
        return error_set(error, STATUS_INVALID, "%s: %d are wanted, the data set has %d", field,
                         wanted, available);
    }
    *ret_n = wanted > 0 ? wanted : available;
    return STATUS_OK;
}

static enum status resolve_sizes(struct trainer *t, struct error *error) {
    const struct dataset *dataset = t->options->dataset;
    TRY(resolve_count(t->config->train_images, dataset->train.n, "train_images", &t->n_train,
                      error));
    TRY(resolve_count(t->config->test_images, dataset->test.n, "test_images", &t->n_test, error));
    t->steps_per_epoch = run_steps_per_epoch(t->config, t->n_train);
    if (t->steps_per_epoch < 1) {
        return error_set(error, STATUS_INVALID,
                         "batch_size: %d training images make no whole batch of %d, and drop_last "
                         "leaves out what is smaller",
                         t->n_train, t->config->batch_size);
    }
    return STATUS_OK;
}

static struct engine_options engine_options_of(const struct run_config *config,
                                               const struct kernels *kernels,
                                               const struct resnet *net, struct team *team) {
    return (struct engine_options){
        .net = net,
        .kernels = kernels,
        .team = team,
        .max_images = config->batch_size * config->m,
        .winograd = trainer_uses_winograd(config, kernels),
        .bf16 = config->activations == ACTIVATIONS_BF16,
    };
}

static float *new_floats(size_t n) {
    float *values = aligned_alloc(64, (n * sizeof(*values) + 63) / 64 * 64);
    if (values) {
        memset(values, 0, n * sizeof(*values));
    }
    return values;
}

static enum status open_memory(struct trainer *t, struct error *error) {
    t->params = new_floats(t->net.n_params);
    t->moving = new_floats(t->net.n_moving);
    t->moving_before = new_floats(t->net.n_moving);
    t->gradient = new_floats(t->net.n_params);
    t->order = calloc((size_t)t->n_train, sizeof(*t->order));
    if (!t->params || !t->moving || !t->moving_before || !t->gradient || !t->order) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the parameters of the network");
    }
    return STATUS_OK;
}

static struct checkpoint_contents contents_of(struct trainer *t) {
    return (struct checkpoint_contents){
        .config = t->config,
        .kernels_name = t->options->kernels->name,
        .arithmetic = t->arithmetic,
        .winograd = trainer_uses_winograd(t->config, t->options->kernels),
        .net = &t->net,
        .params = t->params,
        .moving = t->moving,
        .optimizer = t->optimizer,
        .state = &t->state,
        .foreign = t->options->resume_foreign,
        .any_arithmetic = t->options->resume_any_arithmetic,
    };
}

static enum status open_state(struct trainer *t, struct error *error) {
    const struct trainer_options *o = t->options;
    trainer_arithmetic(t->config, o->kernels, t->arithmetic);
    t->state = train_state_begin();
    t->saved_epochs = -1;
    checkpoint_files_begin(&t->files, o->checkpoint_dir, o->resume_path);
    if (o->resume_path) {
        struct checkpoint_contents contents = contents_of(t);
        TRY(checkpoint_read(o->resume_path, o->resume_sha256, &contents, error));
        t->saved_epochs = t->state.epochs_done;
        t->saved_step = t->state.step;
    } else {
        resnet_init(&t->net, t->config->seed, t->params, t->moving);
    }
    train_state_validate_with(&t->state, t->n_test);
    return STATUS_OK;
}

static enum status trainer_open(struct trainer *t, struct error *error) {
    const struct trainer_options *o = t->options;
    TRY(run_config_check(t->config, error));
    TRY(resolve_sizes(t, error));
    TRY(resnet_plan_of(t->config, o->dataset->n_classes, &t->net, error));
    TRY(open_memory(t, error));
    TRY(optimizer_create(t->config, &t->net, &t->optimizer, error));
    TRY(team_create(&(struct team_options){o->n_threads, o->pin_threads}, &t->team, error));
    struct engine_options options = engine_options_of(t->config, o->kernels, &t->net, t->team);
    options.profile = o->profile;
    options.streamed = o->streamed;
    TRY(engine_create(&options, &t->engine, error));
    normaliser_make(&o->dataset->train, t->n_train, t->config->normalise, &t->normaliser);
    TRY(open_state(t, error));
    t->checkpoint_at_s = clock_monotonic_s(o->clock) + o->checkpoint_interval_s;
    return STATUS_OK;
}

int64_t trainer_memory_bytes(const struct run_config *config, const struct kernels *kernels,
                             int n_threads) {
    CLEANUP(free_pointer) struct resnet *net = malloc(sizeof(*net));
    if (!net || resnet_plan_of(config, RESNET_MAX_CLASSES, net, NULL) != STATUS_OK) {
        return 0;
    }
    const struct engine_options options = engine_options_of(config, kernels, net, NULL);
    int slots = config->optimizer == OPTIMIZER_ADAM ? 2 : 1;
    return engine_memory_bytes(&options, n_threads) +
           (int64_t)(net->n_params * sizeof(float)) * (2 + slots);
}

/* ---- checkpoints ---- */

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
static enum status write_checkpoint(struct trainer *t, bool best, struct error *error) {
    const struct trainer_options *o = t->options;
    bool saved = t->saved_epochs == t->state.epochs_done && t->saved_step == t->state.step;
    if (!o->checkpoint_dir || saved) {
        return STATUS_OK;
    }
    struct checkpoint_file file;
    struct checkpoint_contents contents = contents_of(t);
    TRY(checkpoint_file_name(&t->files, t->state.epochs_done, t->state.step, file.path, error));
    TRY(checkpoint_write(&contents, &file, error));
    TRY(report_checkpoint(t, best, &file, error));
    checkpoint_files_retire(&t->files, file.path, t->state.best_epoch);
    t->saved_epochs = t->state.epochs_done;
    t->saved_step = t->state.step;
    t->checkpoint_at_s = clock_monotonic_s(o->clock) + o->checkpoint_interval_s;
    return STATUS_OK;
}

static bool should_stop(const struct trainer *t) {
    return t->callbacks->should_stop && t->callbacks->should_stop(t->callbacks->user);
}

static bool stops_at_once(const struct trainer *t) {
    return t->callbacks->stops_at_once && t->callbacks->stops_at_once(t->callbacks->user);
}

/* Asked by the team within a step or a validation. */
static bool must_break_off(void *user) {
    struct trainer *t = user;
    if (!should_stop(t)) {
        return false;
    }
    double now = clock_monotonic_s(t->options->clock);
    t->asked_at_s = t->asked_at_s > 0 ? t->asked_at_s : now;
    return stops_at_once(t) || now - t->asked_at_s >= STEP_PATIENCE_S;
}

static bool is_checkpoint_due(const struct trainer *t) {
    const struct trainer_callbacks *c = t->callbacks;
    return clock_monotonic_s(t->options->clock) >= t->checkpoint_at_s ||
           (c->should_checkpoint && c->should_checkpoint(c->user));
}

static enum status stop(struct trainer *t, struct error *error) {
    if (!stops_at_once(t)) {
        TRY(write_checkpoint(t, false, error));
    }
    return error_set(error, STATUS_STOPPED, "stopped after epoch %d, step %d", t->state.epochs_done,
                     t->state.step);
}

/* ---- one step ---- */

/* Image b of the batch has its copies at b*M .. b*M+M-1. */
static void fill_piece(void *user, int piece, int member) {
    struct trainer *t = user;
    const struct image_set *set = &t->options->dataset->train;
    int n = t->n_train - t->batch_first;
    n = (n < t->config->batch_size ? n : t->config->batch_size) * t->config->m;
    int end = (piece + 1) * FILL_IMAGES < n ? (piece + 1) * FILL_IMAGES : n;
    for (int i = piece * FILL_IMAGES; i < end && team_goes_on(t->team, member); i++) {
        int image = t->order[t->batch_first + i / t->config->m];
        augment_train_image(t->config, &t->normaliser, set, t->state.epochs_done, image,
                            i % t->config->m,
                            engine_images(t->engine) + (size_t)i * ENGINE_IMAGE_FLOATS);
        engine_labels(t->engine)[i] = set->labels[image];
    }
}

/* Makes the batch of the current step; returns its images. */
static int fill_batch(struct trainer *t) {
    t->batch_first = t->state.step * t->config->batch_size;
    int n = t->n_train - t->batch_first;
    n = (n < t->config->batch_size ? n : t->config->batch_size) * t->config->m;
    team_run(t->team, fill_piece, t, (n + FILL_IMAGES - 1) / FILL_IMAGES);
    return n;
}

static double current_lr(const struct trainer *t) {
    double lr = run_schedule_lr(t->config, t->state.epochs_done);
    return t->config->lr_plateau ? plateau_lr(&t->state.plateau, lr) : lr;
}

/* Images and seconds of late: both fade with the same factor. The first step of a process, which
 * touches all memory for the first time, counts only until there is a second one. */
static void measure_speed(struct trainer *t, int n_images, double seconds) {
    double fade = t->n_measured > 1 ? exp(-seconds / SPEED_MEMORY_S) : 0.0;
    t->recent_images = t->recent_images * fade + n_images;
    t->recent_seconds = t->recent_seconds * fade + seconds;
    t->n_measured++;
    t->images_per_second = t->recent_images / fmax(t->recent_seconds, 1e-9);
}

static double eta_seconds(const struct trainer *t) {
    double per_epoch = (double)run_images_per_epoch(t->config, t->n_train);
    int epochs_left = t->config->epochs - t->state.epochs_done;
    double images = per_epoch * epochs_left - (double)t->state.images;
    return images / t->images_per_second + t->validation_seconds * epochs_left;
}

static enum status report_step(struct trainer *t, double lr, struct error *error) {
    if (!t->callbacks->on_step) {
        return STATUS_OK;
    }
    const struct step_report report = {
        .epoch = t->state.epochs_done + 1,
        .epochs = t->config->epochs,
        .step = t->state.step,
        .steps_per_epoch = t->steps_per_epoch,
        .loss = t->state.loss_sum / (double)t->state.images,
        .accuracy = (double)t->state.correct / (double)t->state.images,
        .lr = lr,
        .images_per_second = t->images_per_second,
        .eta_seconds = eta_seconds(t),
    };
    return t->callbacks->on_step(t->callbacks->user, &report, error);
}

/* The part of a step that may be broken off: up to here nothing but the moving statistics has
 * changed, which are set back. False: it was. */
static bool find_gradient(struct trainer *t, int *ret_n, struct engine_result *ret_result) {
    size_t n_bytes = t->net.n_moving * sizeof(*t->moving);
    memcpy(t->moving_before, t->moving, n_bytes);
    team_ask(t->team, must_break_off, t);
    *ret_n = fill_batch(t);
    t->filled_at_s = clock_monotonic_s(t->options->clock);
    engine_train(t->engine, *ret_n, t->params, t->moving, t->gradient, ret_result);
    team_ask(t->team, NULL, NULL);
    if (team_has_stopped(t->team)) {
        memcpy(t->moving, t->moving_before, n_bytes);
        return false;
    }
    return true;
}

static enum status train_step(struct trainer *t, struct error *error) {
    double start = clock_monotonic_s(t->options->clock);
    double lr = current_lr(t);
    int n = 0;
    step_profile_start(t->options->profile, t->team);
    struct engine_result result;
    if (!find_gradient(t, &n, &result)) {
        return stop(t, error);
    }
    double found_at_s = clock_monotonic_s(t->options->clock);
    double penalty = optimizer_step(t->optimizer, t->team, t->params, t->gradient, lr);
    t->state.step++;
    t->state.loss_sum += result.loss + penalty * n;
    t->state.cross_entropy_sum += result.loss;
    t->state.correct += result.correct;
    t->state.images += n;
    double end = clock_monotonic_s(t->options->clock);
    double seconds = end - start;
    t->state.train_seconds += seconds;
    step_profile_add(t->options->profile, t->team, n, t->filled_at_s - start, end - found_at_s,
                     seconds);
    measure_speed(t, n, seconds);
    return report_step(t, lr, error);
}

static enum status train_epoch(struct trainer *t, struct error *error) {
    epoch_order(t->config->seed, t->state.epochs_done, t->n_train, t->order);
    while (t->state.step < t->steps_per_epoch) {
        TRY(train_step(t, error));
        if (should_stop(t)) {
            return stop(t, error);
        }
        if (is_checkpoint_due(t)) {
            TRY(write_checkpoint(t, false, error));
        }
    }
    return STATUS_OK;
}

/* ---- validation ---- */

static uint8_t test_image(void *user, int index, float *ret_image) {
    const struct trainer *t = user;
    augment_test_image(&t->normaliser, &t->options->dataset->test, index, ret_image);
    return t->options->dataset->test.labels[index];
}

static enum status validate(struct trainer *t, struct epoch_report *ret_report,
                            struct error *error) {
    double start = clock_monotonic_s(t->options->clock);
    const struct train_state *s = &t->state;
    double loss = 0.0;
    int correct = 0;
    confusion_begin(&t->confusion, t->options->dataset);
    engine_evaluate_prepare(t->engine, t->params, t->moving);
    for (int first = 0; first < t->n_test; first += ENGINE_EVALUATE_MAX) {
        int n = t->n_test - first < ENGINE_EVALUATE_MAX ? t->n_test - first : ENGINE_EVALUATE_MAX;
        struct engine_result result;
        team_ask(t->team, must_break_off, t);
        engine_evaluate(t->engine, test_image, t, first, n, NULL, t->predicted, &result);
        team_ask(t->team, NULL, NULL);
        loss += result.loss;
        correct += result.correct;
        if (team_has_stopped(t->team) || should_stop(t)) {
            return stop(t, error);
        }
        confusion_add(&t->confusion, t->options->dataset->test.labels + first, t->predicted, n);
    }
    t->validation_seconds = clock_monotonic_s(t->options->clock) - start;
    *ret_report = (struct epoch_report){
        .epoch = s->epochs_done + 1,
        .train_loss = s->loss_sum / (double)s->images,
        .train_accuracy = (double)s->correct / (double)s->images,
        .val_loss = loss / t->n_test + optimizer_penalty(t->optimizer, t->params),
        .val_accuracy = (double)correct / t->n_test,
        .val_wrong = t->n_test - correct,
        .val_total = t->n_test,
        .lr = current_lr(t),
        .seconds = s->train_seconds + t->validation_seconds,
        .images_per_second = (double)s->images / fmax(s->train_seconds, 1e-9),
        .images = s->images,
        .steps = s->step,
        .best = s->best_epoch == 0 || t->n_test - correct < s->best_wrong,
    };
    ret_report->diverged =
        train_state_has_diverged(s, t->net.n_classes, ret_report->train_loss, ret_report->val_loss);
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

static enum status run_epochs(struct trainer *t, struct error *error) {
    TRY(check_finite(t, error));
    while (t->state.epochs_done < t->config->epochs) {
        struct epoch_report report;
        TRY(train_epoch(t, error));
        TRY(validate(t, &report, error));
        if (t->callbacks->on_epoch) {
            TRY(t->callbacks->on_epoch(t->callbacks->user, &report, error));
        }
        train_state_next_epoch(&t->state, report.val_loss, report.best ? report.val_wrong : -1,
                               report.diverged);
        TRY(write_checkpoint(t, report.best, error));
        TRY(check_finite(t, error));
    }
    return STATUS_OK;
}

enum status trainer_run(const struct trainer_options *options,
                        const struct trainer_callbacks *callbacks,
                        struct trainer_result *ret_result, struct error *error) {
    CLEANUP(close_trainer) struct trainer *t = calloc(1, sizeof(*t));
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
    };
    return status;
}
