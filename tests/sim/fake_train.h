/* A trainer that trains nothing: its metrics are a hash of (run, epoch), its checkpoints are real
 * files. It keeps the order of core/train/trainer.c: step, epoch, checkpoint, older files. */
#ifndef CUTOUTD_TESTS_SIM_FAKE_TRAIN_H
#define CUTOUTD_TESTS_SIM_FAKE_TRAIN_H

#include "core/train/checkpoint_files.h"
#include "core/train/trainer.h"

/* What a checkpoint holds. */
struct fake_state {
    uint64_t seed;
    int epochs_done;
    int step;
    int best_epoch;
    int best_wrong;
};

/* The next epoch is done: returns its report and moves the state on. */
struct epoch_report fake_epoch(struct fake_state *state);

/* Writes a checkpoint as trainer.c does. Statuses of safetensors_write. */
enum status fake_checkpoint_write(const struct checkpoint_files *files,
                                  const struct fake_state *state, struct checkpoint_file *ret_file,
                                  struct error *error);

/* Statuses of safetensors_read. */
enum status fake_checkpoint_read(const char *path, const char *sha256, struct fake_state *ret_state,
                                 struct error *error);

/* As trainer_run: for struct executor_local. */
enum status fake_train(const struct trainer_options *options,
                       const struct trainer_callbacks *callbacks, struct trainer_result *ret_result,
                       struct error *error);

/* The runs that are in fake_train at this moment: index 0 ..; 0: no more. */
int64_t fake_train_active(int index);

/* A new process trains nothing. */
void fake_train_reset(void);

#endif
