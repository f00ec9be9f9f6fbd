/* Runs the network: one training step (forward, loss, backward) or an evaluation.
 *
 * Layer: core/nn. Thread rule: an engine belongs to the thread that owns its team; all functions
 * are called there. The engine spreads its work over the team.
 *
 * The same inputs give the same bits for any number of threads: a batch is cut into chunks by its
 * size alone, each chunk keeps its own partial sums, and those are added in order.
 *
 * All memory is planned and taken by engine_create; a step allocates nothing.
 */
#ifndef CUTOUTD_CORE_NN_ENGINE_H
#define CUTOUTD_CORE_NN_ENGINE_H

#include <stdint.h>

#include "core/kernels/kernels.h"
#include "core/nn/resnet.h"
#include "core/nn/step_profile.h"
#include "core/team/team.h"

/* [32][32][4] floats. */
enum { ENGINE_IMAGE_FLOATS = 32 * 32 * 4, ENGINE_EVALUATE_MAX = 256 };

struct engine;

struct engine_options {
    const struct resnet *net; /* must outlive the engine */
    const struct kernels *kernels;
    struct team *team;            /* likewise */
    int max_images;               /* largest batch of engine_train; 0: this engine only evaluates */
    bool winograd;                /* where the variant has it */
    bool bf16;                    /* keep what is saved between passes as bfloat16 */
    bool streamed;                /* write it past the caches: changes no bit */
    double label_smoothing;       /* of engine_train, 0 .. <1 */
    struct step_profile *profile; /* filled by engine_train; outlives the engine; NULL: none */
};

/* STATUS_INVALID, STATUS_NO_MEMORY. *ret_engine is owned by the caller. */
enum status engine_create(const struct engine_options *options, struct engine **ret_engine,
                          struct error *error);

/* NULL is fine. */
void engine_free(struct engine *engine);

/* Bytes that engine_create would take for n_threads threads. */
int64_t engine_memory_bytes(const struct engine_options *options, int n_threads);

/* Where the caller puts the next batch: images [max_images][32][32][4], labels [max_images]. */
float *engine_images(struct engine *engine);
uint8_t *engine_labels(struct engine *engine);

/* Likewise, and 0 until it is set: what an image of the batch has of another label. [max_images] */
struct engine_other {
    float share; /* 0 .. 1: target = (1 - share) * label + share * other */
    uint8_t label;
};
struct engine_other *engine_others(struct engine *engine);

struct engine_result {
    double loss; /* sum over the images of the cross-entropy; L2 is the trainer's business */
    int correct;
};

/* The loss of each of the first n_images of the batch, as engine_train would find it; nothing goes
 * backward. moving: [n_moving], changed as by engine_train. ret_losses: [n_images]. */
void engine_losses(struct engine *engine, int n_images, const float *params, float *moving,
                   double *ret_losses, struct engine_result *ret_result);

/* One pass forward and backward over the first n_images of the batch (1 .. max_images).
 * Labels are below the network's n_classes. params: [n_params], aligned to 64 bytes. moving:
 * [n_moving], updated with this batch's statistics. gradient: [n_params], the gradient of the mean
 * cross-entropy; exactly 0 for frozen tensors. */
void engine_train(struct engine *engine, int n_images, const float *params, float *moving,
                  float *gradient, struct engine_result *ret_result);

/* Makes one image ([32][32][4]) and returns its label. Called by any member of the team. */
typedef uint8_t engine_source(void *user, int index, float *ret_image);

/* Call before engine_evaluate whenever the parameters have changed; they stay where they are until
 * the last engine_evaluate. */
void engine_evaluate_prepare(struct engine *engine, const float *params, const float *moving);

/* Images first .. first+n_images-1 of `source` (n_images <= ENGINE_EVALUATE_MAX) with the moving
 * statistics. ret_logits: [n_images][classes] or NULL. ret_classes: [n_images], the predicted
 * classes, or NULL. */
void engine_evaluate(struct engine *engine, engine_source *source, void *user, int first,
                     int n_images, float *ret_logits, uint8_t *ret_classes,
                     struct engine_result *ret_result);

/* Bytes that a step of engine_train reads and writes of the tensors it keeps for the whole batch,
 * an image, by what is at work when it does: what comes from memory where a batch exceeds the
 * caches (writing counts once). */
void engine_traffic(const struct engine *engine, int64_t ret_bytes[N_STEP_PARTS]);

/* What the last engine_train left behind, for tests (of engines without bf16): the output of block
 * `block` (0: the stem) [n][C/16][H][W][16], the logits [n][classes], the mean and the biased
 * variance in front of BN `bn` [c] (params: those of that step). */
const float *engine_block_output(const struct engine *engine, int block);
const float *engine_logits(const struct engine *engine);
void engine_batch_statistics(const struct engine *engine, const float *params, int bn,
                             double *ret_mean, double *ret_variance);

#endif
