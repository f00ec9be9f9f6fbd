/* Layer: core/base. */
#include "core/base/text.h"

#include <stdint.h>
#include <string.h>

size_t utf8_sequence_length(const char *text, size_t n_bytes) {
    const unsigned char *s = (const unsigned char *)text;
    if (s[0] < 0x80) {
        return 1;
    }
    size_t length = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || length > n_bytes) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    /* The second byte's narrower ranges (Unicode 15, table 3-7). */
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool surrogate = s[0] == 0xed && s[1] > 0x9f;
    bool too_high = s[0] == 0xf4 && s[1] > 0x8f;
    return overlong || surrogate || too_high ? 0 : length;
}

/* The code point of a valid sequence. */
static uint32_t decode(const char *text, size_t length) {
    static const unsigned char lead_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t c = (unsigned char)text[0] & lead_bits[length];
    for (size_t i = 1; i < length; i++) {
        c = c << 6 | ((unsigned char)text[i] & 0x3f);
    }
    return c;
}

static bool is_plain(uint32_t c) {
    bool control = c < 0x20 || (c >= 0x7f && c <= 0x9f);
    bool direction = (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
    bool noncharacter = (c >= 0xfdd0 && c <= 0xfdef) || (c & 0xfffe) == 0xfffe;
    return !control && !direction && !noncharacter;
}

bool text_is_plain(const char *text, size_t n_bytes) {
    for (size_t at = 0; at < n_bytes;) {
        size_t length = utf8_sequence_length(text + at, n_bytes - at);
        if (length == 0 || !is_plain(decode(text + at, length))) {
            return false;
        }
        at += length;
    }
    return true;
}

/* The text ends before the character does that begins here. */
static bool is_cut_off(const char *text, size_t n_bytes) {
    unsigned char lead = (unsigned char)text[0];
    size_t length = lead > 0xf4 || lead < 0xc2 ? 0 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    for (size_t i = 1; i < n_bytes; i++) {
        if (((unsigned char)text[i] & 0xc0) != 0x80) {
            return false;
        }
    }
    return length > n_bytes;
}

void text_make_plain(char *text) {
    size_t n_bytes = strlen(text);
    for (size_t at = 0; at < n_bytes;) {
        size_t length = utf8_sequence_length(text + at, n_bytes - at);
        if (length == 0 && is_cut_off(text + at, n_bytes - at)) {
            text[at] = '\0';
            return;
        }
        if (length == 0 || !is_plain(decode(text + at, length))) {
            length += length == 0;
            memset(text + at, '?', length);
        }
        at += length;
    }
}

size_t text_cut(const char *text, size_t n_bytes, size_t most) {
    size_t at = 0;
    while (at < n_bytes) {
        size_t length = utf8_sequence_length(text + at, n_bytes - at);
        if (length == 0 || at + length > most) {
            break;
        }
        at += length;
    }
    return at;
}
