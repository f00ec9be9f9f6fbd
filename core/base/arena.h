/* Memory that is planned once and taken in one piece.
 *
 * Layer: core/base. Thread rule: an arena belongs to one thread until its memory is handed out.
 *
 * A layout is written as one function that takes its arrays from an arena. It runs twice: first on
 * an arena without memory, to count, then on the real one:
 *
 *     struct arena counting = {0};
 *     layout(thing, &counting);
 *     TRY(arena_open(&thing->arena, counting.used, error));
 *     layout(thing, &thing->arena);
 */
#ifndef CUTOUTD_CORE_BASE_ARENA_H
#define CUTOUTD_CORE_BASE_ARENA_H

#include <stddef.h>

#include "core/base/error.h"

struct arena {
    unsigned char *base; /* NULL: only counting */
    size_t used;
    size_t size;
};

/* n_bytes of zeroed memory, in large pages where the system has them. STATUS_NO_MEMORY. */
enum status arena_open(struct arena *arena, size_t n_bytes, struct error *error);

/* The next n_bytes, aligned to 64; NULL while only counting. */
void *arena_take(struct arena *arena, size_t n_bytes);

/* Gives the memory back. An arena that was never opened is fine. */
void arena_close(struct arena *arena);

#endif
