/* Layer: core/train. */
#include "core/train/train_state.h"

#include <math.h>

enum { PLATEAU_PATIENCE = 5 };
static const double PLATEAU_FACTOR = 0.31622776601683794; /* sqrt(0.1) */
static const double PLATEAU_MIN_DELTA = 1e-4;
static const double PLATEAU_MIN_LR = 0.5e-6;

struct train_state train_state_begin(void) {
    return (struct train_state){.plateau = {.scale = 1.0, .best = HUGE_VAL}};
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
