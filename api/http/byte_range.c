/* Layer: api. */
#include "api/http/byte_range.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* Moves *text behind a decimal number. false: there is none, or it is beyond any file. */
static bool read_number(const char **text, int64_t *ret_number) {
    int64_t number = 0;
    size_t n = strspn(*text, "0123456789");
    if (n == 0 || n > 18) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        number = number * 10 + ((*text)[i] - '0');
    }
    *text += n;
    *ret_number = number;
    return true;
}

enum byte_range byte_range_parse(const char *header, int64_t n_bytes, int64_t *ret_first,
                                 int64_t *ret_n) {
    static const char unit[] = "bytes=";
    if (strncasecmp(header, unit, strlen(unit)) != 0) {
        return BYTE_RANGE_ALL;
    }
    const char *text = header + strlen(unit);
    int64_t first = 0;
    int64_t last = n_bytes - 1;
    if (*text == '-') {
        int64_t n = 0;
        text++;
        if (!read_number(&text, &n) || *text != '\0') {
            return BYTE_RANGE_ALL;
        }
        first = n == 0 ? n_bytes : n < n_bytes ? n_bytes - n : 0;
    } else {
        if (!read_number(&text, &first) || *text++ != '-') {
            return BYTE_RANGE_ALL;
        }
        int64_t given = 0;
        if (*text != '\0' && (!read_number(&text, &given) || *text != '\0' || given < first)) {
            return BYTE_RANGE_ALL;
        }
        last = text[-1] != '-' && given < last ? given : last;
    }
    if (first >= n_bytes) {
        return BYTE_RANGE_UNSATISFIABLE;
    }
    *ret_first = first;
    *ret_n = last - first + 1;
    return BYTE_RANGE_PART;
}
