/* Layer: core/train. */
#include "core/train/stop_rule.h"

#include <math.h>
#include <stdio.h>

const char *stop_rule_name(enum stop_rule rule) {
    static const char *const names[N_STOP_RULES] = {
        [STOP_NONE] = "",
        [STOP_VAL_ERROR] = "val_error",
        [STOP_PATIENCE] = "patience",
        [STOP_MAX_SECONDS] = "max_seconds",
    };
    return names[rule];
}

/* The quotient that comparisons and the API show, so that equal numbers are equal. */
static double last_error(const struct train_state *s) {
    return (double)s->last_wrong / s->test_images;
}

enum stop_rule stop_rule_find(const struct run_stop *stop, const struct train_state *state) {
    if (state->own_epochs == 0) {
        return STOP_NONE;
    }
    if (stop->val_error > 0 && last_error(state) <= stop->val_error) {
        return STOP_VAL_ERROR;
    }
    if (stop->patience > 0 && state->epochs_without_best >= stop->patience) {
        return STOP_PATIENCE;
    }
    if (stop->max_seconds > 0 && state->own_seconds >= stop->max_seconds) {
        return STOP_MAX_SECONDS;
    }
    return STOP_NONE;
}

void stop_rule_say(enum stop_rule rule, const struct run_stop *stop,
                   const struct train_state *state, char *text, size_t size) {
    text[0] = '\0';
    switch (rule) {
    case STOP_VAL_ERROR:
        (void)snprintf(text, size,
                       "stopped after epoch %d: its validation error of %.5g is not above the "
                       "target of %.5g",
                       state->epochs_done, last_error(state), stop->val_error);
        break;
    case STOP_PATIENCE:
        (void)snprintf(text, size,
                       "stopped after epoch %d: %d epoch%s in a row had no fewer wrong images than "
                       "the best before them",
                       state->epochs_done, state->epochs_without_best,
                       state->epochs_without_best == 1 ? "" : "s");
        break;
    case STOP_MAX_SECONDS:
        (void)snprintf(text, size, "stopped after epoch %d: it has trained %.0f of %.15g seconds",
                       state->epochs_done, state->own_seconds, stop->max_seconds);
        break;
    case STOP_NONE:
    case N_STOP_RULES:
        break;
    }
}

double stop_rule_seconds_left(const struct run_stop *stop, const struct train_state *state,
                              double epoch_seconds) {
    return stop->max_seconds > 0 ? fmax(stop->max_seconds - state->own_seconds - epoch_seconds, 0.0)
                                 : (double)INFINITY;
}
