/* Fetches the ranges of a struct kernel_prefetch into L2, a few lines at a time between other work.
 *
 * Layer: core/kernels. Thread rule: a cursor belongs to one call.
 */
#ifndef CUTOUTD_CORE_KERNELS_X86_PREFETCH_H
#define CUTOUTD_CORE_KERNELS_X86_PREFETCH_H

#include <xmmintrin.h>

#include "core/kernels/kernels.h"
#include "core/kernels/x86/inline.h"

enum { CACHE_LINE_BYTES = 64 };

struct prefetch_cursor {
    const struct kernel_prefetch *hint;
    int n_ranges;
    int range;   /* the current one; n_ranges: done */
    size_t at;   /* bytes of it that were fetched */
    size_t step; /* bytes to fetch in a step, a multiple of a line */
};

/* Spreads the ranges over n_steps calls of prefetch_step; n_steps is larger than the number of
 * ranges, each of which may end with a step of its own. hint: NULL is fine. */
INLINE struct prefetch_cursor prefetch_start(const struct kernel_prefetch *hint, int n_steps) {
    struct prefetch_cursor cursor = {.hint = hint, .n_ranges = hint ? hint->n_ranges : 0};
    size_t n_bytes = 0;
    for (int i = 0; i < cursor.n_ranges; i++) {
        n_bytes += hint->ranges[i].n_bytes;
    }
    size_t n_lines = n_bytes / CACHE_LINE_BYTES / (size_t)(n_steps - cursor.n_ranges) + 1;
    cursor.step = n_lines * CACHE_LINE_BYTES;
    return cursor;
}

INLINE void prefetch_step(struct prefetch_cursor *cursor) {
    if (cursor->range == cursor->n_ranges) {
        return;
    }
    const char *start = cursor->hint->ranges[cursor->range].start;
    size_t n_bytes = cursor->hint->ranges[cursor->range].n_bytes;
    bool last = n_bytes - cursor->at <= cursor->step;
    size_t end = last ? n_bytes : cursor->at + cursor->step;
    NO_UNROLL for (size_t at = cursor->at; at < end; at += CACHE_LINE_BYTES) {
        _mm_prefetch(start + at, _MM_HINT_T1);
    }
    cursor->at = last ? 0 : end;
    cursor->range += last;
}

#endif
