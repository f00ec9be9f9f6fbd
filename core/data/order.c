/* The order of the training images in an epoch. Layer: core/data. */
#include "core/base/rng.h"
#include "core/data/augment.h"

void epoch_order(uint64_t seed, int epoch, int n, int32_t *ret_order) {
    for (int i = 0; i < n; i++) {
        ret_order[i] = i;
    }
    /* Position i takes the next of four words; a fresh block every four positions. */
    uint32_t words[4];
    for (int i = n - 1, used = 4, block = 0; i > 0; i--, used++) {
        if (used == 4) {
            struct rng_counter counter = {
                .purpose = RNG_ORDER, .epoch = (uint32_t)epoch, .image = (uint32_t)block};
            rng_words(seed, counter, words);
            block++;
            used = 0;
        }
        uint32_t j = rng_below(words[used], (uint32_t)i + 1);
        int32_t swapped = ret_order[i];
        ret_order[i] = ret_order[j];
        ret_order[j] = swapped;
    }
}
