/* Layer: core/base. */
#include "core/base/text_stream.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

enum { CAPACITY = 256 };

struct text_stream {
    char **text; /* the caller's; always ends with NUL, which *n_bytes does not count */
    size_t *n_bytes;
    size_t capacity;
    bool failed;
};

/* 0, which stdio takes for an error: no memory. Nothing is taken behind what was lost. */
static ssize_t append(void *cookie, const char *bytes, size_t n) {
    struct text_stream *stream = cookie;
    size_t needed = *stream->n_bytes + n + 1;
    if (!stream->failed && needed > stream->capacity) {
        size_t capacity = stream->capacity;
        while (capacity < needed) {
            capacity *= 2;
        }
        char *text = realloc(*stream->text, capacity);
        stream->failed = text == NULL;
        *stream->text = text ? text : *stream->text;
        stream->capacity = text ? capacity : stream->capacity;
    }
    if (stream->failed) {
        errno = ENOMEM;
        return 0;
    }
    memcpy(*stream->text + *stream->n_bytes, bytes, n);
    *stream->n_bytes += n;
    (*stream->text)[*stream->n_bytes] = '\0';
    return (ssize_t)n;
}

/* For ftell alone. */
static int tell(void *cookie, off64_t *offset, int whence) {
    const struct text_stream *stream = cookie;
    if (*offset != 0 || whence != SEEK_CUR) {
        errno = ESPIPE;
        return -1;
    }
    *offset = (off64_t)*stream->n_bytes;
    return 0;
}

static int finish(void *cookie) {
    struct text_stream *stream = cookie;
    bool failed = stream->failed;
    free(stream);
    return failed ? -1 : 0;
}

FILE *text_stream_open(char **ret_text, size_t *ret_n_bytes) {
    static const cookie_io_functions_t functions = {.write = append, .seek = tell, .close = finish};
    struct text_stream *stream = malloc(sizeof(*stream));
    char *text = malloc(CAPACITY);
    FILE *out = stream && text ? fopencookie(stream, "w", functions) : NULL;
    if (!out) {
        free(stream);
        free(text);
        return NULL;
    }
    *stream = (struct text_stream){.text = ret_text, .n_bytes = ret_n_bytes, .capacity = CAPACITY};
    text[0] = '\0';
    *ret_text = text;
    *ret_n_bytes = 0;
    return out;
}

char *text_stream_close(FILE *stream, char **text) {
    bool failed = ferror(stream) != 0;
    failed |= fclose(stream) != 0;
    if (failed) {
        free(*text);
        *text = NULL;
    }
    return *text;
}
