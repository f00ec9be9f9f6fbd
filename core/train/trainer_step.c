/* One step: the batch is made, its gradient found, the parameters moved. Layer: core/train. */
#include "core/train/trainer_internal.h"

#include <math.h>
#include <string.h>

#include "core/train/hardest.h"

enum { FILL_IMAGES = 8 }; /* images one piece of work makes */

static const double SPEED_MEMORY_S = 10.0;

/* Of the batch that begins at batch_first, all copies counted. */
static int batch_images(const struct trainer *t) {
    int n_sources = run_batch_sources(t->config);
    int rest = t->n_train - t->batch_first;
    return (rest < n_sources ? rest : n_sources) * t->config->m;
}

/* Image b of the batch has its copies at b*M .. b*M+M-1. */
static void fill_piece(void *user, int piece, int member) {
    struct trainer *t = user;
    const struct image_set *set = &t->options->dataset->train;
    int n = batch_images(t);
    int end = (piece + 1) * FILL_IMAGES < n ? (piece + 1) * FILL_IMAGES : n;
    for (int i = piece * FILL_IMAGES; i < end && team_goes_on(t->team, member); i++) {
        int image = t->order[t->batch_first + i / t->config->m];
        struct other_label other;
        augment_train_instance(t->config, &t->normaliser, set, t->n_train, t->state.epochs_done,
                               image, i % t->config->m,
                               engine_images(t->engine) + (size_t)i * ENGINE_IMAGE_FLOATS, &other);
        engine_labels(t->engine)[i] = set->labels[image];
        engine_others(t->engine)[i] =
            (struct engine_other){.share = other.share, .label = other.label};
    }
}

/* Makes the batch of the current step; returns its images. */
static int fill_batch(struct trainer *t) {
    t->batch_first = t->state.step * run_batch_sources(t->config);
    int n = batch_images(t);
    team_run(t->team, fill_piece, t, (n + FILL_IMAGES - 1) / FILL_IMAGES);
    return n;
}

static double current_lr(const struct trainer *t) {
    double lr = run_step_lr(t->config, t->state.epochs_done, t->state.step, t->steps_per_epoch);
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

/* Leaves the hardest of the batch's n images in its first places; returns how many these are.
 * *ret_result is that of all. */
static int choose_hardest(struct trainer *t, int n, struct engine_result *ret_result) {
    int n_chosen = hardest_count(n, t->config->backward_share);
    memcpy(t->moving_unused, t->moving, t->net.n_moving * sizeof(*t->moving));
    engine_losses(t->engine, n, t->params, t->moving_unused, t->losses, ret_result);
    hardest_choose(t->losses, n, n_chosen, t->hardest);
    float *images = engine_images(t->engine);
    for (int i = 0; i < n_chosen; i++) {
        size_t from = (size_t)t->hardest[i]; /* not before i */
        memmove(images + (size_t)i * ENGINE_IMAGE_FLOATS, images + from * ENGINE_IMAGE_FLOATS,
                ENGINE_IMAGE_FLOATS * sizeof(*images));
        engine_labels(t->engine)[i] = engine_labels(t->engine)[from];
        engine_others(t->engine)[i] = engine_others(t->engine)[from];
    }
    return n_chosen;
}

/* Loss and accuracy are those of all images of the batch, also where only some go backward. */
static void train_batch(struct trainer *t, int n, struct engine_result *ret_result) {
    struct engine_result of_hardest;
    if (t->config->backward_share < 1) {
        n = choose_hardest(t, n, ret_result);
        if (!team_has_stopped(t->team)) {
            engine_train(t->engine, n, t->params, t->moving, t->gradient, &of_hardest);
        }
    } else {
        engine_train(t->engine, n, t->params, t->moving, t->gradient, ret_result);
    }
}

/* The part of a step that may be broken off: up to here nothing but the moving statistics has
 * changed, which are set back. False: it was. */
static bool find_gradient(struct trainer *t, int *ret_n, struct engine_result *ret_result) {
    size_t n_bytes = t->net.n_moving * sizeof(*t->moving);
    memcpy(t->moving_before, t->moving, n_bytes);
    team_ask(t->team, trainer_must_break_off, t);
    *ret_n = fill_batch(t);
    t->filled_at_s = clock_monotonic_s(t->options->clock);
    train_batch(t, *ret_n, ret_result);
    team_ask(t->team, NULL, NULL);
    if (team_has_stopped(t->team)) {
        memcpy(t->moving, t->moving_before, n_bytes);
        return false;
    }
    return true;
}

enum status trainer_step(struct trainer *t, struct error *error) {
    double start = clock_monotonic_s(t->options->clock);
    double lr = current_lr(t);
    int n = 0;
    step_profile_start(t->options->profile, t->team);
    struct engine_result result;
    if (!find_gradient(t, &n, &result)) {
        return trainer_stop(t, error);
    }
    double found_at_s = clock_monotonic_s(t->options->clock);
    double penalty = optimizer_step(t->optimizer, t->team, t->params, t->gradient, lr);
    ema_step(&t->ema, &t->net, t->config->ema, t->params, t->moving);
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
