/* One step: the batch is made, its gradient found, the parameters moved. Layer: core/train. */
#include "core/train/trainer_internal.h"

#include <math.h>
#include <string.h>

enum { FILL_IMAGES = 8 }; /* images one piece of work makes */

static const double SPEED_MEMORY_S = 10.0;

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

double trainer_lr(const struct trainer *t) {
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
    double seconds = images / t->images_per_second + t->validation_seconds * epochs_left;
    return fmin(seconds,
                stop_rule_seconds_left(&t->config->stop, &t->state, t->state.train_seconds));
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
    team_ask(t->team, trainer_must_break_off, t);
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

enum status trainer_step(struct trainer *t, struct error *error) {
    double start = clock_monotonic_s(t->options->clock);
    double lr = trainer_lr(t);
    int n = 0;
    step_profile_start(t->options->profile, t->team);
    struct engine_result result;
    if (!find_gradient(t, &n, &result)) {
        return trainer_stop(t, error);
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
