/* Inputs as files without a name on a disk, for readers that take a path. */
#ifndef CUTOUTD_TESTS_FUZZ_FUZZ_FILE_H
#define CUTOUTD_TESTS_FUZZ_FUZZ_FILE_H

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

struct fuzz_file {
    int fd;
    char path[32];
};

/* A regular file of mode 0600 with these bytes. */
static inline struct fuzz_file fuzz_file_make(const void *data, size_t size) {
    struct fuzz_file file = {.fd = memfd_create("input", MFD_CLOEXEC)};
    REQUIRE(file.fd >= 0 && fchmod(file.fd, 0600) == 0);
    REQUIRE(write(file.fd, data, size) == (ssize_t)size);
    (void)snprintf(file.path, sizeof(file.path), "/proc/self/fd/%d", file.fd);
    return file;
}

static inline void fuzz_file_close(struct fuzz_file *file) {
    (void)close(file->fd);
}

#endif
