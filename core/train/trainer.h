/* Trains one run from its beginning or from a checkpoint, reporting through callbacks.
 *
 * Layer: core/train. Thread rule: trainer_run is called by one thread, which becomes member 0 of
 * the team; every callback is called on that thread, all but should_stop between steps.
 *
 * Knows no database and no HTTP; its caller does.
 */
#ifndef CUTOUTD_CORE_TRAIN_TRAINER_H
#define CUTOUTD_CORE_TRAIN_TRAINER_H

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/sha256.h"
#include "core/config/run_config.h"
#include "core/data/dataset.h"
#include "core/kernels/kernels.h"
#include "core/nn/arithmetic.h"
#include "core/nn/step_profile.h"
#include "core/train/confusion.h"
#include "core/train/stop_rule.h"

/* After each step. Epochs are counted from 1 here and in every other report, as users see them. */
struct step_report {
    int epoch;
    int epochs;
    int step; /* steps of this epoch that are done */
    int steps_per_epoch;
    double loss;     /* running mean of this epoch, L2 included */
    double accuracy; /* running mean of this epoch */
    double lr;
    double images_per_second; /* training speed of late, smoothed over seconds, not steps */
    double eta_seconds;       /* to the end of the run, from that speed and stop.max_seconds */
};

/* After each epoch, validation included. Losses may be NaN or infinite: the run diverged. */
struct epoch_report {
    int epoch; /* from 1 */
    double train_loss;
    double train_accuracy;
    double val_loss;
    double val_accuracy;
    int val_wrong;
    int val_total;
    double lr;
    double seconds;           /* training and validation of this epoch, summed over interruptions */
    double images_per_second; /* training images (all copies) a second of training time */
    bool diverged;  /* a loss is not finite, or the training cross-entropy above 10 ln(classes) */
    bool best;      /* fewer wrong than in every epoch before that had as many images */
    int64_t images; /* all copies counted */
    int steps;
    int tta_wrong; /* of tta_total images, each seen together with its mirror image */
    int tta_total; /* 0: that was not asked for, as the next */
    int ema_wrong; /* of ema_total images, by the average of the weights */
    int ema_total;
    enum stop_rule stopped_by; /* the run ends with this epoch; STOP_NONE: it goes on, or ends here
                                  anyway */
};

enum checkpoint_kind { CHECKPOINT_LAST, CHECKPOINT_BEST };

/* A file is always the last one. What belongs together is one report, so that whoever keeps the
 * books knows all of it or nothing. */
struct checkpoint_report {
    bool best;          /* it is that of the best epoch so far as well */
    const char *path;   /* valid during the call */
    const char *sha256; /* hex; valid during the call */
    int64_t n_bytes;
    int epochs_done;                   /* whole epochs in it */
    int step;                          /* steps of the next epoch in it */
    const struct confusion *confusion; /* of the validation, with `best`; valid during the call */
};

/* Any callback may be NULL. One that returns a status other than STATUS_OK ends the run with it;
 * what was checkpointed before stays valid. */
struct trainer_callbacks {
    void *user;
    enum status (*on_step)(void *user, const struct step_report *report, struct error *error);
    /* Before the checkpoint of that epoch is written, so a crash in between repeats the epoch and
     * reports it again, with the same numbers (seconds aside). */
    enum status (*on_epoch)(void *user, const struct epoch_report *report, struct error *error);
    /* After the file is durable under its final name. */
    enum status (*on_checkpoint)(void *user, const struct checkpoint_report *report,
                                 struct error *error);
    /* Asked many times within each step and validation, and after each step; true: the step under
     * way is finished if it does so within three seconds and given up otherwise, a validation is
     * given up, a checkpoint is written, and STATUS_STOPPED returned. Once true it must stay so. */
    bool (*should_stop)(void *user);
    /* Asked when should_stop said true; true: give up what is under way and return STATUS_STOPPED
     * without writing a checkpoint. */
    bool (*stops_at_once)(void *user);
    /* Asked after each step; true: write a checkpoint now, and go on. */
    bool (*should_checkpoint)(void *user);
};

struct trainer_options {
    const struct run_config *config;
    const struct dataset *dataset;
    const struct kernels *kernels;
    const struct clock *clock;
    int n_threads;                /* 1 .. 64 */
    bool pin_threads;             /* core/team/team.h */
    const char *checkpoint_dir;   /* exists; NULL: write no checkpoints */
    double checkpoint_interval_s; /* inside an epoch; 0: after every step (tests) */
    /* A checkpoint file to go on from, or NULL to start anew. Its config must agree with `config`
     * in every field that the result depends on, and its arithmetic with that of `kernels`. */
    const char *resume_path;
    bool resume_foreign;          /* it may be of a run with other settings of the same network */
    bool resume_any_arithmetic;   /* it may be of another arithmetic (core/nn/arithmetic.h) */
    const char *resume_sha256;    /* what its digest must be; NULL: not checked */
    struct step_profile *profile; /* gets the times of the steps; NULL: none */
    bool streamed;                /* core/nn/engine.h */
};

struct trainer_result {
    int epochs_done;
    int best_epoch; /* from 1; 0: none yet */
    int best_wrong;
    bool diverged;             /* an epoch was */
    enum stop_rule stopped_by; /* STOP_NONE: it ran its epochs, or did not end */
    char reason[160];          /* of stopped_by, for people; "" for STOP_NONE */
};

/* STATUS_OK: all epochs are done, or a rule of config->stop holds. STATUS_STOPPED: should_stop said
 * so; the last checkpoint holds the exact state, unless stops_at_once said true. STATUS_CORRUPT:
 * resume_path is damaged or belongs to another config (nothing was trained; the caller may try the
 * checkpoint before it). STATUS_DIVERGED: an epoch diverged and stop_on_nan is set.
 * STATUS_NO_MEMORY, STATUS_IO, STATUS_NO_SPACE: *error says what to do; the checkpoints on disk are
 * intact. */
enum status trainer_run(const struct trainer_options *options,
                        const struct trainer_callbacks *callbacks,
                        struct trainer_result *ret_result, struct error *error);

/* Whether the run's stride-1 3x3 convolutions use Winograd's algorithm with these kernels. */
bool trainer_uses_winograd(const struct run_config *config, const struct kernels *kernels);

/* The name of the bits that the run has with these kernels (core/nn/arithmetic.h). */
static inline void trainer_arithmetic(const struct run_config *config,
                                      const struct kernels *kernels,
                                      char ret_text[ARITHMETIC_TEXT_SIZE]) {
    engine_arithmetic(kernels, trainer_uses_winograd(config, kernels),
                      config->activations == ACTIVATIONS_BF16, ret_text);
}

/* Bytes that training this run takes at its peak, data set excluded, on n_threads threads.
 * n_classes: of its data set; 0: unknown, the most that there may be. 0: without memory. */
int64_t trainer_memory_bytes(const struct run_config *config, int n_classes,
                             const struct kernels *kernels, int n_threads);

#endif
