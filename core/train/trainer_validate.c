/* Validation after an epoch, and what is reported of it. Layer: core/train. */
#include "core/train/trainer_internal.h"

#include <math.h>

static uint8_t test_image(void *user, int index, float *ret_image) {
    const struct trainer *t = user;
    augment_test_image(&t->normaliser, &t->options->dataset->test, index, ret_image);
    return t->options->dataset->test.labels[index];
}

static uint8_t mirrored_image(void *user, int index, float *ret_image) {
    uint8_t label = test_image(user, index, ret_image);
    augment_mirror(ret_image);
    return label;
}

/* What one look at all test images has found. */
struct look {
    double loss;
    int correct;
    int tta_correct; /* together with the mirror images */
};

/* By the sum of the logits of image and mirror image; the first of equal ones. */
static int count_tta_correct(const struct trainer *t, int first, int n) {
    const int n_classes = t->net.n_classes;
    int correct = 0;
    for (int i = 0; i < n; i++) {
        const float *a = t->logits[0] + (size_t)i * (size_t)n_classes;
        const float *b = t->logits[1] + (size_t)i * (size_t)n_classes;
        int best = 0;
        for (int j = 1; j < n_classes; j++) {
            best = a[j] + b[j] > a[best] + b[best] ? j : best;
        }
        correct += best == t->options->dataset->test.labels[first + i];
    }
    return correct;
}

/* The images from `first` on by the parameters that are prepared. */
static void look_at(struct trainer *t, int first, int n, bool mirror, struct look *look) {
    struct engine_result result;
    team_ask(t->team, trainer_must_break_off, t);
    engine_evaluate(t->engine, test_image, t, first, n, mirror ? t->logits[0] : NULL, t->predicted,
                    &result);
    look->loss += result.loss;
    look->correct += result.correct;
    if (mirror && !team_has_stopped(t->team)) {
        engine_evaluate(t->engine, mirrored_image, t, first, n, t->logits[1], NULL, &result);
        look->tta_correct += count_tta_correct(t, first, n);
    }
    team_ask(t->team, NULL, NULL);
}

/* confusion: NULL, or what is filled. STATUS_STOPPED: it was broken off. */
static enum status look_at_all(struct trainer *t, const float *params, const float *moving,
                               bool mirror, struct confusion *confusion, struct look *ret_look,
                               struct error *error) {
    const struct dataset *dataset = t->options->dataset;
    *ret_look = (struct look){0};
    engine_evaluate_prepare(t->engine, params, moving);
    for (int first = 0; first < t->n_test; first += ENGINE_EVALUATE_MAX) {
        int n = t->n_test - first < ENGINE_EVALUATE_MAX ? t->n_test - first : ENGINE_EVALUATE_MAX;
        look_at(t, first, n, mirror, ret_look);
        if (team_has_stopped(t->team) || trainer_should_stop(t)) {
            return trainer_stop(t, error);
        }
        if (confusion) {
            confusion_add(confusion, dataset->test.labels + first, t->predicted, n);
        }
    }
    return STATUS_OK;
}

/* The learning rate of the epoch's last step. */
static double last_lr(const struct trainer *t) {
    const struct train_state *s = &t->state;
    double lr = run_step_lr(t->config, s->epochs_done, s->step - 1, t->steps_per_epoch);
    return t->config->lr_plateau ? plateau_lr(&s->plateau, lr) : lr;
}

static void report(const struct trainer *t, const struct look *look, const struct look *by_ema,
                   struct epoch_report *ret_report) {
    const struct train_state *s = &t->state;
    *ret_report = (struct epoch_report){
        .epoch = s->epochs_done + 1,
        .train_loss = s->loss_sum / (double)s->images,
        .train_accuracy = (double)s->correct / (double)s->images,
        .val_loss = look->loss / t->n_test + optimizer_penalty(t->optimizer, t->params),
        .val_accuracy = (double)look->correct / t->n_test,
        .val_wrong = t->n_test - look->correct,
        .val_total = t->n_test,
        .lr = last_lr(t),
        .seconds = s->train_seconds + t->validation_seconds,
        .images_per_second = (double)s->images / fmax(s->train_seconds, 1e-9),
        .images = s->images,
        .steps = s->step,
        .best = s->best_epoch == 0 || t->n_test - look->correct < s->best_wrong,
    };
    if (t->config->tta == TTA_MIRROR) {
        ret_report->tta_total = t->n_test;
        ret_report->tta_wrong = t->n_test - look->tta_correct;
    }
    if (t->ema.params) {
        ret_report->ema_total = t->n_test;
        ret_report->ema_wrong = t->n_test - by_ema->correct;
    }
    ret_report->diverged =
        train_state_has_diverged(s, t->net.n_classes, ret_report->train_loss, ret_report->val_loss);
}

enum status trainer_validate(struct trainer *t, struct epoch_report *ret_report,
                             struct error *error) {
    double start = clock_monotonic_s(t->options->clock);
    struct look look;
    struct look by_ema = {0};
    confusion_begin(&t->confusion, t->options->dataset);
    TRY(look_at_all(t, t->params, t->moving, t->config->tta == TTA_MIRROR, &t->confusion, &look,
                    error));
    if (t->ema.params) {
        TRY(look_at_all(t, t->ema.params, t->ema.moving, false, NULL, &by_ema, error));
    }
    t->validation_seconds = clock_monotonic_s(t->options->clock) - start;
    report(t, &look, &by_ema, ret_report);
    return STATUS_OK;
}
