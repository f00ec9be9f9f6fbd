/* Where the squares of cutout lie. Layer: core/data. */
#include "core/base/rng.h"
#include "core/data/augment.h"

static int clip_to_side(int position) {
    return position < 0 ? 0 : position > IMAGE_SIDE ? IMAGE_SIDE : position;
}

struct cutout_square cutout_square_draw(uint64_t seed, int epoch, int image, int copy, int index,
                                        int size) {
    const struct rng_counter counter = {.purpose = RNG_CUTOUT,
                                        .epoch = (uint32_t)epoch,
                                        .image = (uint32_t)image,
                                        .copy = (uint32_t)copy,
                                        .draw = (uint32_t)index};
    uint32_t words[4];
    rng_words(seed, counter, words);
    int y = (int)rng_below(words[0], IMAGE_SIDE);
    int x = (int)rng_below(words[1], IMAGE_SIDE);
    return (struct cutout_square){.top = clip_to_side(y - size / 2),
                                  .bottom = clip_to_side(y + size / 2),
                                  .left = clip_to_side(x - size / 2),
                                  .right = clip_to_side(x + size / 2)};
}
