/* The progress board. Layer: daemon/work. Thread rule: one mutex guards all slots; it is held for a
 * copy at a time. */
#include "daemon/work/progress.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct progress_board {
    pthread_mutex_t mutex;
    int n_slots;            /* guarded by mutex */
    struct progress *slots; /* [n_slots], guarded by mutex */
    struct histogram epochs;
};

/* From a tiny test to ResNet-110 with many copies on two cores. */
static const struct histogram_bounds epoch_bounds = {
    12, {1, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200}};

enum status progress_board_create(int n_slots, struct progress_board **ret_board,
                                  struct error *error) {
    struct progress_board *board = calloc(1, sizeof(*board));
    if (!board) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the progress board");
    }
    (void)pthread_mutex_init(&board->mutex, NULL);
    board->n_slots = n_slots;
    histogram_init(&board->epochs, &epoch_bounds);
    board->slots = calloc((size_t)n_slots, sizeof(*board->slots));
    if (!board->slots) {
        progress_board_free(board);
        return error_set(error, STATUS_NO_MEMORY, "no memory for the progress board");
    }
    *ret_board = board;
    return STATUS_OK;
}

void progress_board_free(struct progress_board *board) {
    if (board) {
        (void)pthread_mutex_destroy(&board->mutex);
        free(board->slots);
        free(board);
    }
}

/* With the mutex held. */
static bool grow(struct progress_board *board, int slot) {
    size_t n = 2 * ((size_t)slot + 1);
    struct progress *slots = realloc(board->slots, n * sizeof(*slots));
    if (!slots) {
        return false;
    }
    memset(slots + board->n_slots, 0, (n - (size_t)board->n_slots) * sizeof(*slots));
    board->slots = slots;
    board->n_slots = (int)n;
    return true;
}

void progress_board_set(struct progress_board *board, int slot, const struct progress *progress) {
    (void)pthread_mutex_lock(&board->mutex);
    if (slot < board->n_slots || grow(board, slot)) {
        board->slots[slot] = *progress;
    }
    (void)pthread_mutex_unlock(&board->mutex);
}

void progress_board_clear(struct progress_board *board, int slot) {
    static const struct progress empty;
    progress_board_set(board, slot, &empty);
}

bool progress_board_find(struct progress_board *board, int64_t run_id,
                         struct progress *ret_progress) {
    bool found = false;
    (void)pthread_mutex_lock(&board->mutex);
    for (int i = 0; i < board->n_slots && !found; i++) {
        found = board->slots[i].run_id == run_id;
        if (found) {
            *ret_progress = board->slots[i];
        }
    }
    (void)pthread_mutex_unlock(&board->mutex);
    return found;
}

size_t progress_board_all(struct progress_board *board, struct progress *ret_items, size_t size) {
    size_t n = 0;
    (void)pthread_mutex_lock(&board->mutex);
    for (int i = 0; i < board->n_slots && n < size; i++) {
        if (board->slots[i].run_id != 0) {
            ret_items[n++] = board->slots[i];
        }
    }
    (void)pthread_mutex_unlock(&board->mutex);
    return n;
}

void progress_board_add_epoch(struct progress_board *board, double seconds) {
    histogram_add(&board->epochs, seconds);
}

const struct histogram *progress_board_epochs(const struct progress_board *board) {
    return &board->epochs;
}
