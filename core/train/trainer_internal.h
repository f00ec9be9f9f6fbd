/* What the files of the trainer share. Layer: core/train; nobody else includes this.
 *
 * Who calls whom: trainer.c -> trainer_open.c, trainer_step.c, trainer_validate.c, trainer_save.c;
 * these -> trainer_save.c.
 */
#ifndef CUTOUTD_CORE_TRAIN_TRAINER_INTERNAL_H
#define CUTOUTD_CORE_TRAIN_TRAINER_INTERNAL_H

#include "core/data/augment.h"
#include "core/nn/engine.h"
#include "core/train/checkpoint.h"
#include "core/train/checkpoint_files.h"
#include "core/train/ema.h"
#include "core/train/optimizer.h"
#include "core/train/trainer.h"

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
    float *moving_unused; /* what choosing the hardest would have made of it */
    double *losses;       /* [a batch] of the instances, where only the hardest go backward */
    int *hardest;         /* likewise */
    struct ema ema;
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
    float logits[2][ENGINE_EVALUATE_MAX *
                    RESNET_MAX_CLASSES]; /* of images and of their mirror images */
};

/* trainer_open.c: everything of *trainer but options, callbacks and config, which are set. What was
 * taken is freed by trainer_close, also after a failure. */
enum status trainer_open(struct trainer *trainer, struct error *error);
void trainer_close(struct trainer **trainer);

/* trainer_step.c: one step, and its report. STATUS_STOPPED: it was broken off, and nothing of it is
 * left. */
enum status trainer_step(struct trainer *trainer, struct error *error);

/* trainer_validate.c: the epoch whose steps are done. STATUS_STOPPED: it was broken off. */
enum status trainer_validate(struct trainer *trainer, struct epoch_report *ret_report,
                             struct error *error);

/* trainer_save.c: what a checkpoint holds of this run. */
struct checkpoint_contents trainer_contents(struct trainer *trainer);

/* trainer_save.c: writes the state to a new file and reports it. `best`: it is that of the best
 * epoch. A state that is on the disk already is not written again. */
enum status trainer_save(struct trainer *trainer, bool best, struct error *error);

/* trainer_save.c: whether a checkpoint inside of an epoch is due or asked for. */
bool trainer_save_is_due(const struct trainer *trainer);

/* trainer_save.c: whether the run is asked to end. */
bool trainer_should_stop(const struct trainer *trainer);

/* trainer_save.c: asked by the team within a step or a validation: whether to give it up. */
bool trainer_must_break_off(void *user_trainer);

/* trainer_save.c: ends the run, with a checkpoint unless it must end at once. STATUS_STOPPED, or
 * why the checkpoint could not be written. */
enum status trainer_stop(struct trainer *trainer, struct error *error);

#endif
