/* Layer: core/base. */
#include "core/base/arena.h"

#include <sys/mman.h>

/* Arrays whose sizes are powers of two would all start in the same cache sets; this many bytes
 * between them spread the starts. */
enum { STAGGER_BYTES = 320 };

enum status arena_open(struct arena *arena, size_t n_bytes, struct error *error) {
    const size_t page = (size_t)2 << 20;
    size_t size = (n_bytes + page - 1) / page * page;
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) {
        return error_set(error, STATUS_NO_MEMORY, "cannot reserve %zu MB of memory", size >> 20);
    }
    (void)madvise(base, size, MADV_HUGEPAGE);
    *arena = (struct arena){.base = base, .size = size};
    return STATUS_OK;
}

void *arena_take(struct arena *arena, size_t n_bytes) {
    size_t start = arena->used;
    arena->used += (n_bytes + 63) / 64 * 64 + STAGGER_BYTES;
    return arena->base ? arena->base + start : NULL;
}

void arena_close(struct arena *arena) {
    if (arena->base) {
        (void)munmap(arena->base, arena->size);
    }
    *arena = (struct arena){0};
}
