/* Destructors that run when a local goes out of scope.
 *
 * Layer: core/base. Thread rule: locals only.
 *
 *     CLEANUP(free_pointer) char *text = NULL;
 *     CLEANUP(close_file) FILE *file = fopen(...);
 *     CLEANUP(close_fd) int fd = -1;
 */
#ifndef CUTOUTD_CORE_BASE_CLEANUP_H
#define CUTOUTD_CORE_BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(function) __attribute__((cleanup(function)))

static inline void free_pointer(void *pointer_to_pointer) {
    free(*(void **)pointer_to_pointer);
}

static inline void close_file(FILE **file) {
    if (*file) {
        (void)fclose(*file);
    }
}

static inline void close_fd(const int *fd) {
    if (*fd >= 0) {
        (void)close(*fd);
    }
}

#endif
