/* Where a run stands, parameters aside: everything that a checkpoint must hold so that the rest of
 * the run has the same bits.
 *
 * Layer: core/train. Thread rule: plain values.
 */
#ifndef CUTOUTD_CORE_TRAIN_TRAIN_STATE_H
#define CUTOUTD_CORE_TRAIN_TRAIN_STATE_H

#include <stdbool.h>
#include <stdint.h>

/* ReduceLROnPlateau on the validation loss, as in Keras: factor sqrt(0.1), patience 5, an
 * improvement counts from 1e-4 on. */
struct plateau {
    double scale; /* of the learning rate; 1 at first */
    double best;  /* lowest validation loss so far */
    int wait;     /* epochs without improvement */
};

struct train_state {
    int epochs_done; /* whole epochs, validation included */
    int step;        /* steps done of the next one; all of them: its validation is pending */
    /* Sums over the images of the epoch under way. */
    double loss_sum;          /* L2 included */
    double cross_entropy_sum; /* without; NaN: an older checkpoint did not say */
    int64_t correct;
    int64_t images;
    double train_seconds;
    struct plateau plateau;
    int best_epoch; /* from 1; 0: none yet */
    int best_wrong;
    bool diverged;
    int test_images; /* of validation, so far; 0: an older checkpoint did not say */
    /* Of the epochs that this run trained itself; an older checkpoint did not say: then from it on.
     */
    int own_epochs;
    int epochs_without_best; /* the last so many */
    int last_wrong;          /* of the last one; valid with own_epochs > 0 */
    double own_seconds;      /* training and validation */
};

struct epoch_report;

struct train_state train_state_begin(void);

/* From now on validation has so many images. What was best with another number of them says nothing
 * about these: best epoch and plateau begin anew; the learning rate stays as low as it is. */
void train_state_validate_with(struct train_state *state, int test_images);

/* The state is one that another run has come to: nothing of it was trained by this one. */
void train_state_take_over(struct train_state *state);

/* From the end of an epoch, which was reported, to the beginning of the next. */
void train_state_next_epoch(struct train_state *state, const struct epoch_report *report);

/* Of the epoch whose sums the state holds: a loss is not finite, or the mean training cross-entropy
 * is above 10 ln(classes). */
bool train_state_has_diverged(const struct train_state *state, int n_classes, double train_loss,
                              double val_loss);

/* Takes an epoch's validation loss into account. */
void plateau_update(struct plateau *plateau, double val_loss);

/* lr * scale, not below 0.5e-6 (but never above lr). */
double plateau_lr(const struct plateau *plateau, double lr);

#endif
