/* Layer: api. */
#include "api/http/compress.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

/* The weight behind "gzip": "gzip;q=0" is a no. */
static bool is_refused(const char *parameters, size_t n) {
    for (size_t i = 0; i + 2 < n; i++) {
        if ((parameters[i] == 'q' || parameters[i] == 'Q') && parameters[i + 1] == '=') {
            return strtod(parameters + i + 2, NULL) <= 0;
        }
    }
    return false;
}

enum answer { UNNAMED, REFUSED, ACCEPTED };

/* Of one name ("*" is a name as well). */
static enum answer answer_for(const char *accept_encoding, const char *name) {
    for (const char *at = accept_encoding; *at; at += *at == ',') {
        at += strspn(at, " \t");
        size_t n = strcspn(at, ",");
        size_t n_name = strcspn(at, ",; \t");
        if (n_name == strlen(name) && strncasecmp(at, name, n_name) == 0) {
            return is_refused(at + n_name, n - n_name) ? REFUSED : ACCEPTED;
        }
        at += n;
    }
    return UNNAMED;
}

bool gzip_is_accepted(const char *accept_encoding) {
    static const char *const names[] = {"gzip", "x-gzip", "*"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        enum answer answer = answer_for(accept_encoding, names[i]);
        if (answer != UNNAMED) {
            return answer == ACCEPTED;
        }
    }
    return false;
}

bool brotli_is_accepted(const char *accept_encoding) {
    return answer_for(accept_encoding, "br") == ACCEPTED;
}

char *gzip_make(const char *body, size_t n_body, size_t *ret_n) {
    enum { GZIP_HEADER = 16 };
    z_stream stream = {.zalloc = Z_NULL};
    /* The fastest level: JSON shrinks to a tenth with it, and an answer must not wait. */
    if (n_body > UINT_MAX ||
        deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, MAX_WBITS + GZIP_HEADER, MAX_MEM_LEVEL - 1,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        return NULL;
    }
    char *packed = malloc(n_body);
    stream.next_in = (z_const Bytef *)body;
    stream.avail_in = (uInt)n_body;
    stream.next_out = (Bytef *)packed;
    stream.avail_out = (uInt)n_body;
    bool whole = packed && deflate(&stream, Z_FINISH) == Z_STREAM_END;
    size_t n = stream.total_out;
    (void)deflateEnd(&stream);
    if (!whole) {
        free(packed);
        return NULL;
    }
    *ret_n = n;
    return packed;
}
