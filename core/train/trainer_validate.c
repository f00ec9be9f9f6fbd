/* Validation after an epoch, and what is reported of it. Layer: core/train. */
#include "core/train/trainer_internal.h"

#include <math.h>

static uint8_t test_image(void *user, int index, float *ret_image) {
    const struct trainer *t = user;
    augment_test_image(&t->normaliser, &t->options->dataset->test, index, ret_image);
    return t->options->dataset->test.labels[index];
}

enum status trainer_validate(struct trainer *t, struct epoch_report *ret_report,
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
        team_ask(t->team, trainer_must_break_off, t);
        engine_evaluate(t->engine, test_image, t, first, n, NULL, t->predicted, &result);
        team_ask(t->team, NULL, NULL);
        loss += result.loss;
        correct += result.correct;
        if (team_has_stopped(t->team) || trainer_should_stop(t)) {
            return trainer_stop(t, error);
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
        .lr = trainer_lr(t),
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
