/* Layer: core/train. */
#include "core/train/ema.h"

#include <stdlib.h>
#include <string.h>

static size_t rounded_bytes(size_t n) {
    return (n * sizeof(float) + 63) / 64 * 64;
}

enum status ema_open(const struct run_config *config, const struct resnet *net, struct ema *ret_ema,
                     struct error *error) {
    *ret_ema = (struct ema){0};
    if (config->ema <= 0) {
        return STATUS_OK;
    }
    ret_ema->params = aligned_alloc(64, rounded_bytes(net->n_params));
    ret_ema->moving = aligned_alloc(64, rounded_bytes(net->n_moving));
    if (!ret_ema->params || !ret_ema->moving) {
        ema_close(ret_ema);
        return error_set(error, STATUS_NO_MEMORY, "no memory for the average of the weights");
    }
    return STATUS_OK;
}

void ema_close(struct ema *ema) {
    free(ema->params);
    free(ema->moving);
    *ema = (struct ema){0};
}

int64_t ema_bytes(const struct run_config *config, const struct resnet *net) {
    return config->ema > 0 ? (int64_t)(rounded_bytes(net->n_params) + rounded_bytes(net->n_moving))
                           : 0;
}

void ema_begin(struct ema *ema, const struct resnet *net, const float *params,
               const float *moving) {
    if (ema->params) {
        memcpy(ema->params, params, net->n_params * sizeof(*params));
        memcpy(ema->moving, moving, net->n_moving * sizeof(*moving));
    }
}

static void average(float *restrict average, const float *restrict now, size_t n, double decay) {
    for (size_t i = 0; i < n; i++) {
        average[i] = (float)(decay * (double)average[i] + (1.0 - decay) * (double)now[i]);
    }
}

void ema_step(struct ema *ema, const struct resnet *net, double decay, const float *params,
              const float *moving) {
    if (ema->params) {
        average(ema->params, params, net->n_params, decay);
        average(ema->moving, moving, net->n_moving, decay);
    }
}
