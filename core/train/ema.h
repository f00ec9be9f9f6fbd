/* A moving average of weights and moving statistics, which is validated beside them.
 *
 * Layer: core/train. Thread rule: one thread at a time for the same average.
 */
#ifndef CUTOUTD_CORE_TRAIN_EMA_H
#define CUTOUTD_CORE_TRAIN_EMA_H

#include "core/config/run_config.h"
#include "core/nn/resnet.h"

struct ema {
    float *params; /* [n_params], aligned to 64 bytes; NULL: the run has none */
    float *moving; /* [n_moving], likewise */
};

/* Without numbers yet (ema_begin, or a checkpoint's). STATUS_NO_MEMORY. */
enum status ema_open(const struct run_config *config, const struct resnet *net, struct ema *ret_ema,
                     struct error *error);
void ema_close(struct ema *ema);

/* Bytes of it; 0: the run has none. */
int64_t ema_bytes(const struct run_config *config, const struct resnet *net);

/* It begins as what it shall average. Nothing without one, as the next. */
void ema_begin(struct ema *ema, const struct resnet *net, const float *params, const float *moving);

/* After a step: average = decay * average + (1 - decay) * now, in double. */
void ema_step(struct ema *ema, const struct resnet *net, double decay, const float *params,
              const float *moving);

#endif
