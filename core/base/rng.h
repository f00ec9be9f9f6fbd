/* Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011; the Random123 library).
 *
 * Layer: core/base. Thread rule: pure functions, safe anywhere.
 *
 * There is no generator state. A number is a function of (seed, purpose, epoch, image, copy, draw),
 * so an image gets the same cutout whatever the number of threads and wherever a run was
 * interrupted. Nothing needs saving in a checkpoint.
 */
#ifndef CUTOUTD_CORE_BASE_RNG_H
#define CUTOUTD_CORE_BASE_RNG_H

#include <stdint.h>

/* What a number is for. Each purpose is a stream of its own. The values are part of every stored
 * result: never renumber, only append. */
enum rng_purpose {
    RNG_INIT = 1,    /* initial weights: epoch 0, image = tensor index */
    RNG_ORDER = 2,   /* order of the training images in an epoch */
    RNG_CUTOUT = 3,  /* centres of the squares */
    RNG_SHIFT = 4,   /* dx, dy */
    RNG_FLIP = 5,    /* left-right */
    RNG_CROP = 6,    /* offsets of the crop */
    RNG_DATASET = 7, /* the generated data set: epoch = split, image = index */
    RNG_PHASE = 8,   /* which side comes first where flips alternate: epoch and copy 0 */
    RNG_MIX = 9,     /* cutmix, mixup, random erasing */
};

/* The counter of one draw. `draw` numbers the blocks of four words of the same stream. */
struct rng_counter {
    enum rng_purpose purpose;
    uint32_t epoch; /* from 0 */
    uint32_t image; /* index in the data set */
    uint32_t copy;  /* 0 .. M-1, below 65,536 */
    uint32_t draw;  /* below 65,536; higher bits go into the purpose word */
};

/* Four words that are uniform over all 32-bit values. */
void rng_words(uint64_t seed, struct rng_counter counter, uint32_t ret_words[4]);

/* A word as a float in [0, 1): its upper 24 bits. */
static inline float rng_unit(uint32_t word) {
    return (float)(word >> 8) * 0x1p-24F;
}

/* A word as an integer in [0, n), n > 0: the upper half of word * n. The bias is below n / 2^32. */
static inline uint32_t rng_below(uint32_t word, uint32_t n) {
    return (uint32_t)(((uint64_t)word * n) >> 32);
}

/* Raw Philox4x32-10, for the known-answer test. */
void rng_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t ret_words[4]);

#endif
