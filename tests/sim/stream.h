/* Streams of choices: every choice of the simulator is a function of the seed, the step and how
 * many choices that step made before. Leaving a step out does not change those of the others, which
 * is what lets a failure be shrunk.
 *
 * Thread rule: the simulator has one thread.
 */
#ifndef CUTOUTD_TESTS_SIM_STREAM_H
#define CUTOUTD_TESTS_SIM_STREAM_H

#include <stdbool.h>
#include <stdint.h>

struct stream {
    uint64_t key;
    uint64_t n;
};

/* The finaliser of splitmix64. */
static inline uint64_t mix(uint64_t x) {
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static inline struct stream stream_make(uint64_t seed, uint64_t part) {
    return (struct stream){.key = mix(mix(seed) ^ mix(part + UINT64_C(0x51ed270b)))};
}

static inline uint64_t stream_next(struct stream *stream) {
    return mix(stream->key ^ mix(++stream->n));
}

/* 0 .. n-1. */
static inline int stream_below(struct stream *stream, int n) {
    return (int)(stream_next(stream) % (uint64_t)n);
}

static inline bool stream_chance(struct stream *stream, int percent) {
    return stream_below(stream, 100) < percent;
}

#endif
