/* The journal of an attempt: what one process appends and another one reads, on a file system that
 * both see.
 *
 * Layer: daemon/slurm. Thread rule: one writer and one reader; each belongs to one thread at a
 * time.
 *
 * A record is a line: the length of its text, the first 16 digits of the text's SHA-256, the text.
 * A line without its end is no record yet, and never becomes one when its writer has ended.
 */
#ifndef CUTOUTD_DAEMON_SLURM_JOURNAL_H
#define CUTOUTD_DAEMON_SLURM_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"

/* Of a record's text: the errors of a hundred classes by class have 10,000 numbers. */
enum { JOURNAL_MOST_BYTES = 256 << 10 };

struct journal {
    int fd; /* -1: closed */
    int64_t n_bytes;
    bool torn; /* a part of a line may be at its end, and could not be taken away */
};

/* Makes the file. STATUS_CONFLICT: there is one, so another process has begun the attempt.
 * STATUS_IO, STATUS_NO_SPACE, STATUS_NOT_FOUND. */
enum status journal_create(const char *path, struct journal *journal, struct error *error);

/* Appends a record; `text` has no line feed. flush: it is durable on return. STATUS_IO,
 * STATUS_NO_SPACE: nothing was appended, and the next record can be; after a torn end that could
 * not be taken away always STATUS_IO. */
enum status journal_append(struct journal *journal, const char *text, bool flush,
                           struct error *error);

void journal_close(struct journal *journal);

struct journal_reader {
    int64_t offset; /* of the first byte that is not taken: data[0] */
    char *data;     /* owned */
    size_t n_bytes;
    size_t capacity;
    size_t at; /* in data: the first byte of the next line */
};

/* Reads what came since. A file that is not there (yet) has nothing. STATUS_IO, STATUS_NO_MEMORY.
 */
enum status journal_fetch(struct journal_reader *reader, const char *path, struct error *error);

/* The next record that was fetched; *ret_text is valid until the next fetch. STATUS_NOT_FOUND: no
 * whole line is there. STATUS_CORRUPT: the line is damaged, or not yet seen whole; it stays the
 * next. */
enum status journal_next(struct journal_reader *reader, const char **ret_text, size_t *ret_n_bytes,
                         struct error *error);

/* The record of journal_next is done with. */
void journal_take(struct journal_reader *reader);

/* Forgets what was fetched behind the last record that was taken: a damaged line is read again. */
void journal_refetch(struct journal_reader *reader);

/* Frees. A zeroed reader is at the beginning. */
void journal_reader_clear(struct journal_reader *reader);

#endif
