/* Layer: core/base. */
#include "core/base/decimal.h"

#include <limits.h>

bool text_to_count(const char *text, int64_t most, int64_t *ret_value) {
    if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0')) {
        return false;
    }
    int64_t value = 0;
    for (; *text; text++) {
        int digit = *text - '0';
        if (digit < 0 || digit > 9 || digit > most || value > (most - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *ret_value = value;
    return true;
}

bool text_to_id(const char *text, int64_t most, int64_t *ret_value) {
    return text[0] != '0' && text_to_count(text, most, ret_value);
}

bool text_to_integer(const char *text, int64_t most, int64_t *ret_value) {
    bool negative = text[0] == '-';
    int64_t value = 0;
    if (!text_to_count(text + negative, most, &value) || (negative && value == 0)) {
        return false;
    }
    *ret_value = negative ? -value : value;
    return true;
}

bool text_to_int(const char *text, int low, int high, int *ret_value) {
    int64_t value = 0;
    if (!text_to_integer(text, INT_MAX, &value) || value < low || value > high) {
        return false;
    }
    *ret_value = (int)value;
    return true;
}
