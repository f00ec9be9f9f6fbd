/* Philox4x32-10 from Random123. Layer: core/base. */
#include "core/base/rng.h"

#include <Random123/philox.h>

void rng_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t ret_words[4]) {
    philox4x32_ctr_t block = {{counter[0], counter[1], counter[2], counter[3]}};
    philox4x32_key_t philox_key = {{key[0], key[1]}};
    block = philox4x32(block, philox_key);
    for (int i = 0; i < 4; i++) {
        ret_words[i] = block.v[i];
    }
}

void rng_words(uint64_t seed, struct rng_counter counter, uint32_t ret_words[4]) {
    /* copy and the low half of draw share a word; the high half of draw sits above the purpose. */
    const uint32_t words[4] = {
        counter.image,
        counter.epoch,
        (counter.copy << 16) | (counter.draw & 0xFFFFU),
        (uint32_t)counter.purpose | ((counter.draw >> 16) << 8),
    };
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    rng_philox4x32(words, key, ret_words);
}
