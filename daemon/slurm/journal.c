/* Layer: daemon/slurm. Thread rule: see the header. */
#include "daemon/slurm/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "core/base/decimal.h"
#include "core/base/sha256.h"

enum {
    DIGEST_DIGITS = 16,
    HEAD_SIZE = 8 + DIGEST_DIGITS + 2, /* "65536 0123456789abcdef " */
    FETCH_BYTES = 256 << 10,           /* at once */
};

static void digest(const char *text, size_t n_bytes, char ret_digits[DIGEST_DIGITS + 1]) {
    struct sha256 sha;
    char hex[SHA256_HEX_SIZE];
    sha256_begin(&sha);
    sha256_update(&sha, text, n_bytes);
    sha256_end(&sha, hex);
    (void)snprintf(ret_digits, DIGEST_DIGITS + 1, "%.16s", hex);
}

/* ---- writing ---- */

/* On NFS, too, O_EXCL lets exactly one through. */
enum status journal_create(const char *path, struct journal *journal, struct error *error) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0640);
    if (fd < 0 && errno == EEXIST) {
        return error_set(error, STATUS_CONFLICT, "%s is there: this attempt has begun before",
                         path);
    }
    if (fd < 0) {
        return error_set_errno(error, errno, "cannot make %s", path);
    }
    *journal = (struct journal){.fd = fd};
    return STATUS_OK;
}

static enum status write_all(struct journal *journal, const char *line, size_t n_bytes,
                             struct error *error) {
    for (size_t done = 0; done < n_bytes;) {
        ssize_t n = write(journal->fd, line + done, n_bytes - done);
        if (n < 0 && errno != EINTR) {
            return error_set_errno(error, errno, "cannot write the journal");
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return STATUS_OK;
}

enum status journal_append(struct journal *journal, const char *text, bool flush,
                           struct error *error) {
    char digits[DIGEST_DIGITS + 1];
    CLEANUP(free_pointer) char *line = NULL;
    size_t n_text = strlen(text);
    if (journal->torn) {
        return error_set(error, STATUS_IO, "the journal has a torn end");
    }
    digest(text, n_text, digits);
    int n =
        n_text <= JOURNAL_MOST_BYTES ? asprintf(&line, "%zu %s %s\n", n_text, digits, text) : -1;
    if (n < 0) {
        line = NULL;
        return error_set(error, STATUS_NO_MEMORY, "no memory for a record of %zu bytes", n_text);
    }
    enum status status = write_all(journal, line, (size_t)n, error);
    if (status == STATUS_OK && flush && fdatasync(journal->fd) != 0) {
        status = error_set_errno(error, errno, "cannot make the journal durable");
    }
    if (status != STATUS_OK) {
        journal->torn = ftruncate(journal->fd, journal->n_bytes) != 0;
        return status;
    }
    journal->n_bytes += n;
    return STATUS_OK;
}

void journal_close(struct journal *journal) {
    if (journal->fd >= 0) {
        (void)close(journal->fd);
    }
    journal->fd = -1;
}

/* ---- reading ---- */

static enum status make_room(struct journal_reader *reader, struct error *error) {
    size_t wanted = reader->n_bytes + FETCH_BYTES;
    if (wanted > reader->capacity) {
        char *data = realloc(reader->data, wanted);
        if (!data) {
            return error_set(error, STATUS_NO_MEMORY, "no memory to read a journal");
        }
        reader->data = data;
        reader->capacity = wanted;
    }
    return STATUS_OK;
}

/* What was taken makes room. */
static void drop_taken(struct journal_reader *reader) {
    if (reader->at > 0) {
        memmove(reader->data, reader->data + reader->at, reader->n_bytes - reader->at);
        reader->n_bytes -= reader->at;
        reader->offset += (int64_t)reader->at;
        reader->at = 0;
    }
}

/* Opened each time: that is when NFS asks the server how long the file is. */
enum status journal_fetch(struct journal_reader *reader, const char *path, struct error *error) {
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        return errno == ENOENT ? STATUS_OK : error_set_errno(error, errno, "cannot open %s", path);
    }
    drop_taken(reader);
    if (reader->n_bytes > 2 * (size_t)JOURNAL_MOST_BYTES) {
        return STATUS_OK; /* enough to do */
    }
    TRY(make_room(reader, error));
    ssize_t n = pread(fd, reader->data + reader->n_bytes, FETCH_BYTES,
                      (off_t)(reader->offset + (int64_t)reader->n_bytes));
    if (n < 0) {
        return error_set_errno(error, errno, "cannot read %s", path);
    }
    reader->n_bytes += (size_t)n;
    return STATUS_OK;
}

static bool is_record(const char *line, size_t n_line, size_t *ret_head, size_t *ret_n_text) {
    char head[HEAD_SIZE + 1];
    char digits[DIGEST_DIGITS + 1];
    int64_t length = 0;
    const char *blank = memchr(line, ' ', n_line < 8 ? n_line : 8);
    if (!blank) {
        return false;
    }
    size_t n_head = (size_t)(blank - line) + 1 + DIGEST_DIGITS + 1;
    if (n_head > n_line || n_head > HEAD_SIZE) {
        return false;
    }
    (void)snprintf(head, sizeof(head), "%.*s", (int)(blank - line), line);
    if (!text_to_count(head, JOURNAL_MOST_BYTES, &length) || n_head + (size_t)length != n_line) {
        return false;
    }
    digest(line + n_head, (size_t)length, digits);
    *ret_head = n_head;
    *ret_n_text = (size_t)length;
    return memcmp(blank + 1, digits, DIGEST_DIGITS) == 0 && line[n_head - 1] == ' ';
}

enum status journal_next(struct journal_reader *reader, const char **ret_text, size_t *ret_n_bytes,
                         struct error *error) {
    const char *line = reader->data ? reader->data + reader->at : "";
    size_t left = reader->n_bytes - reader->at;
    const char *end = left > 0 ? memchr(line, '\n', left) : NULL;
    size_t head = 0;
    if (!end && left <= (size_t)JOURNAL_MOST_BYTES + HEAD_SIZE) {
        return error_set(error, STATUS_NOT_FOUND, "no record is there");
    }
    if (!end || !is_record(line, (size_t)(end - line), &head, ret_n_bytes)) {
        return error_set(error, STATUS_CORRUPT, "the journal is damaged at byte %lld",
                         (long long)(reader->offset + (int64_t)reader->at));
    }
    *ret_text = line + head;
    return STATUS_OK;
}

void journal_take(struct journal_reader *reader) {
    const char *line = reader->data + reader->at;
    const char *end = memchr(line, '\n', reader->n_bytes - reader->at);
    reader->at = (size_t)(end - reader->data) + 1;
}

void journal_refetch(struct journal_reader *reader) {
    drop_taken(reader);
    reader->n_bytes = 0;
}

void journal_reader_clear(struct journal_reader *reader) {
    free(reader->data);
    *reader = (struct journal_reader){0};
}
