/* Adam, RMSprop and SGD, with the L2 penalty in the gradient.
 *
 * Layer: core/train. Thread rule: an optimizer belongs to the thread that owns the team it is
 * given.
 *
 * With g the gradient of the data loss plus 2 * l2 * w (Keras' l2(), without 1/2), and with
 * grad_clip c > 0 then g *= min(1, c / (norm + 1e-6)), where norm is the L2 norm of the g of all
 * trained tensors together (PyTorch's clip_grad_norm_):
 *   Adam     m = .9 m + .1 g;  v = .999 v + .001 g^2;
 *            w -= lr * sqrt(1 - .999^t) / (1 - .9^t) * m / (sqrt(v) + 1e-7)
 *            (Kingma & Ba, 2015, the form before section 2.1; epsilon as in Keras)
 *   RMSprop  v = .9 v + .1 g^2;  w -= lr * g / (sqrt(v) + 1e-7)   (Keras; no bias correction)
 *   SGD      v = mu v + g;  w -= lr * v, or with Nesterov  w -= lr * (g + mu v)
 */
#ifndef CUTOUTD_CORE_TRAIN_OPTIMIZER_H
#define CUTOUTD_CORE_TRAIN_OPTIMIZER_H

#include "core/config/run_config.h"
#include "core/nn/resnet.h"
#include "core/team/team.h"

struct optimizer;

/* Slots are zero. net must outlive it. STATUS_NO_MEMORY. */
enum status optimizer_create(const struct run_config *config, const struct resnet *net,
                             struct optimizer **ret_optimizer, struct error *error);

/* NULL is fine. */
void optimizer_free(struct optimizer *optimizer);

/* One step over all trained tensors; frozen ones stay. Returns the L2 penalty of the parameters as
 * they were before the step. params, gradient: [n_params]. */
double optimizer_step(struct optimizer *optimizer, struct team *team, float *params,
                      const float *gradient, double lr);

/* l2 * sum of squares over the penalised kernels, in double. */
double optimizer_penalty(const struct optimizer *optimizer, const float *params);

/* The state that a checkpoint holds: n slots of [n_params] each, and the steps taken so far. */
int optimizer_slot_count(const struct optimizer *optimizer);
const char *optimizer_slot_name(const struct optimizer *optimizer, int slot); /* "m", "v" */
float *optimizer_slot(struct optimizer *optimizer, int slot);
int64_t optimizer_steps(const struct optimizer *optimizer);
void optimizer_set_steps(struct optimizer *optimizer, int64_t steps);

#endif
