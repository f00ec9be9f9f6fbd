/* What a checkpoint holds, and its way to a safetensors file and back.
 *
 * Layer: core/train. Thread rule: one thread at a time for the same contents.
 *
 * Tensors are named as in Keras' summary ("conv2d_17/kernel", HWIO), optimizer slots
 * "optimizer/v/conv2d_17/kernel". The metadata hold the state of the run and a fingerprint of
 * everything its bits depend on; numbers that must come back exactly are hexadecimal.
 */
#ifndef CUTOUTD_CORE_TRAIN_CHECKPOINT_H
#define CUTOUTD_CORE_TRAIN_CHECKPOINT_H

#include "core/base/sha256.h"
#include "core/config/run_config.h"
#include "core/nn/resnet.h"
#include "core/train/ema.h"
#include "core/train/optimizer.h"
#include "core/train/train_state.h"

struct checkpoint_contents {
    const struct run_config *config;
    const char *kernels_name;
    bool winograd;
    const char *arithmetic; /* of these kernels (core/nn/arithmetic.h) */
    const struct resnet *net;
    float *params;  /* [n_params] */
    float *moving;  /* [n_moving] */
    struct ema ema; /* as "ema/conv2d_17/kernel"; without params: none */
    struct optimizer *optimizer;
    struct train_state *state;
    bool foreign; /* read what a run of other settings wrote; network and optimizer must agree */
    bool any_arithmetic; /* read what was trained with another */
};

enum { CHECKPOINT_PATH_SIZE = 4096 };

struct checkpoint_file {
    char path[CHECKPOINT_PATH_SIZE];
    char sha256[SHA256_HEX_SIZE];
    int64_t n_bytes;
};

/* Writes to file->path, durably and all or nothing, and sets the other two fields. STATUS_IO,
 * STATUS_NO_SPACE, STATUS_NO_MEMORY: no file of that name was made or changed. */
enum status checkpoint_write(const struct checkpoint_contents *contents,
                             struct checkpoint_file *file, struct error *error);

/* About how many bytes of the disk one takes, rather too many than too few; 0: without memory.
 * n_classes: of the run's data set; 0: unknown, the most that there may be. */
int64_t checkpoint_bytes(const struct run_config *config, int n_classes);

/* Fills params, moving, the average (from params and moving, if the file is of a run of other
 * settings and has none), the optimizer's slots and the state. sha256 may be NULL.
 * STATUS_NOT_FOUND, STATUS_IO, or STATUS_CORRUPT when the file is damaged, lacks a tensor or
 * belongs to a run with another config or arithmetic; then the contents may be partly overwritten.
 * A file of before arithmetics had names is of another. */
enum status checkpoint_read(const char *path, const char *sha256,
                            struct checkpoint_contents *contents, struct error *error);

#endif
