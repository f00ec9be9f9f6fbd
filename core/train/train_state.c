/* Layer: core/train. */
#include "core/train/train_state.h"

#include <math.h>

#include "core/train/trainer.h"

enum { PLATEAU_PATIENCE = 5 };
static const double PLATEAU_FACTOR = 0.31622776601683794; /* sqrt(0.1) */
static const double PLATEAU_MIN_DELTA = 1e-4;
static const double PLATEAU_MIN_LR = 0.5e-6;

/* So many times the cross-entropy of guessing, ln(classes): no run that learns is there over a
 * whole epoch. */
static const double DIVERGED_FACTOR = 10.0;

struct train_state train_state_begin(void) {
    return (struct train_state){.plateau = {.scale = 1.0, .best = HUGE_VAL}};
}

void train_state_validate_with(struct train_state *s, int test_images) {
    if (s->test_images > 0 && s->test_images != test_images) {
        s->best_epoch = 0;
        s->best_wrong = 0;
        s->epochs_without_best = 0;
        s->plateau.best = HUGE_VAL;
        s->plateau.wait = 0;
    }
    s->test_images = test_images;
}

void train_state_take_over(struct train_state *s) {
    s->own_epochs = 0;
    s->epochs_without_best = 0;
    s->own_seconds = 0.0;
}

void train_state_next_epoch(struct train_state *s, const struct epoch_report *report) {
    s->epochs_done++;
    s->own_epochs++;
    s->own_seconds += report->seconds;
    s->diverged = s->diverged || report->diverged;
    s->last_wrong = report->val_wrong;
    s->epochs_without_best++;
    plateau_update(&s->plateau, report->val_loss);
    if (report->best) {
        s->best_epoch = s->epochs_done;
        s->best_wrong = report->val_wrong;
        s->epochs_without_best = 0;
    }
    s->step = 0;
    s->loss_sum = 0.0;
    s->cross_entropy_sum = 0.0;
    s->correct = 0;
    s->images = 0;
    s->train_seconds = 0.0;
}

bool train_state_has_diverged(const struct train_state *s, int n_classes, double train_loss,
                              double val_loss) {
    return !isfinite(train_loss) || !isfinite(val_loss) ||
           s->cross_entropy_sum / (double)s->images > DIVERGED_FACTOR * log(n_classes);
}

void plateau_update(struct plateau *plateau, double val_loss) {
    if (val_loss < plateau->best - PLATEAU_MIN_DELTA) {
        plateau->best = val_loss;
        plateau->wait = 0;
        return;
    }
    if (++plateau->wait >= PLATEAU_PATIENCE) {
        plateau->scale *= PLATEAU_FACTOR;
        plateau->wait = 0;
    }
}

double plateau_lr(const struct plateau *plateau, double lr) {
    return fmin(lr, fmax(lr * plateau->scale, PLATEAU_MIN_LR));
}
