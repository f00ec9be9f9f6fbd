/* Layer: daemon. */
#include "daemon/config/text_number.h"

#include <errno.h>
#include <stdlib.h>

bool text_to_int(const char *text, int low, int high, int *ret) {
    char *end = NULL;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno || end == text || *end || value < low || value > high) {
        return false;
    }
    *ret = (int)value;
    return true;
}
