/* Opening files that others may have put something else in the place of.
 *
 * Layer: core/base. Thread rule: pure functions.
 *
 * Where a file is expected there may be a FIFO, whose opening waits for a writer for ever, or a
 * device, whose reading waits or never ends. Everything that reads a file by its path opens it
 * here.
 */
#ifndef CUTOUTD_CORE_BASE_REGULAR_FILE_H
#define CUTOUTD_CORE_BASE_REGULAR_FILE_H

#include <stdio.h>

#include "core/base/error.h"

/* Opens a regular file to read; never waits. *ret_fd is the caller's (close). STATUS_NOT_FOUND,
 * STATUS_IO (also: it is no regular file), with the path in the message. */
enum status regular_file_open(const char *path, int *ret_fd, struct error *error);

/* The same as a stream (fclose). STATUS_NO_MEMORY as well. */
enum status regular_file_stream(const char *path, FILE **ret_file, struct error *error);

enum regular_file_look {
    REGULAR_FILE_READABLE,
    REGULAR_FILE_LOST,      /* it is not there, or no regular file */
    REGULAR_FILE_FORBIDDEN, /* not this user's to read: nothing is known of what is in it */
    REGULAR_FILE_FAILED,    /* the disk, or want of memory or descriptors: that may pass */
};

/* What comes of reading it to its end. */
enum regular_file_look regular_file_look(const char *path);

#endif
