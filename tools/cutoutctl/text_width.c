/* Layer: tools. */
#include "tools/cutoutctl/text_width.h"

#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "core/base/text.h"

/* The character that a valid sequence of so many bytes encodes. */
static wchar_t decode(const char *text, size_t length) {
    static const unsigned char first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    wchar_t c = (wchar_t)((unsigned char)text[0] & first_bits[length]);
    for (size_t i = 1; i < length; i++) {
        c = (wchar_t)(c << 6 | ((unsigned char)text[i] & 0x3f));
    }
    return c;
}

/* The width of the character at the beginning; its bytes are *ret_length. */
static int width_at(const char *text, size_t n_left, size_t *ret_length) {
    size_t length = utf8_sequence_length(text, n_left);
    *ret_length = length > 0 ? length : 1;
    int width = length > 0 ? wcwidth(decode(text, length)) : 1;
    return width < 0 ? 1 : width;
}

int text_columns(const char *text) {
    size_t n_bytes = strlen(text);
    size_t length = 0;
    int columns = 0;
    for (size_t at = 0; at < n_bytes; at += length) {
        columns += width_at(text + at, n_bytes - at, &length);
    }
    return columns;
}

/* text_bytes, and how many columns these bytes take. */
static size_t measure(const char *text, int most, int *ret_columns) {
    size_t n_bytes = strlen(text);
    size_t length = 0;
    size_t at = 0;
    *ret_columns = 0;
    for (; at < n_bytes; at += length) {
        int width = width_at(text + at, n_bytes - at, &length);
        if (*ret_columns + width > most) {
            break;
        }
        *ret_columns += width;
    }
    return at;
}

int text_bytes(const char *text, int columns) {
    int width = 0;
    return (int)measure(text, columns, &width);
}

void text_fit(FILE *out, const char *text, int columns, int pad) {
    int width = 0;
    size_t n_bytes = measure(text, columns, &width);
    const char *cut = "";
    if (text[n_bytes] != '\0' && columns > 0) {
        n_bytes = measure(text, columns - 1, &width);
        cut = "…";
        width++;
    }
    int spaces = columns - width;
    (void)fprintf(out, "%*s%.*s%s%*s", pad > 0 ? spaces : 0, "", (int)n_bytes, text, cut,
                  pad < 0 ? spaces : 0, "");
}

int terminal_columns(FILE *out) {
    struct winsize size = {0};
    if (!isatty(fileno(out))) {
        return 0;
    }
    bool known = ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : 80;
}
